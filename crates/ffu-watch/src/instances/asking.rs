//! Asks the databases in a thread of its own: a watch that waits for a database measures nothing.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::time::{Duration, Instant};

use ffu_model::watch::{StepMark, Workload};
use jiff::Timestamp;

use super::compare::{INSTANCE, notices};
use super::moment::{Moment, Steps};
use super::{Instance, Seen};
use crate::tally::Tally;
use crate::{Entry, clock};

/// Reads instances by uuid from all cells but cell0, by short reads that hold nothing; an error is told in words without secrets.
pub type Reading = Box<dyn FnMut(&[String]) -> Result<Seen, String> + Send>;

/// Between two questions, at least.
const EVERY: Duration = Duration::from_secs(10);
/// Databases that take long to answer are asked so much more seldom.
const REST: u32 = 20;
/// The last question, at the end of the watch, may take so long.
const LAST: Duration = Duration::from_secs(10);
/// Uuids that are named in a remark.
const NAMED: usize = 3;

/// Asks for the instances of the targets, when that is sound, and says what it means.
pub(crate) struct Asking {
    /// Targets by the uuid of their instance.
    targets: BTreeMap<String, Vec<u32>>,
    /// `None`: nobody can ask.
    worker: Option<Worker>,
    /// Of the run; `None` without one.
    steps: Option<Steps>,
    /// The question that is not answered yet: when it was asked, and what for.
    under_way: Option<(Instant, Moment)>,
    asked: Option<Instant>,
    took: Duration,
    /// The record has what an earlier watch saw: it is compared with that.
    is_known: bool,
    /// When they were read: last before the freeze, last after the hops.
    before: Option<Timestamp>,
    after: Option<Timestamp>,
    is_over: bool,
    trouble: Option<String>,
    unread: Vec<String>,
    unknown: Vec<String>,
}

struct Worker {
    question: SyncSender<()>,
    answers: Receiver<Result<Seen, String>>,
}

impl Worker {
    /// The thread ends when this is dropped, or when its question is answered.
    fn start(uuids: Vec<String>, mut reading: Reading) -> Worker {
        let (question, questions) = sync_channel::<()>(1);
        let (answer, answers) = sync_channel(1);
        std::thread::spawn(move || {
            while questions.recv().is_ok() {
                if answer.send(reading(&uuids)).is_err() {
                    return;
                }
            }
        });
        Worker { question, answers }
    }
}

impl Asking {
    /// For the targets whose workload is an instance. `of_run`: whether a run is watched.
    pub(crate) fn new(tally: &Tally, reading: Option<Reading>, of_run: bool) -> Asking {
        let mut targets: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        for (number, target) in (0..).zip(&tally.targets().targets) {
            if let Some(Workload::Instance { uuid }) = &target.workload {
                targets.entry(uuid.to_ascii_lowercase()).or_default().push(number);
            }
        }
        let uuids: Vec<String> = targets.keys().cloned().collect();
        let is_known = |target: &u32| tally.identity(*target, INSTANCE).is_some();
        Asking {
            worker: reading
                .filter(|_| !uuids.is_empty())
                .map(|reading| Worker::start(uuids, reading)),
            steps: of_run.then(Steps::default),
            under_way: None,
            asked: None,
            took: Duration::ZERO,
            is_known: targets.values().flatten().any(is_known),
            targets,
            before: None,
            after: None,
            is_over: false,
            trouble: None,
            unread: Vec::new(),
            unknown: Vec::new(),
        }
    }

    /// A step of the run began or ended.
    pub(crate) fn step(&mut self, mark: &StepMark) {
        if let Some(steps) = &mut self.steps {
            steps.take(mark);
        }
    }

    fn moment(&self) -> Moment {
        match &self.steps {
            Some(steps) => steps.moment(),
            None if self.before.is_some() || self.after.is_some() => Moment::Window,
            // By itself it asks at its begin, and once more at its end.
            None if self.is_known => Moment::After,
            None => Moment::Before,
        }
    }

    /// Takes an answer that has come, and asks again if it is time.
    pub(crate) fn turn(&mut self, tally: &Tally) -> Vec<Entry> {
        let Some(worker) = &self.worker else { return Vec::new() };
        let mut found = Vec::new();
        match worker.answers.try_recv() {
            Ok(answer) => found = self.heard(answer, tally),
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => self.lost(),
        }
        let rest = EVERY.max(self.took.saturating_mul(REST));
        let moment = self.moment();
        if moment != Moment::Window && self.asked.is_none_or(|at| at.elapsed() >= rest) {
            self.ask(moment);
        }
        found
    }

    fn ask(&mut self, moment: Moment) {
        let Some(worker) = self.worker.as_ref().filter(|_| self.under_way.is_none()) else {
            return;
        };
        if worker.question.try_send(()).is_ok() {
            self.under_way = Some((Instant::now(), moment));
            self.asked = Some(Instant::now());
        }
    }

    fn lost(&mut self) {
        self.worker = None;
        self.trouble = Some("the thread that asks them has ended".to_owned());
    }

