//! What oslo.config and oslo.policy options a service knows, series by series: dumped from the real packages, packed,
//! embedded.
//!
//! One file a service, `options/SERVICE.json.zst`, holds every series. An option that stays the same over several series is
//! stored once, with the series it is in ([`Opt::series`]). Help texts are not stored. An overlay may replace such a file,
//! or add to a service with `options/SERVICE+ANYTHING.json` (or `.json.zst`), e.g. the options of a vendor's driver.
//!
//! Nothing is unpacked before it is asked for: a catalog loads in the same time whatever is in these files.

mod check;
mod combine;
mod lean;
mod packed;
mod set;
mod store;
mod types;

pub use combine::combine;
pub use packed::{LARGEST_PACKED, LARGEST_UNPACKED, OptionsError, pack, parse, to_json, unpack};
pub use set::{OptionSet, PolicySet};
pub use types::{
    AuthPlugin, DynamicGroup, NotDumped, OldName, Opt, OptType, PolicyRule, PredecessorRule, Removal, SeriesSet,
    ServiceOptions,
};

pub(crate) use store::{OptionStore, file_name};
