//! A datagram socket of the agent: opened as the kernel allows, sent to and drained in batches.

mod open;

use std::io::{IoSlice, IoSliceMut};
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;

use ffu_model::watch::Nanos;
use nix::errno::Errno;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, MultiHeaders, SockaddrLike, SockaddrStorage, recv, recvmmsg, sendmmsg,
};
use nix::sys::time::TimeSpec;
use socket2::Socket;

use crate::clock;

/// Messages of one system call.
pub(crate) const BATCH: usize = 64;

/// Batches that are read at once at most.
const BATCHES: u32 = 2000;

/// A call that sends takes so long only if the prober stood still meanwhile, in nanoseconds.
const SLOW: Nanos = 5_000_000;

/// Bytes read of a message; all that counts is at its beginning.
const READ: usize = 512;

/// What a port speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// ICMP, or ICMPv6.
    Icmp { v6: bool, raw: bool },
    /// UDP: echoes and DNS.
    Udp { v6: bool },
    /// ARP out of one interface.
    Arp { mac: [u8; 6], source: Ipv4Addr },
}

/// A message that waits to be sent.
struct Queued {
    bytes: Vec<u8>,
    to: Option<SockaddrStorage>,
    lane: usize,
    counter: u64,
}

/// What became of a message that was to be sent.
pub(crate) enum Sent {
    /// It went out at this time.
    At(Nanos),
    /// The network said no at once.
    Refused,
    /// This host could not send it.
    Failed,
}

/// A socket with its queue.
pub(crate) struct Port {
    pub kind: Kind,
    socket: Socket,
    queue: Vec<Queued>,
    used: usize,
    buffers: Vec<[u8; READ]>,
    drops: u32,
    /// From when until when the prober last stood still in a call that sends; taken by whoever tells it.
    pub stood: Option<(Nanos, Nanos)>,
}

impl Port {
    /// Whether a batch is complete.
    pub(crate) fn is_full(&self) -> bool {
        self.used >= BATCH
    }

    /// Queues a message that `write` writes into an empty buffer.
    pub(crate) fn queue(
        &mut self,
        to: Option<SockaddrStorage>,
        lane: usize,
        counter: u64,
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        if self.used == self.queue.len() {
            self.queue.push(Queued {
                bytes: Vec::new(),
                to,
                lane,
                counter,
            });
        }
        let queued = &mut self.queue[self.used];
        queued.bytes.clear();
        write(&mut queued.bytes);
        (queued.to, queued.lane, queued.counter) = (to, lane, counter);
        self.used += 1;
    }

