//! A watch without a view.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ffu_model::watch::Snapshot;
use serde_json::json;

use crate::output::Output;

/// Plain lines of totals come this often, beside what changes.
const TOTALS: Duration = Duration::from_secs(10);

/// Plain lines: what changes at once, totals now and then.
pub struct Teller {
    output: Output,
    quiet: bool,
    before: Option<Arc<Snapshot>>,
    totals: Option<Instant>,
}

impl Teller {
    /// `quiet`: somebody looks at a view.
    pub fn new(output: Output, quiet: bool) -> Teller {
        Teller {
            output,
            quiet,
            before: None,
            totals: None,
        }
    }

    /// What was seen so far.
    pub fn tell(&mut self, snapshot: &Arc<Snapshot>) {
        let due = self.totals.is_none_or(|last| last.elapsed() >= TOTALS);
        if !self.quiet {
            for line in ffu_live::plain::changes(self.before.as_deref(), snapshot) {
                self.output.line(line);
            }
            if due {
                self.output.line(ffu_live::plain::line(snapshot));
            }
        }
        if due {
            self.totals = Some(Instant::now());
            self.output
                .json(&json!({"event": "watch", "totals": snapshot.totals, "breaches": snapshot.breaches}));
        }
        self.before = Some(Arc::clone(snapshot));
    }
}
