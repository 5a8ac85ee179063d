//! Where the memory of processes that wait rests: in files of a directory, so that many series can be warm in little memory. The work is
//! done by the processes themselves (`resting.py`).

use camino::Utf8Path;
use nix::sys::statfs::{FUSE_SUPER_MAGIC, FsType, NFS_SUPER_MAGIC, SMB_SUPER_MAGIC, TMPFS_MAGIC, statfs};

use crate::disk;

/// `RAMFS_MAGIC` of linux/magic.h.
const RAMFS_MAGIC: FsType = FsType(0x8584_58f6);
/// Bytes that must be free: a series (520 to 760 MiB), and a gibibyte and more that others on the same disk, a database server for one, keep.
const ROOM: u64 = 2 << 30;

/// Why files of a directory would not do; `None` if they do.
pub(super) fn objection(directory: &Utf8Path) -> Option<String> {
    let kind = match statfs(directory.as_std_path()) {
        Ok(found) => found.filesystem_type(),
        Err(error) => return Some(format!("{directory} cannot be looked at: {error}")),
    };
    if [TMPFS_MAGIC, RAMFS_MAGIC].contains(&kind) {
        return Some(format!("{directory} is in memory itself"));
    }
    if [NFS_SUPER_MAGIC, SMB_SUPER_MAGIC, FUSE_SUPER_MAGIC].contains(&kind) {
        return Some(format!("{directory} is not on a disk of this machine"));
    }
    let free = disk::free_bytes(directory).unwrap_or_default();
    (free < ROOM).then(|| {
        format!(
            "{} MiB are free in {directory}, and {} are wanted",
            free >> 20,
            ROOM >> 20
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_in_memory_is_no_place_to_rest() {
        assert_eq!(
            objection(Utf8Path::new("/dev/shm")).as_deref(),
            Some("/dev/shm is in memory itself")
        );
        assert!(
            objection(Utf8Path::new("/nonexistent/x"))
                .unwrap()
                .contains("cannot be looked at")
        );
    }
}
