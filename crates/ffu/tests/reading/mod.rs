//! Cases for the real oslo.config, the question to it, and the comparison of its answer with ours.

#![allow(dead_code)] // each test binary uses a part of it

pub mod cases;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use ffu_catalog::options::Opt;
use ffu_config::era::Era;
use ffu_config::ini::{Document, ParseErrorKind};
use ffu_config::reading::{FileSet, ReadError, Reading, Schema, Source};
use ffu_config::values::Value;
use ffu_model::Series;
use serde_json::{Value as Json, json};

/// A set of files with the options and the environment of the service that reads them.
#[derive(Clone)]
pub struct Case {
    pub files: Vec<Vec<u8>>,
    pub options: Vec<Opt>,
    pub environment: BTreeMap<String, String>,
}

impl std::fmt::Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for file in &self.files {
            writeln!(f, "file b\"{}\"", file.escape_ascii())?;
        }
        for option in &self.options {
            writeln!(f, "option {}", json!(option))?;
        }
        write!(f, "environment {:?}", self.environment)
    }
}

/// Where the hop environment of a series has its Python, if it is there.
pub fn python(series: &str) -> Option<PathBuf> {
    let cache = match std::env::var_os("XDG_CACHE_HOME") {
        Some(cache) => PathBuf::from(cache),
        None => PathBuf::from(std::env::var_os("HOME")?).join(".cache"),
    };
    let python = cache.join("ffu/envs").join(series).join("bin/python");
    python.is_file().then_some(python)
}

/// The real oslo.config of one series, in a process of its own until it is dropped.
pub struct Oracle {
    child: Child,
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    pub era: Era,
    pub series: String,
}

