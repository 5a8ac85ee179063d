//! The kernel's process table, as far as it answers: is this still the process that was started, and who is in its group?
//!
//! A process is known by its pid *and* its start time (field 22 of `/proc/PID/stat`, proc(5)): pids are used again.

use std::time::Duration;

use jiff::Timestamp;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

/// Clock ticks a second in `/proc/PID/stat`: the kernel's USER_HZ, 100 on every architecture OpenStack is packaged for.
const TICKS_PER_SECOND: u64 = 100;

/// What `/proc/PID/stat` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    pub pid: i32,
    /// `R`, `S`, `Z` …
    pub state: char,
    pub group: i32,
    /// User and system ticks of the process and of the children it has waited for.
    pub ticks: u64,
    /// Ticks since boot at its start.
    pub start: u64,
}

impl Stat {
    /// Dead processes that nobody has waited for yet are in the table too.
    pub(crate) fn is_alive(&self) -> bool {
        !matches!(self.state, 'Z' | 'X' | 'x')
    }

    pub(crate) fn cpu(&self) -> Duration {
        Duration::from_millis(self.ticks.saturating_mul(1000 / TICKS_PER_SECOND))
    }

    /// Wall clock of its start, to a second or so.
    pub(crate) fn started(&self) -> Option<Timestamp> {
        let since_boot = i64::try_from(self.start / TICKS_PER_SECOND).ok()?;
        Timestamp::from_second(boot_time()?.checked_add(since_boot)?).ok()
    }
}

/// Seconds of the epoch at which the machine booted.
pub(crate) fn boot_time() -> Option<i64> {
    let text = std::fs::read_to_string("/proc/stat").ok()?;
    text.lines()
        .find_map(|line| line.strip_prefix("btime "))?
        .trim()
        .parse()
        .ok()
}

/// What tells the process of a pid from any other that has had or will have it: clock ticks from the boot of the machine to
/// its start. Unlike a time of day this does not change when somebody sets the clock. `None` if there is no such process.
pub fn ticks_at_start(pid: u32) -> Option<u64> {
    stat(i32::try_from(pid).ok()?)
        .filter(Stat::is_alive)
        .map(|stat| stat.start)
}

/// The entry of a pid, if there is one.
pub(crate) fn stat(pid: i32) -> Option<Stat> {
    // Names of programs need not be UTF-8.
    let bytes = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    parse(&String::from_utf8_lossy(&bytes))
}

fn parse(text: &str) -> Option<Stat> {
    // The name stands in brackets and may hold brackets and spaces itself: what follows the last one is safe.
    let (head, tail) = text.rsplit_once(')')?;
    let fields: Vec<&str> = tail.split_ascii_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    Some(Stat {
        pid: head.split_once(' ')?.0.parse().ok()?,
        state: fields.first()?.chars().next()?,
        group: fields.get(2)?.parse().ok()?,
        ticks: number(11)?
            .saturating_add(number(12)?)
            .saturating_add(number(13)?)
            .saturating_add(number(14)?),
        start: number(19)?,
    })
}

/// Every process.
pub(crate) fn all() -> Vec<Stat> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok())
        .filter_map(stat)
        .collect()
}

/// Whether anything in a process group is alive.
pub(crate) fn group_is_alive(group: i32) -> bool {
    all().iter().any(|process| process.group == group && process.is_alive())
}

/// Sends a signal to a whole group. Groups 0 and 1 would be our own and everybody's: never those, and never our own.
pub(crate) fn signal_group(group: i32, signal: Signal) {
    if group > 1 && group != nix::unistd::getpgrp().as_raw() {
        // The group may have ended meanwhile, which is what is wanted.
        let _ = killpg(Pid::from_raw(group), signal);
    }
}

/// Sends a signal to a process and, if it leads one, to its group.
pub(crate) fn signal_tree(process: &Stat, signal: Signal) {
    if process.group == process.pid {
        signal_group(process.group, signal);
    } else if process.pid > 1 && process.pid != nix::unistd::getpid().as_raw() {
        let _ = kill(Pid::from_raw(process.pid), signal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_program_names_do_not_shift_the_fields() {
        let line = "4242 (a) R 1 2 (b c) S 1 4240 4240 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 1 1\n";
        let stat = parse(line).unwrap();
        assert_eq!(
            (stat.pid, stat.state, stat.group, stat.start),
            (4242, 'S', 4240, 987_654)
        );
        assert_eq!(stat.ticks, 5 + 6 + 7 + 8);
        assert_eq!(stat.cpu(), Duration::from_millis(260));
        for bad in ["", "1", "1 (x", "1 (x)", "x (y) S 1 1", "1 (x) S 1 1 1"] {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn this_process_is_in_the_table() {
        let own = stat(nix::unistd::getpid().as_raw()).unwrap();
        assert!(own.is_alive());
        assert!(
            all()
                .iter()
                .any(|process| process.pid == own.pid && process.start == own.start)
        );
        let age = Timestamp::now().as_second() - own.started().unwrap().as_second();
        assert!((-5..86_400).contains(&age), "{age}");
        assert_eq!(ticks_at_start(std::process::id()), Some(own.start));
        assert_eq!(ticks_at_start(u32::MAX), None);
    }
}
