//! Places for memory to rest in, and whether this machine has one.
#![allow(dead_code, clippy::print_stdout)] // Each test binary uses its part; what a machine does not let be seen is said.

use camino::Utf8Path;
use ffu_hopenv::{Rest, SeriesWarmth};

/// A directory of the build's own.
pub fn in_build() -> Option<Rest> {
    in_directory(Utf8Path::new(env!("CARGO_TARGET_TMPDIR")))
}

pub fn in_directory(directory: &Utf8Path) -> Option<Rest> {
    Some(Rest {
        directory: directory.to_owned(),
        reserve: 0,
    })
}

/// Whether memory can rest where the build is; if not, the reason is told.
pub fn on_disk(found: &SeriesWarmth) -> bool {
    let why = found.stays.clone().unwrap_or_default();
    let is_of_this_machine = why.starts_with(env!("CARGO_TARGET_TMPDIR")) || why.contains("are free in");
    if is_of_this_machine {
        println!("NOT SEEN HERE: memory that rests in files: {why}");
    }
    !is_of_this_machine
}
