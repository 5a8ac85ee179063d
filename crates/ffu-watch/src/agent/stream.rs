//! The stream engine: TCP connections, established streams and HTTP on one thread.
//!
//! HTTP is spoken here and not by a library: a probe needs the status line of one answer and nothing else of the protocol, 10 times a
//! second and thousands of times side by side.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use ffu_model::watch::{Nanos, Notice, Probe};
use mio::{Events, Interest, Poll, Token};

use super::conn::{Conn, Line, Step, says_no};
use super::engine::{Engine, Shared, lanes, nap, stalled};
use super::lane::{HOLD, Lane, Pulse, Tick};
use super::task::{AgentTarget, AgentTask};
use crate::error::WatchError;
use crate::{Entry, clock};

/// A stream that has been silent for so long, with probes unanswered, is given up: 10 seconds.
const SILENCE: Nanos = 10_000_000_000;

/// The pause before a stream that could not be made is tried again: 100 ms.
const PAUSE: Nanos = 100_000_000;

enum What {
    Connect,
    Http(Box<[u8]>),
    Stream(Link),
}

/// The state of an established stream.
enum Link {
    Down { until: Nanos },
    Up(Token),
}

struct Slot {
    index: u32,
    address: SocketAddr,
    what: What,
    lane: u32,
    place: u32,
}

pub(super) struct Streams {
    vantage: String,
    nonce: u64,
    timeout: Nanos,
    lanes: Vec<Lane>,
    slots_of: Vec<Vec<u32>>,
    slots: Vec<Slot>,
    poll: Poll,
    conns: HashMap<Token, Conn>,
    next: usize,
    /// When connections must be done, in order of time.
    deadlines: VecDeque<(Nanos, Token)>,
    pulse: Pulse,
    swept: Nanos,
}

/// Whether this engine probes it.
pub(super) fn is_mine(target: &AgentTarget) -> bool {
    matches!(
        target.probe,
        Probe::TcpConnect { .. } | Probe::TcpStream { .. } | Probe::Http { .. }
    )
}

impl Streams {
    pub(super) fn new(task: &AgentTask, nonce: u64, start: Nanos) -> Result<Streams, WatchError> {
        let (lanes, slots_of, mine) = lanes(task, start, is_mine);
        let slot = |(target, lane, place): (&AgentTarget, u32, u32)| {
            let (port, what) = match &target.probe {
                Probe::Http { port, path } => {
                    (*port, What::Http(request(SocketAddr::new(target.address, *port), path)))
                }
                Probe::TcpStream { port } => (*port, What::Stream(Link::Down { until: 0 })),
                Probe::TcpConnect { port } => (*port, What::Connect),
                _ => (0, What::Connect),
            };
            Slot {
                index: target.index,
                address: SocketAddr::new(target.address, port),
                what,
                lane,
                place,
            }
        };
        Ok(Streams {
            vantage: task.vantage.clone(),
            nonce,
            timeout: u64::from(task.timeout_ms) * 1_000_000,
            lanes,
            slots_of,
            slots: mine.into_iter().map(slot).collect(),
            poll: Poll::new().map_err(WatchError::socket("make an epoll"))?,
            conns: HashMap::new(),
            next: 0,
            deadlines: VecDeque::new(),
            pulse: Pulse::new(start),
            swept: start,
        })
    }

    fn open(&mut self, number: u32, counter: u64, now: Nanos) -> io::Result<Token> {
        let mut stream = mio::net::TcpStream::connect(self.slots[number as usize].address)?;
        let token = Token(self.next);
        self.next += 1;
        self.poll
            .registry()
            .register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        let mut conn = Conn::new(stream, number, counter, now);
        if let What::Http(request) = &self.slots[number as usize].what {
            conn.output.extend_from_slice(request);
        }
        self.conns.insert(token, conn);
        self.deadlines.push_back((now + self.timeout, token));
        Ok(token)
    }

    fn probe(&mut self, lane: usize, tick: Tick, out: &mut Vec<Entry>) {
        let number = self.slots_of[lane][tick.place as usize];
        let now = clock::now();
        self.lanes[lane].sent(tick.counter, now);
        let opened = match &self.slots[number as usize].what {
            What::Stream(Link::Up(token)) => Ok(*token),
            What::Stream(Link::Down { until }) if now < *until => return self.lanes[lane].lost(tick.counter, out),
            _ => self.open(number, tick.counter, now),
        };
        match opened {
            Ok(token) => {
                let What::Stream(link) = &mut self.slots[number as usize].what else {
                    return;
                };
                *link = Link::Up(token);
                let Some(conn) = self.conns.get_mut(&token) else { return };
                conn.say(self.nonce, tick.seq);
                if let Err(why) = conn.write() {
                    self.end(token, &why, out);
                }
            }
            Err(error) if says_no(&error) => {
                self.lanes[lane].lost(tick.counter, out);
                if let What::Stream(link) = &mut self.slots[number as usize].what {
                    *link = Link::Down { until: now + PAUSE };
                }
            }
            Err(_) => self.lanes[lane].unsent(tick.counter, out),
        }
    }

