//! What processes weigh: memory that lies in no file, so that the kernel cannot have it back, each shared page counted once. It is the
//! anonymous part of the proportional set size that the kernel keeps (proc(5), `smaps_rollup`). What rests in a file, or is a
//! library's, is in the kernel's cache for as long as there is room for it.

/// Bytes of a process; zero if it is gone or may not be looked at.
pub(super) fn held(pid: i32) -> u64 {
    std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))
        .ok()
        .and_then(|text| parse(&text))
        .unwrap_or(0)
}

fn parse(text: &str) -> Option<u64> {
    let bytes = |name: &str| -> Option<u64> {
        let kib: u64 = text
            .lines()
            .find_map(|line| line.strip_prefix(name))?
            .trim()
            .strip_suffix("kB")?
            .trim()
            .parse()
            .ok()?;
        kib.checked_mul(1024)
    };
    // Older kernels do not tell them apart.
    match bytes("Pss_Anon:") {
        Some(anonymous) => anonymous.checked_add(bytes("Pss_Shmem:")?),
        None => bytes("Pss:"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_own_words_are_read() {
        let old = "00400000-7ffd ---p 00000000 00:00 0 [rollup]\nRss:   884 kB\nPss:                 385 kB\n";
        assert_eq!(parse(old), Some(385 * 1024));
        let new = format!(
            "{old}Pss_Dirty: 1 kB\nPss_Anon:             120 kB\nPss_File:             264 kB\nPss_Shmem:              1 kB\n"
        );
        assert_eq!(parse(&new), Some(121 * 1024));
        for bad in [
            "",
            "Pss: 1",
            "Pss: x kB",
            "Pss: 99999999999999999999 kB",
            "Pss_Anon: 1 kB\n",
        ] {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
        let own = held(nix::unistd::getpid().as_raw());
        assert!(own > 100 * 1024, "{own}");
        assert_eq!(held(-1), 0);
    }
}