    /// Sends what is queued and tells what became of each message: lane, counter, fate.
    pub(crate) fn flush(&mut self, mut tell: impl FnMut(usize, u64, Sent)) {
        let queue = &self.queue[..self.used];
        self.used = 0;
        let (mut first, mut refusals, mut waits) = (0, 0, 0);
        while first < queue.len() {
            let rest = &queue[first..];
            let before = clock::now();
            match send(&self.socket, rest) {
                Ok(count) => {
                    let after = clock::now();
                    if after.saturating_sub(before) > SLOW {
                        self.stood = Some((before, after));
                    }
                    for (number, queued) in rest.iter().take(count).enumerate() {
                        tell(
                            queued.lane,
                            queued.counter,
                            Sent::At(between(before, after, number, count)),
                        );
                    }
                    first += count;
                    refusals = 0;
                }
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) if waits < 5 => {
                    waits += 1;
                    std::thread::sleep(std::time::Duration::from_micros(200));
                }
                Err(Errno::EAGAIN) => {
                    rest.iter()
                        .for_each(|queued| tell(queued.lane, queued.counter, Sent::Failed));
                    return;
                }
                // An error may belong to an earlier message (the kernel tells it on the next call): only one that stays is this one's.
                Err(error) => {
                    refusals += 1;
                    if refusals >= if error == Errno::ECONNREFUSED { 50 } else { 4 } {
                        // Not ENOBUFS: the kernel says that when the link is down. EINVAL is its neighbour table, when it is full.
                        let own = matches!(
                            error,
                            Errno::ENOMEM | Errno::EPERM | Errno::EACCES | Errno::EMSGSIZE | Errno::EINVAL
                        );
                        tell(
                            rest[0].lane,
                            rest[0].counter,
                            if own { Sent::Failed } else { Sent::Refused },
                        );
                        first += 1;
                        refusals = 0;
                    }
                }
            }
        }
    }

    /// Reads all that came: message, sender, time of arrival. `since` is when it was drained last.
    /// Gives how many packets the kernel threw away meanwhile because the buffer was full.
    pub(crate) fn drain(&mut self, since: Nanos, mut tell: impl FnMut(&[u8], Option<&SockaddrStorage>, Nanos)) -> u32 {
        let (mut dropped, mut errors) = (0, 0);
        for _ in 0..BATCHES {
            // Headers are made anew: the kernel shortens the space for control messages in them with every call.
            let space = nix::cmsg_space!(TimeSpec, u32);
            let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(BATCH, Some(space));
            let mut slices: Vec<_> = self
                .buffers
                .iter_mut()
                .map(|buffer| [IoSliceMut::new(buffer)])
                .collect();
            let flags = MsgFlags::MSG_DONTWAIT;
            let messages = match recvmmsg(self.socket.as_raw_fd(), &mut headers, slices.iter_mut(), flags, None) {
                Ok(messages) => messages,
                Err(Errno::EAGAIN) => return dropped,
                // An ICMP error of some probe, told here once; the error queue says whose.
                Err(_) if errors < 10_000 => {
                    errors += 1;
                    continue;
                }
                Err(_) => return dropped,
            };
            let (now, wall) = (clock::now(), clock::wall());
            for message in messages {
                let mut at = now;
                for control in message.cmsgs().into_iter().flatten() {
                    match control {
                        ControlMessageOwned::ScmTimestampns(stamp) => at = arrival(stamp, now, wall, since),
                        ControlMessageOwned::RxqOvfl(count) => {
                            dropped += count.wrapping_sub(self.drops);
                            self.drops = count;
                        }
                        _ => {}
                    }
                }
                if let Some(bytes) = message.iovs().next() {
                    tell(
                        bytes,
                        message.address.as_ref().filter(|address| address.family().is_some()),
                        at,
                    );
                }
            }
        }
        // There is more than can be read in time (a flood): what is behind it counts as thrown away.
        dropped.max(1)
    }

    /// How many more packets the kernel has thrown away, of which no later packet has told yet.
    pub(crate) fn untold_drops(&mut self) -> u32 {
        let file = match self.kind {
            Kind::Icmp { v6: false, raw: true } => "raw",
            Kind::Icmp { v6: true, raw: true } => "raw6",
            Kind::Icmp { v6: false, raw: false } => "icmp",
            Kind::Icmp { v6: true, raw: false } => "icmp6",
            Kind::Udp { v6: false } => "udp",
            Kind::Udp { v6: true } => "udp6",
            Kind::Arp { .. } => return 0,
        };
        let inode = nix::sys::stat::fstat(&self.socket).map(|stat| stat.st_ino);
        let table = std::fs::read_to_string(format!("/proc/self/net/{file}"));
        let (Ok(inode), Ok(table)) = (inode, table) else {
            return 0;
        };
        let count = drops_of(inode, &table).unwrap_or(self.drops);
        count.wrapping_sub(std::mem::replace(&mut self.drops, count))
    }

    /// Reads the error queue: the messages that came back with an ICMP error.
    pub(crate) fn errors(&self, mut tell: impl FnMut(&[u8])) {
        if matches!(self.kind, Kind::Arp { .. }) {
            return;
        }
        let mut buffer = [0; READ];
        loop {
            match recv(
                self.socket.as_raw_fd(),
                &mut buffer,
                MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT,
            ) {
                Ok(length) => tell(&buffer[..length.min(READ)]),
                Err(Errno::EINTR) => {}
                Err(_) => return,
            }
        }
    }
}

/// The last column of a socket's line in `/proc/net/udp` and its kin.
fn drops_of(inode: u64, table: &str) -> Option<u32> {
    let inode = inode.to_string();
    let mut lines = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    lines
        .find(|fields| fields.get(9) == Some(&inode.as_str()))?
        .get(12)?
        .parse()
        .ok()
}

fn send(socket: &Socket, queue: &[Queued]) -> Result<usize, Errno> {
    let slices: Vec<_> = queue.iter().map(|queued| [IoSlice::new(&queued.bytes)]).collect();
    let to: Vec<_> = queue.iter().map(|queued| queued.to).collect();
    let mut headers = MultiHeaders::preallocate(queue.len(), None);
    let sent = sendmmsg(
        socket.as_raw_fd(),
        &mut headers,
        slices.iter(),
        &to,
        [],
        MsgFlags::MSG_DONTWAIT,
    )?;
    Ok(sent.count().max(1))
}

/// When one message of a batch went out. If the call took long, the prober stood still: the kernel lets others run when a call
/// returns, after all was sent, so that the beginning counts.
fn between(before: Nanos, after: Nanos, number: usize, count: usize) -> Nanos {
    let took = after.saturating_sub(before);
    if took > SLOW {
        before
    } else {
        before + took * number as u64 / count.max(1) as u64
    }
}

/// The kernel's time of arrival (wall clock) on the boot-time clock. A stamp that cannot be, because the wall clock was stepped, is
/// not believed.
fn arrival(stamp: TimeSpec, now: Nanos, wall: i64, since: Nanos) -> Nanos {
    let stamp = stamp
        .tv_sec()
        .saturating_mul(1_000_000_000)
        .saturating_add(stamp.tv_nsec());
    match u64::try_from(wall.saturating_sub(stamp)) {
        Ok(age) if age <= now.saturating_sub(since) + 2_000_000 => now - age.min(now),
        _ => now,
    }
}

#[cfg(test)]
#[path = "port/tests.rs"]
mod tests;
