//! Brings a record to the disk every few seconds, on a thread of its own, so that a slow disk does not hold the watch up.

use std::fs::File;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often, if there is something.
const EVERY: Duration = Duration::from_secs(3);

/// The thread. It ends, after a last time, when this is dropped.
pub(super) struct Syncer {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Syncer {
    pub fn start(file: File) -> Syncer {
        let (stop, stopped) = channel();
        let thread = std::thread::spawn(move || sync(&file, &stopped));
        Syncer {
            stop: Some(stop),
            thread: Some(thread),
        }
    }
}

fn sync(file: &File, stopped: &Receiver<()>) {
    let mut synced = None;
    loop {
        let last = matches!(
            stopped.recv_timeout(EVERY),
            Ok(()) | Err(RecvTimeoutError::Disconnected)
        );
        let length = file.metadata().map(|metadata| metadata.len()).ok();
        // A disk that fails is noticed by the next write; here nobody could be told.
        if length != synced && file.sync_data().is_ok() {
            synced = length;
        }
        if last {
            return;
        }
    }
}

impl Drop for Syncer {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // It has no panics of its own.
        }
    }
}
