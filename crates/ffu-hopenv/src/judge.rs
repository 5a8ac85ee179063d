//! What the end of a project's command means. The exit code alone never decides: there are migrations that print an error
//! and exit 0, and checks whose crash looks like a warning.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _};

use camino::Utf8Path;
use ffu_hosts::Exit;
use ffu_model::secret::mask;
use ffu_model::step::{CommandAction, Meaning, Purpose};
use ffu_model::{Finding, Severity};

use crate::report::tail;
use crate::tables::{CheckResult, CheckTable, MigrationTable};

/// Size of [`Verdict::excerpt`], in bytes.
const EXCERPT: usize = 2048;
/// Longest line that is looked at whole, in bytes.
const LONGEST_LINE: u64 = 256 << 10;
/// Longest quotation of a line, in characters.
const QUOTE: usize = 500;

/// The judgement on a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What it means for the run.
    pub meaning: Meaning,
    /// Why, in a sentence or two, secrets masked.
    pub note: String,
    /// What checks and output had to say.
    pub findings: Vec<Finding>,
    /// Online migrations: `rows-found`, `rows-moved`, `rows-left`, `moved.NAME`; checks: `checks`.
    pub figures: BTreeMap<String, u64>,
    /// The last lines of the output, masked, at most 2 KiB.
    pub excerpt: String,
}

/// What an output holds.
#[derive(Default)]
struct Seen {
    /// The first line with a failure text.
    failure: Option<String>,
    /// The last line of the last traceback.
    exception: Option<String>,
    checks: CheckTable,
    migrations: MigrationTable,
}

/// Judges a command by the plan's rules, its exit and its output (which should be masked already).
pub fn judge(action: &CommandAction, exit: &Exit, output_path: &Utf8Path) -> Verdict {
    let excerpt = tail(output_path, EXCERPT, &[]);
    let seen = match scan(action, output_path) {
        Ok(seen) => seen,
        Err(error) => {
            return Verdict {
                meaning: Meaning::Failure,
                note: format!("{exit}, but its output {output_path} cannot be read: {error}"),
                findings: Vec::new(),
                figures: BTreeMap::new(),
                excerpt,
            };
        }
    };
    let (meaning, note) = by_exit(action, exit);
    let mut verdict = Verdict {
        meaning,
        note,
        findings: Vec::new(),
        figures: BTreeMap::new(),
        excerpt,
    };
    if let Some(line) = &seen.failure
        && !matches!(verdict.meaning, Meaning::Failure | Meaning::KnownCrash)
    {
        verdict.fail(format!("it ended with {exit}, but its output says: {line}"));
    }
    match action.purpose {
        Purpose::UpgradeCheck => check(action, exit, &seen, &mut verdict),
        Purpose::OnlineData => {
            exception(exit, &seen, &mut verdict);
            online(action, exit, &seen.migrations, &mut verdict);
        }
        Purpose::Schema => exception(exit, &seen, &mut verdict),
    }
    verdict
}

impl Verdict {
    fn fail(&mut self, note: String) {
        self.meaning = Meaning::Failure;
        self.note = note;
    }

    /// A warning, unless it is something worse already.
    fn warn(&mut self, note: &str) {
        if self.meaning == Meaning::Success {
            self.meaning = Meaning::Warning;
            self.note = note.to_owned();
        }
    }
}

fn by_exit(action: &CommandAction, exit: &Exit) -> (Meaning, String) {
    match exit {
        Exit::Code(code) => match action.exit_codes.iter().find(|known| known.code == *code) {
            Some(known) => (known.meaning, format!("exit code {code}: {}", known.note)),
            None => (
                Meaning::Failure,
                format!(
                    "exit code {code}, which the catalog does not know for {}",
                    action.program
                ),
            ),
        },
        Exit::Signal(_) => (Meaning::Failure, format!("it was {exit}")),
        Exit::TimedOut => (
            Meaning::Failure,
            "it did not end in time and was ended: does it wait for a service or a lock?".to_owned(),
        ),
        Exit::Stopped => (Meaning::Failure, "it was stopped by the operator".to_owned()),
    }
}

/// A traceback of a migration means failure; its last line says more than an exit code.
fn exception(exit: &Exit, seen: &Seen, verdict: &mut Verdict) {
    let Some(exception) = &seen.exception else {
        return;
    };
    match verdict.meaning {
        Meaning::Failure if matches!(exit, Exit::Code(_)) && seen.failure.is_none() => {
            verdict.note = format!("{}; it ended with: {exception}", verdict.note);
        }
        Meaning::Failure | Meaning::KnownCrash => {}
        _ => verdict.fail(format!("it ended with {exit}, but raised: {exception}")),
    }
}

