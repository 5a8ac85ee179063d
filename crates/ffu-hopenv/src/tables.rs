//! The tables that OpenStack's commands print: results of upgrade checks, rows of online data migrations.
//!
//! Upgrade checks: oslo_upgradecheck/upgradecheck.py `UpgradeCommands.check` (nova/cmd/status.py before Stein); one column
//! with `Check:`, `Result:` and `Details:` lines. Online migrations: `online_data_migrations` in nova/cmd/manage.py,
//! cinder/cmd/manage.py and placement/cmd/manage.py: three columns by PrettyTable, in later cinder by tabulate, and a line
//! `N rows matched query NAME, M migrated` for every batch that found something.

use std::collections::BTreeMap;

/// One check's result.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CheckResult {
    pub check: String,
    /// `Success`, `Warning`, `Failure`.
    pub result: String,
    pub details: String,
}

/// Reads the table of an upgrade check, line by line.
#[derive(Debug, Default)]
pub(crate) struct CheckTable {
    pub results: Vec<CheckResult>,
    open: Option<CheckResult>,
    in_details: bool,
}

impl CheckTable {
    pub(crate) fn line(&mut self, line: &str) {
        let line = line.trim();
        let Some(cell) = line.strip_prefix('|') else {
            self.close();
            return;
        };
        let cell = cell.strip_suffix('|').unwrap_or(cell).trim();
        if let Some(check) = cell.strip_prefix("Check:") {
            self.close();
            self.open = Some(CheckResult {
                check: check.trim().to_owned(),
                ..CheckResult::default()
            });
        } else if let Some(open) = &mut self.open {
            if let Some(result) = cell.strip_prefix("Result:") {
                open.result = result.trim().to_owned();
            } else if let Some(details) = cell.strip_prefix("Details:") {
                open.details = details.trim().to_owned();
                self.in_details = true;
            } else if self.in_details && open.details.len() < 4000 {
                open.details.push(' ');
                open.details.push_str(cell);
            }
        }
    }

    pub(crate) fn close(&mut self) {
        self.in_details = false;
        if let Some(open) = self.open.take().filter(|open| !open.result.is_empty()) {
            self.results.push(open);
        }
    }
}

/// Reads what online data migrations report, line by line.
#[derive(Debug, Default)]
pub(crate) struct MigrationTable {
    /// Name → (found, moved), summed over all batches, as the table says.
    pub rows: BTreeMap<String, (u64, u64)>,
    /// Name → (found, moved) of its last batch.
    last_batch: BTreeMap<String, (u64, u64)>,
    in_table: bool,
    pub seen: bool,
}

impl MigrationTable {
    pub(crate) fn line(&mut self, line: &str) {
        let line = line.trim();
        if let Some((count, rest)) = line.split_once(" rows matched query ") {
            if let Some((name, moved)) = rest.rsplit_once(", ")
                && let Ok(found) = count.rsplit(' ').next().unwrap_or(count).parse()
                && let Some(Ok(moved)) = moved.split(' ').next().map(str::parse)
            {
                self.last_batch.insert(name.to_owned(), (found, moved));
            }
            return;
        }
        let Some(inner) = line.strip_prefix('|') else {
            self.in_table &= line.starts_with('+');
            return;
        };
        let cells: Vec<&str> = inner
            .strip_suffix('|')
            .unwrap_or(inner)
            .split('|')
            .map(str::trim)
            .collect();
        if let [name, found, moved] = cells.as_slice() {
            if *name == "Migration" {
                self.in_table = true;
                self.seen = true;
            } else if self.in_table
                && let (Ok(found), Ok(moved)) = (found.parse(), moved.parse())
            {
                self.rows.insert((*name).to_owned(), (found, moved));
            }
        }
    }

    /// Rows moved by this run.
    pub(crate) fn moved(&self) -> u64 {
        self.rows.values().map(|row| row.1).sum()
    }

    /// Migration → rows it found and could not move. The table adds up batches, and what one batch leaves the next one
    /// finds again: so where the batches were printed the last one counts.
    pub(crate) fn left(&self) -> BTreeMap<&str, u64> {
        self.rows
            .iter()
            .map(|(name, row)| {
                let (found, moved) = self.last_batch.get(name).unwrap_or(row);
                (name.as_str(), found.saturating_sub(*moved))
            })
            .filter(|(_, left)| *left > 0)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_with_details_over_several_lines_are_read() {
        let mut table = CheckTable::default();
        // Layout as printed by nova-status of Train; glance-status 2024.1 has the same.
        let text = "\
+--------------------------------------------------------------------+
| Upgrade Check Results                                              |
+--------------------------------------------------------------------+
| Check: Cells v2                                                    |
| Result: Success                                                    |
| Details: None                                                      |
+--------------------------------------------------------------------+
| Check: Placement API                                               |
| Result: Failure                                                    |
| Details: Placement API version 1.32 needed, you have 1.31.         |
|   Upgrade placement first.                                         |
+--------------------------------------------------------------------+
";
        text.lines().for_each(|line| table.line(line));
        table.close();
        assert_eq!(table.results.len(), 2);
        assert_eq!(table.results[0].details, "None");
        assert_eq!(table.results[1].result, "Failure");
        assert_eq!(
            table.results[1].details,
            "Placement API version 1.32 needed, you have 1.31. Upgrade placement first."
        );
    }

    #[test]
    fn both_kinds_of_migration_tables_are_read() {
        let pretty = "\
Running batches of 50 until complete
50 rows matched query populate_user_id, 50 migrated
20 rows matched query populate_user_id, 15 migrated
5 rows matched query populate_user_id, 0 migrated
+------------------+--------------+-----------+
|    Migration     | Total Needed | Completed |
+------------------+--------------+-----------+
| populate_user_id |      75      |     65    |
|  populate_uuids  |      3       |     3     |
+------------------+--------------+-----------+
";
        let mut table = MigrationTable::default();
        pretty.lines().for_each(|line| table.line(line));
        assert_eq!(table.moved(), 68);
        assert_eq!(table.left(), [("populate_user_id", 5)].into());
        // cinder-manage 2024.1
        let tabulate = "\
+------------------------------------------------+----------------+-------------+
| Migration                                      |   Total Needed |   Completed |
|------------------------------------------------+----------------+-------------|
| remove_temporary_admin_metadata_data_migration |              2 |           0 |
+------------------------------------------------+----------------+-------------+
| unrelated | 7 | 8 |
";
        let mut table = MigrationTable::default();
        tabulate.lines().for_each(|line| table.line(line));
        assert!(table.seen);
        assert_eq!(
            table.left(),
            [("remove_temporary_admin_metadata_data_migration", 2)].into()
        );
    }
}
