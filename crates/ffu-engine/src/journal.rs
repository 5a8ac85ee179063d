//! The journal: append-only, one JSON object a line, synced before the side effect it announces.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;

use camino::{Utf8Path, Utf8PathBuf};
use ffu_model::event::{Event, EventKind, JOURNAL_FORMAT};
use ffu_model::fault;
use jiff::Timestamp;
use nix::time::{ClockId, clock_gettime};

use crate::error::EngineError;

/// An open journal. Only one process writes it: the one that holds the cloud's lock.
#[derive(Debug)]
pub struct Journal {
    path: Utf8PathBuf,
    file: File,
    next: u64,
    observer: Option<Observer>,
    broken: bool,
}

struct Observer(Box<dyn FnMut(&Event) + Send>);

impl std::fmt::Debug for Observer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Observer")
    }
}

impl Journal {
    /// Creates the journal of a new run; fails if there is one.
    ///
    /// # Errors
    /// [`EngineError::JournalWrite`].
    pub fn create(path: &Utf8Path) -> Result<Self, EngineError> {
        let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(path);
        let file = file.map_err(|error| write_error(path, &error))?;
        Ok(Journal {
            path: path.to_owned(),
            file,
            next: 1,
            observer: None,
            broken: false,
        })
    }

    /// Opens the journal of a run to go on with it, and gives the events so far. A last line that a crash cut off, and
    /// which therefore announced nothing that was done, is removed.
    ///
    /// # Errors
    /// [`EngineError::JournalDamaged`] for anything but a cut-off end.
    pub fn open(path: &Utf8Path) -> Result<(Self, Vec<Event>), EngineError> {
        let (events, whole) = read(path)?;
        let file = OpenOptions::new()
            .append(true)
            .open(path)
            .map_err(|error| write_error(path, &error))?;
        file.set_len(whole)
            .and_then(|()| file.sync_all())
            .map_err(|error| write_error(path, &error))?;
        let next = events.last().map_or(1, |event| event.seq + 1);
        Ok((
            Journal {
                path: path.to_owned(),
                file,
                next,
                observer: None,
                broken: false,
            },
            events,
        ))
    }

    /// A journal on a device where every write fails, for tests.
    #[cfg(test)]
    pub(crate) fn on_full_disk(path: &Utf8Path) -> Self {
        let file = OpenOptions::new().append(true).open(path).unwrap();
        Journal {
            path: path.to_owned(),
            file,
            next: 1,
            observer: None,
            broken: false,
        }
    }

    /// Calls `observer` with every event after it is on disk.
    pub fn observe(&mut self, observer: impl FnMut(&Event) + Send + 'static) {
        self.observer = Some(Observer(Box::new(observer)));
    }

    /// Leaves half a line behind, as a device does that loses power, if a test wants that here.
    #[cfg(debug_assertions)]
    fn tear(&mut self, kind: &EventKind, line: &[u8]) {
        let due = match kind {
            EventKind::Intent { step, .. } => fault::is_due("torn-intent", step),
            EventKind::Outcome { step, .. } => fault::is_due("torn-outcome", step),
            _ => false,
        };
        if due {
            let half = line.get(..line.len() / 2).unwrap_or_default();
            let _ = self.file.write_all(half).and_then(|()| self.file.sync_data());
            fault::die();
        }
    }

    /// Writes one event and syncs it. Once this has failed every later call fails, too.
    ///
    /// # Errors
    /// [`EngineError::JournalWrite`].
    pub fn write(&mut self, kind: EventKind) -> Result<Event, EngineError> {
        self.write_as(kind, false)
    }

    /// As [`Journal::write`], for what a later process finds out about a step that was left open.
    pub(crate) fn settle(&mut self, kind: EventKind) -> Result<Event, EngineError> {
        self.write_as(kind, true)
    }

