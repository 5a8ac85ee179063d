//! A watch that runs: what agents and workloads tell goes into the record and the tally, what the tally concludes goes into two
//! small files that others read, and the operator's acknowledgement comes in by a third.
//!
//! The directory is the interface: the engine reads [`STATE`], reports read [`SNAPSHOT`], `ffu watch acknowledge` and `stop` leave
//! their files. So the watch outlives the engine, and either may be killed without the other's noticing more than a silence.

mod files;
mod follower;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use camino::Utf8Path;
use ffu_model::stop::{StopFlag, StopLevel};
use ffu_model::watch::{Nanos, Notice, Snapshot, StepMark, Targets, WatchState};
use jiff::Timestamp;

use crate::error::WatchError;
use crate::instances::{Asking, Reading};
use crate::record::{FRAMES, Reader, State, Writer};
use crate::tally::Tally;
use crate::vantage::{Launch, Supervisor};
use crate::workload::Poller;
use crate::{Entry, clock};

use files::replace;
pub use files::{acknowledge, last, state, stop};
pub use follower::Follower;

/// What the engine reads: a [`WatchState`] as JSON, replaced at least once a second.
pub const STATE: &str = "state.json";
/// What reports read: a [`Snapshot`] as JSON, replaced every two seconds and at the end.
pub const SNAPSHOT: &str = "snapshot.json";
/// The operator's acknowledgement: the number of the last breach that is acknowledged.
pub const ACKNOWLEDGE: &str = "acknowledge";
/// The operator's wish that the watch ends.
pub const STOP: &str = "stop";

const PACE: Duration = Duration::from_millis(100);
const HEARTBEAT: Duration = Duration::from_secs(1);
const CLOCKS: Duration = Duration::from_secs(10);
const SNAPSHOTS: Duration = Duration::from_secs(2);
const WORKLOADS: Duration = Duration::from_secs(2);
/// Batches that may wait: agents send five a second.
const QUEUE: usize = 256;

/// The run that is watched, as its journal tells of it.
pub trait Run {
    /// Steps that began or ended since the last call.
    fn news(&mut self) -> Vec<StepMark>;

    /// Whether it is finished or rolled back.
    fn is_over(&mut self) -> bool;
}

/// What is to be watched, and where it is written down.
pub struct Session<'a> {
    /// What is probed.
    pub targets: Targets,
    /// The directory of the record and the files beside it. A record that is there is gone on with.
    pub directory: &'a Utf8Path,
    /// The run's id, if one is watched.
    pub name: Option<String>,
    /// The run.
    pub run: Option<&'a mut dyn Run>,
    /// How agents are started.
    pub launch: Launch,
    /// Reads the instances that are workloads of targets from nova's databases, where these are known.
    pub instances: Option<Reading>,
    /// It ends by itself after this.
    pub time: Option<Duration>,
    /// How often `show` is called.
    pub every: Duration,
    /// The operator's wish to stop.
    pub stop: StopFlag,
    /// Given what was seen so far.
    pub show: &'a mut dyn FnMut(&Arc<Snapshot>),
}

impl Session<'_> {
    /// Watches until the operator stops it, its time is over or the run is; what was seen in the end. Only targets of a new record
    /// are looked at: one that is gone on with keeps its own.
    ///
    /// # Errors
    /// If it cannot begin: see [`Supervisor::start`] and [`Writer`]. What goes wrong later is in the snapshot's remarks.
    pub fn watch(mut self) -> Result<Snapshot, WatchError> {
        let (writer, tally) = self.open()?;
        let (sender, receiver) = sync_channel(QUEUE);
        let targets = tally.targets().clone();
        let supervisor = Supervisor::start(&targets, &self.launch, sender.clone())?;
        let poller = Poller::start(&targets, WORKLOADS, sender);
        let asking = Asking::new(&tally, self.instances.take(), self.run.is_some());
        let mut living = Living {
            directory: self.directory,
            asking,
            writer,
            tally,
            broken: None,
            written: None,
            state_at: None,
            snapshot_at: None,
            clock_at: None,
        };
        living.look(&mut self);
        let begun = Instant::now();
        let mut shown = Instant::now();
        while !self.is_over(begun) {
            living.receive(&receiver);
            living.look(&mut self);
            if shown.elapsed() >= self.every {
                shown = Instant::now();
                (self.show)(&Arc::new(living.snapshot()));
            }
        }
        drop(poller);
        drop(supervisor);
        while let Ok(batch) = receiver.try_recv() {
            living.take(batch);
        }
        living.look(&mut self);
        living.ask_last(&mut self);
        let last = living.snapshot();
        living.write_snapshot(&last);
        let _ = std::fs::remove_file(self.directory.join(STOP));
        Ok(last)
    }

    fn is_over(&mut self, begun: Instant) -> bool {
        self.stop.level() > StopLevel::Run
            || self.time.is_some_and(|time| begun.elapsed() >= time)
            || self.directory.join(STOP).exists()
            || self.run.as_mut().is_some_and(|run| run.is_over())
    }

    /// A new record; or the one that is there, with what it says.
    fn open(&mut self) -> Result<(Writer, Tally), WatchError> {
        let _ = std::fs::remove_file(self.directory.join(STOP));
        if !self.directory.join(FRAMES).exists() {
            let writer = Writer::create(self.directory, &self.targets)?;
            let tally = Tally::new(std::mem::take(&mut self.targets), clock::now(), self.name.clone());
            return Ok((writer, tally));
        }
        let mut writer = Writer::reopen(self.directory)?;
        let mut reader = Reader::open(self.directory)?;
        let mut follower = Follower::new(self.name.clone());
        follower.follow(&mut reader)?;
        let (from, to) = (follower.last.0, clock::now());
        let empty = || Tally::new(reader.targets().clone(), to, self.name.clone());
        let mut tally = follower.tally.unwrap_or_else(empty);
        let mut vantages: Vec<&str> = tally.targets().targets.iter().map(|target| &*target.vantage).collect();
        vantages.sort_unstable();
        vantages.dedup();
        let gone: Vec<Entry> = vantages
            .into_iter()
            .map(|vantage| {
                Entry::Notice(Notice::Blind {
                    vantage: vantage.to_owned(),
                    from,
                    to: Some(to),
                    why: "the watch itself was gone".to_owned(),
                })
            })
            .collect();
        writer.append(&gone);
        gone.iter().for_each(|entry| tally.take(entry));
        Ok((writer, tally))
    }
}

