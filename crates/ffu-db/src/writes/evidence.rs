//! What a server knows about writes to its tables, and when that is enough not to read their rows again.
//!
//! A table was read (compared with its copy, or measured), and its evidence was taken just before that. Later the same is
//! asked again, and equal answers mean that no row was written. This file decides; `observe` asks. InnoDB's ways behind the
//! rules (MariaDB 10.6 to 11; what could be tried on a server is tried by the tests):
//!
//! - `UPDATE_TIME` is set when a transaction commits, for every table of which it wrote a row, also by cascades, by
//!   `TRUNCATE`-less bulk inserts and by `XA COMMIT`; not by a rollback. Older servers and MySQL set it to the time of the
//!   commit, newer ones to the time when **the transaction began**, in whole seconds. So a transaction that began in the very
//!   second of the time seen, and is still open, may commit later without a trace: a time counts only if every transaction
//!   that is open when it is seen began after it.
//! - Changes become visible first, then the time is set, and only then the transaction is no longer listed as open. The list
//!   of open transactions is asked after the times, so that what it does not have is visible and stamped.
//! - The time is kept in the dictionary cache alone. It is NULL after a restart, and after the table left the cache, which
//!   happens only when the cache's list is longer than `table_definition_cache`. Ids of tables only grow: no more tables can
//!   have come, and perhaps gone, between two observations than ids were given out.
//! - `UPDATE_TIME` of a partitioned table is the latest of its partitions: should one leave the cache, its later time is
//!   forgotten behind the others'. Such tables count only while nothing can leave the cache.
//! - What builds a table anew (`TRUNCATE`, `ALTER … COPY`, `IMPORT TABLESPACE`) gives it another id; every other change of a
//!   definition writes its file, whose time MariaDB tells as `CREATE_TIME`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Times are whole seconds, and clocks are read one after the other: what is younger is not told apart.
const SETTLED: i64 = 10;
/// How far two readings of one clock may be apart.
const SLACK: i64 = 2;
/// What the cache may hold beside the tables of the dictionary.
const MARGIN: u64 = 64;

/// A server at a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Moment {
    /// Which node: see `node`.
    pub node: String,
    /// The server's clock, seconds since 1970.
    pub clock: i64,
    /// When it was started, by that clock. The server computes its uptime by the clock as well, so that this is the same
    /// however the clock is set.
    pub started: i64,
    /// This host since its start: which start, and seconds; a clock that cannot be set.
    pub boot: (String, i64),
    /// `table_definition_cache`.
    pub cache: u64,
    /// Tables and partitions in InnoDB's dictionary.
    pub tables: u64,
    /// Before the freeze the highest of their ids, in the window that of a table made just now: what lies between was made
    /// since, and may be gone again.
    pub highest_id: u64,
    /// Whether a time that is NULL can be relied on: not tried on MySQL.
    pub tells_null: bool,
}

/// A table at a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Seen {
    /// `UPDATE_TIME`, seconds since 1970.
    pub written: Option<i64>,
    /// `CREATE_TIME`.
    pub created: Option<i64>,
    /// InnoDB's ids of the table or its partitions.
    pub ids: BTreeMap<String, u64>,
}

/// What was seen just before a table was read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Evidence {
    pub at: Moment,
    pub seen: Seen,
}

/// Why a table's rows are read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doubt {
    /// It was not read before, or nothing could be asked.
    NotCompared,
    /// The server was restarted, or it is another node, or a clock was set.
    Server,
    /// It was altered or built anew.
    Altered,
    /// It was written.
    Written,
    /// The server may have forgotten that it was written.
    Forgotten,
}

impl Evidence {
    /// Whether it counts only while nothing leaves the cache.
    pub(crate) fn needs_cache(&self) -> bool {
        self.seen.written.is_none() || self.seen.ids.len() > 1
    }
}

impl Moment {
    /// How large `table_definition_cache` must be for nothing to be forgotten, while few tables are made.
    pub(crate) fn cache_needed(&self) -> u64 {
        self.tables.saturating_add(2 * MARGIN)
    }

