//! Keeps one vantage point seeing: starts its agent, passes on what it sees, and starts another when it is gone.

use std::num::NonZeroU32;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use ffu_model::watch::{Fate, Nanos, Notice, Outcome, Vantage};

use super::offset::{Offset, convert, ours};
use super::process::{Heard, Process};
use super::seqs::Seqs;
use super::{Launch, command, why};
use crate::agent::{AgentTask, ClockQuestion};
use crate::frame::{Content, Frame};
use crate::outlet::Outlet;
use crate::{Entry, clock};

/// How long one wait for an agent takes; what is counted for its silence.
const TURN: Duration = Duration::from_millis(100);

/// Waits in a row without a frame after which an agent hangs: 3 s. Time in which the watch itself stood still counts as one.
const SILENT_TURNS: u32 = 30;

/// The same before the first frame of one over ssh: 20 s, because names are looked up and keys are tried before it is started.
const CONNECTING_TURNS: u32 = 200;

/// An agent over ssh that hears nothing for so many seconds is alone: the connection broke without a word. It is asked for its clock
/// every five.
const ALONE: Option<NonZeroU32> = NonZeroU32::new(30);

/// The first and the longest pause before an agent is started again.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));

/// An agent that was heard for so long was in order: the next one is started after the first pause again.
const PROVEN: Duration = Duration::from_secs(10);

/// How long an agent may take to end by itself.
const FAREWELL: Duration = Duration::from_secs(2);

/// How often the wall clock is told beside the boot-time clock.
const CLOCK: Duration = Duration::from_secs(10);

pub(super) struct Keeper {
    task: AgentTask,
    vantage: Vantage,
    launch: Launch,
    outlet: Outlet,
    /// By place in the targets file; `None` for targets of others.
    seqs: Vec<Option<Seqs>>,
    heard: Nanos,
    /// When the agent that runs, or ran last, was first heard.
    first: Option<Instant>,
    /// Since when nothing is seen, and why.
    blind: Option<(Nanos, String)>,
    told_clock: Option<Instant>,
}

impl Keeper {
    pub fn new(mut task: AgentTask, vantage: Vantage, launch: Launch, outlet: Outlet) -> Keeper {
        let length = task
            .targets
            .iter()
            .map(|target| target.index as usize + 1)
            .max()
            .unwrap_or(0);
        let mut seqs = vec![None; length];
        for target in &task.targets {
            seqs[target.index as usize] = Some(Seqs::default());
        }
        task.silence_s = ALONE.filter(|_| matches!(vantage, Vantage::Ssh { .. }));
        Keeper {
            task,
            vantage,
            launch,
            outlet,
            seqs,
            heard: clock::now(),
            first: None,
            blind: None,
            told_clock: None,
        }
    }

    /// Until all is stopped.
    pub fn run(mut self) {
        let mut pause = BACKOFF.0;
        while !self.outlet.stopped() {
            self.first = None;
            let why = self.one_agent();
            if self.outlet.stopped() {
                return;
            }
            self.go_blind(why);
            if self.first.is_some_and(|first| first.elapsed() >= PROVEN) {
                pause = BACKOFF.0;
            }
            self.outlet.sleep(pause);
            pause = (pause * 2).min(BACKOFF.1);
        }
    }

    /// The agent is gone: what it had sent and not told of will never be known.
    fn go_blind(&mut self, why: String) {
        let mut batch = Vec::new();
        for (target, seqs) in (0..).zip(&mut self.seqs) {
            for seq in seqs.iter_mut().flat_map(Seqs::abandon) {
                batch.push(Entry::Fate(Fate {
                    target,
                    seq,
                    sent: self.heard,
                    outcome: Outcome::Unsent,
                }));
            }
        }
        match &mut self.blind {
            Some((_, known)) => *known = why,
            None => {
                let (vantage, from) = (self.task.vantage.clone(), self.heard);
                batch.push(Entry::Notice(Notice::Blind {
                    vantage,
                    from,
                    to: None,
                    why: why.clone(),
                }));
                self.blind = Some((from, why));
            }
        }
        self.outlet.deliver(batch);
    }

