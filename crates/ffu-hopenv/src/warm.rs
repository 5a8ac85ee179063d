//! Warm hop environments: commands forked from processes that have imported the projects before, so that nothing has to
//! start inside the window.
//!
//! For each series that is kept warm there is a small tree of processes: the interpreter as it starts; a child that has
//! imported the libraries that projects share; and for each project one that has imported the project's programs. A command
//! is a fork of the latter, which becomes in everything what the plain process would be, and runs the same console script.
//! They hold no connection to anything but `ffu`, and end with it; a command that runs does not, just as a plain one.
//!
//! Whatever is doubtful is said ([`Cold`]) and done by the plain process. A command is started once: it waits for the
//! word, and after the word there is no second try.

mod also;
mod cold;
mod command;
mod keeper;
mod link;
mod memory;
mod pool;
mod resting;
mod tree;

pub use cold::Cold;
pub use pool::{Programs, Ran, SeriesWarmth, WarmPool};
pub use resting::Rest;
