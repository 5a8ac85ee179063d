//! Where the memory of processes that wait rests: in files of a directory, so that many series can be warm in little memory. The work is
//! done by the processes themselves (`resting.py`).

use camino::Utf8PathBuf;
use nix::sys::statfs::{
    BTRFS_SUPER_MAGIC, EXT4_SUPER_MAGIC, FsType, OVERLAYFS_SUPER_MAGIC, TMPFS_MAGIC, XFS_SUPER_MAGIC, statfs,
};

use crate::disk;

/// `RAMFS_MAGIC`, `F2FS_SUPER_MAGIC` of linux/magic.h, and that of OpenZFS.
const RAMFS_MAGIC: FsType = FsType(0x8584_58f6);
const F2FS_SUPER_MAGIC: FsType = FsType(0xf2f5_2010);
const ZFS_SUPER_MAGIC: FsType = FsType(0x2fc1_2fc1);

/// A place for memory to rest in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rest {
    /// A directory on a disk of this machine.
    pub directory: Utf8PathBuf,
    /// Bytes there that are kept free for others: a checkpoint, a database server's own files.
    pub reserve: u64,
}

/// Bytes that must be free: a series (520 to 760 MiB), and a gibibyte and more that others on the same disk, a database server for one, keep.
const ROOM: u64 = 2 << 30;

/// Why files of a directory would not do; `None` if they do.
pub(super) fn objection(rest: &Rest) -> Option<String> {
    let directory = &rest.directory;
    let kind = match statfs(directory.as_std_path()) {
        Ok(found) => found.filesystem_type(),
        Err(error) => return Some(format!("{directory} cannot be looked at: {error}")),
    };
    if [TMPFS_MAGIC, RAMFS_MAGIC].contains(&kind) {
        return Some(format!("{directory} is in memory itself"));
    }
    let disks = [
        EXT4_SUPER_MAGIC,
        XFS_SUPER_MAGIC,
        BTRFS_SUPER_MAGIC,
        OVERLAYFS_SUPER_MAGIC,
        F2FS_SUPER_MAGIC,
        ZFS_SUPER_MAGIC,
    ];
    if !disks.contains(&kind) {
        return Some(format!(
            "{directory} is on no file system of this machine's disks that is known (its kind is {:#x})",
            kind.0
        ));
    }
    let free = disk::free_bytes(directory).unwrap_or_default();
    let wanted = ROOM.saturating_add(rest.reserve);
    (free < wanted).then(|| {
        format!(
            "{} MiB are free in {directory}, and {} are wanted",
            free >> 20,
            wanted >> 20
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rest(directory: &str, reserve: u64) -> Rest {
        Rest {
            directory: directory.into(),
            reserve,
        }
    }

    #[test]
    fn a_directory_in_memory_or_nowhere_is_no_place_to_rest() {
        for not_a_disk in ["/dev/shm", "/proc"] {
            let said = objection(&rest(not_a_disk, 0)).unwrap();
            assert!(
                said.contains("is in memory itself") || said.contains("is known"),
                "{said}"
            );
        }
        assert!(
            objection(&rest("/nonexistent/x", 0))
                .unwrap()
                .contains("cannot be looked at")
        );
    }

    #[test]
    fn what_others_will_write_is_kept_free() {
        let here = env!("CARGO_MANIFEST_DIR");
        let Some(said) = objection(&rest(here, u64::MAX)) else {
            panic!("no disk is that large");
        };
        assert!(
            said.contains("are free in") || said.contains("is in memory itself") || said.contains("is known"),
            "{said}"
        );
    }
}
