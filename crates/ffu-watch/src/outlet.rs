//! Where threads hand over what they saw, and from where they learn that all is to end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::{Duration, Instant};

use crate::Entry;

/// How long a batch may wait to be taken when all is stopped.
const PATIENCE: Duration = Duration::from_secs(2);

/// A bounded queue to whoever takes entries.
#[derive(Clone)]
pub(crate) struct Outlet {
    entries: SyncSender<Vec<Entry>>,
    stop: Arc<AtomicBool>,
}

impl Outlet {
    pub fn new(entries: SyncSender<Vec<Entry>>) -> Outlet {
        Outlet {
            entries,
            stop: Arc::new(AtomicBool::new(false)),
        }
    }

    /// All is to end.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Whether all is to end.
    pub fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Sleeps, but not on when all is to end.
    pub fn sleep(&self, time: Duration) {
        let until = Instant::now() + time;
        while !self.stopped() && Instant::now() < until {
            std::thread::sleep(
                until
                    .saturating_duration_since(Instant::now())
                    .min(Duration::from_millis(50)),
            );
        }
    }

    /// Hands a batch over and waits until it is taken; when all is stopped, only for a moment.
    pub fn deliver(&self, mut batch: Vec<Entry>) {
        let mut since = None;
        while !batch.is_empty() {
            batch = match self.entries.try_send(batch) {
                Ok(()) => return,
                Err(TrySendError::Full(batch)) => batch,
                // Nobody wants to know any more.
                Err(TrySendError::Disconnected(_)) => return self.stop(),
            };
            if self.stopped() && since.get_or_insert_with(Instant::now).elapsed() > PATIENCE {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