fn check(action: &CommandAction, exit: &Exit, seen: &Seen, verdict: &mut Verdict) {
    let results = &seen.checks.results;
    let ended = matches!(exit, Exit::Code(_));
    if results.is_empty() && ended {
        if let Some(exception) = &seen.exception {
            let text = format!("{} crashed ({exit}): {exception}", action.program);
            let known = verdict.meaning == Meaning::KnownCrash;
            if !known {
                verdict.fail(text.clone());
            }
            let severity = if known { Severity::Warning } else { Severity::Blocker };
            let remedy = if known {
                "the catalog knows this fault; check by hand what it would have checked"
            } else {
                "a crash says nothing about the cloud: read the output, correct the cause, then `ffu resume`"
            };
            verdict
                .findings
                .push(finding(action, "upgrade-check-crashed", severity, text, remedy));
        } else if *exit != Exit::Code(0) && matches!(verdict.meaning, Meaning::Success | Meaning::Warning) {
            // Whatever the code means of results, there are none: arguments that it does not take look like this.
            let text = format!(
                "{} ended with {exit} and printed no results: it checked nothing",
                action.program
            );
            verdict.fail(text.clone());
            let remedy = "read its output, correct the cause, then `ffu resume`";
            verdict
                .findings
                .push(finding(action, "upgrade-check-silent", Severity::Blocker, text, remedy));
        } else if matches!(verdict.meaning, Meaning::Success | Meaning::Warning) {
            let text = format!("{} ended with {exit} and printed no results", action.program);
            verdict.findings.push(finding(
                action,
                "upgrade-check-silent",
                Severity::Info,
                text,
                "read its output",
            ));
        }
    }
    let excused = |result: &CheckResult| result.result == "Failure" && action.excused_checks.contains(&result.check);
    let mut failures = results.iter().filter(|result| result.result == "Failure").peekable();
    if failures.peek().is_some() && ended && seen.failure.is_none() && failures.all(excused) {
        // The exit code speaks of these alone.
        verdict.meaning = Meaning::Success;
        verdict.note = format!(
            "no check failed but {}, made elsewhere",
            action.excused_checks.join(", ")
        );
    }
    if let Some(failed) = results
        .iter()
        .find(|result| result.result == "Failure" && !excused(result))
        && verdict.meaning == Meaning::Success
    {
        verdict.fail(format!("it ended with {exit}, but the check {:?} failed", failed.check));
    }
    if results.iter().any(|result| result.result == "Warning") {
        verdict.warn("checks with warnings");
    }
    for result in results
        .iter()
        .filter(|result| result.result != "Success" && !excused(result))
    {
        // The catalog may know that a failure does not matter: then it is shown and does not stop.
        let stops = result.result == "Failure" && verdict.meaning == Meaning::Failure;
        let severity = if stops { Severity::Blocker } else { Severity::Warning };
        let text = format!(
            "{}: {}: {}",
            result.check,
            result.result.to_lowercase(),
            mask(&result.details, &[])
        );
        let id = format!("upgrade-check.{}", slug(&result.check));
        verdict.findings.push(finding(action, &id, severity, text, ""));
    }
    if !results.is_empty() {
        verdict.figures.insert("checks".to_owned(), results.len() as u64);
    }
}

