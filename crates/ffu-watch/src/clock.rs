//! The two clocks: boot time for everything that is measured, wall clock for people.

use ffu_model::watch::Nanos;
use nix::time::{ClockId, clock_gettime};

/// Now, on the boot-time clock. No clock step moves it, and it goes on while the machine sleeps.
pub fn now() -> Nanos {
    nanos(ClockId::CLOCK_BOOTTIME)
}

/// Now, on the wall clock: nanoseconds since 1970.
pub fn wall() -> i64 {
    i64::try_from(nanos(ClockId::CLOCK_REALTIME)).unwrap_or(i64::MAX)
}

fn nanos(clock: ClockId) -> u64 {
    // Both clocks exist on every Linux that ffu runs on; a failure would be an argument that is wrong.
    let Ok(time) = clock_gettime(clock) else { return 0 };
    let seconds = u64::try_from(time.tv_sec()).unwrap_or(0);
    let nanos = u64::try_from(time.tv_nsec()).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_goes_forward() {
        let first = now();
        assert!(first > 0 && now() >= first && wall() > 0);
    }
}
