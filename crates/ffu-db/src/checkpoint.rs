//! The way back: every database dumped and fingerprinted, every file copied, described by a manifest that is written last.
//!
//! A directory with a manifest is a whole checkpoint; one without is rubbish that may be overwritten. The directory holds
//! secrets (nova's dump has connection URLs in `cell_mappings`, the files are service configuration), so it is 0700 and
//! everything in it 0600. It also holds the connections themselves: a rollback must not depend on configuration that the
//! run has changed, nor on cell mappings in a database that is half restored.

mod dump;
mod key;
mod manifest;
mod proof;
mod restore;
mod saved;
pub mod standby;
pub mod strangers;

use std::collections::BTreeSet;

use camino::Utf8Path;
use ffu_model::DatabaseKey;
use serde::{Deserialize, Serialize};

pub use crate::control::Options;
pub use key::DumpKey;
pub use manifest::{Manifest, Piece, SavedDatabase, SavedDump, SavedFile, load};
pub use proof::{ProofReport, prove, prove_with};
pub use restore::{check_whole, restore_databases, restore_files, restore_with};

use crate::control::Control;
use crate::error::DbError;
use crate::lanes::Slots;
use crate::url::Access;

/// A database to save.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its name in the cloud.
    pub key: DatabaseKey,
    /// Its connection, with the schema.
    pub access: Access,
}

/// What was proven of one database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseProof {
    /// The database.
    pub key: DatabaseKey,
    /// Digest of the fingerprint that was met; empty for a database that did not exist.
    pub digest: String,
    /// What was done and found, in a sentence.
    pub sentence: String,
}

/// How much is read of databases that have a copy, in the window and on the way back; what is dumped or loaded is always read whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Thoroughness {
    /// As much as the proofs of [`standby`] need.
    #[default]
    Sufficient,
    /// Every row.
    Full,
}

/// Tables of so many bytes at least have a file of their own in a dump: starting a program for each takes some hundredths of a second.
const OWN_FILE: u64 = 64 << 20;

/// How a checkpoint is made and gone back to.
#[derive(Clone, Copy, Debug)]
pub struct Means<'a> {
    /// How much is read.
    pub thoroughness: Thoroughness,
    /// The key of the dumps; none, and they are not encrypted.
    pub key: Option<&'a DumpKey>,
    /// From how many bytes on a table is dumped and loaded by itself, beside others.
    pub own_file: u64,
}

impl Default for Means<'_> {
    fn default() -> Self {
        Means {
            thoroughness: Thoroughness::Sufficient,
            key: None,
            own_file: OWN_FILE,
        }
    }
}

impl From<Thoroughness> for Means<'_> {
    fn from(thoroughness: Thoroughness) -> Self {
        Means {
            thoroughness,
            ..Means::default()
        }
    }
}

/// Room for a checkpoint, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// What it will need at most: dumps compress to a fraction, but data may already be incompressible.
    pub needed: u64,
    /// What the file system has for this user.
    pub free: u64,
}

/// How much room a checkpoint needs and has.
///
/// # Errors
/// If a server does not answer or the directory's file system cannot be asked.
pub fn room(dir: &Utf8Path, databases: &[Target]) -> Result<Room, DbError> {
    room_for(dir, sizes(databases)?.iter().sum())
}

/// Bytes of data in each database; none where it does not exist.
fn sizes<'a>(databases: impl IntoIterator<Item = &'a Target>) -> Result<Vec<u64>, DbError> {
    let size = |target: &Target| {
        let facts = target.access.strongest()?.schema_facts(target.access.schema()?)?;
        Ok(facts.map_or(0, |facts| facts.data_bytes))
    };
    databases.into_iter().map(size).collect()
}

/// Room for dumps of so many bytes of data: SQL text is about as long as the data, and zstd halves it at the very least, but for
/// hexadecimal blobs.
fn room_for(dir: &Utf8Path, data: u64) -> Result<Room, DbError> {
    let existing = dir.ancestors().find(|d| d.exists()).unwrap_or(Utf8Path::new("/"));
    let free = crate::files::free_bytes(existing)
        .map_err(|e| DbError::io("cannot measure the file system of", existing, e))?;
    let needed = (16 << 20) + data;
    Ok(Room { needed, free })
}

fn require_room(dir: &Utf8Path, room: Room) -> Result<(), DbError> {
    if room.free < room.needed {
        return Err(DbError::NoRoom {
            path: dir.to_owned(),
            free_mib: room.free >> 20,
            needed_mib: (room.needed >> 20) + 1,
        });
    }
    Ok(())
}

/// A whole checkpoint is never touched by making one.
fn refuse_whole(dir: &Utf8Path) -> Result<(), DbError> {
    if dir.join(manifest::FILE).exists() {
        return Err(DbError::AlreadyWhole { path: dir.to_owned() });
    }
    Ok(())
}

