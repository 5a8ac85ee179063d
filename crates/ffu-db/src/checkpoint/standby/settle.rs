//! Waiting until what was proven is on the server's disk, too.
//!
//! A server that does not sync its log at every commit does so within a second or so: until then a power cut could take back what was
//! proven. How far its log is synced it says itself (MariaDB: `Innodb_lsn_flushed`; MySQL 8.0.30: `Innodb_redo_log_flushed_to_disk_lsn`);
//! dropping a table has it synced at once, as the table's file must not be gone before the log says so.

use std::time::{Duration, Instant};

use super::side::Side;
use crate::error::DbError;
use crate::server::{Rows, Session};

const BETWEEN: Duration = Duration::from_millis(20);

/// How far a server's log has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Log {
    written: u64,
    synced: u64,
}

/// Returns when all that was committed before is on disk by the server's words. Where it has none for it, or never says so: when its own
/// interval has gone by, but not later than after a minute (five seconds without words).
pub(super) fn settle(side: &Side, session: &mut Session) -> Result<(), DbError> {
    let during = "asking when the server syncs its log";
    let rows = session.rows(
        "SELECT @@innodb_flush_log_at_trx_commit, @@innodb_flush_log_at_timeout",
        during,
    )?;
    let values: Vec<u64> = rows
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|text| text.parse().ok())
        .collect();
    let [mode, seconds] = values.as_slice() else {
        return Ok(());
    };
    if *mode == 1 {
        return Ok(());
    }
    let before = log(session)?;
    let most = if before.is_some() { 60 } else { 5 };
    let until = Instant::now() + Duration::from_secs((*seconds).clamp(1, most)) + Duration::from_millis(100);
    if before.is_some() {
        side.make_and_drop_table(|_| Ok(()))?;
    }
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let is_synced = match before {
            Some(before) => log(session)?.is_some_and(|now| now.synced >= before.written),
            None => false,
        };
        if is_synced || left.is_zero() {
            return Ok(());
        }
        std::thread::sleep(if before.is_some() { left.min(BETWEEN) } else { left });
    }
}

fn log(session: &mut Session) -> Result<Option<Log>, DbError> {
    let rows = session.rows(
        "SHOW GLOBAL STATUS WHERE Variable_name IN ('Innodb_lsn_current', 'Innodb_lsn_flushed', 'Innodb_redo_log_current_lsn', \
         'Innodb_redo_log_flushed_to_disk_lsn')",
        "asking how far the server's log is synced",
    )?;
    Ok(read(rows))
}

/// Out of status variables by name.
fn read(rows: Rows) -> Option<Log> {
    let (mut written, mut synced) = (None, None);
    for row in rows {
        let mut values = row.into_iter().flatten();
        let (name, value) = (values.next()?.to_ascii_lowercase(), values.next()?.parse().ok()?);
        if name.contains("flushed") {
            synced = Some(value);
        } else {
            written = Some(value);
        }
    }
    Some(Log {
        written: written?,
        synced: synced?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::Server;
    use crate::testing::TestServer;

    fn rows(pairs: &[(&str, &str)]) -> Rows {
        let text = |text: &str| Some(text.to_owned());
        pairs
            .iter()
            .map(|(name, value)| vec![text(name), text(value)])
            .collect()
    }

    #[test]
    fn both_servers_words_are_read_and_half_of_them_are_not_enough() {
        let log = Some(Log { written: 9, synced: 7 });
        assert_eq!(
            read(rows(&[("Innodb_lsn_current", "9"), ("Innodb_lsn_flushed", "7")])),
            log
        );
        let mysql = [
            ("Innodb_redo_log_current_lsn", "9"),
            ("Innodb_redo_log_flushed_to_disk_lsn", "7"),
        ];
        assert_eq!(read(rows(&mysql)), log);
        assert_eq!(read(rows(&mysql[..1])), None);
        assert_eq!(
            read(rows(&[("Innodb_lsn_current", "x"), ("Innodb_lsn_flushed", "7")])),
            None
        );
        assert_eq!(read(Vec::new()), None);
    }

    #[test]
    fn what_was_committed_is_synced_when_it_returns() {
        let server = TestServer::start_with(&[
            "--innodb-flush-log-at-trx-commit=0",
            "--innodb-flush-log-at-timeout=2700",
        ])
        .unwrap();
        let db = server.database("settle").unwrap();
        db.run(&["CREATE TABLE t (id INT PRIMARY KEY)"]).unwrap();
        let side = Side {
            server: Server::connect(&db.url).unwrap(),
            schema: db.schema.clone(),
            copy: db.schema.clone(),
        };
        let mut session = side.server.open_schema(&side.schema).unwrap();
        session.run("INSERT INTO t VALUES (1)", "inserting").unwrap();
        let before = log(&mut session).unwrap().unwrap();
        assert!(before.synced < before.written, "{before:?}");
        settle(&side, &mut session).unwrap();
        assert!(log(&mut session).unwrap().unwrap().synced >= before.written);
    }
}
