//! Network namespaces, misbehaving servers and running agents, for tests. Everything here is real; it needs root.

#![allow(dead_code, clippy::print_stderr)]

pub mod servers;

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use camino::Utf8PathBuf;
use ffu_model::watch::{Fate, Nanos, Notice, Outcome, Probe};
use ffu_watch::agent::{AgentTarget, AgentTask};
use ffu_watch::frame::{Content, Decoded, decode};
use ffu_watch::{Entry, clock};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

pub const MS: u64 = 1_000_000;

/// The agent as a program.
pub fn agent() -> Utf8PathBuf {
    let test = std::env::current_exe().expect("this program");
    let target = test
        .parent()
        .and_then(|deps| deps.parent())
        .expect("a target directory");
    Utf8PathBuf::from_path_buf(target.join("examples/agent")).expect("UTF-8")
}

pub fn sleep(ms: u64) {
    std::thread::sleep(Duration::from_millis(ms));
}

/// Runs a command that must succeed.
pub fn sh(line: &str) {
    let output = Command::new("sh").args(["-ec", line]).output().expect("sh");
    assert!(
        output.status.success(),
        "{line}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Two network namespaces with a cable between them: the vantage point is 10.77.0.1 and fd77::1, the guest 10.77.0.2 and fd77::2.
pub struct Net {
    pub here: String,
    pub guest: String,
}

impl Net {
    /// `None`, loudly, where the kernel refuses.
    pub fn new() -> Option<Net> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = format!("{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let net = Net {
            here: format!("ffut-v{number}"),
            guest: format!("ffut-g{number}"),
        };
        let made = Command::new("ip").args(["netns", "add", &net.here]).output();
        if !made.is_ok_and(|output| output.status.success()) {
            eprintln!("SKIPPED: the kernel does not allow network namespaces here (needs root)");
            return None;
        }
        let (here, guest) = (&net.here, &net.guest);
        sh(&format!(
            "ip netns add {guest}; ip -n {here} link add va type veth peer name vb netns {guest}"
        ));
        for (space, link, last) in [(here, "va", 1), (guest, "vb", 2)] {
            sh(&format!(
                "ip netns exec {space} sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.{link}.accept_dad=0 \
                 net.ipv6.conf.{link}.keep_addr_on_down=1 net.ipv4.icmp_ratelimit=0 net.ipv4.icmp_msgs_per_sec=100000
                 ip -n {space} link set lo up; ip -n {space} link set {link} up
                 ip -n {space} addr add 10.77.0.{last}/24 dev {link}; ip -n {space} addr add fd77::{last}/64 dev {link} nodad"
            ));
        }
        Some(net)
    }

    /// The guest's cable is pulled, or put in.
    pub fn cable(&self, state: &str) {
        sh(&format!("ip -n {} link set vb {state}", self.guest));
    }

    /// Runs a command at the vantage point.
    pub fn at_vantage(&self, line: &str) {
        sh(&format!("ip netns exec {} {line}", self.here));
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        for space in [&self.here, &self.guest] {
            let _ = Command::new("ip").args(["netns", "del", space]).output();
        }
    }
}

/// A task for targets that are counted from 0.
pub fn task(interval_ms: u32, timeout_ms: u32, targets: &[(&str, Probe)]) -> AgentTask {
    let target = |(index, (address, probe)): (u32, &(&str, Probe))| AgentTarget {
        index,
        address: address.parse().expect("an address"),
        probe: probe.clone(),
        interval_ms: None,
        first_seq: 0,
    };
    AgentTask {
        version: 1,
        vantage: "here".into(),
        interval_ms,
        timeout_ms,
        silence_s: None,
        targets: (0..).zip(targets).map(target).collect(),
    }
}

/// An agent that runs.
pub struct Running {
    child: Child,
    input: Option<ChildStdin>,
    reader: JoinHandle<Vec<Entry>>,
    errors: JoinHandle<String>,
}

impl Running {
    pub fn start(space: Option<&str>, task: &AgentTask) -> Running {
        let mut command = Command::new("ip");
        match space {
            Some(space) => command.args(["netns", "exec", space]).arg(agent()),
            None => {
                command = Command::new(agent());
                &mut command
            }
        };
        Running::with(command, task)
    }

    pub fn with(mut command: Command, task: &AgentTask) -> Running {
        let command = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .expect("the agent starts: it is an example of this crate");
        let mut input = child.stdin.take().expect("stdin");
        let mut line = serde_json::to_vec(task).expect("JSON");
        line.push(b'\n');
        input.write_all(&line).expect("it reads");
        let output = child.stdout.take().expect("stdout");
        let mut stderr = child.stderr.take().expect("stderr");
        let errors = std::thread::spawn(move || {
            let mut text = String::new();
            stderr.read_to_string(&mut text).expect("UTF-8");
            text
        });
        Running {
            child,
            input: Some(input),
            reader: std::thread::spawn(move || read(output)),
            errors,
        }
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).expect("an id")), signal).expect("it is there");
    }

    /// Writes a line to it; false if it is gone.
    pub fn say(&mut self, line: &str) -> bool {
        self.input
            .as_mut()
            .is_some_and(|input| writeln!(input, "{line}").is_ok())
    }

    /// How it ended by itself, if it did.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("it is known")
    }

    /// Closes its input: what it saw, how it ended and what it said.
    pub fn stop(mut self) -> (Seen, ExitStatus, String) {
        self.input = None;
        let status = self.child.wait().expect("it ends");
        (
            Seen(self.reader.join().expect("frames")),
            status,
            self.errors.join().expect("text"),
        )
    }

    pub fn seen(self) -> Seen {
        let (seen, status, errors) = self.stop();
        assert!(status.success(), "{errors}");
        seen
    }
}

