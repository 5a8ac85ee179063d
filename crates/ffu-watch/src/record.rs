//! The record of a watch: a directory with the targets and, append-only, everything that was seen.
//!
//! `targets.json` holds the whole targets file, `record.bin` the frames of [`crate::frame`]. What was appended survives `kill -9` of the
//! writer at once, and a crash of the machine after a few seconds. A torn last frame is skipped by readers and cut by the next writer.

mod reader;
mod sync;
mod writer;

pub use reader::Reader;
pub use writer::{State, Writer};

/// The file with the targets.
pub const TARGETS: &str = "targets.json";

/// The file with the frames.
pub const FRAMES: &str = "record.bin";

#[cfg(test)]
#[path = "record/tests.rs"]
mod tests;
