//! A watch in the background: the real program, and what it says meanwhile.

#![allow(dead_code)] // each test binary uses a part of it

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::common::{Scratch, text};

pub const MS: u64 = 1_000_000;

/// A watch in the background. It is ended with the test.
pub struct Watch {
    pub child: Child,
    pub record: PathBuf,
}

impl Watch {
    pub fn start(scratch: &Scratch, targets: Option<&Path>, more: &[&str]) -> Watch {
        Watch::start_by(scratch.command(&[]), scratch, targets, more)
    }

    /// By a command that runs the program with the arguments that are added.
    pub fn start_by(mut command: Command, scratch: &Scratch, targets: Option<&Path>, more: &[&str]) -> Watch {
        let record = scratch.path("record");
        command.args(["watch", "--plain", "--record", text(&record)]);
        if let Some(targets) = targets {
            command.args(["--targets", text(targets)]);
        }
        let (out, err) = (scratch.path("out"), scratch.path("err"));
        command.args(more).stdout(std::fs::File::create(out).unwrap());
        let child = command.stderr(std::fs::File::create(err).unwrap()).spawn().unwrap();
        let watch = Watch { child, record };
        let id = watch.child.id();
        until("a state of the watch", || {
            // The first snapshot is written after the first state.
            watch.state().is_some_and(|state| state["pid"] == id) && watch.record.join("snapshot.json").exists()
        });
        watch
    }

    pub fn state(&self) -> Option<Value> {
        serde_json::from_slice(&std::fs::read(self.record.join("state.json")).ok()?).ok()
    }

    pub fn seen(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.record.join("snapshot.json")).unwrap()).unwrap()
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).unwrap();
    }

    /// Its agent.
    pub fn agent(&self) -> Pid {
        let mut found = None;
        until("an agent", || {
            let path = format!("/proc/{0}/task", self.child.id());
            for thread in std::fs::read_dir(path).unwrap().flatten() {
                let children = std::fs::read_to_string(thread.path().join("children")).unwrap_or_default();
                found = found.or_else(|| children.split_whitespace().next().map(|id| id.parse().unwrap()));
            }
            found.is_some()
        });
        Pid::from_raw(found.unwrap())
    }

    /// Ends it as Ctrl-C does; its exit code.
    pub fn end(mut self) -> (i32, Value) {
        self.signal(Signal::SIGINT);
        let code = self.child.wait().unwrap().code().unwrap();
        (code, self.seen())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[track_caller]
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{what} did not come to pass");
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub fn sleep(ms: u64) {
    std::thread::sleep(Duration::from_millis(ms));
}

pub fn remarks(seen: &Value) -> String {
    seen["remarks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|remark| format!("{remark}\n"))
        .collect()
}

pub fn now() -> u64 {
    ffu_watch::clock::now()
}

/// Outages as a report has them are these, made between two instants each: begin and end are off by `slack` at most.
#[track_caller]
pub fn found_as_made(outages: &Value, truth: Vec<(Range<u64>, Range<u64>)>, slack: u64) {
    let outages = outages.as_array().unwrap();
    assert_eq!(outages.len(), truth.len(), "{outages:?}");
    let near =
        |made: &Range<u64>, found: &Value| (made.start - slack..made.end + slack).contains(&found.as_u64().unwrap());
    for (outage, (begin, end)) in outages.iter().zip(truth) {
        assert!(near(&begin, &outage["begin"]), "{begin:?} {outage}");
        assert!(near(&end, &outage["end"]), "{end:?} {outage}");
    }
}
