//! Which series are kept warm: in the order of the path, as many as the memory budget allows, the next while one runs.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use camino::Utf8Path;
use ffu_hosts::{Finished, StopFlag, StopLevel};
use ffu_model::Series;

use super::cold::Cold;
use super::command;
use super::keeper::keep_warm;
use super::resting::Rest;
use super::tree::{Node, Tree};
use crate::command::{HopEnv, ProjectCommand, RunError};

/// A command waits so long for a project that is being warmed; a plain start would want the same processor time.
const PATIENCE: Duration = Duration::from_secs(60);

/// A project and those of its programs that will be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Programs {
    /// The project, e.g. `nova`.
    pub project: String,
    /// Its console scripts, e.g. `nova-manage`, in the order in which they are wanted.
    pub programs: Vec<String>,
}

/// A command that is over, and whether it was warm.
#[derive(Clone, Debug)]
pub struct Ran {
    /// How it ended.
    pub finished: Finished,
    /// Why it was a plain process; `None` if it was a fork of a warm one.
    pub cold: Option<Cold>,
}

/// A series in the pool.
#[derive(Clone, Debug)]
pub struct SeriesWarmth {
    /// The series.
    pub series: Series,
    /// Bytes that lie in no file, now; zero if nothing of it runs.
    pub memory: u64,
    /// Bytes beside that which rest in files, for the kernel to read when they are wanted.
    pub rests: u64,
    /// Why its memory, or a part of it, does not rest although the pool was given a place for it.
    pub stays: Option<String>,
    /// From the start of its interpreter until all its projects were warm; `None` before.
    pub warmed_in: Option<Duration>,
    /// It will be warmed when another one has made room.
    pub waits_for_room: bool,
    /// What of it cannot be had warm, and why.
    pub cold: Vec<Cold>,
}

/// Keeps series warm in the background. Dropping it ends every process of it.
#[derive(Debug)]
pub struct WarmPool {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<Vec<Entry>>,
    pub changed: Condvar,
    closing: AtomicBool,
    pub budget: u64,
    /// Where the memory of what waits rests.
    pub rest: Option<Rest>,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub environment: Arc<HopEnv>,
    pub wanted: Vec<Programs>,
    pub place: Place,
    /// A command waits for it.
    pub urgent: bool,
    /// There was no room for it when its turn came.
    pub waits_for_room: bool,
    pub warmed_in: Option<Duration>,
    pub cold: Vec<(Option<String>, Cold)>,
    pub weight: u64,
    pub rests: u64,
    pub stays: Option<String>,
}

#[derive(Debug)]
pub(super) enum Place {
    Queued,
    Warming(Option<Arc<Tree>>),
    Warm(Arc<Tree>),
    Over,
}

impl Entry {
    pub(super) fn series(&self) -> &Series {
        self.environment.series()
    }

    pub(super) fn tree(&self) -> Option<&Arc<Tree>> {
        match &self.place {
            Place::Warming(tree) => tree.as_ref(),
            Place::Warm(tree) => Some(tree),
            Place::Queued | Place::Over => None,
        }
    }

    /// Whether it is warm and no command runs that was forked from it.
    pub(super) fn can_go(&self) -> bool {
        matches!(&self.place, Place::Warm(tree) if !tree.is_busy())
    }

    fn warmth(&self) -> SeriesWarmth {
        SeriesWarmth {
            series: self.series().clone(),
            memory: self.tree().map_or(0, |tree| tree.memory()),
            rests: self.tree().map_or(0, |_| self.rests),
            stays: self.stays.clone(),
            warmed_in: self.warmed_in,
            waits_for_room: self.waits_for_room,
            cold: self.cold.iter().map(|(_, cold)| cold.clone()).collect(),
        }
    }

    /// The reason for a project, or for all of the series.
    fn cold_for(&self, project: &str) -> Option<Cold> {
        self.cold
            .iter()
            .find(|(of, _)| of.as_deref().is_none_or(|of| of == project))
            .map(|(_, cold)| cold.clone())
    }
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn wait<'a>(&self, guard: MutexGuard<'a, Vec<Entry>>, patience: Duration) -> MutexGuard<'a, Vec<Entry>> {
        self.changed
            .wait_timeout(guard, patience)
            .map_or_else(|poisoned| poisoned.into_inner().0, |(guard, _)| guard)
    }

    pub(super) fn change(&self, series: &Series, change: impl FnOnce(&mut Entry)) {
        if let Some(entry) = self.lock().iter_mut().find(|entry| entry.series() == series) {
            change(entry);
        }
        self.changed.notify_all();
    }

    pub(super) fn closes(&self) -> bool {
        self.closing.load(Ordering::SeqCst)
    }
}

