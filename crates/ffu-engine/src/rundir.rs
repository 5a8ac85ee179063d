//! The state directory: one directory a run, and one lock a cloud.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};

use camino::{Utf8Path, Utf8PathBuf};
use ffu_model::digest::sha256_hex;
use ffu_model::event::{EventKind, JOURNAL_FORMAT};
use ffu_model::{Cloud, Plan};
use jiff::Timestamp;
use nix::fcntl::{Flock, FlockArg};

use crate::error::EngineError;
use crate::journal::{Journal, read_journal};
use crate::view::RunView;

/// How a run's id begins.
const ID_TIME: &str = "%Y%m%dT%H%M%S";

/// `$XDG_STATE_HOME/ffu`, or `--state-dir`.
#[derive(Clone, Debug)]
pub struct StateDirectory {
    root: Utf8PathBuf,
}

/// The directory of one run.
#[derive(Clone, Debug)]
pub struct RunDirectory {
    /// The run's id.
    pub id: String,
    path: Utf8PathBuf,
}

/// Held while a process works on a cloud; released by the kernel however the process ends.
#[derive(Debug)]
pub struct CloudLock {
    _lock: Flock<File>,
}

/// What makes two clouds the same to the lock: where their databases are.
pub fn cloud_key(cloud: &Cloud) -> String {
    let mut places: Vec<String> = cloud
        .databases()
        .map(|(_, database)| {
            let address = cloud
                .server(&database.server)
                .map_or(database.server.as_str(), |s| s.address.as_str());
            format!("{address}/{}", database.schema)
        })
        .collect();
    places.sort();
    sha256_hex(places.join("\n").as_bytes()).chars().take(16).collect()
}

impl StateDirectory {
    /// Opens or creates it (mode 0700: it holds dumps and staged configuration).
    ///
    /// # Errors
    /// [`EngineError::State`].
    pub fn open(root: &Utf8Path) -> Result<Self, EngineError> {
        let state = StateDirectory { root: root.to_owned() };
        private_directory(&state.runs())?;
        private_directory(&state.root.join("locks"))?;
        Ok(state)
    }

    /// Where the runs are.
    pub fn runs(&self) -> Utf8PathBuf {
        self.root.join("runs")
    }

    /// Takes the cloud's lock, or says who has it.
    ///
    /// # Errors
    /// [`EngineError::Locked`], [`EngineError::State`].
    pub fn lock(&self, cloud: &Cloud, what: &str) -> Result<CloudLock, EngineError> {
        let path = self.root.join("locks").join(format!("{}.lock", cloud_key(cloud)));
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path);
        let file = file.map_err(|error| state_error(&path, &error))?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(mut lock) => {
                let text = format!("{what}, process {}, since {}\n", std::process::id(), Timestamp::now());
                let written = lock.set_len(0).and_then(|()| lock.write_all(text.as_bytes()));
                written.map_err(|error| state_error(&path, &error))?;
                Ok(CloudLock { _lock: lock })
            }
            Err((mut file, nix::errno::Errno::EWOULDBLOCK)) => {
                let mut holder = String::new();
                let _ = file.read_to_string(&mut holder);
                let holder = if holder.is_empty() {
                    "its lock names no process".to_owned()
                } else {
                    holder
                };
                Err(EngineError::Locked {
                    holder: holder.trim().to_owned(),
                })
            }
            Err((_, error)) => Err(state_error(&path, &error)),
        }
    }

    /// Whether somebody works on the cloud right now.
    pub fn is_locked(&self, cloud: &Cloud) -> bool {
        let path = self.root.join("locks").join(format!("{}.lock", cloud_key(cloud)));
        let Ok(file) = File::open(&path) else { return false };
        matches!(
            Flock::lock(file, FlockArg::LockSharedNonblock),
            Err((_, nix::errno::Errno::EWOULDBLOCK))
        )
    }

    /// The ids of all runs, oldest first.
    ///
    /// # Errors
    /// [`EngineError::State`].
    pub fn list(&self) -> Result<Vec<String>, EngineError> {
        let runs = self.runs();
        let mut ids = Vec::new();
        for entry in runs.read_dir_utf8().map_err(|error| state_error(&runs, &error))? {
            let entry = entry.map_err(|error| state_error(&runs, &error))?;
            if entry.path().join("journal.jsonl").is_file() {
                ids.push(entry.file_name().to_owned());
            }
        }
        ids.sort();
        Ok(ids)
    }

    /// The run of that id, or the latest.
    ///
    /// # Errors
    /// [`EngineError::NoSuchRun`], [`EngineError::NoRuns`].
    pub fn find(&self, id: Option<&str>) -> Result<RunDirectory, EngineError> {
        let ids = self.list()?;
        let found = match id {
            Some(id) => ids.iter().find(|known| *known == id),
            None => ids.last(),
        };
        match (found, id) {
            (Some(id), _) => Ok(RunDirectory {
                id: id.clone(),
                path: self.runs().join(id),
            }),
            (None, Some(id)) => Err(EngineError::NoSuchRun {
                run: id.chars().take(80).collect(),
                directory: self.runs(),
            }),
            (None, None) => Err(EngineError::NoRuns { directory: self.runs() }),
        }
    }

    /// The run of this cloud that is not over, if there is one.
    ///
    /// # Errors
    /// A damaged journal of any run of this state directory.
    pub fn unfinished(&self, cloud: &Cloud) -> Result<Option<(RunDirectory, RunView)>, EngineError> {
        let key = cloud_key(cloud);
        for id in self.list()?.into_iter().rev() {
            let directory = RunDirectory {
                path: self.runs().join(&id),
                id,
            };
            let view = directory.view()?;
            if !view.is_over() && directory.plan()?.0.is_some_and(|plan| cloud_key(&plan.cloud) == key) {
                return Ok(Some((directory, view)));
            }
        }
        Ok(None)
    }

    /// Ids are in the order in which runs were created, whatever the clock does: who names no run means the last one.
    fn next_id(&self, now: Timestamp, short: &str) -> Result<String, EngineError> {
        let latest = self.list()?.pop().and_then(|id| {
            let time = jiff::civil::DateTime::strptime(ID_TIME, id.split('-').next()?).ok()?;
            time.to_zoned(jiff::tz::TimeZone::UTC)
                .ok()?
                .timestamp()
                .checked_add(jiff::Span::new().seconds(1))
                .ok()
        });
        let time = latest.map_or(now, |next| next.max(now));
        Ok(format!("{}-{short}", time.strftime(ID_TIME)))
    }

    /// Creates the directory of a new run, with a copy of the plan and the first line of the journal.
    ///
    /// # Errors
    /// [`EngineError::State`], [`EngineError::JournalWrite`].
    pub fn create(&self, plan: &Plan, bytes: &[u8], program: &str) -> Result<(RunDirectory, Journal), EngineError> {
        let short: String = plan.id.chars().filter(char::is_ascii_hexdigit).take(8).collect();
        let first = self.next_id(Timestamp::now(), &short)?;
        let mut id = first.clone();
        let mut nth = 1;
        while self.runs().join(&id).exists() {
            nth += 1;
            id = format!("{first}-{nth}");
        }
        let directory = RunDirectory {
            path: self.runs().join(&id),
            id,
        };
        for inside in ["", "out", "staged", "checkpoint", "private"] {
            private_directory(&directory.path.join(inside))?;
        }
        let path = directory.path.join("plan.json");
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(|error| state_error(&path, &error))?;
        file.write_all(bytes)
            .and_then(|()| file.sync_all())
            .map_err(|error| state_error(&path, &error))?;
        let mut journal = Journal::create(&directory.journal())?;
        journal.write(EventKind::RunCreated {
            format: JOURNAL_FORMAT,
            run: directory.id.clone(),
            plan: plan.id.clone(),
            program: program.to_owned(),
        })?;
        for synced in [&directory.path, &self.runs()] {
            File::open(synced)
                .and_then(|d| d.sync_all())
                .map_err(|error| state_error(synced, &error))?;
        }
        Ok((directory, journal))
    }
}

