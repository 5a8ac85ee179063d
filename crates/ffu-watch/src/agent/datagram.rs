//! The datagram engine: ICMP, UDP echo, DNS and ARP on one thread, in batches.
//!
//! A pass: look at the clock, drain the sockets, then let probes time out, then send what is due, then sleep. What had arrived when the
//! clock was read is always known before anything is called lost.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use ffu_model::watch::{Nanos, Probe};
use nix::sys::socket::SockaddrStorage;

use super::engine::{Engine, Shared, lanes};
use super::lane::{Lane, Pulse, Tick, Trouble};
use super::port::{Kind, Port, Sent};
use super::task::{AgentTarget, AgentTask};
use super::{dns, wire};
use crate::Entry;
use crate::error::WatchError;

/// A call that sends and takes longer leaves it open when each probe went out: that is told, in nanoseconds.
const MISDATED: Nanos = 20_000_000;

/// A target: 40 bytes, because there may be a lot.
struct Slot {
    address: IpAddr,
    /// The UDP port.
    to: u16,
    port: u16,
    lane: u32,
    place: u32,
    /// Its place in the queries; `u32::MAX` if it is no DNS target.
    query: u32,
}

pub(super) struct Datagrams {
    vantage: String,
    nonce: u64,
    lanes: Vec<Lane>,
    /// The slot of each place of each lane.
    slots_of: Vec<Vec<u32>>,
    slots: Vec<Slot>,
    ports: Vec<Port>,
    queries: Vec<Vec<u8>>,
    /// Slot and number of the DNS query with each id.
    asked: Vec<(u32, u32)>,
    next_id: u16,
    arp: HashMap<(u16, Ipv4Addr), Vec<u32>>,
}

/// Whether this engine probes it.
pub(super) fn is_mine(target: &AgentTarget) -> bool {
    matches!(
        target.probe,
        Probe::Icmp | Probe::UdpEcho { .. } | Probe::Dns { .. } | Probe::Arp { .. }
    )
}

impl Datagrams {
    /// Opens the sockets that the task needs.
    pub(super) fn new(task: &AgentTask, nonce: u64, start: Nanos) -> Result<Datagrams, WatchError> {
        let (lanes, slots_of, mine) = lanes(task, start, is_mine);
        let mut this = Datagrams {
            vantage: task.vantage.clone(),
            nonce,
            lanes,
            slots_of,
            slots: Vec::with_capacity(mine.len()),
            ports: Vec::new(),
            queries: Vec::new(),
            asked: Vec::new(),
            next_id: (nonce >> 16) as u16,
            arp: HashMap::new(),
        };
        let mut ports: BTreeMap<(u8, bool, &str), u16> = BTreeMap::new();
        for (number, (target, lane, place)) in mine.into_iter().enumerate() {
            let v6 = target.address.is_ipv6();
            let (key, to) = match &target.probe {
                Probe::UdpEcho { port } | Probe::Dns { port, .. } => ((1, v6, ""), *port),
                Probe::Arp { interface } => ((2, v6, interface.as_str()), 0),
                _ => ((0, v6, ""), 0),
            };
            let port = match ports.get(&key) {
                Some(port) => *port,
                None => {
                    this.ports.push(match key.0 {
                        0 => Port::icmp(v6, nonce)?,
                        1 => Port::udp(v6)?,
                        _ => Port::arp(key.2)?,
                    });
                    let port = (this.ports.len() - 1) as u16;
                    ports.insert(key, port);
                    port
                }
            };
            let mut query = u32::MAX;
            if let Probe::Dns { query: name, .. } = &target.probe {
                query = this.queries.len() as u32;
                this.queries.push(dns::query(name).unwrap_or_default());
                this.asked.resize(1 << 16, (u32::MAX, 0));
            }
            if let (Probe::Arp { .. }, IpAddr::V4(address)) = (&target.probe, target.address) {
                this.arp.entry((port, address)).or_default().push(number as u32);
            }
            this.slots.push(Slot {
                address: target.address,
                to,
                port,
                lane,
                place,
                query,
            });
        }
        Ok(this)
    }

    fn drain(&mut self, since: Nanos, trouble: Trouble, out: &mut Vec<Entry>) -> u32 {
        let Datagrams {
            nonce,
            lanes,
            slots,
            ports,
            asked,
            arp,
            ..
        } = self;
        let mut dropped = 0;
        for (number, port) in ports.iter_mut().enumerate() {
            let kind = port.kind;
            dropped += port.drain(since, |bytes, from, at| {
                if let Kind::Arp { mac, .. } = kind {
                    // ARP has no numbers: a reply answers the newest request.
                    let asked = wire::arp_answer(bytes, mac).and_then(|from| arp.get(&(number as u16, from)));
                    for slot in asked.into_iter().flatten().map(|slot| &slots[*slot as usize]) {
                        let lane = &mut lanes[slot.lane as usize];
                        if let Some(counter) = lane.newest(slot.place) {
                            lane.answer(counter, at, trouble, false, out);
                        }
                    }
                    return;
                }
                let Some((slot, seq)) = probe_of(kind, bytes, *nonce, asked) else {
                    return;
                };
                let Some(slot) = slots.get(slot as usize).filter(|slot| is_from(from, slot)) else {
                    return;
                };
                let lane = &mut lanes[slot.lane as usize];
                if let Some(counter) = lane.counter(slot.place, seq) {
                    lane.answer(counter, at, trouble, true, out);
                }
            });
            port.errors(|bytes| {
                let Some((slot, seq)) = returned(kind, bytes, *nonce, asked) else {
                    return;
                };
                let Some(slot) = slots.get(slot as usize) else { return };
                let lane = &mut lanes[slot.lane as usize];
                if let Some(counter) = lane.counter(slot.place, seq) {
                    lane.lost(counter, out);
                }
            });
        }
        dropped
    }