/// A watch while it runs.
struct Living<'a> {
    directory: &'a Utf8Path,
    asking: Asking,
    writer: Writer,
    tally: Tally,
    /// Why the files beside the record cannot be written.
    broken: Option<String>,
    written: Option<WatchState>,
    state_at: Option<Instant>,
    snapshot_at: Option<Instant>,
    clock_at: Option<Instant>,
}

fn is_due(last: &mut Option<Instant>, every: Duration) -> bool {
    let due = last.is_none_or(|last| last.elapsed() >= every);
    if due {
        *last = Some(Instant::now());
    }
    due
}

impl Living<'_> {
    /// What comes within one beat.
    fn receive(&mut self, entries: &Receiver<Vec<Entry>>) {
        let until = Instant::now() + PACE;
        loop {
            match entries.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(batch) => self.take(batch),
                Err(RecvTimeoutError::Timeout) => return,
                // No agent is left to tell anything: the beat is kept all the same.
                Err(RecvTimeoutError::Disconnected) => {
                    std::thread::sleep(until.saturating_duration_since(Instant::now()));
                    return;
                }
            }
            if Instant::now() >= until {
                return;
            }
        }
    }

    fn take(&mut self, batch: Vec<Entry>) {
        self.writer.append(&batch);
        batch.iter().for_each(|entry| self.tally.take(entry));
    }

    /// Everything that is not probes: clocks, steps, acknowledgements, the files.
    fn look(&mut self, session: &mut Session<'_>) {
        let mut noted = Vec::new();
        if is_due(&mut self.clock_at, CLOCKS) {
            let (at, wall) = (clock::now(), clock::wall());
            noted.push(Entry::Notice(Notice::Clock { at, wall }));
        }
        if let Some(run) = &mut session.run {
            let news = run.news();
            news.iter().for_each(|mark| self.asking.step(mark));
            noted.extend(news.into_iter().map(|mark| Entry::Notice(Notice::Step(mark))));
        }
        noted.extend(self.asking.turn(&self.tally));
        noted.extend(self.acknowledged());
        if !noted.is_empty() {
            self.take(noted);
        }
        let now = clock::now();
        self.tally.advance(now);
        self.write_state(now);
        if is_due(&mut self.snapshot_at, SNAPSHOTS) {
            let snapshot = self.snapshot();
            self.write_snapshot(&snapshot);
        }
    }

    /// What nova's databases say in the end; and time passes, so that it is judged.
    fn ask_last(&mut self, session: &mut Session<'_>) {
        let is_over = session.run.as_mut().is_some_and(|run| run.is_over());
        let noted = self.asking.finish(&self.tally, is_over);
        if noted.is_empty() {
            return;
        }
        self.take(noted);
        std::thread::sleep(self.tally.patience());
        // A last frame: who reads the record again knows that this time has passed.
        self.clock_at = None;
        self.look(session);
    }

    fn acknowledged(&mut self) -> Option<Entry> {
        let path = self.directory.join(ACKNOWLEDGE);
        let text = std::fs::read_to_string(&path).ok()?;
        let _ = std::fs::remove_file(&path);
        let number = text.trim().parse().ok()?;
        let at = clock::now();
        Some(Entry::Notice(Notice::Acknowledged { number, at }))
    }

    fn write_state(&mut self, now: Nanos) {
        let state = self.tally.state(std::process::id(), now);
        let is_news = |before: &WatchState| {
            (before.verdict, before.baseline_done, before.lost) != (state.verdict, state.baseline_done, state.lost)
                || before.breaches.len() != state.breaches.len()
        };
        let changed = self.written.as_ref().is_none_or(is_news);
        if changed {
            self.state_at = None;
        }
        if is_due(&mut self.state_at, HEARTBEAT) {
            self.replace(STATE, &state);
            self.written = Some(state);
        }
    }

    fn write_snapshot(&mut self, snapshot: &Snapshot) {
        self.replace(SNAPSHOT, snapshot);
    }

    fn replace(&mut self, name: &str, value: &impl serde::Serialize) {
        self.broken = replace(&self.directory.join(name), value)
            .err()
            .map(|error| format!("{}: {error}", self.directory.join(name)));
    }

    fn snapshot(&self) -> Snapshot {
        let at = Timestamp::now();
        let mut snapshot = self.tally.snapshot(at, clock::now());
        if let State::Broken(why) = self.writer.state() {
            snapshot.remarks.push(format!("nothing is recorded any more: {why}"));
        }
        if let Some(why) = &self.broken {
            snapshot
                .remarks
                .push(format!("the run cannot be told of what is seen: {why}"));
        }
        snapshot.remarks.extend(self.asking.words());
        snapshot
    }
}
