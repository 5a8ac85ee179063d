//! The small files beside a record, by which a watch, the engine and the operator talk.

use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;

use camino::{Utf8Path, Utf8PathBuf};
use ffu_model::watch::{Snapshot, WatchState};

use super::{ACKNOWLEDGE, SNAPSHOT, STATE, STOP};
use crate::error::WatchError;

/// Replaces a small file whole, readable by the owner alone.
pub(super) fn replace(path: &Utf8Path, value: &impl serde::Serialize) -> io::Result<()> {
    let unfinished = Utf8PathBuf::from(format!("{path}.new"));
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&unfinished)?;
    file.write_all(&serde_json::to_vec(value)?)?;
    std::fs::rename(&unfinished, path)
}

/// Leaves the acknowledgement of a breach, and all before it, for the watch of a directory.
///
/// # Errors
/// [`WatchError::Record`] if the directory cannot be written.
pub fn acknowledge(directory: &Utf8Path, number: u32) -> Result<(), WatchError> {
    leave(directory, ACKNOWLEDGE, &number.to_string())
}

/// Asks the watch of a directory to end.
///
/// # Errors
/// [`WatchError::Record`] if the directory cannot be written.
pub fn stop(directory: &Utf8Path) -> Result<(), WatchError> {
    leave(directory, STOP, "")
}

fn leave(directory: &Utf8Path, name: &str, text: &str) -> Result<(), WatchError> {
    let path = directory.join(name);
    let unfinished = directory.join(format!("{name}.new"));
    std::fs::write(&unfinished, text)
        .and_then(|()| std::fs::rename(&unfinished, &path))
        .map_err(|source| WatchError::Record {
            action: "write",
            path,
            source,
            next: "name the directory of a watch that runs",
        })
}

/// What the watch of a directory last said, if it ever did.
pub fn state(directory: &Utf8Path) -> Option<WatchState> {
    let bytes = std::fs::read(directory.join(STATE)).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// What was last seen, of a watch that runs or ran in a directory.
pub fn last(directory: &Utf8Path) -> Option<Snapshot> {
    let bytes = std::fs::read(directory.join(SNAPSHOT)).ok()?;
    serde_json::from_slice(&bytes).ok()
}
