//! How the processes of a warm environment and `ffu` talk: one JSON object a line over a Unix connection, which the process
//! opens to an abstract socket ("door") made for it alone; only the expected process of the same user gets in.

use std::io::{self, Read as _, Write as _};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ffu_model::fault;
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use serde::{Deserialize, Serialize};

use super::cold::Cold;

/// The version that both ends speak; server.py has the same number.
pub(super) const VERSION: u32 = 1;
/// No message is longer; what is, is none of ours.
const LONGEST: usize = 1 << 20;
const POLL: Duration = Duration::from_millis(2);

/// What a process says; which fields are there depends on what it was asked.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
pub(super) struct Said {
    /// First thing on every link: the version it speaks.
    pub ffu_warm: Option<u32>,
    pub pid: Option<i32>,
    pub python: Option<String>,
    /// It could not do what was asked, in words.
    pub failed: Option<String>,
    /// Its imports have monkey-patched the standard library.
    pub patched: bool,
    /// What its imports printed, its beginning, byte by byte as Latin-1.
    pub printed: String,
    /// Programs that it has imported.
    pub holds: Vec<String>,
    /// Bytes of its memory that rest in a file.
    pub rests: Option<u64>,
    /// Why its memory, or a part of it, does not rest although that was asked.
    pub stays: Option<String>,
    /// A program that cannot be imported beside those before it; or the owner of modules that are loaded beside them (`also`).
    pub spoilt: Option<String>,
    /// The child that was forked.
    pub forked: Option<i32>,
    /// How a child ended, as wait(2) says it.
    pub status: Option<i32>,
    /// A command has taken everything over and waits for the word.
    pub ready: bool,
    /// A command cannot take over what it was given, in words.
    pub refused: Option<String>,
    /// A command's exit code, said at its very end.
    pub ended: Option<i32>,
}

impl Said {
    /// What kind of message it is, for tests that stop the world at it.
    fn kind(&self) -> &'static str {
        match self {
            _ if self.ffu_warm.is_some() => "hello",
            _ if self.forked.is_some() => "forked",
            _ if self.status.is_some() => "status",
            _ if self.ready => "ready",
            _ if self.ended.is_some() => "ended",
            _ if self.refused.is_some() || self.failed.is_some() => "refused",
            _ => "other",
        }
    }
}

/// What kind of message goes out, for tests that stop the world at it: the word after `do`, or `take-over`.
fn kind_of_request(line: &[u8]) -> String {
    if cfg!(debug_assertions) {
        let request: serde_json::Value = serde_json::from_slice(line).unwrap_or_default();
        return request
            .get("do")
            .and_then(|word| word.as_str())
            .unwrap_or("take-over")
            .to_owned();
    }
    String::new()
}

/// A place where one process is expected.
pub(super) struct Door {
    listener: UnixListener,
    pub name: String,
}

impl Door {
    pub(super) fn open() -> io::Result<Door> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!(
            "ffu-warm-{}-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed),
            jiff::Timestamp::now().as_nanosecond()
        );
        let listener = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name)?)?;
        listener.set_nonblocking(true)?;
        Ok(Door { listener, name })
    }

    /// The link of the process with this number, and its first words.
    pub(super) fn admit(
        &self,
        what: &str,
        pid: i32,
        patience: Duration,
        give_up: &dyn Fn() -> bool,
    ) -> Result<(Link, Said), Cold> {
        let deadline = Instant::now() + patience;
        let late = || Cold::Late {
            what: what.to_owned(),
            seconds: patience.as_secs(),
        };
        loop {
            if let Ok((stream, _)) = self.listener.accept()
                && is_ours(&stream, pid)
            {
                let mut link = Link::new(what, stream);
                let said = link.hear(deadline.saturating_duration_since(Instant::now()), give_up)?;
                return match said.ffu_warm {
                    Some(VERSION) => Ok((link, said)),
                    Some(found) => Err(Cold::Version {
                        what: what.to_owned(),
                        found,
                        expected: VERSION,
                    }),
                    None => Err(link.protocol("its first words are no greeting")),
                };
            }
            if give_up() {
                return Err(Cold::Closing);
            }
            if u32::try_from(pid).ok().and_then(ffu_hosts::ticks_at_start).is_none() {
                return Err(Cold::Gone { what: what.to_owned() });
            }
            if Instant::now() >= deadline {
                return Err(late());
            }
            std::thread::sleep(POLL);
        }
    }
}

fn is_ours(stream: &UnixStream, pid: i32) -> bool {
    getsockopt(stream, PeerCredentials)
        .is_ok_and(|peer| peer.pid() == pid && peer.uid() == nix::unistd::geteuid().as_raw())
}

/// A connection to one process.
#[derive(Debug)]
pub(super) struct Link {
    what: String,
    stream: UnixStream,
    heard: Vec<u8>,
}

impl Link {
    pub(super) fn new(what: &str, stream: UnixStream) -> Link {
        Link {
            what: what.to_owned(),
            stream,
            heard: Vec::new(),
        }
    }

    pub(super) fn protocol(&self, why: impl Into<String>) -> Cold {
        Cold::Protocol {
            what: self.what.clone(),
            why: why.into(),
        }
    }

