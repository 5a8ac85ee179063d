//! What processes weigh, each shared page counted once: the proportional set size that the kernel keeps (proc(5),
//! `smaps_rollup`).

/// PSS of a process in bytes; zero if it is gone or may not be looked at.
pub(super) fn pss(pid: i32) -> u64 {
    std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))
        .ok()
        .and_then(|text| parse(&text))
        .unwrap_or(0)
}

fn parse(text: &str) -> Option<u64> {
    let kib: u64 = text
        .lines()
        .find_map(|line| line.strip_prefix("Pss:"))?
        .trim()
        .strip_suffix("kB")?
        .trim()
        .parse()
        .ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_own_words_are_read() {
        let text = "00400000-7ffd ---p 00000000 00:00 0 [rollup]\nRss:   884 kB\nPss:                 385 kB\nPss_Dirty: 1 kB\n";
        assert_eq!(parse(text), Some(385 * 1024));
        for bad in ["", "Pss: 1", "Pss: x kB", "Pss: 99999999999999999999 kB"] {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
        let own = pss(nix::unistd::getpid().as_raw());
        assert!(own > 100 * 1024, "{own}");
        assert_eq!(pss(-1), 0);
    }
}