fn read(mut output: impl Read) -> Vec<Entry> {
    let mut bytes = Vec::new();
    output.read_to_end(&mut bytes).expect("reads");
    let (mut entries, mut rest) = (Vec::new(), &bytes[..]);
    while !rest.is_empty() {
        let Decoded::Frame(frame, length) = decode(rest) else {
            panic!("{:?}", decode(rest))
        };
        rest = &rest[length..];
        if let Content::Entries(more) = frame.content {
            entries.extend(more);
        }
    }
    entries
}

/// What an agent saw.
pub struct Seen(pub Vec<Entry>);

impl Seen {
    /// A target's fates by number; that there are no gaps is checked.
    pub fn fates(&self, target: u32) -> Vec<Fate> {
        let mut fates: Vec<Fate> = self.all_fates().filter(|fate| fate.target == target).collect();
        fates.sort_by_key(|fate| fate.seq);
        for (number, fate) in (0..).zip(&fates) {
            assert_eq!(
                fate.seq, number,
                "one fate for each number of target {target}: {fates:?}"
            );
        }
        fates
    }

    pub fn all_fates(&self) -> impl Iterator<Item = Fate> {
        self.0.iter().filter_map(|entry| {
            if let Entry::Fate(fate) = entry {
                Some(*fate)
            } else {
                None
            }
        })
    }

    pub fn notices(&self) -> impl Iterator<Item = &Notice> {
        self.0.iter().filter_map(|entry| {
            if let Entry::Notice(notice) = entry {
                Some(notice)
            } else {
                None
            }
        })
    }

    /// Fates of a target sent in a time, by kind: answered, lost, unsent.
    pub fn counts(&self, target: u32, from: Nanos, to: Nanos) -> (usize, usize, usize) {
        let mut counts = (0, 0, 0);
        for fate in self.fates(target).iter().filter(|fate| (from..to).contains(&fate.sent)) {
            match fate.outcome {
                Outcome::Answered { .. } => counts.0 += 1,
                Outcome::Lost => counts.1 += 1,
                Outcome::Unsent => counts.2 += 1,
            }
        }
        counts
    }
}

pub fn now() -> Nanos {
    clock::now()
}

pub fn path(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("ffut-{}-{name}", std::process::id()))
}
