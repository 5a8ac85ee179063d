//! What a step has to say while it runs, for whoever shows it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The latest words of each running step. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Notes(Arc<Mutex<BTreeMap<String, String>>>);

impl Notes {
    /// Says how far a step is.
    pub fn say(&self, step: &str, words: String) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(step.to_owned(), words);
    }

    /// What a step said last.
    pub fn of(&self, step: &str) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(step).cloned()
    }
}