    /// A connection is over without what was hoped of it.
    fn end(&mut self, token: Token, why: &str, out: &mut Vec<Entry>) {
        let Some(conn) = self.conns.remove(&token) else { return };
        let slot = &mut self.slots[conn.slot as usize];
        let lane = &mut self.lanes[slot.lane as usize];
        let What::Stream(link) = &mut slot.what else {
            return lane.lost(conn.counter, out);
        };
        let now = clock::now();
        lane.lost_all(slot.place, out);
        // One that was there is made anew with the next probe, one that could not be made a little later.
        *link = Link::Down {
            until: if conn.established { now } else { now + PAUSE },
        };
        if conn.established {
            let notice = Notice::StreamBroke {
                target: slot.index,
                at: now,
                why: why.to_owned(),
            };
            out.push(Entry::Notice(notice));
        }
    }

    fn event(&mut self, token: Token, now: Nanos, out: &mut Vec<Entry>) {
        let Some(conn) = self.conns.get_mut(&token) else { return };
        let slot = &self.slots[conn.slot as usize];
        let (lane, trouble) = (&mut self.lanes[slot.lane as usize], self.pulse.trouble);
        let step = match &slot.what {
            What::Connect => conn.connect(),
            What::Http(_) => conn.http(),
            What::Stream(_) => conn.lines(),
        };
        match step {
            Step::Wait => {}
            Step::Heard(lines) => {
                for Line { nonce, seq } in lines {
                    let Some(counter) = lane.counter(slot.place, seq).filter(|_| nonce == self.nonce) else {
                        continue;
                    };
                    lane.answer(counter, now, trouble, false, out);
                }
            }
            Step::Done => {
                lane.answer(conn.counter, now, trouble, false, out);
                self.conns.remove(&token);
            }
            Step::Failed(why) => self.end(token, &why, out),
        }
    }

    /// Takes all events that there are; the first wait is at most `wait`.
    fn events(&mut self, events: &mut Events, mut wait: Duration, out: &mut Vec<Entry>) {
        for _ in 0..1000 {
            if self.poll.poll(events, Some(wait)).is_err() {
                return; // Interrupted: the next pass looks again.
            }
            let now = clock::now();
            self.stall(now, out);
            let tokens: Vec<Token> = events.iter().map(|event| event.token()).collect();
            for token in &tokens {
                self.event(*token, now, out);
            }
            if tokens.len() < events.capacity() {
                return;
            }
            wait = Duration::ZERO;
        }
    }

    fn stall(&mut self, now: Nanos, out: &mut Vec<Entry>) {
        let missed = self.lanes.iter().any(|lane| lane.misses(now));
        if let Some((from, to)) = self.pulse.pass(now, missed) {
            // A connection takes several steps, and some of them were ours: more than what waits for it now (`Trouble::hold`).
            if to - from > HOLD {
                self.pulse.dropped(to);
            }
            out.push(stalled(&self.vantage, from, to));
            for lane in &mut self.lanes {
                lane.skip(to, out);
            }
        }
    }

    /// Closes what has waited too long.
    fn sweep(&mut self, now: Nanos, out: &mut Vec<Entry>) {
        if now < self.pulse.trouble.hold {
            return;
        }
        while let Some((_, token)) = self.deadlines.front().copied().filter(|(deadline, _)| *deadline < now) {
            self.deadlines.pop_front();
            let Some(conn) = self.conns.get(&token) else { continue };
            let is_stream = matches!(self.slots[conn.slot as usize].what, What::Stream(_));
            if is_stream && !conn.established {
                self.end(token, "no connection in time", out);
            } else if !is_stream {
                self.conns.remove(&token); // Its probe has timed out, or is about to.
            }
        }
        if now.saturating_sub(self.swept) > 100_000_000 {
            self.swept = now;
            let silent = |conn: &Conn| conn.established && conn.waits_since(now) > SILENCE.max(5 * self.timeout);
            let silent: Vec<Token> = self
                .conns
                .iter()
                .filter(|(_, conn)| silent(conn))
                .map(|(token, _)| *token)
                .collect();
            for token in silent {
                let is_stream = self
                    .conns
                    .get(&token)
                    .is_some_and(|conn| matches!(self.slots[conn.slot as usize].what, What::Stream(_)));
                if is_stream {
                    self.end(token, "no answer for a long time", out);
                }
            }
        }
    }
}

impl Engine for Streams {
    fn run(mut self, shared: &Shared) {
        let (mut out, mut events) = (Vec::new(), Events::with_capacity(1024));
        self.pulse = Pulse::new(clock::now());
        while !shared.stopped() {
            let now = self.pulse.last();
            for number in 0..self.lanes.len() {
                self.lanes[number].expire(now, self.pulse.trouble, &mut out);
            }
            self.sweep(now, &mut out);
            for number in 0..self.lanes.len() {
                while let Some(tick) = self.lanes[number].take(now, &mut out) {
                    self.probe(number, tick, &mut out);
                }
            }
            shared.give(&mut out);
            let wait = nap(now, self.lanes.iter().map(Lane::due).min());
            self.events(&mut events, wait, &mut out);
        }
        for lane in &mut self.lanes {
            lane.close(&mut out);
        }
        shared.give(&mut out);
    }
}

/// A request for a path, without a body.
fn request(address: SocketAddr, path: &str) -> Box<[u8]> {
    let text = format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: ffu-watch\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    );
    text.into_bytes().into_boxed_slice()
}
