//! One target: what its probes say about it, in order. An outage begins with the first lost probe after an answered one and ends
//! with the first answered one after it. Time in which nothing was probed is neither up nor down.

use std::collections::VecDeque;

use ffu_model::watch::{Nanos, Outage, Outcome};

use super::histogram::Histogram;
use super::order::Held;

/// What one probe changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// When the probe that changed it was sent, or when the thing was seen.
    pub at: Nanos,
    /// What.
    pub kind: Kind,
    /// The target.
    pub target: u32,
}

/// What one probe changed. The order is that of things of the same instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// An outage ended after this many nanoseconds.
    End { begin: Nanos, length: Nanos },
    /// A probe was lost and an outage began.
    Begin { length: Nanos },
    /// A further probe of an outage was lost; so far it is this long.
    Lost { begin: Nanos, length: Nanos, lost: u32 },
    /// A workload restarted.
    Restart,
    /// A stream broke.
    Broke,
}

/// An outage that lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Running {
    pub begin: Nanos,
    pub up_before: Nanos,
    pub last_lost: Nanos,
    pub lost: u32,
    pub unseen: Nanos,
    pub blind: bool,
}

impl Running {
    /// How long it is at least, if the next probe is answered.
    pub(crate) fn length(&self, interval: Nanos) -> Nanos {
        self.last_lost
            .saturating_sub(self.begin)
            .saturating_sub(self.unseen)
            .saturating_add(interval)
    }
}

/// An outage that is over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Past {
    begin: Nanos,
    end: Nanos,
    up_before: Nanos,
    lost: u32,
    blind: bool,
}

/// One target.
#[derive(Clone, Debug, Default)]
pub(crate) struct Track {
    /// Nanoseconds between two probes.
    pub interval: Nanos,
    /// When its first answered probe was sent.
    pub first_answer: Option<Nanos>,
    /// It never answered in time and does not count.
    pub aside: bool,
    pub probes: u64,
    pub lost: u64,
    pub unsent: u64,
    pub duplicates: u32,
    pub reordered: u32,
    pub outages: u32,
    pub streams: u32,
    pub restarts: u32,
    pub running: Option<Running>,
    longest: Nanos,
    total: Nanos,
    past: VecDeque<Past>,
    pub latency: Option<Box<Histogram>>,
    last_up: Nanos,
    last_seen: Nanos,
    hole: bool,
}

impl Track {
    /// Nothing seen yet. `interval`: nanoseconds between two probes.
    pub(crate) fn new(interval: Nanos) -> Self {
        Track {
            interval,
            ..Track::default()
        }
    }

    /// Takes the next probe's fate. `gap`: some before it are unknown. `keep`: how many past outages are kept.
    pub(crate) fn see(&mut self, target: u32, held: Held, gap: bool, keep: usize) -> Option<Event> {
        self.hole |= gap;
        let sent = held.sent;
        let kind = match held.outcome {
            Outcome::Unsent => {
                self.unsent += 1;
                self.hole = true;
                return None;
            }
            Outcome::Answered { rtt, blurred } => {
                if self.first_answer.is_none() {
                    // Counting begins with the first answer.
                    self.first_answer = Some(sent);
                    (self.probes, self.lost, self.unsent, self.hole) = (0, 0, 0, false);
                }
                self.probes += 1;
                if !blurred {
                    self.latency.get_or_insert_default().add(rtt);
                }
                self.look(sent);
                self.last_up = sent;
                let kind = self.running.take().map(|running| self.close(running, sent, keep));
                self.last_seen = sent;
                kind
            }
            Outcome::Lost => {
                self.probes += 1;
                self.lost += 1;
                self.first_answer?;
                let kind = self.miss(sent);
                self.last_seen = sent;
                Some(kind)
            }
        };
        self.hole = false;
        kind.map(|kind| Event { at: sent, kind, target })
    }

    /// Time since the last probe in which nothing was seen belongs to nobody.
    fn look(&mut self, sent: Nanos) {
        let since = sent.saturating_sub(self.last_seen);
        self.hole |= since > 2 * self.interval + 100_000_000;
        if self.hole
            && let Some(running) = &mut self.running
        {
            running.unseen = running.unseen.saturating_add(since.saturating_sub(self.interval));
            running.blind = true;
        }
    }

    fn miss(&mut self, sent: Nanos) -> Kind {
        self.look(sent);
        let interval = self.interval;
        if let Some(running) = &mut self.running {
            running.last_lost = sent.max(running.last_lost);
            running.lost = running.lost.saturating_add(1);
            return Kind::Lost {
                begin: running.begin,
                length: running.length(interval),
                lost: running.lost,
            };
        }
        self.outages += 1;
        self.running = Some(Running {
            begin: sent,
            up_before: self.last_up,
            last_lost: sent,
            lost: 1,
            unseen: 0,
            blind: self.hole,
        });
        Kind::Begin { length: interval }
    }

    fn close(&mut self, running: Running, end: Nanos, keep: usize) -> Kind {
        let begin = running.begin;
        let length = end.saturating_sub(begin).saturating_sub(running.unseen);
        self.longest = self.longest.max(length);
        self.total = self.total.saturating_add(length);
        while self.past.len() >= keep {
            self.past.pop_front();
        }
        self.past.push_back(Past {
            begin,
            end,
            up_before: running.up_before,
            lost: running.lost,
            blind: running.blind,
        });
        Kind::End { begin, length }
    }

    /// Whether what its probes say is added to the totals.
    pub(crate) fn counts(&self) -> bool {
        self.first_answer.is_some() && !self.aside
    }

    /// The longest outage so far, the running one included.
    pub(crate) fn longest(&self) -> Nanos {
        self.longest
            .max(self.running.map_or(0, |running| running.length(self.interval)))
    }

    /// All outages so far added up.
    pub(crate) fn total(&self) -> Nanos {
        self.total
            .saturating_add(self.running.map_or(0, |running| running.length(self.interval)))
    }

    /// The outages that are kept, oldest first. `unseen` says whether the watch was blind in a stretch of time.
    pub(crate) fn outages(&self, target: u32, unseen: impl Fn(Nanos, Nanos) -> bool) -> Vec<Outage> {
        let past = self.past.iter().map(|past| Outage {
            target,
            begin: past.begin,
            end: Some(past.end),
            up_before: Some(past.up_before),
            lost: past.lost,
            partly_blind: past.blind || unseen(past.up_before, past.end),
        });
        let running = self.running.iter().map(|running| Outage {
            target,
            begin: running.begin,
            end: None,
            up_before: Some(running.up_before),
            lost: running.lost,
            partly_blind: running.blind || unseen(running.up_before, running.last_lost),
        });
        past.chain(running).collect()
    }
}

#[cfg(test)]
#[path = "track_tests.rs"]
mod tests;