    /// Whether no table can have left the cache since an earlier moment.
    fn kept_all_since(&self, earlier: &Moment) -> bool {
        let made = self.highest_id.checked_sub(earlier.highest_id);
        let room = self.cache.min(earlier.cache);
        made.is_some_and(|made| room > earlier.tables.saturating_add(MARGIN).saturating_add(made))
    }

    /// Whether it is the same start of the same server as an earlier moment, with clocks that went on alike.
    fn follows(&self, earlier: &Moment) -> bool {
        let by_server = self.clock - earlier.clock;
        let by_host = self.boot.1 - earlier.boot.1;
        !self.node.is_empty()
            && self.node == earlier.node
            && !self.boot.0.is_empty()
            && self.boot.0 == earlier.boot.0
            && (self.started - earlier.started).abs() <= SLACK
            && by_host >= 0
            && (by_server - by_host).abs() <= SLACK + by_host / 10_000
    }
}

/// Whether what is seen of a table can be told from what a later write would make of it. `oldest` is for how many seconds at
/// most a transaction has been open that was not over when the table had been looked at.
pub(crate) fn is_settled(at: &Moment, seen: &Seen, oldest: i64) -> bool {
    let is_old = |time: i64| time <= at.clock - SETTLED;
    !seen.ids.is_empty()
        && is_old(at.started)
        && seen.created.is_some_and(is_old)
        && seen
            .written
            .is_none_or(|written| is_old(written) && written < at.clock - oldest - SLACK)
}

