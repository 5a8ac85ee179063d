//! What the end-to-end tests share: the real program, and a real lab that is gone afterwards whatever happens.

#![allow(dead_code)] // each test binary uses a part of it

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// What a call of the program gave.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    pub fn of(output: &Output) -> Self {
        Ran {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Asserts the exit code.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }

    /// Asserts that text is there, in either stream.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(
            self.out.contains(text) || self.err.contains(text),
            "{text:?} not in\n{}\n{}",
            self.out,
            self.err
        );
        self
    }

    /// The last line of the output as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        let line = self.out.lines().last().unwrap_or_default();
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {}\n{}", self.out, self.err))
    }
}

/// A scratch directory with a state directory of its own.
pub struct Scratch {
    dir: tempfile::TempDir,
}

impl Scratch {
    pub fn new() -> Self {
        Scratch {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    /// One with a file in it.
    pub fn with(name: &str, bytes: &[u8]) -> Self {
        let scratch = Scratch::new();
        let path = scratch.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
        scratch
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ffu"));
        command
            .args(arguments)
            .current_dir(self.dir.path())
            .env("XDG_STATE_HOME", self.path("state"));
        command.stdin(Stdio::null());
        command
    }

    /// Runs the program to its end.
    #[track_caller]
    pub fn ffu(&self, arguments: &[&str]) -> Ran {
        Ran::of(&self.command(arguments).output().unwrap())
    }

    /// Starts the program and does not wait.
    pub fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    /// The directory of the only or latest run.
    pub fn run_directory(&self) -> Option<PathBuf> {
        let mut runs: Vec<PathBuf> = std::fs::read_dir(self.path("state/ffu/runs"))
            .ok()?
            .map(|entry| entry.unwrap().path())
            .collect();
        runs.sort();
        runs.pop()
    }

    /// Waits until the latest run's journal has an intent for a step whose id begins so.
    #[track_caller]
    pub fn wait_for_intent(&self, prefix: &str, child: &mut Child) {
        let wanted = format!("\"event\":\"intent\",\"step\":\"{prefix}");
        let deadline = Instant::now() + Duration::from_secs(400);
        loop {
            let text = self
                .run_directory()
                .and_then(|d| std::fs::read_to_string(d.join("journal.jsonl")).ok());
            let attached = text
                .as_deref()
                .and_then(|t| t.rfind("\"event\":\"attached\""))
                .unwrap_or(0);
            if text.is_some_and(|text| text[attached..].contains(&wanted)) {
                return;
            }
            if let Some(status) = child.try_wait().unwrap() {
                panic!("ffu ended with {status} before {prefix} began:\n{}", self.journal());
            }
            assert!(Instant::now() < deadline, "{prefix} never began:\n{}", self.journal());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The last outcome of a step.
    #[track_caller]
    pub fn outcome(&self, step: &str) -> Value {
        let journal = self.journal();
        let mut events = journal.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        events
            .rfind(|event| event["event"] == "outcome" && event["step"] == step)
            .unwrap()
    }

    pub fn journal(&self) -> String {
        self.run_directory()
            .and_then(|d| std::fs::read_to_string(d.join("journal.jsonl")).ok())
            .unwrap_or_else(|| "no journal".to_owned())
    }
}

/// A lab, removed when it goes out of scope, also on panic.
pub struct Lab {
    pub scratch: Scratch,
}

impl Lab {
    #[track_caller]
    pub fn up(series: &str, size: u32) -> Self {
        Lab::up_with(series, size, &[])
    }

    /// A lab with further options.
    #[track_caller]
    pub fn up_with(series: &str, size: u32, options: &[&str]) -> Self {
        let lab = Lab {
            scratch: Scratch::new(),
        };
        let (dir, size) = (lab.dir(), size.to_string());
        let arguments = ["lab", "up", "--at", series, "--dir", text(&dir), "--size", &size];
        lab.scratch.ffu(&[&arguments, options].concat()).exits(0);
        lab
    }

    pub fn dir(&self) -> PathBuf {
        self.scratch.path("lab")
    }

    /// Discovers the lab and plans to a target; gives the plan's file.
    #[track_caller]
    pub fn plan(&self, to: &str) -> PathBuf {
        self.plan_with(to, &[])
    }

    /// A plan with further options.
    #[track_caller]
    pub fn plan_with(&self, to: &str, options: &[&str]) -> PathBuf {
        self.discover("cloud.toml");
        let (cloud, plan) = (self.scratch.path("cloud.toml"), self.scratch.path("plan.json"));
        let arguments = ["plan", "--cloud", text(&cloud), "--to", to, "-o", text(&plan)];
        self.scratch.ffu(&[&arguments, options].concat()).exits(0);
        self.scratch.ffu(&["lint", text(&plan)]).exits(0);
        plan
    }

    #[track_caller]
    pub fn discover(&self, name: &str) -> String {
        let from = format!("plain:{}", self.dir().display());
        let file = self.scratch.path(name);
        let admin = self.dir().join("mariadb/client.cnf");
        self.scratch
            .ffu(&[
                "discover",
                "--from",
                &from,
                "--admin-option-file",
                text(&admin),
                "-o",
                text(&file),
            ])
            .exits(0);
        // Sizes are the server's estimates: they move without anything being changed.
        let estimates = |line: &&str| !line.starts_with("bytes = ") && !line.starts_with("rows = ");
        let text = std::fs::read_to_string(file).unwrap();
        text.lines().filter(estimates).collect::<Vec<_>>().join("\n")
    }

    /// A token for the password of the day the lab was made.
    #[track_caller]
    pub fn token(&self) {
        self.scratch.ffu(&["lab", "token", "--dir", text(&self.dir())]).exits(0);
    }

    /// Every secret of the lab, as it stands in its files.
    pub fn secrets(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.dir().join("secrets.toml")).unwrap();
        let table: toml::Table = text.parse().unwrap();
        let mut secrets = Vec::new();
        collect(&toml::Value::Table(table), &mut secrets);
        assert!(!secrets.is_empty());
        secrets
    }

    /// Asserts that no file of the run holds a secret, apart from staged configuration and the checkpoint, which are private.
    #[track_caller]
    pub fn no_secret_in_the_run(&self) {
        let run = self.scratch.run_directory().unwrap();
        for name in ["plan.json", "journal.jsonl"] {
            self.no_secret_in(&run.join(name));
        }
        files_below(&run.join("out"))
            .iter()
            .for_each(|path| self.no_secret_in(path));
    }

    /// What a client of its server prints.
    #[track_caller]
    pub fn mariadb(&self, program: &str, arguments: &[&str]) -> String {
        let defaults = format!("--defaults-file={}", text(&self.dir().join("mariadb/client.cnf")));
        let output = Command::new(program).arg(defaults).args(arguments).output().unwrap();
        assert!(
            output.status.success(),
            "{program}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    /// Services give up a lost database at once instead of after a hundred seconds, as an operator may have set.
    pub fn lose_databases_quickly(&self) {
        for project in std::fs::read_dir(self.dir().join("etc")).unwrap() {
            for entry in std::fs::read_dir(project.unwrap().path()).unwrap() {
                let path = entry.unwrap().path();
                let Ok(mut text) = std::fs::read_to_string(&path) else {
                    continue;
                };
                for section in ["database", "api_database", "placement_database"] {
                    if text.contains(&format!("[{section}]")) {
                        text.push_str(&format!("\n[{section}]\nmax_retries = 1\nretry_interval = 1\n"));
                    }
                }
                std::fs::write(&path, text).unwrap();
            }
        }
    }

    #[track_caller]
    pub fn no_secret_in(&self, path: &Path) {
        let content = String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned();
        for secret in self.secrets() {
            assert!(!content.contains(&secret), "a secret is in {}", path.display());
        }
    }
}

fn collect(value: &toml::Value, secrets: &mut Vec<String>) {
    match value {
        toml::Value::String(text) if text.len() >= 8 => secrets.push(text.clone()),
        toml::Value::Table(table) => table.values().for_each(|inner| collect(inner, secrets)),
        toml::Value::Array(items) => items.iter().for_each(|inner| collect(inner, secrets)),
        _ => {}
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let ran = self.scratch.ffu(&["lab", "down", "--dir", text(&self.dir())]);
        if ran.code != 0 && !std::thread::panicking() {
            panic!("lab down: {}", ran.err);
        }
    }
}

/// Every file below a directory.
pub fn files_below(directory: &Path) -> Vec<PathBuf> {
    let (mut open, mut found) = (vec![directory.to_owned()], Vec::new());
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { &mut open } else { &mut found }.push(path);
        }
    }
    found
}

/// A path as text.
pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