    fn write_as(&mut self, kind: EventKind, settling: bool) -> Result<Event, EngineError> {
        if self.broken {
            return Err(write_error(&self.path, &"an earlier write failed"));
        }
        let event = Event {
            seq: self.next,
            at: Timestamp::now(),
            boot: boot_time(),
            kind,
        };
        let mut line = serde_json::to_vec(&event).map_err(|error| write_error(&self.path, &error))?;
        line.push(b'\n');
        let (before, after, place) = points(&event.kind, settling);
        fault::point(before, place);
        #[cfg(debug_assertions)]
        self.tear(&event.kind, &line);
        let written = self.file.write_all(&line).and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            self.broken = true;
            return Err(write_error(&self.path, &error));
        }
        fault::point(after, place);
        self.next += 1;
        if let Some(observer) = &mut self.observer {
            (observer.0)(&event);
        }
        Ok(event)
    }
}

/// Nanoseconds of the boot-time clock; 0 where there is none.
fn boot_time() -> u64 {
    clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(0, |time| {
        let (seconds, nanos) = (u64::try_from(time.tv_sec()), u64::try_from(time.tv_nsec()));
        seconds.unwrap_or(0) * 1_000_000_000 + nanos.unwrap_or(0)
    })
}

/// Where a test may stop the world around a line, see [`ffu_model::fault`]: before it, after it, and what it is about.
fn points(kind: &EventKind, settling: bool) -> (&'static str, &'static str, &str) {
    match kind {
        EventKind::RunCreated { run, .. } => ("before-created", "after-created", run),
        EventKind::Attached { purpose, .. } => ("before-attached", "after-attached", purpose),
        EventKind::Intent { step, .. } => ("before-intent", "after-intent", step),
        EventKind::Outcome { step, .. } if !settling => ("before-outcome", "after-outcome", step),
        EventKind::Outcome { step, .. } => ("before-settled", "after-settled", step),
        EventKind::UnknownResolved { step, .. } => ("before-resolved", "after-resolved", step),
        EventKind::TakenAsDone { step } => ("before-taken", "after-taken", step),
        EventKind::Held { .. } => ("before-held", "after-held", "run"),
        EventKind::WentOn { .. } => ("before-went-on", "after-went-on", "run"),
        EventKind::Ended { .. } => ("before-ended", "after-ended", "run"),
    }
}

/// The events of a journal, also of one that is being written.
///
/// # Errors
/// [`EngineError::JournalDamaged`]; a last line without its end is left out, not an error.
pub fn read_journal(path: &Utf8Path) -> Result<Vec<Event>, EngineError> {
    read(path).map(|(events, _)| events)
}

fn read(path: &Utf8Path) -> Result<(Vec<Event>, u64), EngineError> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|mut file| file.read_to_end(&mut bytes))
        .map_err(|error| EngineError::State {
            path: path.to_owned(),
            reason: error.to_string(),
        })?;
    let mut events: Vec<Event> = Vec::new();
    let mut whole = 0_u64;
    for (at, line) in bytes.split_inclusive(|&byte| byte == b'\n').enumerate() {
        if line.last() != Some(&b'\n') {
            break;
        }
        let damaged = |reason: String| EngineError::JournalDamaged {
            path: path.to_owned(),
            line: at + 1,
            reason,
        };
        let event: Event = serde_json::from_slice(line).map_err(|error| damaged(error.to_string()))?;
        if event.seq != at as u64 + 1 {
            return Err(damaged(format!("it has number {} where {} belongs", event.seq, at + 1)));
        }
        match (&event.kind, at) {
            (EventKind::RunCreated { format, .. }, 0) if *format != JOURNAL_FORMAT => {
                return Err(damaged(format!(
                    "format {format}, this program reads format {JOURNAL_FORMAT}"
                )));
            }
            (EventKind::RunCreated { .. }, 0) => {}
            (EventKind::RunCreated { .. }, _) => return Err(damaged("a second beginning".to_owned())),
            (_, 0) => return Err(damaged("the first line does not begin a run".to_owned())),
            _ => {}
        }
        events.push(event);
        whole += line.len() as u64;
    }
    Ok((events, whole))
}

fn write_error(path: &Utf8Path, error: &dyn std::fmt::Display) -> EngineError {
    EngineError::JournalWrite {
        path: path.to_owned(),
        reason: error.to_string(),
    }
}
