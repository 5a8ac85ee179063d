//! `ffu discover`, and the comparison of a plan's cloud with what is there now.

use camino::Utf8PathBuf;
use ffu_catalog::Catalog;
use ffu_discover::Options;
use ffu_model::{Cloud, Series, Severity};
use serde_json::json;

use crate::cli::runs::DiscoverArguments;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::places::{Places, absolute, write_file};

pub fn run(places: &Places, output: Output, arguments: DiscoverArguments) -> Result<Exit, Failure> {
    let Some(root) = arguments.from.strip_prefix("plain:").filter(|root| !root.is_empty()) else {
        let message = format!(
            "{:?} is not a deployment this program can read\n  next: give plain:DIR, where DIR holds etc/ with the services' \
             configuration (plain:/ for a host)",
            arguments.from.chars().take(60).collect::<String>()
        );
        return Err(Failure::new(Exit::Usage, message));
    };
    let catalog = places.catalog()?;
    let series = arguments
        .series
        .as_deref()
        .map(|text| catalog.resolve(text))
        .transpose()?;
    let admin = arguments.admin_option_file.map(absolute).transpose()?;
    let cloud = look(&absolute(Utf8PathBuf::from(root))?, &catalog, series, admin)?;
    let text = ffu_discover::to_toml(&cloud)?;
    let blockers = cloud
        .findings
        .iter()
        .filter(|f| f.severity == Severity::Blocker)
        .count();
    match &arguments.output {
        Some(file) => {
            write_file(file, text.as_bytes())?;
            output.result(
                format!(
                    "{}\nwritten to {file}\n  next: {}",
                    summary(&cloud),
                    next(blockers, file.as_str())
                ),
                &json!({"output": file, "cloud": cloud}),
            );
        }
        None => output.result(text, &json!({"cloud": cloud})),
    }
    Ok(if blockers > 0 { Exit::Refused } else { Exit::Success })
}

fn next(blockers: usize, file: &str) -> String {
    if blockers > 0 {
        format!("{blockers} findings stand in the way: mend them and discover again")
    } else {
        format!("`ffu plan --cloud {file} --to SERIES`")
    }
}

fn summary(cloud: &Cloud) -> String {
    use std::fmt::Write as _;
    let mut text = format!("cloud {}:\n", cloud.name);
    for server in &cloud.servers {
        let _ = writeln!(text, "  {} {} at {}", server.flavor, server.version, server.address);
    }
    for project in &cloud.projects {
        let series = project.series.as_ref().map_or("series unknown", Series::as_str);
        let tables: u64 = project.databases.iter().map(|d| d.tables).sum();
        let rows: u64 = project.databases.iter().map(|d| d.rows).sum();
        let bytes: u64 = project.databases.iter().map(|d| d.bytes).sum();
        let _ = writeln!(
            text,
            "  {:<10} {series:<8} {:>2} databases, {tables:>4} tables, about {rows} rows, {} MiB",
            project.project,
            project.databases.len(),
            bytes >> 20
        );
    }
    let _ = writeln!(text, "  {} services", cloud.services.len());
    for finding in &cloud.findings {
        let _ = writeln!(text, "  {finding}");
    }
    text
}

fn look(
    root: &Utf8PathBuf,
    catalog: &Catalog,
    series: Option<Series>,
    admin: Option<Utf8PathBuf>,
) -> Result<Cloud, Failure> {
    Ok(ffu_discover::discover_plain(
        root,
        catalog,
        &Options {
            series,
            admin_option_file: admin,
        },
    )?)
}

/// Refuses a plan whose cloud is no longer as the plan has it.
pub fn refuse_drift(expected: &Cloud, catalog: &Catalog) -> Result<(), Failure> {
    let series = common_series(expected);
    let admin = expected
        .servers
        .first()
        .and_then(|server| server.admin_option_file.clone());
    let now = look(&expected.root, catalog, series, admin)?;
    let drift = ffu_discover::drift(expected, &now);
    if drift.is_empty() {
        return Ok(());
    }
    let message = format!(
        "the cloud is not what the plan was made for:\n  - {}\n  next: `ffu discover` and `ffu plan` anew",
        drift.join("\n  - ")
    );
    Err(Failure::new(Exit::Refused, message))
}

/// The series of all projects, if it is one: what discovery was told, where the databases fit several.
fn common_series(cloud: &Cloud) -> Option<Series> {
    let mut series = cloud.projects.iter().map(|project| project.series.clone());
    let first = series.next()??;
    series.all(|other| other.as_ref() == Some(&first)).then_some(first)
}
