//! A record that is read again gives the answer that the watch gave.

use ffu_model::watch::{Nanos, Snapshot, Targets};
use jiff::Timestamp;

use crate::Entry;
use crate::tally::Tally;

/// Takes all entries of a record and concludes from them.
///
/// `until` is when the watch ended; without it the record's last instant is taken. What is still on its way then stays open, as
/// it was in the watch.
pub fn replay(
    targets: Targets,
    began: Nanos,
    run: Option<String>,
    entries: impl IntoIterator<Item = Entry>,
    until: Option<Nanos>,
) -> Tally {
    let mut tally = Tally::new(targets, began, run);
    for entry in entries {
        tally.take(&entry);
    }
    tally.advance(until.unwrap_or_else(|| tally.clock()));
    tally
}

/// The snapshot of a replayed record, at its end. The wall clock is the one that the record holds, 1970 if it holds none.
pub fn last_snapshot(tally: &Tally) -> Snapshot {
    let now = tally.clock();
    let wall = tally.wall(now).unwrap_or(0);
    let at = Timestamp::from_nanosecond(i128::from(wall)).unwrap_or(Timestamp::UNIX_EPOCH);
    tally.snapshot(at, now)
}

#[cfg(test)]
#[path = "replay_tests.rs"]
mod tests;
