//! `ffu catalog`: what the program knows, and whether an overlay fits.

use std::fmt::Write as _;

use serde_json::json;

use crate::cli::CatalogCommand;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::places::Places;

pub fn run(places: &Places, output: Output, command: &CatalogCommand) -> Result<Exit, Failure> {
    let catalog = places.catalog()?;
    match command {
        CatalogCommand::Check => {
            let text = format!(
                "the catalog is in order: {} series, {} projects, {} gates, {} environments, {} patches\ndigest {}",
                catalog.series.len(),
                catalog.projects.len(),
                catalog.gates.len(),
                catalog.environments.len(),
                catalog.patches.len(),
                catalog.digest()
            );
            output.result(
                text,
                &json!({
                    "ok": true, "digest": catalog.digest(), "series": catalog.series.len(),
                    "projects": catalog.projects.len(), "gates": catalog.gates.len(),
                }),
            );
        }
        CatalogCommand::Show => {
            let mut text = String::new();
            for series in &catalog.series {
                let slurp = if series.slurp { "  SLURP" } else { "" };
                let _ = writeln!(
                    text,
                    "{:<9} {:<10} {}  Python {} to {}{slurp}",
                    series.id.as_str(),
                    series.name,
                    series.first_release,
                    series.python[0],
                    series.python[1]
                );
                for project in catalog.projects_at(&series.id) {
                    if let Some(versions) = project.versions.get(&series.id) {
                        let _ = writeln!(text, "    {:<10} {} – {}", project.name, versions.first, versions.last);
                    }
                }
            }
            for missing in &catalog.missing {
                let _ = writeln!(
                    text,
                    "\n{} {} of {} cannot be installed: {}\n    instead: {}\n    still linear: {}",
                    missing.project,
                    missing.version,
                    missing.series,
                    missing.reason,
                    missing.instead,
                    missing.why_linear
                );
            }
            let series: Vec<_> = catalog
                .series
                .iter()
                .map(|s| json!({"id": s.id, "name": s.name, "slurp": s.slurp, "first_release": s.first_release}))
                .collect();
            output.result(text, &json!({"series": series, "digest": catalog.digest()}));
        }
    }
    Ok(Exit::Success)
}
