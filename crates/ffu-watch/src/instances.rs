//! Instances of nova, as its cell databases tell of them: who has no access to a guest still learns that it was started anew, moved or
//! deleted. Who watches asks; how the databases are reached is the caller's ([`Reading`]).
//!
//! When they are asked. Until the freeze again and again, so that what is compared with is as late as it can be; what users do until
//! then is no restart. Never from the freeze to the end of the hops, nor in a rollback: the tables are being migrated or renamed,
//! and services that do not run write nothing. From the deploy phase on again and again, and once more at the end. A watch without a run asks at its
//! begin and its end.
//!
//! What changes because a user asked nova for it (`instance_actions` with a user) is told, and is no restart; so is
//! what a task does that was under way when the databases were read last before the freeze.

mod asking;
mod compare;
mod moment;

pub(crate) use asking::Asking;
pub use asking::Reading;

use crate::Row;

/// Uuids in one query: it stays below 4096 bytes.
const AT_ONCE: usize = 80;

/// What an instance is, as its row says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Instance {
    /// Its uuid.
    pub uuid: String,
    /// Deleted, or on its way (`vm_state` `deleted` or `soft-delete`).
    pub is_gone: bool,
    /// `running`, `shutdown`, …
    pub power_state: String,
    /// When it was launched last (spawned, rebuilt, resized, evacuated), as the database has it; empty if never.
    pub launched_at: String,
    /// The compute host; empty if none.
    pub host: String,
    /// `active`, `error`, …
    pub vm_state: String,
    /// What nova does with it; empty if nothing.
    pub task: String,
    /// How often a user asked nova to do something with it.
    pub asked: u64,
    /// The last thing a user asked for; empty if nothing.
    pub last_asked: String,
}

/// What was read from the cells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// What was found.
    pub instances: Vec<Instance>,
    /// Cells that could not be read, and why; what is not found may be there.
    pub unread: Vec<String>,
}

/// A row that the queries do not give.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a row of nova's instances is not understood ({what})\n  next: look at the table `instances` of the cell's database"
)]
pub struct RowError {
    what: String,
}

/// Whether a text is a uuid as nova and the kernel write them. Nothing else goes into a query.
pub fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(place, byte)| match place {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// The queries for a cell database that give these instances. What is no uuid is left out.
///
/// Where the columns are from: `instances` and `instance_actions` are in the first migration of every series from Pike on
/// (`216_havana.py`, from Xena on `8f2f1571d55b_initial_version.py`) with all of these, and no later one changes them. Both are
/// read by an index.
pub fn queries<'a>(uuids: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let uuids: Vec<&str> = uuids.into_iter().filter(|uuid| is_uuid(uuid)).collect();
    let query = |uuids: &[&str]| {
        format!(
            "SELECT i.uuid, i.deleted, i.power_state, i.launched_at, i.host, i.vm_state, i.task_state, \
             (SELECT COUNT(*) FROM instance_actions a WHERE a.instance_uuid = i.uuid AND a.user_id IS NOT NULL), \
             (SELECT b.action FROM instance_actions b WHERE b.instance_uuid = i.uuid AND b.user_id IS NOT NULL \
             ORDER BY b.id DESC LIMIT 1) \
             FROM instances i WHERE i.uuid IN ('{}') ORDER BY i.uuid",
            uuids.join("', '")
        )
    };
    uuids.chunks(AT_ONCE).map(query).collect()
}

/// Instances from the rows of [`queries`].
///
/// # Errors
/// [`RowError`] if rows are of another query.
pub fn from_rows(rows: &[Row]) -> Result<Vec<Instance>, RowError> {
    rows.iter().map(from_row).collect()
}

fn from_row(row: &Row) -> Result<Instance, RowError> {
    let wrong = |what: String| RowError { what };
    let values: Vec<&str> = row.iter().map(|value| value.as_deref().unwrap_or_default()).collect();
    let [
        uuid,
        deleted,
        power_state,
        launched_at,
        host,
        vm_state,
        task,
        asked,
        last_asked,
    ] = values[..]
    else {
        return Err(wrong(format!("{} columns", values.len())));
    };
    let number = |what: &str, text: &str| match text {
        "" => Ok(0),
        _ => text.parse::<u64>().map_err(|_| wrong(format!("{what} is {text:?}"))),
    };
    Ok(Instance {
        uuid: uuid.to_owned(),
        is_gone: number("deleted", deleted)? != 0 || matches!(vm_state, "deleted" | "soft-delete"),
        power_state: power(number("power_state", power_state)?).to_owned(),
        launched_at: launched_at.trim_matches('\'').to_owned(),
        host: host.to_owned(),
        vm_state: vm_state.to_owned(),
        task: task.to_owned(),
        asked: number("the count of actions", asked)?,
        last_asked: last_asked.to_owned(),
    })
}

/// nova/compute/power_state.py; unchanged from Pike to 2026.1.
fn power(state: u64) -> &'static str {
    match state {
        0 => "no state",
        1 => compare::RUNNING,
        3 => "paused",
        4 => "shutdown",
        6 => "crashed",
        7 => "suspended",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(values: &[&str]) -> Row {
        let value = |value: &&str| (*value != "NULL").then(|| (*value).to_owned());
        values.iter().map(value).collect()
    }

    #[test]
    fn only_uuids_go_into_queries_and_every_query_is_let_through() {
        let uuids: Vec<String> = (0..200).map(|n| format!("01234567-89ab-cdef-0123-{n:012x}")).collect();
        let asked = queries(uuids.iter().map(String::as_str).chain(["x' OR '1'='1", ""]));
        assert_eq!(asked.len(), 3);
        for query in &asked {
            assert_eq!(ffu_model::query::refusal(query), None, "{query}");
            assert!(!query.contains("OR '1'"));
        }
        assert!(queries(["' --"]).is_empty());
        for bad in [
            "",
            "0123456789abcdef0123456789abcdef0123",
            "01234567-89ab-cdef-0123-00000000000g",
        ] {
            assert!(!is_uuid(bad), "{bad}");
        }
    }

    #[test]
    fn rows_become_instances_or_say_what_is_wrong() {
        let uuid = "01234567-89ab-cdef-0123-000000000001";
        let up = row(&[
            uuid,
            "0",
            "1",
            "2026-11-01 10:00:00",
            "cmp1",
            "active",
            "NULL",
            "2",
            "create",
        ]);
        let gone = row(&[uuid, "7", "NULL", "NULL", "NULL", "NULL", "NULL", "0", "NULL"]);
        let soft = row(&[uuid, "0", "4", "NULL", "cmp1", "soft-delete", "NULL", "1", "delete"]);
        let found = from_rows(&[up, gone, soft]).unwrap();
        assert_eq!(
            found[0],
            Instance {
                uuid: uuid.to_owned(),
                is_gone: false,
                power_state: "running".to_owned(),
                launched_at: "2026-11-01 10:00:00".to_owned(),
                host: "cmp1".to_owned(),
                vm_state: "active".to_owned(),
                task: String::new(),
                asked: 2,
                last_asked: "create".to_owned(),
            }
        );
        assert!(found[1].is_gone && found[2].is_gone);
        for bad in [row(&["a"]), row(&[uuid, "no", "1", "", "", "", "", "0", ""])] {
            let error = from_rows(&[bad]).unwrap_err().to_string();
            assert!(
                error.contains("not understood") && error.contains("\n  next: "),
                "{error}"
            );
        }
    }
}