impl Oracle {
    pub fn start(series: &str) -> Option<Oracle> {
        let mut child = Command::new(python(series)?)
            .args(["-W", "ignore", "-c", include_str!("oracle.py")])
            .env_clear()
            .env("LC_ALL", "C.UTF-8")
            .env("PYTHONHASHSEED", "0")
            .env("TMPDIR", std::env::temp_dir())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // It logs a warning for each old name that a case uses.
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let questions = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().unwrap());
        let name: Series = series.parse().unwrap();
        Some(Oracle {
            child,
            questions,
            answers,
            era: Era::of(&name),
            series: series.to_owned(),
        })
    }

    pub fn ask(&mut self, case: &Case) -> Json {
        let hex = |bytes: &Vec<u8>| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let files: Vec<String> = case.files.iter().map(hex).collect();
        let question = json!({ "files": files, "options": case.options, "env": case.environment });
        writeln!(self.questions.as_mut().unwrap(), "{question}").unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        serde_json::from_str(&answer)
            .unwrap_or_else(|error| panic!("{}: {error}: {answer:?} to {question}", self.series))
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        drop(self.questions.take());
        if std::thread::panicking() {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

/// What was compared, to show that the cases are neither all refused nor all plain.
#[derive(Clone, Copy, Debug, Default)]
pub struct Compared {
    /// Files that both refuse.
    pub refused: usize,
    /// Entries of the others.
    pub entries: usize,
    /// Values of options that both give.
    pub values: usize,
    /// Values on which both fail.
    pub failures: usize,
    /// Values that are neither a default nor absent.
    pub set: usize,
}

impl Compared {
    pub fn add(&mut self, other: Compared) {
        self.refused += other.refused;
        self.entries += other.entries;
        self.values += other.values;
        self.failures += other.failures;
        self.set += other.set;
    }
}

/// Compares an answer with our own reading; the difference in words.
pub fn compare(case: &Case, era: Era, answer: &Json) -> Result<Compared, String> {
    let mut compared = Compared::default();
    let refused = Compared {
        refused: 1,
        ..Compared::default()
    };
    let mut files = FileSet::new();
    for (number, bytes) in case.files.iter().enumerate() {
        match Document::parse_as(bytes, era) {
            Ok(document) => {
                if document.to_bytes() != *bytes {
                    return Err(format!("file {number} does not come back"));
                }
                files.push(number.to_string(), document);
            }
            // Python 2 takes any bytes; we do not, and say so.
            Err(error) if error.kind == ParseErrorKind::NotUtf8 && era.python2 => return Ok(compared),
            Err(error) => {
                let same = match error.kind.oslo() {
                    Some(words) => {
                        answer["parse"] == json!({ "file": number, "line": error.oslo_line, "message": words })
                    }
                    None if error.kind == ParseErrorKind::NotUtf8 => answer["parse"]["message"] == "unicode",
                    None => answer["parse"]["file"] == number,
                };
                if same {
                    return Ok(refused);
                }
                return Err(format!("ours: file {number}, {error}; theirs: {}", answer["parse"]));
            }
        }
    }
    if !answer["parse"].is_null() {
        return Err(format!("ours: no error; theirs: {}", answer["parse"]));
    }
    for (file, theirs) in files.files().iter().zip(answer["sections"].as_array().unwrap()) {
        let mut ours: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
        for entry in file.document.entries() {
            let values = ours.entry((entry.group().into_owned(), entry.key.clone().into_owned()));
            values.or_default().push(entry.value().into_owned());
            compared.entries += 1;
        }
        let ours: Vec<Json> = ours
            .into_iter()
            .map(|((group, key), values)| json!([group, key, values]))
            .collect();
        if json!(ours) != *theirs {
            return Err(format!("entries: ours {}, theirs {theirs}", json!(ours)));
        }
    }
    let schema = Schema::new(&case.options, era);
    let reading = Reading::new(&schema, &files, &case.environment);
    for (option, theirs) in case.options.iter().zip(answer["values"].as_array().unwrap()) {
        if option.group == "DEFAULT" && schema.has_group(&option.name) {
            // A program that asks for it gets the group.
            continue;
        }
        let ours = reading.effective(&option.group, &option.name).unwrap();
        let same = match &ours.value {
            Ok(value) => theirs[0] == "ok" && is(value, &theirs[1]),
            Err(error) => theirs[0] == "error" && theirs[1] == word(error),
        };
        if !same {
            let Opt { group, name, .. } = option;
            return Err(format!("{group}.{name}: ours {:?}, theirs {theirs}", ours.value));
        }
        compared.set += usize::from(ours.sources != [Source::Default]);
        match ours.value {
            Ok(_) => compared.values += 1,
            Err(_) => compared.failures += 1,
        }
    }
    Ok(compared)
}

fn word(error: &ReadError) -> &'static str {
    match error {
        ReadError::Value { .. } => "value",
        ReadError::NoSuchOption { .. } => "option",
        ReadError::NoSuchGroup { .. } => "group",
        ReadError::GroupAsValue { .. } => "whole group",
        ReadError::Cycle { .. } | ReadError::TooDeep { .. } => "depth",
    }
}

/// Whether a value is what the oracle shows.
fn is(value: &Value, shown: &Json) -> bool {
    let text = shown[1].as_str();
    match (value, shown[0].as_str().unwrap()) {
        (Value::None, "none") => true,
        (Value::Bool(ours), "bool") => shown[1] == *ours,
        (Value::Int(ours), "int") => text == Some(&ours.to_string()),
        (Value::BigInt(ours), "int") => text == Some(ours),
        (Value::Float(ours), "float") => {
            let theirs: f64 = text.unwrap().parse().unwrap();
            ours.to_bits() == theirs.to_bits() || (ours.is_nan() && theirs.is_nan())
        }
        (Value::Text(ours), "text") => text == Some(ours),
        (Value::List(ours), "list") => {
            let theirs = shown[1].as_array().unwrap();
            ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(ours, theirs)| is(ours, theirs))
        }
        (Value::Dict(ours), "dict") => {
            let theirs = shown[1].as_array().unwrap();
            let find = |key: &str| ours.iter().find(|(name, _)| name == key).map(|(_, value)| value);
            ours.len() == theirs.len()
                && theirs
                    .iter()
                    .all(|pair| find(pair[0].as_str().unwrap()).is_some_and(|value| is(value, &pair[1])))
        }
        (Value::Range { start, stop, step }, "range") => {
            let empty = if *step > 0 { start >= stop } else { start <= stop };
            let ours = if empty {
                json!([])
            } else {
                json!([start.to_string(), (stop - step).to_string()])
            };
            ours == shown[1]
        }
        _ => false,
    }
}
