//! Bytes a second, as a promise to a server that has other work to do.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::control::Control;
use crate::error::DbError;

/// A limit that all lanes of a copy keep together. Time in which nothing passed is not made up for.
pub(crate) struct Pace {
    limit: Option<u64>,
    free_at: Mutex<Instant>,
}

impl Pace {
    /// `limit` is in bytes a second; none, or 0, is no limit.
    pub(crate) fn new(limit: Option<u64>) -> Self {
        Pace {
            limit: limit.filter(|limit| *limit > 0),
            free_at: Mutex::new(Instant::now()),
        }
    }

    /// Counts bytes that have passed, and waits until others may.
    pub(crate) fn pass(&self, bytes: u64, control: &Control<'_>, during: &str) -> Result<(), DbError> {
        let until = self.counted(bytes, Instant::now());
        loop {
            control.check(during)?;
            let wait = until.saturating_duration_since(Instant::now());
            if wait.is_zero() {
                return Ok(());
            }
            // In short sleeps, so that a wish to stop is noticed.
            std::thread::sleep(wait.min(Duration::from_millis(50)));
        }
    }

    /// When others may pass.
    fn counted(&self, bytes: u64, now: Instant) -> Instant {
        let Some(limit) = self.limit else { return now };
        let share = Duration::from_micros(bytes.saturating_mul(1_000_000) / limit);
        let mut free_at = self.free_at.lock().unwrap_or_else(|e| e.into_inner());
        *free_at = (*free_at).max(now) + share;
        *free_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::Options;

    #[test]
    fn a_limit_is_kept_and_no_limit_waits_for_nobody() {
        let pace = Pace::new(Some(1000));
        let begun = Instant::now();
        let after = |seconds| begun + Duration::from_secs(seconds);
        assert_eq!(pace.counted(3000, begun), after(3));
        assert_eq!(
            pace.counted(1000, after(1)),
            after(4),
            "another lane waits for the first"
        );
        assert_eq!(pace.counted(1000, after(9)), after(10), "a pause is not made up for");
        for free in [None, Some(0)] {
            assert_eq!(Pace::new(free).counted(u64::MAX, begun), begun);
        }
    }

    #[test]
    fn a_wish_to_stop_ends_the_waiting() {
        let stop = || true;
        let options = Options {
            stop: Some(&stop),
            ..Options::default()
        };
        let begun = Instant::now();
        let result = Pace::new(Some(1)).pass(1000, &Control::start(&options), "copying");
        assert!(matches!(result, Err(DbError::Stopped { .. })) && begun.elapsed() < Duration::from_secs(5));
    }
}