fn online(action: &CommandAction, exit: &Exit, table: &MigrationTable, verdict: &mut Verdict) {
    if !table.seen {
        if matches!(verdict.meaning, Meaning::Success) {
            let text = format!(
                "{} ended with {exit} and printed no table of migrations",
                action.program
            );
            verdict.warn("it did not report what it moved");
            let remedy = "read its output; rows may be left";
            verdict.findings.push(finding(
                action,
                "online-migration-silent",
                Severity::Warning,
                text,
                remedy,
            ));
        }
        return;
    }
    let mut left = table.left();
    left.retain(|name, rows| {
        let mut known = action.leftovers.iter().filter(|known| known.migration == *name);
        !known.any(|known| known.at_most.is_none_or(|most| *rows <= most))
    });
    let total: u64 = left.values().sum();
    let figures = [
        ("rows-found", table.rows.values().map(|row| row.0).sum()),
        ("rows-moved", table.moved()),
        ("rows-left", total),
    ];
    verdict
        .figures
        .extend(figures.map(|(name, value)| (name.to_owned(), value)));
    let moved = table.rows.iter().filter(|(_, row)| row.1 > 0);
    verdict
        .figures
        .extend(moved.map(|(name, row)| (format!("moved.{name}"), row.1)));
    if total == 0 {
        return;
    }
    let names: Vec<String> = left
        .iter()
        .map(|(name, rows)| format!("{name} ({rows} rows)"))
        .collect();
    let text = format!("{} left rows unmigrated: {}", action.program, names.join(", "));
    match verdict.meaning {
        Meaning::Success | Meaning::Warning if table.moved() > 0 => {
            verdict.meaning = Meaning::Again;
            verdict.note = format!("{text}; it moved {} and is run again", table.moved());
        }
        // Run again it would find the same rows.
        Meaning::Success | Meaning::Warning => {
            verdict.fail(format!("{text}; it moved none, so running it again does not help"))
        }
        Meaning::Again | Meaning::Failure | Meaning::KnownCrash => {}
    }
    let severity = if verdict.meaning == Meaning::Again {
        Severity::Info
    } else {
        Severity::Blocker
    };
    let remedy = "its output says why; a migration may need a service that the freeze has stopped";
    verdict
        .findings
        .push(finding(action, "online-migration-rows-left", severity, text, remedy));
}

fn finding(action: &CommandAction, id: &str, severity: Severity, message: String, remedy: &str) -> Finding {
    Finding {
        id: id.to_owned(),
        severity,
        project: Some(action.project.clone()),
        message,
        remedy: remedy.to_owned(),
        source: format!("{} {} of {}", action.program, action.arguments.join(" "), action.series),
    }
}

/// A check's name as part of a finding's id.
fn slug(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars().take(80) {
        if c.is_ascii_alphanumeric() {
            out.push(c.to_ascii_lowercase());
        } else if !out.ends_with('-') && !out.is_empty() {
            out.push('-');
        }
    }
    out.trim_end_matches('-').to_owned()
}

fn scan(action: &CommandAction, path: &Utf8Path) -> std::io::Result<Seen> {
    let mut seen = Seen::default();
    let mut traceback = Traceback::default();
    let mut reader = BufReader::with_capacity(64 << 10, std::fs::File::open(path)?);
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        if reader.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut bytes)? == 0 {
            break;
        }
        let text = String::from_utf8_lossy(&bytes);
        let line = text.trim_end_matches(['\n', '\r']);
        if seen.failure.is_none()
            && action
                .failure_texts
                .iter()
                .any(|failure| line.contains(failure.as_str()))
        {
            seen.failure = Some(quote(line));
        }
        if let Some(exception) = traceback.line(line)
            && !action.known_exceptions.iter().any(|known| is_named(exception, known))
        {
            seen.exception = Some(quote(exception));
        }
        seen.checks.line(line);
        seen.migrations.line(line);
    }
    seen.checks.close();
    Ok(seen)
}

/// Whether an exception, as the end of a traceback has it, is of that name, with or without its module.
fn is_named(exception: &str, name: &str) -> bool {
    let class = exception.split(':').next().unwrap_or_default().trim();
    class == name || class.strip_suffix(name).is_some_and(|module| module.ends_with('.'))
}

fn quote(line: &str) -> String {
    mask(line.trim(), &[])
        .chars()
        .filter(|c| !c.is_control())
        .take(QUOTE)
        .collect()
}

/// Finds the exception at the end of a traceback, bare or with a log header before every line.
#[derive(Default)]
struct Traceback {
    /// Characters of the header, while inside of one.
    header: Option<usize>,
}

impl Traceback {
    fn line<'a>(&mut self, line: &'a str) -> Option<&'a str> {
        const START: &str = "Traceback (most recent call last):";
        if let Some(at) = line.find(START) {
            self.header = Some(line.get(..at)?.chars().count());
            return None;
        }
        let header = self.header?;
        let begin = line.char_indices().nth(header).map_or(line.len(), |(at, _)| at);
        let body = line.get(begin..)?;
        // Frames are indented; an empty line may come between chained exceptions.
        if body.starts_with([' ', '\t']) || body.trim().is_empty() {
            return None;
        }
        self.header = None;
        Some(body)
    }
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
