//! A record that is read, also while it is written, by whoever wants to know what the watch knows.

use ffu_model::watch::{Nanos, Snapshot};
use jiff::Timestamp;

use crate::clock;
use crate::error::WatchError;
use crate::frame::Content;
use crate::record::Reader;
use crate::tally::Tally;

/// Reads a record, also one that is being written, and concludes what the watch concludes.
#[derive(Debug, Default)]
pub struct Follower {
    run: Option<String>,
    pub(super) tally: Option<Tally>,
    /// The writer's clocks when it wrote the last frame.
    pub(super) last: (Nanos, i64),
}

impl Follower {
    /// Nothing read yet.
    pub fn new(run: Option<String>) -> Follower {
        Follower {
            run,
            ..Follower::default()
        }
    }

    /// Takes what is there.
    ///
    /// # Errors
    /// [`WatchError`] if it is of another version of ffu, or cannot be read.
    pub fn follow(&mut self, reader: &mut Reader) -> Result<(), WatchError> {
        while let Some(frame) = reader.next_frame()? {
            let run = &self.run;
            let tally = self
                .tally
                .get_or_insert_with(|| Tally::new(reader.targets().clone(), frame.boot, run.clone()));
            if let Content::Entries(entries) = &frame.content {
                entries.iter().for_each(|entry| tally.take(entry));
            }
            tally.advance(frame.boot);
            self.last = (frame.boot, frame.wall);
        }
        Ok(())
    }

    /// It is now, for the watch that writes: what has not come until now is late for it as well.
    pub fn advance(&mut self) {
        self.last = (clock::now(), clock::wall());
        if let Some(tally) = &mut self.tally {
            tally.advance(self.last.0);
        }
    }

    /// What the watch had seen when it wrote the last frame, or at the last [`Follower::advance`].
    pub fn snapshot(&self, reader: &Reader) -> Snapshot {
        let (now, wall) = self.last;
        let at = Timestamp::from_nanosecond(wall.into()).unwrap_or_default();
        match &self.tally {
            Some(tally) => tally.snapshot(at, now),
            None => Tally::new(reader.targets().clone(), now, self.run.clone()).snapshot(at, now),
        }
    }
}
