//! One running agent: its process and the threads at its pipes.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ffu_model::watch::Nanos;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::clock;
use crate::frame::{self, Decoded, Frame};

/// Lines of an agent's last words that are kept.
const LAST_WORDS: usize = 5;

/// What came from an agent.
pub(super) enum Heard {
    /// A frame, and when it came.
    Frame(Frame, Nanos),
    /// Its output ended: cleanly, or with something that is no frame.
    End(Option<String>),
}

/// How a process ended.
pub(super) struct Ended {
    /// `None` if it could not be waited for.
    pub status: Option<ExitStatus>,
    /// The last it said on its error output, in one line.
    pub words: String,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status {
            Some(status) => write!(f, "{status}")?,
            None => f.write_str("it cannot be waited for")?,
        }
        if !self.words.is_empty() {
            write!(f, ": {}", self.words)?;
        }
        Ok(())
    }
}

pub(super) struct Process {
    child: Child,
    /// What is to be written to it; dropped to close its input.
    input: Option<SyncSender<Vec<u8>>>,
    pub heard: Receiver<Heard>,
    words: Arc<Mutex<VecDeque<String>>>,
    /// Disconnected when all words have been read.
    speechless: Receiver<()>,
    reaped: bool,
}

impl Process {
    pub fn start(mut command: Command, task: Vec<u8>) -> io::Result<Process> {
        let mut child = command
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let (input, lines) = sync_channel::<Vec<u8>>(16);
        let (report, heard) = sync_channel(16);
        let words = Arc::new(Mutex::new(VecDeque::new()));
        let (speaking, speechless) = sync_channel(0);
        if let Some(mut pipe) = child.stdin.take() {
            std::thread::spawn(move || {
                let mut lines = std::iter::once(task).chain(lines);
                // An agent that does not read is dead or hangs: that is seen by its silence.
                lines.try_for_each(|line| pipe.write_all(&line))
            });
        }
        if let Some(pipe) = child.stdout.take() {
            std::thread::spawn(move || read(pipe, &report));
        }
        if let Some(pipe) = child.stderr.take() {
            let words = Arc::clone(&words);
            std::thread::spawn(move || {
                listen(BufReader::new(pipe), &words);
                drop(speaking);
            });
        }
        Ok(Process {
            child,
            input: Some(input),
            heard,
            words,
            speechless,
            reaped: false,
        })
    }

    /// Writes a line to it, if it can take one now.
    pub fn say(&self, line: Vec<u8>) {
        if let Some(input) = &self.input {
            let _ = input.try_send(line); // It is asked again later.
        }
    }

    /// Closes its input: it writes what it has, and ends.
    pub fn close(&mut self) {
        self.input = None;
    }

    /// Makes sure that it is gone and says how it ended, with its last words.
    pub fn end(&mut self, wait: Duration) -> Ended {
        self.close();
        let until = Instant::now() + wait;
        let status = loop {
            match self.child.try_wait() {
                Ok(None) if Instant::now() < until => std::thread::sleep(Duration::from_millis(10)),
                Ok(None) => {
                    self.kill();
                    break self.child.wait().ok();
                }
                Ok(status) => break status,
                Err(_) => break None,
            }
        };
        self.reaped = true;
        // What it started may hold its error output open: it is not waited for long.
        let _ = self.speechless.recv_timeout(Duration::from_millis(300));
        let words = self.words.lock().unwrap_or_else(PoisonError::into_inner);
        let words = words.iter().map(String::as_str).collect::<Vec<_>>().join("; ");
        Ended { status, words }
    }

    /// Kills it and what it started (`ip netns exec` replaces itself, `ssh` does not).
    fn kill(&mut self) {
        if let Ok(id) = i32::try_from(self.child.id()) {
            let _ = killpg(Pid::from_raw(id), Signal::SIGKILL); // It may be gone already.
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.reaped {
            self.end(Duration::ZERO);
        }
    }
}

fn read(mut pipe: impl Read, report: &SyncSender<Heard>) {
    let (mut bytes, mut chunk) = (Vec::new(), vec![0; 64 << 10]);
    let end = loop {
        match frame::decode(&bytes) {
            Decoded::Frame(frame, length) => {
                bytes.drain(..length);
                if report.send(Heard::Frame(frame, clock::now())).is_err() {
                    return;
                }
            }
            Decoded::Broken(why) => break Some(format!("what it says is no frame ({why})")),
            Decoded::Partial => match pipe.read(&mut chunk) {
                Ok(0) => break None,
                Ok(length) => bytes.extend_from_slice(&chunk[..length]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Some(error.to_string()),
            },
        }
    };
    let _ = report.send(Heard::End(end)); // Nobody may be left who wants to know.
}

fn listen(mut pipe: impl BufRead, words: &Mutex<VecDeque<String>>) {
    let mut line = Vec::new();
    while (&mut pipe)
        .take(1024)
        .read_until(b'\n', &mut line)
        .is_ok_and(|length| length > 0)
    {
        let text = String::from_utf8_lossy(&line).trim().to_owned();
        line.clear();
        if !text.is_empty() {
            let mut words = words.lock().unwrap_or_else(PoisonError::into_inner);
            if words.len() == LAST_WORDS {
                words.pop_front();
            }
            words.push_back(text);
        }
    }
}
