//! How urgently the operator wants things to end: one flag for signal handlers, the engine, builds and commands.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// How urgently the operator wants a stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StopLevel {
    /// Not at all.
    Run,
    /// After what is running; running commands are left to end.
    Finish,
    /// Now; running commands are ended.
    Now,
}

/// A shared stop level; clones see each other's changes.
#[derive(Clone, Debug, Default)]
pub struct StopFlag(Arc<AtomicU8>);

impl StopFlag {
    /// Nobody wants to stop.
    pub fn new() -> Self {
        Self::default()
    }

    /// One level more.
    pub fn raise(&self) {
        let _ = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |level| {
            Some(level.saturating_add(1))
        });
    }

    /// The present level.
    pub fn level(&self) -> StopLevel {
        match self.0.load(Ordering::SeqCst) {
            0 => StopLevel::Run,
            1 => StopLevel::Finish,
            _ => StopLevel::Now,
        }
    }

    /// Whether running commands are to be ended.
    pub fn is_now(&self) -> bool {
        self.level() == StopLevel::Now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_share_the_level_and_it_never_wraps() {
        let flag = StopFlag::new();
        let other = flag.clone();
        assert_eq!(other.level(), StopLevel::Run);
        flag.raise();
        assert_eq!(other.level(), StopLevel::Finish);
        assert!(!other.is_now());
        for _ in 0..300 {
            flag.raise();
        }
        assert!(other.is_now());
    }
}
