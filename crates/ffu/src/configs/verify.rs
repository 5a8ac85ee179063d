//! `--verify`: the real oslo.config of either series is asked for every option that was set, before and after.
//!
//! Values go through pipes and private files of the two interpreters only; what is printed are names and counts.

use std::fmt;
use std::io::Write as _;
use std::process::{Command, Stdio};

use ffu_config::finding::{Finding, Severity};
use ffu_config::migrate::{InputFile, Outcome, Verdict};
use ffu_hopenv::EnvStore;
use ffu_model::Series;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::places::Places;

const DRIVER: &str = include_str!("verify.py");
/// What dumps the option catalogs knows where a service's options are.
const DUMPER: [(&str, &str); 4] = [
    ("dump.py", include_str!("../../../../scripts/catalogs.d/dump.py")),
    (
        "dump_environment.py",
        include_str!("../../../../scripts/catalogs.d/dump_environment.py"),
    ),
    (
        "dump_values.py",
        include_str!("../../../../scripts/catalogs.d/dump_values.py"),
    ),
    (
        "services.json",
        include_str!("../../../../scripts/catalogs.d/services.json"),
    ),
];

/// What the real libraries said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Options asked on both sides.
    pub asked: usize,
    /// Equal on both sides.
    pub equal: usize,
    /// Not known to the packages of one side (options of drivers and plugins that are not installed).
    pub absent: usize,
    /// Different, and no finding of the migration had named them.
    pub different: usize,
}

impl Counts {
    /// Adds the counts of another set.
    pub fn add(&mut self, other: Counts) {
        self.asked += other.asked;
        self.equal += other.equal;
        self.absent += other.absent;
        self.different += other.different;
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "verified with the real oslo.config of both series: {} options asked, {} equal, {} not known to the packages, {} different",
            self.asked, self.equal, self.absent, self.different
        )
    }
}

#[derive(Deserialize)]
struct Answers {
    values: Vec<Value>,
}

/// Asks both sides for one set of files; each difference that the migration did not name becomes a finding of it.
///
/// # Errors
/// A hop environment that is not there, or a driver that failed.
pub fn both_sides(
    places: &Places,
    service: &str,
    (from, to): (&Series, &Series),
    files: &[InputFile],
    outcome: &mut Outcome,
) -> Result<Counts, Failure> {
    let asked: Vec<_> = outcome
        .expectations
        .iter()
        .filter(|one| one.verdict == Verdict::Equal)
        .filter_map(|one| Some((one.before.clone(), one.after.clone()?)))
        .collect();
    if asked.is_empty() {
        return Ok(Counts::default());
    }
    let before: Vec<&[u8]> = files.iter().map(|file| file.bytes.as_slice()).collect();
    let after: Vec<&[u8]> = outcome.files.iter().map(|file| file.bytes.as_slice()).collect();
    let names = |pick: fn(&(_, _)) -> &ffu_config::fate::Name| -> Vec<[String; 2]> {
        asked
            .iter()
            .map(pick)
            .map(|name| [name.group.clone(), name.name.clone()])
            .collect()
    };
    let old = ask(places, service, from, &before, &names(|pair| &pair.0))?;
    let new = ask(places, service, to, &after, &names(|pair| &pair.1))?;
    let mut counts = Counts {
        asked: asked.len(),
        ..Counts::default()
    };
    for ((before, after), (old, new)) in asked.iter().zip(old.iter().zip(&new)) {
        if is_absent(old) || is_absent(new) {
            counts.absent += 1;
        } else if old == new {
            counts.equal += 1;
        } else {
            counts.different += 1;
            outcome.findings.push(
                Finding::new(
                    "verify-differs",
                    Severity::LostUnlessYouAct,
                    before.to_string(),
                    format!("oslo.config of {from} and of {to} read different values ({after} at {to})"),
                )
                .remedy(
                    "compare the two by hand, and report it with the lines of this option: ffu held them for equal",
                ),
            );
        }
    }
    Ok(counts)
}

fn is_absent(answer: &Value) -> bool {
    answer.get(0).and_then(Value::as_str) == Some("absent")
}

fn ask(
    places: &Places,
    service: &str,
    series: &Series,
    files: &[&[u8]],
    names: &[[String; 2]],
) -> Result<Vec<Value>, Failure> {
    let failed = |reason: String| {
        Failure::new(
            Exit::Failure,
            format!(
                "asking oslo.config of {series} for {service}: {reason}; nothing was written\n  next: `ffu env verify {series}`, or leave --verify out"
            ),
        )
    };
    let environment = EnvStore::new(places.cache.clone()).open(series)?;
    let directory = tempfile::Builder::new()
        .prefix("ffu-verify-")
        .tempdir()
        .map_err(|error| failed(error.to_string()))?;
    for (name, text) in DUMPER.into_iter().chain([("verify.py", DRIVER)]) {
        std::fs::write(directory.path().join(name), text).map_err(|error| failed(error.to_string()))?;
    }
    let texts: Vec<String> = files
        .iter()
        .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
        .collect();
    let question = json!({"service": service, "series": series, "files": texts, "names": names}).to_string();
    let mut child = Command::new(environment.directory().join("bin/python"))
        .arg("-B")
        .arg(directory.path().join("verify.py"))
        .arg(directory.path())
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("HOME", directory.path())
        .env("LC_ALL", "C.UTF-8")
        .current_dir(directory.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    let mut stdin = child.stdin.take();
    let output = std::thread::scope(|scope| {
        scope.spawn(move || {
            if let Some(stdin) = &mut stdin {
                let _ = stdin.write_all(question.as_bytes());
            }
            drop(stdin);
        });
        child.wait_with_output()
    })
    .map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        // What follows the name of an exception may be a line of the file, with a password in it.
        let last = text.trim_end().lines().last().unwrap_or("no output");
        let exception = last.split([':', ' ']).next().unwrap_or_default();
        return Err(failed(format!("its Python ended with {} ({exception})", output.status)));
    }
    let answers: Answers =
        serde_json::from_slice(&output.stdout).map_err(|error| failed(format!("its answer: {error}")))?;
    if answers.values.len() != names.len() {
        return Err(failed("it answered another number of questions".to_owned()));
    }
    Ok(answers.values)
}
