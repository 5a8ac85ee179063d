//! What the supervisor leaves on disk of a running unit: the record of its process, and its log as errors show it.

use std::io::{self, Read as _, Seek as _, SeekFrom};

use camino::Utf8Path;
use ffu_model::digest::sha256_hex;
use ffu_model::secret::mask;

use crate::proctable::Stat;
use crate::services::ServiceError;
use crate::unitfile::{UnitFile, write_atomically};

/// How much of a log an error shows, in bytes.
const EXCERPT: u64 = 2048;

/// The content of a pid file.
pub(crate) struct Record {
    pub pid: i32,
    /// Start time, see [`Stat::start`].
    pub start: u64,
    /// Of the unit file it was started from.
    pub unit_digest: String,
}

impl Record {
    pub(crate) fn of(unit: &UnitFile, process: &Stat) -> Record {
        Record {
            pid: process.pid,
            start: process.start,
            unit_digest: digest(unit),
        }
    }

    /// Reads a pid file. One that nobody can read is no record: the lock then says whether the process lives.
    pub(crate) fn read(path: &Utf8Path) -> Result<Option<Record>, ServiceError> {
        let text = match std::fs::read_to_string(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => return Ok(None),
            other => other.map_err(|source| io_error("read", path, source))?,
        };
        let mut words = text.split_ascii_whitespace();
        let mut parse = || {
            Some(Record {
                pid: words.next()?.parse().ok().filter(|pid| *pid > 1)?,
                start: words.next()?.parse().ok()?,
                unit_digest: words.next()?.to_owned(),
            })
        };
        Ok(parse())
    }

    pub(crate) fn write(&self, path: &Utf8Path) -> Result<(), ServiceError> {
        let text = format!("{} {} {}\n", self.pid, self.start, self.unit_digest);
        write_atomically(path, text.as_bytes())
    }
}

/// What tells one unit file from another.
pub(crate) fn digest(unit: &UnitFile) -> String {
    // The series is part of it: the same command from a rebuilt environment is another service.
    sha256_hex(format!("{unit:?}").as_bytes())
}

pub(crate) fn io_error(action: &'static str, path: &Utf8Path, source: io::Error) -> ServiceError {
    ServiceError::Io {
        action,
        path: path.to_owned(),
        source,
    }
}

/// Deletes a file; one that is gone is fine.
pub(crate) fn remove_file(path: &Utf8Path) -> Result<(), ServiceError> {
    match std::fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(io_error("delete", path, source)),
        _ => Ok(()),
    }
}

/// The end of a log, masked.
pub(crate) fn excerpt(log: &Utf8Path) -> String {
    let read = || -> io::Result<(Vec<u8>, bool)> {
        let mut file = std::fs::File::open(log)?;
        let start = file.metadata()?.len().saturating_sub(EXCERPT);
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::new();
        file.take(EXCERPT).read_to_end(&mut bytes)?;
        Ok((bytes, start > 0))
    };
    match read() {
        Ok((bytes, is_cut)) => {
            let text = String::from_utf8_lossy(&bytes);
            // The first line may be half of one, and half a URL cannot be masked.
            let whole = match text.split_once('\n') {
                Some((_, rest)) if is_cut => rest,
                None if is_cut => "",
                _ => &text,
            };
            mask(whole.trim_end(), &[])
        }
        Err(error) => format!("(cannot be read: {error})"),
    }
}
