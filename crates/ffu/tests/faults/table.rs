//! The table of all faults: a row for each, kept as it is seen, and written out as a page of the documentation.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// The rows. With `FFU_FAULTS_PAGE` they are kept in a file beside cargo's and the page is written after each of them.
pub struct Table {
    rows: Vec<Value>,
    page: Option<PathBuf>,
    kept: PathBuf,
    begun: Instant,
    limit: Duration,
    failed: Vec<String>,
}

impl Table {
    pub fn new() -> Table {
        let kept = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("faults.jsonl");
        let page = std::env::var_os("FFU_FAULTS_PAGE").map(PathBuf::from);
        let more = std::env::var_os("FFU_FAULTS_MORE").is_some();
        let old = if page.is_some() && more {
            std::fs::read_to_string(&kept).unwrap_or_default()
        } else {
            String::new()
        };
        let limit = std::env::var("FFU_FAULTS_SECONDS").ok().and_then(|s| s.parse().ok());
        Table {
            rows: old.lines().filter_map(|line| serde_json::from_str(line).ok()).collect(),
            page,
            kept,
            begun: Instant::now(),
            limit: Duration::from_secs(limit.unwrap_or(24 * 3600)),
            failed: Vec::new(),
        }
    }

    /// Whether the time that was given is over.
    pub fn is_late(&self) -> bool {
        self.begun.elapsed() > self.limit
    }

    /// Whether a row of this fault is there already, from an earlier run that is being added to.
    pub fn has(&self, fault: &str, then: &str) -> bool {
        self.rows
            .iter()
            .any(|row| row["fault"] == fault && row["then"] == then && row["good"] == true)
    }

    /// Adds a row; what went wrong is kept for the end.
    pub fn add(&mut self, part: &str, fault: &str, then: &str, begun: Instant, result: Result<String, String>) {
        let (good, said) = match result {
            Ok(said) => (true, said),
            Err(said) => (false, said),
        };
        let seconds = begun.elapsed().as_secs_f64();
        self.rows.retain(|row| row["fault"] != fault || row["then"] != then);
        self.rows.push(json!({
            "part": part, "fault": fault, "then": then, "good": good, "said": said,
            "seconds": (seconds * 10.0).round() / 10.0,
        }));
        if !good {
            self.failed.push(format!("{fault}, then {then}: {said}"));
        }
        let mut out = std::io::stdout();
        let word = if good { "ok  " } else { "FAIL" };
        let _ = writeln!(out, "{word} {seconds:6.1} s  {fault} | {then} | {said}");
        if let Some(page) = &self.page {
            let lines: Vec<String> = self.rows.iter().map(Value::to_string).collect();
            std::fs::write(&self.kept, lines.join("\n") + "\n").unwrap();
            std::fs::write(page, self.markdown()).unwrap();
        }
    }

    /// Says that a fault cannot be had here.
    pub fn skip(&mut self, part: &str, fault: &str, why: &str) {
        let why = format!("not seen here: {}", why.lines().next().unwrap_or_default());
        self.add(part, fault, "–", Instant::now(), Ok(why));
    }

    fn markdown(&self) -> String {
        let mut parts: Vec<&str> = Vec::new();
        for row in &self.rows {
            let part = row["part"].as_str().unwrap_or_default();
            if !parts.contains(&part) {
                parts.push(part);
            }
        }
        let good = self.rows.iter().filter(|row| row["good"] == true).count();
        let mut text = format!(
            "# Faults\n\nWritten by `make faults` (`crates/ffu/tests/faults.rs`) from what its runs saw (`MORE=1` adds to the rows of those before). {good} of {} rows \
             are right.\n\nThe cloud is a lab at 2024.1 with real services and a real MariaDB, cut down to keystone, placement and neutron; the target \
             is 2024.2. `POINT@STEP` is where `ffu` killed itself with SIGKILL (`crates/ffu-model/src/fault.rs` says what the points are). \
             \"Right\" after a resume: every head and every invariant, the target's files, its services answer and a token is issued. \"Right\" \
             after a rollback: every row of every database and every byte of every file is what it was, the server has no other schema than \
             before, agents are the same processes, the source's services answer and a token is issued. Seconds are those from the fault on, on a \
             machine with other work to do.\n",
            self.rows.len()
        );
        for part in parts {
            let _ = write!(
                text,
                "\n## {part}\n\n| fault | then | result | seconds |\n| --- | --- | --- | ---: |\n"
            );
            for row in self.rows.iter().filter(|row| row["part"] == part) {
                let word = match (row["then"] == "–", row["good"] == true) {
                    (true, _) => "skipped",
                    (_, true) => "right",
                    _ => "WRONG",
                };
                let said = row["said"].as_str().unwrap_or_default().replace(['\n', '|'], " ");
                let _ = writeln!(
                    text,
                    "| {} | {} | {word}: {said} | {} |",
                    row["fault"].as_str().unwrap_or_default(),
                    row["then"].as_str().unwrap_or_default(),
                    row["seconds"]
                );
            }
        }
        text
    }

    /// Fails if a row did.
    pub fn end(self) {
        assert!(self.failed.is_empty(), "\n{}", self.failed.join("\n"));
    }
}
