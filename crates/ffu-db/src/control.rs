//! When long work is to end before it is done.

use std::time::{Duration, Instant};

use crate::error::DbError;

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

    /// Does the same with every item, `lanes` at a time; results in the order of the items. After an error no further item
    /// is begun.
    pub(crate) fn each<T: Sync, R: Send>(
        &self,
        items: &[T],
        work: impl Fn(&T) -> Result<R, DbError> + Sync,
    ) -> Result<Vec<R>, DbError> {
        self.each_in(self.options.lanes, items, work)
    }

    /// [`Control::each`] with another number of lanes, for work that waits more than it works.
    pub(crate) fn each_in<T: Sync, R: Send>(
        &self,
        lanes: usize,
        items: &[T],
        work: impl Fn(&T) -> Result<R, DbError> + Sync,
    ) -> Result<Vec<R>, DbError> {
        use std::sync::Mutex;
        use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

        let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
        let results: Mutex<Vec<(usize, Result<R, DbError>)>> = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for _ in 0..lanes.clamp(1, items.len().max(1)) {
                scope.spawn(|| {
                    while !failed.load(Ordering::SeqCst) {
                        let index = next.fetch_add(1, Ordering::SeqCst);
                        let Some(item) = items.get(index) else { break };
                        let result = work(item);
                        if result.is_err() {
                            failed.store(true, Ordering::SeqCst);
                        }
                        results.lock().unwrap_or_else(|e| e.into_inner()).push((index, result));
                    }
                });
            }
        });
        let mut results = results.into_inner().unwrap_or_else(|e| e.into_inner());
        results.sort_by_key(|(index, _)| *index);
        results.into_iter().map(|(_, result)| result).collect()
    }
}
