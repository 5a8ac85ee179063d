//! Packets that are late, without netem, which not every kernel has: a rule hands a guest's packets to a queue of the kernel
//! (NFQUEUE), and this process lets each go on when its time has come. Should it die, the rule lets everything pass.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, SockProtocol, recv};

use super::error::DataPlaneError;
use super::kernel::{program, run};
use super::netlink::{HEADER, attribute, exchange, message, open, send, silent};

/// The longest delay.
pub(super) const LONGEST_MS: u32 = 10_000;
/// The kernel's name of a packet.
type Id = [u8; 4];
const QUEUE: u16 = 77;
/// The rule, after `-I` or `-D`.
const RULE: &str = "PREROUTING -i eth0 -j NFQUEUE --queue-num 77 --queue-bypass";
/// How often the queue is looked at for its end.
const IDLE: Duration = Duration::from_millis(20);
// linux/netfilter/nfnetlink_queue.h
const SUBSYSTEM: u16 = 3 << 8;
const PACKET: u16 = SUBSYSTEM;
const VERDICT: u16 = SUBSYSTEM | 1;
const CONFIG: u16 = SUBSYSTEM | 2;
const CFG_COMMAND: u16 = 1;
const CFG_PARAMETERS: u16 = 2;
const CFG_LENGTH: u16 = 3;
const PACKET_HEADER: u16 = 1;
const VERDICT_HEADER: u16 = 2;
const ACCEPT: u32 = 1;

/// Whether the program is there.
///
/// # Errors
/// [`DataPlaneError::NoProgram`].
pub(super) fn check() -> Result<(), DataPlaneError> {
    program("iptables-legacy", "iptables").map(drop)
}

fn iptables(action: &str) -> Result<(), DataPlaneError> {
    let mut command = Command::new(program("iptables-legacy", "iptables")?);
    command.args(["-w", "-t", "mangle", action]).args(RULE.split(' '));
    run(&mut command, "").map(drop)
}

/// From here on packets of the calling thread's namespace go through the queue. (nft's own queue statement is not in every
/// kernel that has NFQUEUE.)
pub(super) fn lead_in() -> Result<(), DataPlaneError> {
    iptables("-I")
}

/// From here on they do not, whether they did or not.
pub(super) fn lead_past() -> Result<(), DataPlaneError> {
    if check().is_ok() && iptables("-C").is_ok() {
        iptables("-D")
    } else {
        Ok(())
    }
}

/// A queue of the calling thread's namespace.
pub(super) struct Queue {
    socket: OwnedFd,
    delay: Duration,
    closing: AtomicBool,
}

impl Queue {
    pub(super) fn open(milliseconds: u32) -> io::Result<Queue> {
        let socket = open(SockProtocol::NetlinkNetFilter)?;
        // Bind; no bytes of the packets, only that they are there; as many as may come.
        for (kind, value) in [
            (CFG_COMMAND, &[1, 0, 0, 0][..]),
            (CFG_PARAMETERS, &[0, 0, 0, 0, 1]),
            (CFG_LENGTH, &65_535u32.to_be_bytes()),
        ] {
            exchange(&socket, &message(CONFIG, &body(kind, value)))?;
        }
        Ok(Queue {
            socket,
            delay: Duration::from_millis(u64::from(milliseconds)),
            closing: AtomicBool::new(false),
        })
    }

    /// Nothing new comes any more.
    pub(super) fn close(&self) {
        self.closing.store(true, Ordering::SeqCst);
    }

