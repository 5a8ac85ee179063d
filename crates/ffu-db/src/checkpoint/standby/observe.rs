//! Asks, at the beginning of the window, what the server knows of the tables' writes.

use super::side::{PROBE, Side};
use super::state::Copying;
use crate::checkpoint::Thoroughness;
use crate::error::DbError;
use crate::server::Session;
use crate::writes::{self, Evidence, Now};

/// What the server knows by now of the tables' writes; nothing if every row is to be read.
pub(super) fn in_window(
    copying: &Copying,
    side: &Side,
    session: &mut Session,
    thoroughness: Thoroughness,
) -> Result<Option<Now>, DbError> {
    if thoroughness == Thoroughness::Full {
        return Ok(None);
    }
    let mut now = writes::now(session, &side.server, &side.schema)?;
    let mut verified = copying.tables.values().filter_map(|copy| copy.verified.as_ref());
    if let Some(now) = &mut now
        && verified.any(Evidence::needs_cache)
    {
        now.moment.highest_id = id_of_new_table(side, &now.moment.node)?.unwrap_or(u64::MAX);
    }
    Ok(now)
}

/// The id that InnoDB gives to a table made now, in the copy's schema, and dropped; nothing where that is not to be had, or where
/// the connection leads to another node of a cluster, which counts for itself.
fn id_of_new_table(side: &Side, node: &str) -> Result<Option<u64>, DbError> {
    let look = |session: &mut Session| {
        if writes::node(session)? != node {
            return Ok(None);
        }
        Ok(writes::ids(session, &side.server, &side.copy)?.get(PROBE).copied())
    };
    side.make_and_drop_table(look).map(Option::flatten)
}
