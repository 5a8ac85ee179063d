//! Files that must be whole or absent, and files that nobody else may read.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};

use camino::Utf8Path;

use crate::error::DbError;

/// Writes a file that only its owner may read. It must not exist yet.
pub(crate) fn write_private(path: &Utf8Path, bytes: &[u8]) -> Result<(), DbError> {
    let write = || -> std::io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(|e| DbError::io("cannot write", path, e))
}

/// Replaces a file: whoever looks sees the old or the new one, also after a crash.
pub(crate) fn write_atomically(path: &Utf8Path, bytes: &[u8], mode: u32) -> Result<(), DbError> {
    let directory = path
        .parent()
        .filter(|d| !d.as_str().is_empty())
        .unwrap_or(Utf8Path::new("."));
    let write = || -> std::io::Result<()> {
        let mut file = tempfile::Builder::new().prefix(".ffu-").tempfile_in(directory)?;
        file.write_all(bytes)?;
        file.as_file().set_permissions(fs::Permissions::from_mode(mode))?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|e| e.error)?;
        File::open(directory)?.sync_all()
    };
    write().map_err(|e| DbError::io("cannot write", path, e))
}

/// Makes the names in a directory durable.
pub(crate) fn sync_directory(path: &Utf8Path) -> Result<(), DbError> {
    File::open(path)
        .and_then(|d| d.sync_all())
        .map_err(|e| DbError::io("cannot sync", path, e))
}

/// Bytes that this user may still write below a directory.
///
/// # Errors
/// If the file system cannot be asked.
pub fn free_bytes(directory: &Utf8Path) -> std::io::Result<u64> {
    let numbers = nix::sys::statvfs::statvfs(directory.as_std_path())?;
    Ok(numbers.blocks_available() as u64 * numbers.fragment_size() as u64)
}