    /// Lets packets go on, each in its time, until it is closed and none is left. Returns how many there were.
    pub(super) fn relay(&self) -> u64 {
        let mut held: VecDeque<(Instant, Id)> = VecDeque::new();
        let mut seen = 0;
        let mut buffer = vec![0; 64 << 10];
        loop {
            let closing = self.closing.load(Ordering::SeqCst);
            while held.front().is_some_and(|(due, _)| *due <= Instant::now()) {
                if let Some((_, id)) = held.pop_front() {
                    // A packet that the kernel no longer has needs no verdict.
                    let _ = send(&self.socket, &silent(VERDICT, &verdict(id)));
                }
            }
            if closing && held.is_empty() {
                return seen;
            }
            let next = held
                .front()
                .map_or(IDLE, |(due, _)| due.saturating_duration_since(Instant::now()).min(IDLE));
            // Rounded up: a packet is rather late than early.
            let wait = PollTimeout::try_from(next + Duration::from_micros(999)).unwrap_or(PollTimeout::ZERO);
            let _ = poll(&mut [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)], wait);
            while let Ok(length) = recv(self.socket.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT) {
                let due = Instant::now() + self.delay;
                for id in packets(&buffer[..length]) {
                    held.push_back((due, id));
                    seen += 1;
                }
            }
        }
    }
}

/// The part of a request that says which queue, with one attribute.
fn body(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0];
    bytes.extend(QUEUE.to_be_bytes());
    bytes.extend(attribute(kind, value));
    bytes
}

fn verdict(id: Id) -> Vec<u8> {
    let accept = ACCEPT.to_be_bytes();
    body(
        VERDICT_HEADER,
        &[accept[0], accept[1], accept[2], accept[3], id[0], id[1], id[2], id[3]],
    )
}

/// The packets that messages of the kernel tell of.
fn packets(mut bytes: &[u8]) -> Vec<Id> {
    let mut ids = Vec::new();
    while let Some((length, kind)) = lead(bytes, 4) {
        let Some(one) = bytes.get(..length).filter(|_| length >= HEADER) else {
            break;
        };
        if kind == PACKET {
            ids.extend(packet_id(one.get(HEADER + 4..).unwrap_or_default()));
        }
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    ids
}

/// The packet's id among the attributes.
fn packet_id(mut attributes: &[u8]) -> Option<Id> {
    loop {
        let (length, kind) = lead(attributes, 2)?;
        let value = attributes.get(4..length)?;
        if kind == PACKET_HEADER {
            return value.get(..4)?.try_into().ok();
        }
        attributes = attributes.get(length.next_multiple_of(4)..)?;
    }
}

/// A length of so many bytes, and the kind after it.
fn lead(bytes: &[u8], width: usize) -> Option<(usize, u16)> {
    let length = match width {
        2 => usize::from(u16::from_ne_bytes(bytes.get(..2)?.try_into().ok()?)),
        _ => usize::try_from(u32::from_ne_bytes(bytes.get(..4)?.try_into().ok()?)).ok()?,
    };
    Some((
        length,
        u16::from_ne_bytes(bytes.get(width..width + 2)?.try_into().ok()?),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_found_and_answered() {
        let mut bytes = message(PACKET, &body(PACKET_HEADER, &[0, 0, 1, 2, 8, 0, 1]));
        bytes.extend(message(PACKET, &body(PACKET_HEADER, &[0, 0, 1, 3, 8, 0, 1])));
        bytes.extend(message(2, &[0; 20]));
        assert_eq!(packets(&bytes), [[0, 0, 1, 2], [0, 0, 1, 3]]);
        assert_eq!(verdict([0, 0, 1, 2])[4..], [12, 0, 2, 0, 0, 0, 0, 1, 0, 0, 1, 2]);
        assert_eq!(body(CFG_PARAMETERS, &[0, 0, 0, 0, 1])[..4], [0, 0, 0, 77]);
    }

    #[test]
    fn broken_messages_end_the_reading() {
        let whole = message(PACKET, &body(PACKET_HEADER, &[0, 0, 1, 2, 8, 0, 1]));
        for length in 0..whole.len() {
            assert!(packets(&whole[..length]).is_empty(), "{length}");
        }
        for bad in [vec![0; 64], vec![0xff; 64], body(PACKET_HEADER, &[0; 8])] {
            assert!(packets(&bad).is_empty());
        }
    }
}
