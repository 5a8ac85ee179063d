//! Nova's instances, read from the cells' databases for the watch.

use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use ffu_db::resolve::{CELL0_UUID, Cell, cells};
use ffu_db::{ConnectionUrl, DbError, Server};
use ffu_model::{Cloud, ConnectionRef};
use ffu_watch::instances::{Instance, Reading, Seen, from_rows, queries};

/// No statement may take longer: so long a migration would wait for it at most.
const LIMIT: Duration = Duration::from_secs(5);
/// So long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);

/// How the instances of a cloud are read: every cell that nova's API database has a mapping of, but cell0, which has none that was ever
/// started. Connections are looked up anew each time, in nova's own configuration; nothing of them is kept or told. `None` if
/// the cloud has no nova.
pub fn reading(cloud: &Cloud) -> Option<Reading> {
    let nova = cloud.project("nova")?;
    let api = nova.databases.iter().find(|database| database.role == "api")?;
    let file = match &api.connection {
        ConnectionRef::Config { file, .. } => file.clone(),
        ConnectionRef::CellMapping { file, .. } | ConnectionRef::SameServer { file, .. } => file.clone(),
    };
    Some(Box::new(move |uuids: &[String]| read(&file, uuids)))
}

fn read(file: &Utf8PathBuf, uuids: &[String]) -> Result<Seen, String> {
    let queries = queries(uuids.iter().map(String::as_str));
    let all = cells(Utf8Path::new(file)).map_err(|error| first_line(&error))?;
    let mut seen = Seen::default();
    let mut found = false;
    for cell in all.iter().filter(|cell| cell.uuid != CELL0_UUID) {
        match of_cell(cell, &queries) {
            Ok(instances) => {
                found = true;
                seen.instances.extend(instances);
            }
            Err(why) => seen.unread.push(format!("cell {:?} ({}): {why}", cell.name, cell.uuid)),
        }
    }
    match (found, seen.unread.first()) {
        (true, _) => Ok(seen),
        (false, Some(why)) => Err(why.clone()),
        (false, None) => Err("nova has no cell but cell0".to_owned()),
    }
}

fn of_cell(cell: &Cell, queries: &[String]) -> Result<Vec<Instance>, String> {
    let url: &ConnectionUrl = cell.connection.as_ref().map_err(|error| first_line(error))?;
    let schema = url.schema().unwrap_or_default();
    let rows = Server::connect_within(url, CONNECT)
        .and_then(|server| server.rows_by_themselves(schema, queries, LIMIT))
        .map_err(|error: DbError| first_line(&error))?;
    from_rows(&rows).map_err(|error| first_line(&error))
}

/// Without what to type next: nobody is at a prompt.
fn first_line(error: &dyn std::error::Error) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}
