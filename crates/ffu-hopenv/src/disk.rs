//! Whether there is room for an environment, asked before anything is written.

use std::io;

use camino::Utf8Path;

use crate::error::EnvError;

/// What an environment takes where the catalog has not measured it: the largest measured one was 844 MiB (2024.1).
const USUAL_MIB: u64 = 900;

/// MiB that a build needs: the finished size, and a fifth more for unpacking and source builds.
pub(crate) fn needed_mib(measured: u64) -> u64 {
    let finished = if measured == 0 { USUAL_MIB } else { measured };
    finished.saturating_add(finished / 5)
}

/// Bytes that this user may still write below a directory.
pub(crate) fn free_bytes(directory: &Utf8Path) -> io::Result<u64> {
    let numbers = nix::sys::statvfs::statvfs(directory.as_std_path())?;
    // The types differ between architectures.
    #[allow(clippy::useless_conversion)]
    let (blocks, size) = (
        u64::from(numbers.blocks_available()),
        u64::from(numbers.fragment_size()),
    );
    Ok(blocks.saturating_mul(size))
}

/// Compares need and room.
pub(crate) fn check(series: &str, need_mib: u64, free_bytes: u64, directory: &Utf8Path) -> Result<u64, EnvError> {
    let free_mib = free_bytes >> 20;
    if free_mib >= need_mib {
        return Ok(free_mib);
    }
    Err(EnvError::DiskFull {
        series: series.to_owned(),
        need_mib,
        free_mib,
        directory: directory.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_compared_in_mib_with_a_reserve() {
        assert_eq!(needed_mib(500), 600);
        assert_eq!(needed_mib(0), 1080);
        let place = Utf8Path::new("/cache");
        assert_eq!(check("train", 600, 600 << 20, place).unwrap(), 600);
        let error = check("train", 600, (600 << 20) - 1, place).unwrap_err().to_string();
        assert!(
            error.starts_with("train needs about 600 MiB below /cache, and 599 MiB are free")
                && error.contains("ffu env remove"),
            "{error}"
        );
    }

    #[test]
    fn the_kernel_knows_the_room() {
        assert!(free_bytes(Utf8Path::new("/")).unwrap() > 0);
        assert!(free_bytes(Utf8Path::new("/nonexistent/x")).is_err());
    }
}
