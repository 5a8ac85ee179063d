//! From a reference in a cloud file to the connection itself, at the moment of use.

use camino::{Utf8Path, Utf8PathBuf};
use ffu_model::ConnectionRef;

use crate::error::DbError;
use crate::oslo::config_value;
use crate::server::Server;
use crate::url::{ConnectionUrl, UrlError};

/// Follows a reference.
///
/// # Errors
/// [`DbError::Config`], [`DbError::Url`], [`DbError::CellMapping`], and those of connecting to nova's API database.
pub fn resolve(reference: &ConnectionRef) -> Result<ConnectionUrl, DbError> {
    resolve_in(reference, &|file| file.to_owned())
}

/// [`resolve`] with other copies of the configuration files, e.g. those of a checkpoint.
///
/// # Errors
/// See [`resolve`].
pub fn resolve_in(
    reference: &ConnectionRef,
    file_of: &dyn Fn(&Utf8Path) -> Utf8PathBuf,
) -> Result<ConnectionUrl, DbError> {
    match reference {
        ConnectionRef::Config { file, section, option } => configured(&file_of(file), section, option),
        ConnectionRef::SameServer {
            file,
            section,
            option,
            schema,
        } => {
            crate::quote::identifier("schema", schema)?;
            Ok(configured(&file_of(file), section, option)?.with_schema(schema))
        }
        ConnectionRef::CellMapping { file, uuid } => cell(&file_of(file), uuid),
    }
}

fn configured(file: &Utf8Path, section: &str, option: &str) -> Result<ConnectionUrl, DbError> {
    let value = config_value(&[file.to_owned()], section, option)?;
    Ok(ConnectionUrl::parse(value.expose())?)
}

/// One row of nova's `cell_mappings`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// Its uuid; all zeros but for dashes is cell0.
    pub uuid: String,
    /// Its name; may be empty.
    pub name: String,
    /// Whether it is disabled.
    pub disabled: bool,
    /// Its database.
    pub connection: Result<ConnectionUrl, UrlError>,
}

/// The uuid of cell0 (nova/objects/cell_mapping.py, `CELL0_UUID`).
pub const CELL0_UUID: &str = "00000000-0000-0000-0000-000000000000";

/// The cells that nova's API database knows, cell0 first, then by name and uuid.
///
/// `config` is nova's configuration file: templates are filled from its `[database] connection`.
///
/// # Errors
/// If the API database cannot be read; a cell whose URL is unusable is returned with that error.
pub fn cells(config: &Utf8Path) -> Result<Vec<Cell>, DbError> {
    let api = configured(config, "api_database", "connection")?;
    let schema = api.schema().unwrap_or_default().to_owned();
    let server = Server::connect(&api)?;
    let mut session = server.open_schema(&schema)?;
    let disabled = session.column(
        "SELECT COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = 'cell_mappings' AND COLUMN_NAME = 'disabled'",
        &[&schema],
        "looking at cell_mappings",
    )?;
    let disabled = if disabled.is_empty() { "0" } else { "disabled" };
    let rows = session.rows(
        &format!("SELECT uuid, COALESCE(name, ''), {disabled}, database_connection FROM cell_mappings"),
        "reading nova's cell_mappings",
    )?;
    let mut cells: Vec<Cell> = rows
        .into_iter()
        .map(|row| {
            let mut values = row.into_iter().map(Option::unwrap_or_default);
            let mut next = || values.next().unwrap_or_default();
            let (uuid, name, disabled, connection) = (next(), next(), next(), next());
            Cell {
                uuid,
                name,
                disabled: disabled == "1",
                connection: cell_url(config, &connection),
            }
        })
        .collect();
    cells.sort_by(|a, b| (a.uuid != CELL0_UUID, &a.name, &a.uuid).cmp(&(b.uuid != CELL0_UUID, &b.name, &b.uuid)));
    Ok(cells)
}

fn cell_url(config: &Utf8Path, connection: &str) -> Result<ConnectionUrl, UrlError> {
    if !connection.contains('{') {
        return ConnectionUrl::parse(connection);
    }
    // Without `[database] connection` nova takes the template as it is (cell_mapping.py, `_format_db_url`), and so
    // does this: the error then names the placeholder.
    match configured(config, "database", "connection") {
        Ok(base) => ConnectionUrl::parse(base.fill_template(connection)?.expose()),
        Err(_) => ConnectionUrl::parse(connection),
    }
}

fn cell(config: &Utf8Path, uuid: &str) -> Result<ConnectionUrl, DbError> {
    let wrong = |reason: String| DbError::CellMapping {
        file: config.to_owned(),
        uuid: uuid.to_owned(),
        reason,
    };
    let cell = cells(config)?
        .into_iter()
        .find(|cell| cell.uuid == uuid)
        .ok_or_else(|| wrong("nova's API database has no such cell any more".to_owned()))?;
    cell.connection.map_err(|error| wrong(error.to_string()))
}
