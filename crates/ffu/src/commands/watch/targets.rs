//! `ffu watch targets`: a targets file from neutron's database.

use std::time::Duration;

use camino::Utf8Path;
use ffu_db::resolve;
use ffu_db::url::Access;
use ffu_watch::targets::neutron::{FLOATING_IPS, GATEWAYS, INSTANCE_PORTS, NetworkVantage, Options, Rows, from_rows};
use ffu_watch::targets::sample;
use serde_json::json;

use crate::cli::watch::TargetsArguments;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::places::{Places, read_file, write_file};

/// No question may take longer.
const LIMIT: Duration = Duration::from_secs(120);

pub fn run(_places: &Places, output: Output, arguments: TargetsArguments) -> Result<Exit, Failure> {
    let vantages = arguments
        .vantage
        .iter()
        .map(|text| text.parse::<NetworkVantage>())
        .collect::<Result<Vec<_>, _>>()?;
    let cloud = cloud(&arguments.cloud)?;
    let rows = ask(&cloud)?;
    let mut options = Options {
        vantages,
        ..Options::default()
    };
    options.template.interval_ms = arguments.interval;
    options.template.timeout_ms = 1000;
    let found = from_rows(&rows, &options)?;
    let targets = sample(found.targets, arguments.max, arguments.seed);
    let text = ffu_watch::targets::write(&targets)?;
    for remark in &found.remarks {
        output.progress(remark);
    }
    let count = targets.targets.len();
    match &arguments.output {
        Some(file) => {
            write_file(file, text.as_bytes())?;
            let sample = targets
                .sample
                .as_deref()
                .map(|how| format!("\n{how}"))
                .unwrap_or_default();
            output.result(
                format!("{count} targets written to {file}{sample}\n  next: `ffu run --watch {file}`"),
                &json!({"output": file, "targets": count, "sample": targets.sample, "remarks": found.remarks}),
            );
        }
        None => output.result(text, &json!({"targets": targets, "remarks": found.remarks})),
    }
    Ok(Exit::Success)
}

/// A cloud file.
pub fn cloud(file: &Utf8Path) -> Result<ffu_model::Cloud, Failure> {
    let bytes = read_file(file, "cloud")?;
    Ok(ffu_discover::from_toml(
        file.as_str(),
        &String::from_utf8_lossy(&bytes),
    )?)
}

/// The rows of neutron's database.
fn ask(cloud: &ffu_model::Cloud) -> Result<Rows, Failure> {
    let wrong = |what: String| Failure::new(Exit::BadInput, what);
    let project = cloud
        .projects
        .iter()
        .find(|project| project.project == "neutron")
        .and_then(|project| project.databases.first())
        .ok_or_else(|| {
            wrong("the cloud file has no database of neutron\n  next: run `ffu discover` again".to_owned())
        })?;
    let named = |error: &dyn std::fmt::Display| Failure::new(Exit::Failure, format!("neutron's database: {error}"));
    let service = resolve(&project.connection).map_err(|error| named(&error))?;
    let server = Access { service, admin: None }
        .server()
        .map_err(|error| named(&error))?;
    let rows = |sql: &str| {
        server
            .query_rows(&project.schema, sql, LIMIT)
            .map_err(|error| named(&error))
    };
    Ok(Rows {
        floating_ips: rows(FLOATING_IPS)?,
        gateways: rows(GATEWAYS)?,
        instance_ports: rows(INSTANCE_PORTS)?,
    })
}