    /// Asks a last time and waits for it, unless the databases are being migrated. `is_over`: the run is finished or rolled back.
    pub(crate) fn finish(&mut self, tally: &Tally, is_over: bool) -> Vec<Entry> {
        let until = Instant::now() + LAST;
        self.is_over = is_over;
        let mut found = self.wait(tally, until);
        let steps = self.steps.as_ref().map_or(Moment::After, Steps::moment);
        if is_over || steps == Moment::After {
            self.ask(Moment::After);
            found.extend(self.wait(tally, until));
        }
        self.is_over = true;
        found
    }

    fn wait(&mut self, tally: &Tally, until: Instant) -> Vec<Entry> {
        let Some(worker) = self.worker.as_ref().filter(|_| self.under_way.is_some()) else {
            return Vec::new();
        };
        match worker
            .answers
            .recv_timeout(until.saturating_duration_since(Instant::now()))
        {
            Ok(answer) => self.heard(answer, tally),
            Err(RecvTimeoutError::Timeout) => {
                self.trouble = Some(format!("no answer within {} s", LAST.as_secs()));
                Vec::new()
            }
            Err(RecvTimeoutError::Disconnected) => {
                self.lost();
                Vec::new()
            }
        }
    }

    fn heard(&mut self, answer: Result<Seen, String>, tally: &Tally) -> Vec<Entry> {
        let Some((at, asked_in)) = self.under_way.take() else {
            return Vec::new();
        };
        self.took = at.elapsed();
        let seen = match answer {
            Ok(seen) => seen,
            Err(trouble) => {
                self.trouble = Some(trouble);
                return Vec::new();
            }
        };
        // Asked before the freeze it is from before it, or from its first moment. Asked before a rollback it may be from its midst.
        let is_migrating = self
            .steps
            .as_ref()
            .is_some_and(|steps| steps.moment() == Moment::Window);
        if asked_in == Moment::After && is_migrating && !self.is_over {
            return Vec::new();
        }
        self.trouble = None;
        let now = Some(Timestamp::now());
        match asked_in {
            Moment::Before => self.before = now,
            Moment::Window | Moment::After => self.after = now,
        }
        self.unread = seen.unread;
        self.conclude(&seen.instances, asked_in == Moment::Before, tally)
    }

    fn conclude(&mut self, instances: &[Instance], reference: bool, tally: &Tally) -> Vec<Entry> {
        let mut rows: BTreeMap<String, &Instance> = BTreeMap::new();
        for row in instances {
            let known = rows.entry(row.uuid.to_ascii_lowercase()).or_insert(row);
            // In two cells after a resize from one to the other: the one that is there.
            if known.is_gone && !row.is_gone {
                *known = row;
            }
        }
        let at = clock::now();
        let mut found = Vec::new();
        self.unknown.clear();
        for (uuid, targets) in &self.targets {
            let row = rows.get(uuid).copied();
            if row.is_none() && !self.unread.is_empty() {
                continue;
            }
            for target in targets {
                let known = |kind: &str| tally.identity(*target, kind);
                found.extend(notices(known, row, reference, *target, at));
            }
            if row.is_none() && targets.iter().all(|target| tally.identity(*target, INSTANCE).is_none()) {
                self.unknown.push(uuid.clone());
            }
        }
        found.into_iter().map(Entry::Notice).collect()
    }

    /// What people should know of it.
    pub(crate) fn words(&self) -> Vec<String> {
        let count = self.targets.len();
        if count == 0 {
            return Vec::new();
        }
        let mut words = Vec::new();
        // Until the end without times: whoever follows the words is told of news.
        let clock = |at: Option<Timestamp>| match at.filter(|_| self.is_over) {
            Some(at) => at.strftime(" (%H:%M:%S UTC)").to_string(),
            None => String::new(),
        };
        let has_reference = self.before.is_some() || self.is_known;
        words.push(if self.worker.is_none() && self.asked.is_none() {
            format!("{count} instances of nova are not looked at: its databases are not known (a watch by itself has them from --cloud FILE)")
        } else if !has_reference && self.after.is_none() {
            format!("{count} instances of nova have not been read from its databases")
        } else if !has_reference {
            format!("{count} instances of nova were not read from its databases before the freeze: there is nothing to compare with")
        } else if self.after.is_none() {
            let before = clock(self.before);
            format!("{count} instances of nova were read from its databases{before}, and have not been compared yet")
        } else {
            let (before, after) = (clock(self.before), clock(self.after));
            format!("{count} instances of nova are compared: as its databases had them first{before} and last{after}")
        });
        if let Some(trouble) = &self.trouble {
            words.push(format!("nova's databases could not be read the last time: {trouble}"));
        }
        words.extend(self.unread.iter().map(|cell| format!("not read: {cell}")));
        if !self.unknown.is_empty() {
            let more = if self.unknown.len() > NAMED { ", …" } else { "" };
            let named = self.unknown[..self.unknown.len().min(NAMED)].join(", ");
            let count = self.unknown.len();
            words.push(format!(
                "{count} instances of the targets are in no cell of nova: {named}{more}"
            ));
        }
        words
    }
}

#[cfg(test)]
#[path = "asking_tests.rs"]
mod tests;
