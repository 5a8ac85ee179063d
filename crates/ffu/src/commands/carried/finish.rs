//! The end of a migration: what it became is shown or written, with every finding and the proof.

use std::fmt::Write as _;

use camino::{Utf8Path, Utf8PathBuf};
use ffu_config::finding::{self, Finding};
use ffu_model::Series;
use serde_json::json;

use super::{Carried, Start};
use crate::cli::config::MigrateArguments;
use crate::configs::find::Findings;
use crate::configs::write::{Change, write_all};
use crate::configs::{sarif, show};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::places::write_file;

/// Shows or writes the result.
pub fn finish(
    output: Output,
    arguments: &MigrateArguments,
    found: &Findings,
    mut carried: Carried,
    start: &Start,
    to: &Series,
) -> Result<Exit, Failure> {
    finding::sort(&mut carried.told.findings);
    write_sarif(arguments.sarif.as_ref(), &carried.told.findings)?;
    let changed: Vec<usize> = (0..found.files.len()).filter(|at| carried.changed(*at)).collect();
    let mut text = String::new();
    let mut written = Vec::new();
    let mut diffs = Vec::new();
    if arguments.in_place || arguments.output.is_some() {
        let changes = changes(arguments, found, &carried, &changed)?;
        written = write_all(&changes, to.as_str())?;
        for one in &written {
            let _ = match &one.backup {
                Some(backup) => writeln!(text, "{} written; before: {backup}", one.file),
                None => writeln!(text, "{} written", one.file),
            };
        }
    } else {
        for at in &changed {
            let file = &found.files[*at];
            let secrets = carried.secrets.get(*at).map_or(&[][..], Vec::as_slice);
            let after = carried.after(*at).unwrap_or_else(|| carried.before(*at));
            let diff = show::diff(file.path.as_str(), carried.before(*at), after, secrets);
            text.push_str(&diff);
            diffs.push(json!({"file": file.path, "diff": diff}));
        }
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(&show::findings(&carried.told.findings));
    let decide = carried
        .told
        .findings
        .iter()
        .filter(|finding| finding.severity.needs_a_decision())
        .count();
    let proof = carried.proof;
    let _ = write!(
        text,
        "{} files, {} to change, {} → {to}",
        found.files.len(),
        changed.len(),
        start.shown()
    );
    if proof.options_set > 0 {
        let _ = write!(
            text,
            "; {} options set: {} proven equal, {} named above",
            proof.options_set, proof.proven_equal, proof.named
        );
    }
    let rules = carried.rules;
    if rules.rules > 0 {
        let _ = write!(
            text,
            "; {} rules at {to}: {} need what they needed before, {} named above, {} are new",
            rules.rules, rules.equal, rules.named, rules.new
        );
    }
    if decide > 0 {
        let _ = write!(text, "; {decide} findings need a decision");
    }
    output.result(
        text,
        &json!({
            "from": start.shown(),
            "to": to,
            "files": found.files.iter().enumerate().map(|(at, file)| json!({
                "file": file.path, "service": file.service, "changed": carried.changed(at), "renamed": carried.renamed[at],
            })).collect::<Vec<_>>(),
            "diffs": diffs,
            "written": written,
            "findings": carried.told.findings,
            "proof": {"options_set": proof.options_set, "proven_equal": proof.proven_equal, "named": proof.named},
            "rules": {"all": rules.rules, "equal": rules.equal, "named": rules.named, "new": rules.new},
        }),
    );
    Ok(match (decide, changed.is_empty()) {
        (0, true) => Exit::Success,
        (0, false) => Exit::Changed,
        _ => Exit::Decide,
    })
}

fn changes(
    arguments: &MigrateArguments,
    found: &Findings,
    carried: &Carried,
    changed: &[usize],
) -> Result<Vec<Change>, Failure> {
    let mut changes = Vec::new();
    for (at, file) in found.files.iter().enumerate() {
        if arguments.output.is_none() && !changed.contains(&at) {
            continue;
        }
        let renamed = carried.renamed.get(at).and_then(Option::as_deref);
        let (source, destination) = match &arguments.output {
            Some(directory) => (file.path.clone(), directory.join(&file.inside)),
            None => {
                // A link stays one: what it points to is written.
                let real = file
                    .path
                    .canonicalize_utf8()
                    .map_err(|error| unreadable(&file.path, &error))?;
                (real.clone(), real)
            }
        };
        let destination = renamed.map_or(destination.clone(), |name| destination.with_file_name(name));
        if destination != source && changes.iter().any(|other: &Change| other.destination == destination) {
            return Err(Failure::new(
                Exit::BadInput,
                format!(
                    "{destination}: two files would be written there; nothing was written\n  next: migrate them in two calls"
                ),
            ));
        }
        if destination != source && arguments.output.is_none() && destination.exists() {
            return Err(Failure::new(
                Exit::Refused,
                format!(
                    "{destination} is there already, and {source} would become it; nothing was written\n  next: take one of the two away"
                ),
            ));
        }
        changes.push(Change {
            source,
            before: carried.before(at).to_vec(),
            destination,
            after: carried.after(at).unwrap_or_else(|| carried.before(at)).to_vec(),
        });
    }
    for created in &carried.created {
        let Some(like) = found.files.get(created.like) else {
            continue;
        };
        changes.push(Change {
            source: like.path.clone(),
            before: carried.before(created.like).to_vec(),
            destination: created.path.clone(),
            after: created.bytes.clone(),
        });
    }
    Ok(changes)
}

fn unreadable(path: &Utf8Path, error: &std::io::Error) -> Failure {
    Failure::new(Exit::BadInput, format!("{path}: {error}; nothing was written"))
}

/// Writes findings as SARIF, where asked.
pub fn write_sarif(path: Option<&Utf8PathBuf>, findings: &[Finding]) -> Result<(), Failure> {
    let Some(path) = path else { return Ok(()) };
    let mut bytes =
        serde_json::to_vec_pretty(&sarif::log(findings)).map_err(|error| Failure::new(Exit::Failure, error))?;
    bytes.push(b'\n');
    write_file(path, &bytes)
}
