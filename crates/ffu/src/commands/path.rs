//! `ffu path`: the hops from one series to another.

use std::fmt::Write as _;

use serde_json::json;

use crate::cli::PathArguments;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::places::Places;

pub fn run(places: &Places, output: Output, arguments: &PathArguments) -> Result<Exit, Failure> {
    let catalog = places.catalog()?;
    let (from, to) = (catalog.resolve(&arguments.from)?, catalog.resolve(&arguments.to)?);
    let hops = catalog.path(&from, &to, arguments.slurp)?;
    let mut text = String::new();
    for (at, hop) in hops.iter().enumerate() {
        let python = catalog
            .environment(&hop.to)
            .map_or(String::new(), |e| format!("  (Python {})", e.python));
        let _ = writeln!(text, "{:>3}. {hop}{python}", at + 1);
        for missing in catalog.missing.iter().filter(|m| m.series == hop.to) {
            let _ = writeln!(
                text,
                "       {} {}: {}; {}",
                missing.project, missing.version, missing.reason, missing.instead
            );
        }
    }
    output.result(
        text,
        &json!({"from": from, "to": to, "slurp": arguments.slurp, "hops": hops}),
    );
    Ok(Exit::Success)
}