/// Whether no row of a table can have been written since it was read: then the evidence of that.
pub(crate) fn unwritten<'a>(
    then: Option<&'a Evidence>,
    now: Option<&Moment>,
    seen: Option<&Seen>,
) -> Result<&'a Evidence, Doubt> {
    let (Some(then), Some(now), Some(seen)) = (then, now, seen) else {
        return Err(Doubt::NotCompared);
    };
    if !now.follows(&then.at) {
        return Err(Doubt::Server);
    }
    if seen.ids != then.seen.ids || seen.ids.is_empty() || seen.created != then.seen.created {
        return Err(Doubt::Altered);
    }
    let keeps_all = now.kept_all_since(&then.at);
    match (then.seen.written, seen.written) {
        (Some(before), Some(after)) if before != after => Err(Doubt::Written),
        (None, Some(_)) => Err(Doubt::Written),
        (Some(_), Some(_)) if !then.needs_cache() || keeps_all => Ok(then),
        (None, None) if keeps_all && then.at.tells_null && now.tells_null => Ok(then),
        _ => Err(Doubt::Forgotten),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(clock: i64) -> Moment {
        Moment {
            node: "db1".into(),
            clock,
            started: 1000,
            boot: ("a".into(), clock - 500),
            cache: 2000,
            tables: 1000,
            highest_id: 3000,
            tells_null: true,
        }
    }

    fn seen(written: Option<i64>) -> Seen {
        Seen {
            written,
            created: Some(100),
            ids: BTreeMap::from([("t".to_owned(), 7)]),
        }
    }

    fn judged(now: &Moment, then_written: Option<i64>, now_seen: &Seen) -> Result<(), Doubt> {
        let then = Evidence {
            at: at(5000),
            seen: seen(then_written),
        };
        unwritten(Some(&then), Some(now), Some(now_seen)).map(|_| ())
    }

    #[test]
    fn equal_times_of_the_same_table_of_the_same_start_are_enough() {
        assert_eq!(judged(&at(9000), Some(4000), &seen(Some(4000))), Ok(()));
        assert_eq!(judged(&at(9000), None, &seen(None)), Ok(()));
        for (before, after, doubt) in [
            (Some(4000), Some(4001), Doubt::Written),
            // Also an earlier one: transactions stamp the time they began.
            (Some(4000), Some(3999), Doubt::Written),
            (None, Some(4000), Doubt::Written),
            (Some(4000), None, Doubt::Forgotten),
        ] {
            assert_eq!(
                judged(&at(9000), before, &seen(after)),
                Err(doubt),
                "{before:?} {after:?}"
            );
        }
        assert_eq!(
            unwritten(None, Some(&at(1)), Some(&seen(None))),
            Err(Doubt::NotCompared)
        );
        let then = Evidence::default();
        assert_eq!(unwritten(Some(&then), None, Some(&seen(None))), Err(Doubt::NotCompared));
        assert_eq!(unwritten(Some(&then), Some(&at(1)), None), Err(Doubt::NotCompared));
    }

    #[test]
    fn what_the_cache_may_have_lost_is_read() {
        let small = |cache| Moment { cache, ..at(9000) };
        assert_eq!(judged(&small(1065), None, &seen(None)), Ok(()));
        assert_eq!(judged(&small(1064), None, &seen(None)), Err(Doubt::Forgotten));
        assert_eq!(
            judged(&small(400), Some(4000), &seen(Some(4000))),
            Ok(()),
            "no NULL, nothing lost"
        );
        let made = |many: u64| Moment {
            highest_id: 3000 + many,
            ..at(9000)
        };
        assert_eq!(judged(&made(935), None, &seen(None)), Ok(()));
        let too_many = judged(&made(936), None, &seen(None));
        assert_eq!(too_many, Err(Doubt::Forgotten), "though they may have gone again");
        let mysql = Moment {
            tells_null: false,
            ..at(9000)
        };
        assert_eq!(judged(&mysql, None, &seen(None)), Err(Doubt::Forgotten));
        let parts = BTreeMap::from([("t#P#a".to_owned(), 7), ("t#P#b".to_owned(), 8)]);
        let parted = Seen {
            ids: parts.clone(),
            ..seen(Some(4000))
        };
        let then = |cache| Evidence {
            at: Moment { cache, ..at(5000) },
            seen: parted.clone(),
        };
        let parts_judged = |cache, now: &Moment| {
            unwritten(Some(&then(cache)), Some(now), Some(&parted)).map(|evidence| evidence.at.clock)
        };
        assert_eq!(parts_judged(2000, &at(9000)), Ok(5000));
        assert_eq!(parts_judged(400, &at(9000)), Err(Doubt::Forgotten));
        assert_eq!(parts_judged(2000, &small(400)), Err(Doubt::Forgotten));
    }

    #[test]
    fn another_table_node_start_or_clock_is_a_doubt() {
        let same = seen(Some(4000));
        for (field, now) in [
            (
                "node",
                Moment {
                    node: "db2".into(),
                    ..at(9000)
                },
            ),
            (
                "restart",
                Moment {
                    started: 8000,
                    ..at(9000)
                },
            ),
            (
                "this host's restart",
                Moment {
                    boot: ("b".into(), 8500),
                    ..at(9000)
                },
            ),
            (
                "no clock here",
                Moment {
                    boot: (String::new(), 8500),
                    ..at(9000)
                },
            ),
            (
                "clock set back",
                Moment {
                    clock: 6000,
                    ..at(9000)
                },
            ),
            (
                "clock set on",
                Moment {
                    clock: 9600,
                    ..at(9000)
                },
            ),
            ("before", at(4900)),
        ] {
            assert_eq!(judged(&now, Some(4000), &same), Err(Doubt::Server), "{field}");
        }
        for other in [
            Seen {
                ids: BTreeMap::from([("t".to_owned(), 8)]),
                ..same.clone()
            },
            Seen {
                ids: BTreeMap::new(),
                ..same.clone()
            },
            Seen {
                created: Some(101),
                ..same.clone()
            },
        ] {
            assert_eq!(judged(&at(9000), Some(4000), &other), Err(Doubt::Altered), "{other:?}");
        }
    }

    #[test]
    fn young_times_and_those_of_open_transactions_do_not_count() {
        let settled = |written, oldest| is_settled(&at(5000), &seen(written), oldest);
        assert!(settled(Some(4990), 0) && settled(None, 4000));
        assert!(!settled(Some(4991), 0), "younger than ten seconds");
        assert!(settled(Some(4000), 997), "open transactions began after it");
        assert!(!settled(Some(4000), 998), "one may have begun in the same second");
        assert!(!is_settled(&at(1009), &seen(None), 0), "the server has just started");
        let made_now = Seen {
            created: Some(4995),
            ..seen(None)
        };
        assert!(!is_settled(&at(5000), &made_now, 0));
        assert!(!is_settled(&at(5000), &Seen::default(), 0), "no ids");
    }
}
