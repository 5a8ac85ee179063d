//! Who holds a lock file of [`crate::process`]: whether a command or service still lives, after the process that started
//! it is gone.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use nix::sys::signal::Signal;

use crate::proctable::{self, Stat};
use ffu_model::stop::{StopFlag, StopLevel};

const POLL: Duration = Duration::from_millis(50);

/// Why waiting for a command of an earlier process did not end well.
#[derive(Debug, thiserror::Error)]
pub enum HolderError {
    /// The file could not be read or locked.
    #[error("cannot look at the lock file {path}: {source}")]
    Io {
        /// The file.
        path: Utf8PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It still lives.
    #[error(
        "the command under {path} (process {pids}) has not ended after {seconds} s: look at it with `ps -fp {pids}`, end it \
         with `kill {pids}`, then run the command again"
    )]
    StillRunning {
        /// The file.
        path: Utf8PathBuf,
        /// Process ids, comma-separated; `unknown` if they belong to another user.
        pids: String,
        /// How long was waited.
        seconds: u64,
    },
    /// The operator stopped the waiting.
    #[error("the wait for the command under {path} was stopped; it is still running: `ffu resume` waits again")]
    Stopped {
        /// The file.
        path: Utf8PathBuf,
    },
}

/// Whether any process of the command that was started with this lock file still lives. `false` if there is no such file.
///
/// # Errors
/// The file cannot be opened or locked.
pub fn still_running(lock_file: &Utf8Path) -> io::Result<bool> {
    let file = match OpenOptions::new().read(true).open(lock_file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        other => other?,
    };
    // A shared lock: two who look do not see each other.
    match file.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(std::fs::TryLockError::WouldBlock) => Ok(true),
        Err(std::fs::TryLockError::Error(error)) => Err(error),
    }
}

/// Waits until no process of that command lives; any wish to stop ends the wait.
///
/// # Errors
/// [`HolderError`]: it lives on, or the operator stopped the wait.
pub fn wait_until_free(lock_file: &Utf8Path, timeout: Duration, stop: &StopFlag) -> Result<(), HolderError> {
    let deadline = Instant::now() + timeout;
    while still_running(lock_file).map_err(|source| HolderError::Io {
        path: lock_file.to_owned(),
        source,
    })? {
        if stop.level() > StopLevel::Run {
            return Err(HolderError::Stopped {
                path: lock_file.to_owned(),
            });
        }
        if Instant::now() >= deadline {
            return Err(still(lock_file, timeout));
        }
        std::thread::sleep(POLL);
    }
    Ok(())
}

/// The pids of the living processes, other than this one, that have the lock file open. Only processes that this user may
/// look at are seen.
pub fn holders(lock_file: &Utf8Path) -> Vec<i32> {
    holding(lock_file).iter().map(|process| process.pid).collect()
}

pub(crate) fn holding(lock_file: &Utf8Path) -> Vec<Stat> {
    let Ok(wanted) = std::fs::metadata(lock_file) else {
        return Vec::new();
    };
    let own = nix::unistd::getpid().as_raw();
    let has_it_open = |pid: i32| {
        let Ok(descriptors) = std::fs::read_dir(format!("/proc/{pid}/fd")) else {
            return false;
        };
        descriptors.flatten().any(|entry| {
            std::fs::metadata(entry.path()).is_ok_and(|open| open.ino() == wanted.ino() && open.dev() == wanted.dev())
        })
    };
    proctable::all()
        .into_iter()
        .filter(|process| process.pid != own && process.is_alive() && has_it_open(process.pid))
        .collect()
}

/// Ends what an earlier process started under this lock file: SIGTERM to the groups of its processes, after the grace
/// SIGKILL, until the lock is free. Returns how many processes were found.
///
/// # Errors
/// [`HolderError::StillRunning`] if they cannot be ended, for instance because they belong to another user.
pub fn end_holders(lock_file: &Utf8Path, grace: Duration) -> Result<usize, HolderError> {
    let io = |source| HolderError::Io {
        path: lock_file.to_owned(),
        source,
    };
    if !still_running(lock_file).map_err(io)? {
        return Ok(0);
    }
    let found = holding(lock_file);
    for process in &found {
        proctable::signal_tree(process, Signal::SIGTERM);
        proctable::signal_tree(process, Signal::SIGCONT);
    }
    let kill_at = Instant::now() + grace;
    let give_up = kill_at + Duration::from_secs(10);
    while still_running(lock_file).map_err(io)? {
        let now = Instant::now();
        if now >= give_up {
            return Err(still(lock_file, grace + Duration::from_secs(10)));
        }
        if now >= kill_at {
            for process in holding(lock_file) {
                proctable::signal_tree(&process, Signal::SIGKILL);
            }
        }
        std::thread::sleep(POLL);
    }
    Ok(found.len())
}

fn still(lock_file: &Utf8Path, waited: Duration) -> HolderError {
    let pids: Vec<String> = holders(lock_file).iter().map(ToString::to_string).collect();
    HolderError::StillRunning {
        path: lock_file.to_owned(),
        pids: if pids.is_empty() {
            "unknown".to_owned()
        } else {
            pids.join(",")
        },
        seconds: waited.as_secs(),
    }
}
