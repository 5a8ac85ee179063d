//! What a server knows of writes to its tables: enough, often, not to read rows a second time that were read before.

mod dictionary;
mod evidence;
mod observe;

pub(crate) use dictionary::{ids, in_dictionary, node, table_of, tell_times_of_now};
pub(crate) use evidence::{Doubt, Evidence, Moment, is_settled, unwritten};
pub(crate) use observe::{Now, allowed, now, oldest_transaction};
