//! Appends to a record.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write};

use camino::{Utf8Path, Utf8PathBuf};
use ffu_model::watch::Targets;

use super::sync::Syncer;
use super::{FRAMES, Reader, TARGETS};
use crate::error::WatchError;
use crate::{Entry, clock, frame};

/// Whether a record is being written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// All is written.
    Recording,
    /// Writing failed; what was written before is whole. In words: why, and what to do. Nothing is recorded from then on.
    Broken(String),
}

/// Writes a record. Only one can be open at a time.
pub struct Writer {
    path: Utf8PathBuf,
    file: File,
    /// Bytes of whole frames.
    length: u64,
    state: State,
    _syncer: Option<Syncer>,
}

impl Writer {
    /// Begins a record in a directory, which is made if it is not there and must not hold a record.
    ///
    /// # Errors
    /// If there is a record already, or a file cannot be written.
    pub fn create(directory: &Utf8Path, targets: &Targets) -> Result<Writer, WatchError> {
        let next =
            "name a directory that can be written to and has no record, or replay this one with `ffu watch replay`";
        let fail = |action, path: &Utf8Path| {
            let path = path.to_owned();
            move |source| WatchError::Record {
                action,
                path,
                source,
                next,
            }
        };
        std::fs::create_dir_all(directory).map_err(fail("make", directory))?;
        let (frames, whole) = (directory.join(FRAMES), directory.join(TARGETS));
        let file = OpenOptions::new()
            .append(true)
            .create_new(true)
            .open(&frames)
            .map_err(fail("begin", &frames))?;
        let json = serde_json::to_vec_pretty(targets)
            .map_err(io::Error::from)
            .map_err(fail("write", &whole))?;
        let write = || -> io::Result<()> {
            let mut file = File::create_new(&whole)?;
            file.write_all(&json)?;
            file.sync_all()?;
            File::open(directory)?.sync_all()
        };
        write().map_err(fail("write", &whole))?;
        Writer::with(frames, file, 0)
    }

    /// Goes on with a record: a torn last frame is cut off.
    ///
    /// # Errors
    /// If there is none, if it is open elsewhere, or if it was written by another version of ffu.
    pub fn reopen(directory: &Utf8Path) -> Result<Writer, WatchError> {
        let path = directory.join(FRAMES);
        let fail = |action| {
            let (path, next) = (path.clone(), "look at the directory, or begin another record");
            move |source| WatchError::Record {
                action,
                path,
                source,
                next,
            }
        };
        let file = OpenOptions::new().append(true).open(&path).map_err(fail("open"))?;
        let writer = Writer::with(path.clone(), file, 0)?;
        let mut reader = Reader::open(directory)?;
        while reader.next_batch()?.is_some() {}
        let length = reader.offset();
        writer.file.set_len(length).map_err(fail("cut the torn end of"))?;
        Ok(Writer { length, ..writer })
    }

    fn with(path: Utf8PathBuf, file: File, length: u64) -> Result<Writer, WatchError> {
        let fail = |action, next| {
            let path = path.clone();
            move |source| WatchError::Record {
                action,
                path,
                source,
                next,
            }
        };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let source = io::Error::new(io::ErrorKind::ResourceBusy, "another watch writes to it");
                return Err(fail("lock", "`ffu watch show` shows the watch that runs")(source));
            }
            Err(TryLockError::Error(source)) => return Err(fail("lock", "use a file system that has locks")(source)),
        }
        let other = file.try_clone().map_err(fail("open", "look at `ulimit -n`"))?;
        Ok(Writer {
            path,
            file,
            length,
            state: State::Recording,
            _syncer: Some(Syncer::start(other)),
        })
    }

    /// Appends entries as one batch. If that fails (disk full), the state says so from then on and the watch can go on without.
    pub fn append(&mut self, entries: &[Entry]) -> &State {
        if self.state == State::Recording && !entries.is_empty() {
            let bytes = frame::encode(entries, clock::now(), clock::wall());
            match self.file.write_all(&bytes) {
                Ok(()) => self.length += bytes.len() as u64,
                Err(error) => {
                    // What was written of the frame is cut off again; if even that fails, readers skip it.
                    let _ = self.file.set_len(self.length);
                    self.state = State::Broken(format!(
                        "the record {} ends here, the watch goes on without it: {error}\n  next: `df -h {}` shows whether the disk is full",
                        self.path, self.path
                    ));
                }
            }
        }
        &self.state
    }

    /// Whether it records.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Bytes of whole frames so far.
    pub fn length(&self) -> u64 {
        self.length
    }
}
