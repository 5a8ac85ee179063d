//! Bytes a second, as a promise to a server that has other work to do.

use std::cell::Cell;
use std::time::{Duration, Instant};

use crate::control::Control;
use crate::error::DbError;

/// A limit that is kept over the whole copy.
pub(super) struct Pace {
    limit: Option<u64>,
    begun: Instant,
    passed: Cell<u64>,
}

impl Pace {
    pub(super) fn new(limit: Option<u64>) -> Self {
        Pace {
            limit: limit.filter(|limit| *limit > 0),
            begun: Instant::now(),
            passed: Cell::new(0),
        }
    }

    /// Counts bytes that have passed, and waits until so many may have.
    pub(super) fn pass(&self, bytes: u64, control: &Control<'_>, during: &str) -> Result<(), DbError> {
        self.passed.set(self.passed.get().saturating_add(bytes));
        loop {
            control.check(during)?;
            let wait = self.owed(self.begun.elapsed());
            if wait.is_zero() {
                return Ok(());
            }
            // In short sleeps, so that a wish to stop is noticed.
            std::thread::sleep(wait.min(Duration::from_millis(100)));
        }
    }

    fn owed(&self, elapsed: Duration) -> Duration {
        let Some(limit) = self.limit else {
            return Duration::ZERO;
        };
        let due = Duration::from_secs_f64(self.passed.get() as f64 / limit as f64);
        due.saturating_sub(elapsed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::Options;

    #[test]
    fn a_limit_is_kept_and_no_limit_waits_for_nobody() {
        let pace = Pace::new(Some(1000));
        pace.passed.set(3000);
        assert_eq!(pace.owed(Duration::from_secs(1)), Duration::from_secs(2));
        assert_eq!(pace.owed(Duration::from_secs(4)), Duration::ZERO);
        let free = Pace::new(None);
        free.passed.set(u64::MAX);
        assert_eq!(free.owed(Duration::ZERO), Duration::ZERO);
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