    fn enqueue(&mut self, lane: usize, tick: Tick, out: &mut Vec<Entry>) {
        let number = self.slots_of[lane][tick.place as usize];
        let slot = &self.slots[number as usize];
        let port = &mut self.ports[slot.port as usize];
        let nonce = self.nonce;
        match (port.kind, slot.address) {
            (Kind::Arp { mac, source }, IpAddr::V4(target)) => {
                port.queue(None, lane, tick.counter, |bytes| {
                    wire::put_arp(bytes, mac, source, target)
                });
            }
            (Kind::Icmp { v6, .. }, address) => {
                let to = SockaddrStorage::from(SocketAddr::new(address, 0));
                port.queue(Some(to), lane, tick.counter, |bytes| {
                    wire::put_icmp(bytes, v6, nonce, number, tick.seq)
                });
            }
            (_, address) => {
                let to = SockaddrStorage::from(SocketAddr::new(address, slot.to));
                if let Some(query) = self.queries.get(slot.query as usize) {
                    let id = self.next_id;
                    self.next_id = id.wrapping_add(1);
                    self.asked[usize::from(id)] = (number, tick.seq);
                    port.queue(Some(to), lane, tick.counter, |bytes| {
                        bytes.extend_from_slice(&id.to_be_bytes());
                        bytes.extend_from_slice(&query[2..]);
                    });
                } else {
                    port.queue(Some(to), lane, tick.counter, |bytes| {
                        wire::put_payload(bytes, nonce, number, tick.seq)
                    });
                }
            }
        }
        if port.is_full() {
            flush(port, &mut self.lanes, out);
        }
    }
}

impl Engine for Datagrams {
    fn run(mut self, shared: &Shared) {
        let mut pulse = Pulse::new(crate::clock::now());
        let mut out = Vec::new();
        while !shared.stopped() {
            let now = crate::clock::now();
            let since = pulse.last();
            let missed = self.lanes.iter().any(|lane| lane.misses(now));
            let stall = pulse.pass(now, missed);
            let mut dropped = self.drain(since, pulse.trouble, &mut out);
            if stall.is_some() {
                dropped += self.ports.iter_mut().map(Port::untold_drops).sum::<u32>();
            }
            if dropped > 0 {
                pulse.dropped(crate::clock::now());
            }
            if let Some((from, to)) = stall.or((dropped > 0).then_some((since, pulse.trouble.doubted))) {
                out.push(super::engine::stalled(&self.vantage, from, to));
            }
            for number in 0..self.lanes.len() {
                self.lanes[number].expire(now, pulse.trouble, &mut out);
                while let Some(tick) = self.lanes[number].take(now, &mut out) {
                    self.enqueue(number, tick, &mut out);
                }
            }
            for port in &mut self.ports {
                flush(port, &mut self.lanes, &mut out);
                if let Some((from, to)) = port.stood.take() {
                    // Round trips of what was sent then are not known, and if it was long, not even when it was sent.
                    pulse.trouble.blurred = pulse.trouble.blurred.max(to);
                    if to - from > MISDATED {
                        out.push(super::engine::stalled(&self.vantage, from, to));
                    }
                }
            }
            shared.give(&mut out);
            super::engine::rest(now, self.lanes.iter().map(Lane::due).min());
        }
        let now = crate::clock::now();
        self.drain(pulse.last(), pulse.trouble, &mut out);
        for lane in &mut self.lanes {
            lane.expire(now, pulse.trouble, &mut out);
            lane.close(&mut out);
        }
        shared.give(&mut out);
    }
}

fn flush(port: &mut Port, lanes: &mut [Lane], out: &mut Vec<Entry>) {
    port.flush(|lane, counter, sent| match sent {
        Sent::At(at) => lanes[lane].sent(counter, at),
        Sent::Refused => lanes[lane].lost(counter, out),
        Sent::Failed => lanes[lane].unsent(counter, out),
    });
}

fn is_from(from: Option<&SockaddrStorage>, slot: &Slot) -> bool {
    let Some(from) = from else { return false };
    match slot.address {
        IpAddr::V4(address) => from
            .as_sockaddr_in()
            .is_some_and(|from| from.ip() == address && (slot.to == 0 || from.port() == slot.to)),
        IpAddr::V6(address) => from
            .as_sockaddr_in6()
            .is_some_and(|from| from.ip() == address && (slot.to == 0 || from.port() == slot.to)),
    }
}

/// Slot and number that an answer belongs to.
fn probe_of(kind: Kind, bytes: &[u8], nonce: u64, asked: &[(u32, u32)]) -> Option<(u32, u32)> {
    match kind {
        Kind::Icmp { v6, raw } => wire::payload(wire::icmp_answer(bytes, v6, raw && !v6)?, nonce),
        _ => wire::payload(bytes, nonce).or_else(|| asked.get(usize::from(dns::answer_id(bytes)?)).copied()),
    }
}

/// Slot and number of a probe that came back with an error.
fn returned(kind: Kind, bytes: &[u8], nonce: u64, asked: &[(u32, u32)]) -> Option<(u32, u32)> {
    match kind {
        Kind::Icmp { .. } => wire::payload(bytes.get(wire::ICMP..)?, nonce),
        _ => wire::payload(bytes, nonce).or_else(|| asked.get(usize::from(dns::query_id(bytes)?)).copied()),
    }
}