    /// Runs an agent to its end; why it ended.
    fn one_agent(&mut self) -> String {
        for target in &mut self.task.targets {
            target.first_seq = self.seqs[target.index as usize].as_ref().map_or(0, Seqs::next);
        }
        let mut task = serde_json::to_vec(&self.task).unwrap_or_default();
        task.push(b'\n');
        let command = match command::of(&self.task.vantage, &self.vantage, &self.launch) {
            Ok(command) => command,
            Err(error) => return error.to_string().replace("\n  next:", "; next:"),
        };
        let program = command.get_program().to_string_lossy().into_owned();
        let mut process = match Process::start(command, task) {
            Ok(process) => process,
            Err(error) => {
                return format!(
                    "{program} cannot be started: {error}; next: install {program}, and start the watch again"
                );
            }
        };
        match self.listen(&mut process) {
            Some(why) => {
                // Whoever sent nonsense or nothing is not waited for.
                let ended = process.end(Duration::ZERO);
                why::must_end(&self.vantage, &why, &ended, self.first.is_some())
            }
            None => {
                let ended = process.end(FAREWELL);
                why::ended(&self.task.vantage, &self.vantage, &ended, self.first.is_some())
            }
        }
    }

    /// Takes what an agent says until it ends; `Some` if it must be ended.
    fn listen(&mut self, process: &mut Process) -> Option<String> {
        let far = matches!(self.vantage, Vantage::Ssh { .. });
        let (mut offset, mut waiting) = (Offset::default(), Vec::new());
        let (mut silent, mut asked, mut next_question) = (0, 0u32, Instant::now());
        let mut leaving: Option<Instant> = None;
        loop {
            if self.outlet.stopped() && leaving.is_none() {
                process.close();
                leaving = Some(Instant::now());
            }
            if leaving.is_some_and(|since| since.elapsed() > FAREWELL) {
                return Some("it does not end".to_owned());
            }
            if far && Instant::now() >= next_question {
                // Fast at first, then now and then, because clocks drift.
                asked += 1;
                next_question = Instant::now() + if asked < 10 { TURN } else { Duration::from_secs(5) };
                let mut line = serde_json::to_vec(&ClockQuestion { clock: clock::now() }).unwrap_or_default();
                line.push(b'\n');
                process.say(line);
            }
            match process.heard.recv_timeout(TURN) {
                Ok(Heard::Frame(frame, at)) => {
                    silent = 0;
                    self.first.get_or_insert_with(Instant::now);
                    match frame.content {
                        Content::Clock(asked) => offset.sample(asked, frame.boot, at),
                        Content::Entries(_) => waiting.push(frame),
                    }
                    if let Some(ahead) = if far { offset.nanos() } else { Some(0) } {
                        waiting.drain(..).for_each(|frame| self.pass_on(frame, ahead));
                    }
                }
                Ok(Heard::End(why)) => return why,
                Err(RecvTimeoutError::Timeout) => silent += 1,
                Err(RecvTimeoutError::Disconnected) => return None,
            }
            let patience = if far && self.first.is_none() {
                CONNECTING_TURNS
            } else {
                SILENT_TURNS
            };
            if silent >= patience && leaving.is_none() {
                return Some(format!("nothing was heard of it for {} s", (TURN * patience).as_secs()));
            }
        }
    }

    fn pass_on(&mut self, frame: Frame, ahead: i64) {
        let Content::Entries(mut entries) = frame.content else {
            return;
        };
        self.heard = ours(frame.boot, ahead);
        entries.iter_mut().for_each(|entry| convert(entry, ahead));
        entries.retain(|entry| self.believe(entry));
        if let Some((from, why)) = self.blind.take() {
            let vantage = self.task.vantage.clone();
            entries.insert(
                0,
                Entry::Notice(Notice::Blind {
                    vantage,
                    from,
                    to: Some(self.heard),
                    why,
                }),
            );
        }
        if self.told_clock.is_none_or(|told| told.elapsed() >= CLOCK) {
            self.told_clock = Some(Instant::now());
            entries.push(Entry::Notice(Notice::Clock {
                at: clock::now(),
                wall: clock::wall(),
            }));
        }
        self.outlet.deliver(entries);
    }

    /// An agent may be on a host that others rule: what it says of targets that are not its own is left out.
    fn believe(&mut self, entry: &Entry) -> bool {
        match entry {
            Entry::Fate(fate) => self.own(fate.target).is_some_and(|seqs| seqs.decide(fate.seq)),
            Entry::Notice(
                Notice::Duplicate { target, .. }
                | Notice::Reordered { target, .. }
                | Notice::StreamBroke { target, .. },
            ) => self.own(*target).is_some(),
            Entry::Notice(Notice::Stalled { vantage, .. }) => *vantage == self.task.vantage,
            Entry::Notice(_) => false,
        }
    }

    fn own(&mut self, target: u32) -> Option<&mut Seqs> {
        self.seqs.get_mut(target as usize).and_then(Option::as_mut)
    }
}