impl RunDirectory {
    /// The directory.
    pub fn path(&self) -> &Utf8Path {
        &self.path
    }

    /// The journal's file.
    pub fn journal(&self) -> Utf8PathBuf {
        self.path.join("journal.jsonl")
    }

    /// Where outputs of commands are.
    pub fn outputs(&self) -> Utf8PathBuf {
        self.path.join("out")
    }

    /// Where configuration is staged.
    pub fn staged(&self) -> Utf8PathBuf {
        self.path.join("staged")
    }

    /// Where the checkpoint is.
    pub fn checkpoint(&self) -> Utf8PathBuf {
        self.path.join("checkpoint")
    }

    /// A private directory for files that live for the length of a command.
    pub fn private(&self) -> Utf8PathBuf {
        self.path.join("private")
    }

    /// The run's plan file: parsed if it can be, and its bytes.
    ///
    /// # Errors
    /// [`EngineError::State`].
    pub fn plan(&self) -> Result<(Option<Plan>, Vec<u8>), EngineError> {
        let path = self.path.join("plan.json");
        let bytes = fs::read(&path).map_err(|error| state_error(&path, &error))?;
        Ok((serde_json::from_slice(&bytes).ok(), bytes))
    }

    /// The run's plan, checked to be the one that was started.
    ///
    /// # Errors
    /// [`EngineError::PlanChanged`].
    pub fn checked_plan(&self) -> Result<Plan, EngineError> {
        let changed = || EngineError::PlanChanged {
            path: self.path.join("plan.json"),
        };
        let plan = self.plan()?.0.ok_or_else(changed)?;
        let started = self.view()?.plan;
        let same = plan.compute_id().is_ok_and(|id| id == plan.id && id == started);
        if same { Ok(plan) } else { Err(changed()) }
    }

    /// What the journal adds up to.
    ///
    /// # Errors
    /// A damaged journal.
    pub fn view(&self) -> Result<RunView, EngineError> {
        Ok(RunView::from_events(&read_journal(&self.journal())?))
    }
}

fn private_directory(path: &Utf8Path) -> Result<(), EngineError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| state_error(path, &error))
}

fn state_error(path: &Utf8Path, error: &dyn std::fmt::Display) -> EngineError {
    EngineError::State {
        path: path.to_owned(),
        reason: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_run_is_the_last_whatever_the_clock_does() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDirectory::open(Utf8Path::from_path(dir.path()).unwrap()).unwrap();
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let mut made = Vec::new();
        for (now, short) in [
            ("2026-11-24T12:00:00Z", "ffffffff"),
            ("2026-11-24T12:00:00.5Z", "00000000"),
            ("2026-10-01T08:00:00Z", "00000000"),
            ("2026-11-24T12:30:00Z", "88888888"),
        ] {
            let id = state.next_id(at(now), short).unwrap();
            let run = state.runs().join(&id);
            fs::create_dir(&run).unwrap();
            fs::write(run.join("journal.jsonl"), "").unwrap();
            assert_eq!(state.find(None).unwrap().id, id);
            made.push(id);
        }
        assert_eq!(
            made,
            [
                "20261124T120000-ffffffff",
                "20261124T120001-00000000",
                "20261124T120002-00000000",
                "20261124T123000-88888888"
            ]
        );
    }
}
