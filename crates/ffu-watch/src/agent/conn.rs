//! One TCP connection of the stream engine and what is read from it.

use std::io::{self, ErrorKind, Read, Write};

use ffu_model::watch::Nanos;
use nix::errno::Errno;

/// The longest answer that is kept while its end is waited for, and the longest output that waits.
const LIMIT: usize = 64 << 10;

/// What an event brought.
pub(super) enum Step {
    /// Nothing yet.
    Wait,
    /// Lines of an established stream.
    Heard(Vec<Line>),
    /// What was hoped for.
    Done,
    /// The end, in words.
    Failed(String),
}

/// A line that came back.
pub(super) struct Line {
    pub nonce: u64,
    pub seq: u32,
}

pub(super) struct Conn {
    stream: mio::net::TcpStream,
    /// Its target's place in the engine.
    pub slot: u32,
    /// The probe it was opened for.
    pub counter: u64,
    /// It has been connected.
    pub established: bool,
    /// What is to be written.
    pub output: Vec<u8>,
    input: Vec<u8>,
    /// Since when something unanswered waits.
    waiting: Option<Nanos>,
}

impl Conn {
    pub fn new(stream: mio::net::TcpStream, slot: u32, counter: u64, now: Nanos) -> Conn {
        let (output, input) = (Vec::new(), Vec::new());
        Conn {
            stream,
            slot,
            counter,
            established: false,
            output,
            input,
            waiting: Some(now),
        }
    }

    /// Queues a probe of an established stream.
    pub fn say(&mut self, nonce: u64, seq: u32) {
        self.waiting.get_or_insert(crate::clock::now());
        // What does not fit was blocked for minutes; the probe times out like those before it.
        if self.output.len() < LIMIT {
            self.output
                .extend_from_slice(format!("ffuw {nonce:016x} {seq}\n").as_bytes());
        }
    }

    /// How long it has been waiting for an answer.
    pub fn waits_since(&self, now: Nanos) -> Nanos {
        self.waiting.map_or(0, |since| now.saturating_sub(since))
    }

    /// Whether it is connected now; an error in words.
    fn establish(&mut self) -> Result<bool, String> {
        if self.established {
            return Ok(true);
        }
        if let Ok(Some(error)) | Err(error) = self.stream.take_error() {
            return Err(error.to_string());
        }
        match self.stream.peer_addr() {
            Ok(_) => {
                self.established = true;
                // Without it lines would wait for each other; if it cannot be set they do, and are late.
                let _ = self.stream.set_nodelay(true);
                Ok(true)
            }
            Err(error) if error.kind() == ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Writes what can be written; an error in words.
    pub fn write(&mut self) -> Result<(), String> {
        while self.established && !self.output.is_empty() {
            match self.stream.write(&self.output) {
                Ok(0) => return Err("end of file".to_owned()),
                Ok(written) => {
                    self.output.drain(..written);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.to_string()),
            }
        }
        Ok(())
    }

    /// Reads all there is. The end of the stream is `Err` after what came before it is in the input.
    fn read(&mut self) -> Result<(), String> {
        let mut buffer = [0; 4096];
        while self.input.len() < LIMIT {
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err("end of file".to_owned()),
                Ok(length) => self.input.extend_from_slice(&buffer[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.to_string()),
            }
        }
        Err("an answer without end".to_owned())
    }

    /// A connection that is only made.
    pub fn connect(&mut self) -> Step {
        match self.establish() {
            Ok(true) => Step::Done,
            Ok(false) => Step::Wait,
            Err(why) => Step::Failed(why),
        }
    }

    /// A connection for one HTTP request.
    pub fn http(&mut self) -> Step {
        match self.establish() {
            Ok(true) => {}
            Ok(false) => return Step::Wait,
            Err(why) => return Step::Failed(why),
        }
        // A server may answer and close before it has read everything: what it said counts.
        let written = self.write();
        let read = self.read();
        match status(&self.input) {
            Some(Some(status)) if status < 500 => Step::Done,
            Some(Some(status)) => Step::Failed(format!("status {status}")),
            Some(None) => Step::Failed("an answer that is not HTTP".to_owned()),
            None => written.and(read).map_or_else(Step::Failed, |()| Step::Wait),
        }
    }

    /// An established stream.
    pub fn lines(&mut self) -> Step {
        let done = match self.establish() {
            Ok(true) => self.write().and_then(|()| self.read()),
            Ok(false) => return Step::Wait,
            Err(why) => Err(why),
        };
        if let Err(why) = done {
            return Step::Failed(why);
        }
        let Some(end) = self.input.iter().rposition(|byte| *byte == b'\n') else {
            return Step::Wait;
        };
        let lines = self.input[..end]
            .split(|byte| *byte == b'\n')
            .filter_map(line)
            .collect();
        self.input.drain(..=end);
        self.waiting = None;
        Step::Heard(lines)
    }
}

/// Whether an error means that the peer or the network said no, and not that this host is out of something.
pub(super) fn says_no(error: &io::Error) -> bool {
    !matches!(
        error.raw_os_error().map(Errno::from_raw),
        Some(
            Errno::EMFILE
                | Errno::ENFILE
                | Errno::ENOBUFS
                | Errno::ENOMEM
                | Errno::EPERM
                | Errno::EACCES
                | Errno::EADDRNOTAVAIL
        )
    ) && error.kind() != ErrorKind::WouldBlock
}

fn line(line: &[u8]) -> Option<Line> {
    let (nonce, seq) = std::str::from_utf8(line)
        .ok()?
        .strip_prefix("ffuw ")?
        .trim_end()
        .split_once(' ')?;
    Some(Line {
        nonce: u64::from_str_radix(nonce, 16).ok()?,
        seq: seq.parse().ok()?,
    })
}

/// The status of an answer: `None` if it is not there yet, `Some(None)` if it is no answer.
fn status(input: &[u8]) -> Option<Option<u16>> {
    let start = &input[..input.len().min(5)];
    if !b"HTTP/".starts_with(start) {
        return Some(None);
    }
    let head: &[u8; 12] = input.first_chunk()?;
    Some(
        std::str::from_utf8(&head[9..])
            .ok()
            .filter(|_| head[8] == b' ')
            .and_then(|digits| digits.parse().ok()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read_as_soon_as_it_is_there() {
        assert_eq!(status(b"HTTP/1.1 404 Not Found\r\n"), Some(Some(404)));
        assert_eq!(status(b"HTTP/1.0 200"), Some(Some(200)));
        assert_eq!(
            (status(b""), status(b"HTT"), status(b"HTTP/1.1 40")),
            (None, None, None)
        );
        assert_eq!(
            (status(b"SSH-2.0"), status(b"HTTP/1.1 abc"), status(b"HTTP/1.1-200")),
            (Some(None), Some(None), Some(None))
        );
    }

    #[test]
    fn lines_of_others_are_left() {
        assert!(line(b"hello").is_none() && line(b"ffuw xyz 1").is_none() && line(b"ffuw \xff").is_none());
        let ours = line(b"ffuw 00000000000000ff 12\r").expect("ours");
        assert_eq!((ours.nonce, ours.seq), (255, 12));
    }
}