/// Makes a checkpoint in a directory, which is created; an unfinished one there is replaced, a whole one never. Databases of
/// which [`standby::prepare`] has begun a copy are saved by finishing it, the others by a dump.
///
/// # Errors
/// [`DbError::NoRoom`] before anything is written, [`DbError::DiskFull`] later, [`DbError::Lost`] when a server goes away,
/// [`DbError::AlreadyWhole`] if the directory has a whole checkpoint.
pub fn make(
    dir: &Utf8Path,
    databases: &[Target],
    files: &[camino::Utf8PathBuf],
    options: &Options,
) -> Result<Manifest, DbError> {
    make_with(dir, databases, files, Means::default(), options)
}

/// [`make`] with a wish about what is read, and the key of encrypted dumps.
///
/// # Errors
/// Those of [`make`].
pub fn make_with(
    dir: &Utf8Path,
    databases: &[Target],
    files: &[camino::Utf8PathBuf],
    means: Means,
    options: &Options,
) -> Result<Manifest, DbError> {
    let control = Control::start(options);
    refuse_whole(dir)?;
    let mut names = BTreeSet::new();
    for target in databases {
        if !names.insert(manifest::dump_name(&target.key)) {
            let reason = format!("two databases would be saved as {}", manifest::dump_name(&target.key));
            return Err(DbError::BadCheckpoint {
                path: dir.to_owned(),
                reason,
            });
        }
    }
    let mut copies = standby::complete(dir, databases, means.thoroughness, &control)?;
    let dumped: Vec<&Target> = databases.iter().filter(|d| !copies.contains_key(&d.key)).collect();
    let mut dumped: Vec<(u64, &Target)> = sizes(dumped.iter().copied())?.into_iter().zip(dumped).collect();
    // What takes longest is begun first, so that the lanes end at about the same time.
    dumped.sort_by_key(|(size, _)| std::cmp::Reverse(*size));
    require_room(dir, room_for(dir, dumped.iter().map(|(size, _)| size).sum())?)?;
    manifest::prepare_directory(dir)?;
    let mut saved = Vec::new();
    for target in databases {
        if let Some(copied) = copies.remove(&target.key) {
            saved.push(manifest::SavedDatabase {
                key: target.key.clone(),
                server: target.access.service.address(),
                server_version: target.access.strongest()?.facts().version.clone(),
                schema: target.access.schema()?.to_owned(),
                saved: None,
                copied: Some(copied),
            });
        }
    }
    let slots = Slots::new(control.lanes());
    saved.extend(slots.each(&dumped, |(_, target)| dump::save(dir, target, means, &slots, &control))?);
    saved.sort_by_key(|saved| databases.iter().position(|target| target.key == saved.key));
    let files = saved::copy_all(dir, files)?;
    manifest::write_connections(dir, databases)?;
    let made = Manifest {
        format: manifest::FORMAT,
        created: jiff::Timestamp::now(),
        databases: saved,
        files,
    };
    manifest::write(dir, &made)?;
    Ok(made)
}

fn remove_manifest(dir: &Utf8Path) -> Result<(), DbError> {
    let manifest = dir.join(manifest::FILE);
    match std::fs::remove_file(&manifest) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(DbError::io("cannot remove", manifest, e)),
        _ => Ok(()),
    }
}

/// Removes what an attempt to make a checkpoint left in its directory. Copies that [`standby::prepare`] has begun stay.
///
/// # Errors
/// [`DbError::Io`].
pub fn forget(dir: &Utf8Path) -> Result<(), DbError> {
    remove_manifest(dir)?;
    manifest::prepare_directory(dir)
}

/// Drops the copies of a checkpoint's databases, and the migrated tables that a way back has put aside. Returns the schemas
/// that were there.
///
/// # Errors
/// Those of servers; it may be repeated.
pub fn drop_copies(dir: &Utf8Path) -> Result<Vec<String>, DbError> {
    standby::discard(dir)
}

/// Deletes a checkpoint; the manifest goes first, so that what is left of an interrupted deletion is no checkpoint.
///
/// # Errors
/// [`DbError::Io`], and those of servers if there are copies; nothing to do if the directory is gone.
pub fn drop_checkpoint(dir: &Utf8Path) -> Result<(), DbError> {
    let gone = |result: std::io::Result<()>, path: &Utf8Path| match result {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(DbError::io("cannot remove", path, e)),
        _ => Ok(()),
    };
    remove_manifest(dir)?;
    drop_copies(dir)?;
    gone(std::fs::remove_dir_all(dir), dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lack_of_room_is_said_before_anything_is_written() {
        let room = Room {
            needed: 300 << 20,
            free: 100 << 20,
        };
        let error = require_room(Utf8Path::new("/state"), room).unwrap_err().to_string();
        assert!(error.contains("100 MiB free") && error.contains("301 MiB"), "{error}");
        assert!(require_room(Utf8Path::new("/state"), Room { needed: 1, free: 1 }).is_ok());
    }
}
