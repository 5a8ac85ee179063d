//! When long work is to end before it is done.

use std::time::{Duration, Instant};

use crate::error::DbError;
use crate::lanes::side_by_side;

/// Limits of a long operation.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    /// How many databases are worked on at once; at least one.
    pub lanes: usize,
    /// Asked often; `true` ends the work with [`DbError::Stopped`].
    pub stop: Option<&'a (dyn Fn() -> bool + Sync)>,
    /// The whole operation must be done by then.
    pub timeout: Duration,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Options {
            lanes: 2,
            stop: None,
            timeout: Duration::from_secs(24 * 3600),
        }
    }
}

impl std::fmt::Debug for Options<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Options(lanes {}, timeout {:?})", self.lanes, self.timeout)
    }
}

/// [`Options`] with the clock started.
#[derive(Clone, Copy)]
pub(crate) struct Control<'a> {
    options: Options<'a>,
    started: Instant,
}

impl<'a> Control<'a> {
    pub(crate) fn start(options: &Options<'a>) -> Self {
        Control {
            options: *options,
            started: Instant::now(),
        }
    }

    pub(crate) fn check(&self, during: &str) -> Result<(), DbError> {
        if self.options.stop.is_some_and(|stop| stop()) {
            return Err(DbError::Stopped {
                during: during.to_owned(),
            });
        }
        if self.started.elapsed() > self.options.timeout {
            let seconds = self.options.timeout.as_secs();
            return Err(DbError::Timeout {
                during: during.to_owned(),
                seconds,
            });
        }
        Ok(())
    }

    /// [`side_by_side`] in as many lanes as there are to be.
    pub(crate) fn each<T: Sync, R: Send>(
        &self,
        items: &[T],
        work: impl Fn(&T) -> Result<R, DbError> + Sync,
    ) -> Result<Vec<R>, DbError> {
        side_by_side(self.lanes(), items, work)
    }

    pub(crate) fn lanes(&self) -> usize {
        self.options.lanes
    }
}