impl WarmPool {
    /// A pool whose processes and this one together take no more than `budget` bytes of memory that lies in no file; [`ffu_model::warm::WARM_MEMORY`] is meant for a
    /// control-plane node. `rest` is a place for files without a name in which the memory of what waits rests, some 700 MiB a series: many
    /// more series are warm then in the same budget. Without one, or if it will not do, the memory stays where it is.
    ///
    /// # Errors
    /// If there can be no more threads.
    pub fn new(budget: u64, rest: Option<Rest>) -> std::io::Result<WarmPool> {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            changed: Condvar::new(),
            closing: AtomicBool::new(false),
            budget,
            rest,
        });
        let own = Arc::clone(&shared);
        // One thread for as long as the pool lives: the kernel ends a tree with the thread that planted it.
        let thread = std::thread::Builder::new()
            .name("ffu-warm".to_owned())
            .spawn(move || keep_warm(&own))?;
        Ok(WarmPool {
            shared,
            thread: Some(thread),
        })
    }

    /// Wants a series warm; returns at once. The oldest series is warmed first, for it is needed first. One that is in the
    /// pool already stays as it is.
    pub fn warm(&self, environment: HopEnv, wanted: Vec<Programs>) {
        let mut entries = self.shared.lock();
        if !wanted.is_empty() && !entries.iter().any(|entry| entry.series() == environment.series()) {
            entries.push(Entry {
                environment: Arc::new(environment),
                wanted,
                place: Place::Queued,
                urgent: false,
                waits_for_room: false,
                warmed_in: None,
                cold: Vec::new(),
                weight: 0,
                rests: 0,
                stays: None,
            });
            entries.sort_by(|one, other| one.series().cmp(other.series()));
        }
        drop(entries);
        self.shared.changed.notify_all();
    }

    /// Ends the processes of a series that is done with, which makes room for the next.
    pub fn retire(&self, series: &Series) {
        self.shared.change(series, |entry| {
            let cold = Cold::Retired {
                series: entry.series().to_string(),
            };
            entry.place = Place::Over;
            entry.cold.push((None, cold));
        });
    }

    /// As [`WarmPool::retire`], for one project of a series.
    pub fn retire_project(&self, series: &Series, project: &str) {
        self.shared.change(series, |entry| {
            let cold = Cold::Retired {
                series: format!("{project} of {}", entry.series()),
            };
            entry.wanted.retain(|one| one.project != project);
            if let Some(tree) = entry.tree() {
                tree.drop_project(project);
            }
            entry.cold.push((Some(project.to_owned()), cold));
        });
    }

    /// Waits until everything that was wanted of a series is warm, or is known not to become so, or has to wait for room
    /// until other series are done with; at most for so long, and not beyond a wish to stop. What is known of it then.
    pub fn settle(&self, series: &Series, patience: Duration, stop: &StopFlag) -> Option<SeriesWarmth> {
        let deadline = Instant::now() + patience;
        let mut entries = self.shared.lock();
        loop {
            let entry = entries.iter().find(|entry| entry.series() == series)?;
            let settled = entry.waits_for_room || matches!(entry.place, Place::Warm(_) | Place::Over);
            if settled || Instant::now() >= deadline || stop.level() > StopLevel::Run {
                return Some(entry.warmth());
            }
            entries = self.shared.wait(entries, Duration::from_millis(50));
        }
    }

    /// What the pool holds, in its order.
    pub fn series(&self) -> Vec<SeriesWarmth> {
        self.shared.lock().iter().map(Entry::warmth).collect()
    }

    /// The pids of the waiting processes of a series.
    pub fn pids(&self, series: &Series) -> Vec<i32> {
        let entries = self.shared.lock();
        let entry = entries.iter().find(|entry| entry.series() == series);
        entry.and_then(Entry::tree).map(|tree| tree.pids()).unwrap_or_default()
    }

    /// As [`HopEnv::run`], warm if that can be had without doubt. It is waited for a project that is just being warmed.
    ///
    /// # Errors
    /// [`RunError`], as there; and [`RunError::EndUnknown`].
    pub fn run(&self, environment: &HopEnv, command: &ProjectCommand<'_>, stop: &StopFlag) -> Result<Ran, RunError> {
        let prepared = environment.prepare(command)?;
        let warm = match self.node(environment, command, &prepared.spec.program, stop) {
            Err(cold) => Err(cold),
            Ok(node) => match command::poise(&node, &prepared.spec)? {
                Err(cold) => Err(cold),
                Ok(poised) => poised.go(&prepared.spec, stop)?,
            },
        };
        let (finished, cold) = match warm {
            Ok(finished) => (finished, None),
            Err(cold) => (ffu_hosts::run(&prepared.spec, stop)?, Some(cold)),
        };
        prepared.mask(command)?;
        Ok(Ran { finished, cold })
    }

    /// The process to fork a command from.
    fn node(
        &self,
        environment: &HopEnv,
        command: &ProjectCommand<'_>,
        path: &Utf8Path,
        stop: &StopFlag,
    ) -> Result<Arc<Node>, Cold> {
        let series = environment.series();
        let (project, program) = (&command.action.project, &command.action.program);
        let not_asked = || Cold::NotAsked {
            series: series.to_string(),
            program: program.chars().filter(|c| !c.is_control()).take(80).collect(),
        };
        let deadline = Instant::now() + PATIENCE.min(command.timeout);
        let mut entries = self.shared.lock();
        loop {
            let entry = entries
                .iter_mut()
                .find(|entry| entry.series() == series)
                .ok_or_else(not_asked)?;
            if !entry
                .wanted
                .iter()
                .any(|one| one.project == *project && one.programs.contains(program))
            {
                return Err(not_asked());
            }
            if entry.environment.directory() != environment.directory() {
                return Err(Cold::OtherEnvironment {
                    series: series.to_string(),
                });
            }
            if let Some(cold) = entry.cold_for(project) {
                return Err(cold);
            }
            if let Some(node) = entry.tree().and_then(|tree| tree.node(project, path)) {
                return Ok(node);
            }
            if stop.is_now() {
                return Err(Cold::Closing);
            }
            if Instant::now() >= deadline {
                return Err(Cold::Late {
                    what: format!("{project} of {series}"),
                    seconds: PATIENCE.min(command.timeout).as_secs(),
                });
            }
            if !entry.urgent {
                entry.urgent = true;
                self.shared.changed.notify_all();
            }
            entries = self.shared.wait(entries, Duration::from_millis(50));
        }
    }
}

impl Drop for WarmPool {
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::SeqCst);
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        for entry in self.shared.lock().iter_mut() {
            entry.place = Place::Over;
        }
    }
}
