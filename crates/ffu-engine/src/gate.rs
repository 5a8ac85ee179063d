//! Who may say that no further step is begun: the watch, which is a process of its own.

use ffu_model::Step;

/// Asked before steps are begun, and beside them. Calls come from several threads.
pub trait Gate: Sync {
    /// Whether steps may be begun now, of which this is the first. Running steps are never touched.
    fn permit(&self, next: &Step) -> Permit;

    /// Probes lost so far; `None` if nothing is measured. A step's figures get the difference over it.
    fn lost(&self) -> Option<u64>;
}

/// A step's figure: probes of the data plane that were found lost while it ran. The watch's own report charges them to the
/// step in which they were sent.
pub const PROBES_LOST: &str = "probes-lost";

/// Whether steps may be begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Permit {
    /// They may.
    Go,
    /// Soon: nothing is wrong, and nobody need be told.
    Wait,
    /// Not now; asked again until it changes. Why, and what the operator can do.
    Hold(String),
    /// Not any more: the run stops. Why.
    Stop(String),
}

/// Nobody watches.
#[derive(Clone, Copy, Debug, Default)]
pub struct Open;

impl Gate for Open {
    fn permit(&self, _next: &Step) -> Permit {
        Permit::Go
    }

    fn lost(&self) -> Option<u64> {
        None
    }
}