    fn gone(&self) -> Cold {
        Cold::Gone {
            what: self.what.clone(),
        }
    }

    pub(super) fn say(&mut self, message: &impl Serialize) -> Result<(), Cold> {
        let mut line = serde_json::to_vec(message).map_err(|error| self.protocol(error.to_string()))?;
        line.push(b'\n');
        let patience = Some(Duration::from_secs(10));
        let kind = kind_of_request(&line);
        fault::point("before-say", &kind);
        self.stream
            .set_nonblocking(false)
            .and_then(|()| self.stream.set_write_timeout(patience))
            .and_then(|()| self.stream.write_all(&line))
            .map_err(|_| self.gone())?;
        fault::point("after-say", &kind);
        Ok(())
    }

    /// The next message.
    pub(super) fn hear(&mut self, patience: Duration, give_up: &dyn Fn() -> bool) -> Result<Said, Cold> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(end) = self.heard.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.heard.drain(..=end).collect();
                if line.first() != Some(&b'{') {
                    return Err(self.protocol("no object"));
                }
                let said: Said = serde_json::from_slice(&line).map_err(|error| self.protocol(error.to_string()))?;
                fault::point("heard", said.kind());
                return Ok(said);
            }
            if self.heard.len() > LONGEST {
                return Err(self.protocol("a message without end"));
            }
            let mut some = [0; 4096];
            let wait = Some(Duration::from_millis(20));
            match self
                .stream
                .set_nonblocking(false)
                .and_then(|()| self.stream.set_read_timeout(wait))
                .and_then(|()| self.stream.read(&mut some))
            {
                Ok(0) => return Err(self.gone()),
                Ok(count) => self.heard.extend_from_slice(some.get(..count).unwrap_or_default()),
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
                    ) => {}
                Err(_) => return Err(self.gone()),
            }
            if give_up() {
                return Err(Cold::Closing);
            }
            if self.heard.is_empty() && Instant::now() >= deadline
                || Instant::now() >= deadline + Duration::from_secs(1)
            {
                return Err(Cold::Late {
                    what: self.what.clone(),
                    seconds: patience.as_secs(),
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn hear(said: &[u8], patience: Duration) -> Result<Said, Cold> {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.write_all(said).unwrap();
        // Without an end they are still there.
        let _kept = (!said.is_empty()).then_some(theirs);
        Link::new("nova of zed", ours).hear(patience, &|| false)
    }

    #[test]
    fn what_is_no_message_is_a_doubt() {
        let short = Duration::from_millis(100);
        assert_eq!(
            hear(b"{\"forked\": 7, \"more\": [1]}\n", short).unwrap().forked,
            Some(7)
        );
        for garbage in [
            &b"garbage\n"[..],
            b"\xff\xfe\n",
            b"[1]\n",
            b"{\"forked\": \"x\"}\n",
            b"\n",
            b"{\"pid\": 1e99}\n",
        ] {
            let cold = hear(garbage, short).unwrap_err();
            assert!(matches!(cold, Cold::Protocol { .. }), "{garbage:?}: {cold}");
        }
        assert!(matches!(hear(b"", short), Err(Cold::Gone { .. })));
        assert!(matches!(hear(b"{", short), Err(Cold::Late { .. })));
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        let endless = std::thread::spawn(move || while ours.write_all(&[b'x'; 65536]).is_ok() {});
        let cold = Link::new("nova of zed", theirs).hear(Duration::from_secs(20), &|| false);
        assert!(matches!(cold, Err(Cold::Protocol { .. })), "{cold:?}");
        endless.join().unwrap();
    }

    #[test]
    fn only_the_expected_process_of_the_right_version_gets_in() {
        let own = std::process::id().cast_signed();
        let (short, never) = (Duration::from_millis(200), || false);
        let knock = |door: &Door, words: &str| {
            let mut stream = UnixStream::connect_addr(&SocketAddr::from_abstract_name(&door.name).unwrap()).unwrap();
            stream.write_all(words.as_bytes()).unwrap();
            stream
        };
        let door = Door::open().unwrap();
        let _held = knock(&door, "{\"ffu_warm\": 1, \"python\": \"3.13.0\"}\n");
        let (_, said) = door.admit("x", own, short, &never).unwrap();
        assert_eq!(said.python.as_deref(), Some("3.13.0"));
        let _held = knock(&door, "{\"ffu_warm\": 2}\n");
        let cold = door.admit("x", own, short, &never).unwrap_err();
        assert_eq!(cold.to_string(), "x speaks version 2 of the protocol, not 1");
        let _held = knock(&door, "{}\n");
        assert!(matches!(
            door.admit("x", own, short, &never),
            Err(Cold::Protocol { .. })
        ));
        // Somebody else's process is not let in.
        let _held = knock(&door, "{\"ffu_warm\": 1}\n");
        let parent = nix::unistd::getppid().as_raw();
        assert!(matches!(door.admit("x", parent, short, &never), Err(Cold::Late { .. })));
        assert!(matches!(
            door.admit("x", i32::MAX, short, &never),
            Err(Cold::Gone { .. })
        ));
        assert!(matches!(door.admit("x", own, short, &|| true), Err(Cold::Closing)));
    }
}
