//! The real oslo.policy of a hop environment, asked over a pipe.

#![allow(dead_code)] // each test binary uses a part of it

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use ffu_catalog::options::PolicyRule;
use serde_json::{Value as Json, json};

/// Where hop environments are.
pub fn environments() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache");
    cache.unwrap_or_else(home).join("ffu/envs")
}

/// A running interpreter; it ends when it goes out of scope.
pub struct Oracle {
    child: Child,
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    pub series: String,
}

/// What oslo.policy says: rules by name, or the error.
pub type Answer = Result<BTreeMap<String, String>, String>;

impl Oracle {
    /// Starts the one of a series, if its environment is there.
    pub fn start(series: &str) -> Option<Oracle> {
        let python = environments().join(series).join("bin/python");
        if !python.exists() {
            return None;
        }
        let mut child = Command::new(python)
            .args(["-W", "ignore", "-c", include_str!("oracle.py")])
            .env_clear()
            .env("LC_ALL", "C.UTF-8")
            .env("TMPDIR", std::env::temp_dir())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Some(Oracle {
            questions: child.stdin.take(),
            answers: BufReader::new(child.stdout.take().unwrap()),
            child,
            series: series.to_owned(),
        })
    }

    fn ask(&mut self, question: &Json) -> Answer {
        writeln!(self.questions.as_mut().unwrap(), "{question}").unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        let answer: Json =
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?} to {question}"));
        if let Some(error) = answer["error"].as_str() {
            return Err(error.to_owned());
        }
        let rules = answer["rules"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|rule| rule[2] == json!(true));
        Ok(rules
            .map(|rule| {
                (
                    rule[0].as_str().unwrap().to_owned(),
                    rule[1].as_str().unwrap().to_owned(),
                )
            })
            .collect())
    }

    /// `Rules.load` of a text.
    pub fn load(&mut self, text: &str) -> Answer {
        self.ask(&json!({"ask": "load", "text": text}))
    }

    /// `Enforcer.rules` after `load_rules`, of a file and registered rules.
    pub fn effective<'r>(
        &mut self,
        text: &str,
        rules: impl Iterator<Item = &'r PolicyRule>,
        new_defaults: bool,
    ) -> Answer {
        let rule = |rule: &PolicyRule| {
            let old = rule
                .predecessor
                .as_ref()
                .map(|old| json!({"name": old.name, "check": old.check}));
            json!({"name": rule.name, "check": rule.check, "old": old, "removal": rule.removal.is_some()})
        };
        let rules: Vec<Json> = rules.map(rule).collect();
        self.ask(&json!({"ask": "effective", "text": text, "rules": rules, "new_defaults": new_defaults}))
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
