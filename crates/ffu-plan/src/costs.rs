//! What a checkpoint costs, and the way back from it, by the sizes that were measured when the cloud was looked at.

use ffu_model::Cloud;
use ffu_model::plan::{CheckpointMethod, CheckpointProof};

/// Bytes a second of a dump and its proof on a modest server. This one and the next are assumptions until a rehearsal or
/// `make bench-rollback` has measured them.
const DUMP: u64 = 20_000_000;
/// Of loading a dump and comparing it.
const LOAD: u64 = 20_000_000;
/// Of copying ahead of the window.
const COPY: u64 = 30_000_000;
/// Of comparing inside the window.
const COMPARE: u64 = 150_000_000;
/// Milliseconds a table: looking at its definition on both sides, or renaming it twice.
const TABLE_MS: u64 = 8;

/// Sizes of all databases of a cloud.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Costs {
    /// Data and indexes.
    pub bytes: u64,
    /// Base tables.
    pub tables: u64,
}

pub(crate) fn of(cloud: &Cloud) -> Costs {
    let mut costs = Costs { bytes: 0, tables: 0 };
    for (_, database) in cloud.databases() {
        costs.bytes = costs.bytes.saturating_add(database.bytes);
        costs.tables = costs.tables.saturating_add(database.tables);
    }
    costs
}

impl Costs {
    fn at(&self, bytes_per_second: u64) -> u64 {
        self.bytes.saturating_mul(1_000) / bytes_per_second.max(1)
    }

    /// Dumping and proving, in milliseconds.
    pub(crate) fn dump_ms(&self) -> u64 {
        4_000 + self.at(DUMP)
    }

    /// Copying ahead of the window, and comparing once; a limit of 0 is none.
    pub(crate) fn early_ms(&self, limit_mib: Option<u64>) -> u64 {
        let limit = limit_mib
            .filter(|mib| *mib > 0)
            .map_or(u64::MAX, |mib| mib.saturating_mul(1 << 20));
        2_000 + 2 * self.tables * TABLE_MS + self.at(limit.min(COPY)) + self.at(limit.min(COMPARE))
    }

    /// Finishing the copy inside the window, if every table is read there: none may be known unwritten since it was compared.
    pub(crate) fn compare_ms(&self) -> u64 {
        1_500 + self.tables * TABLE_MS + self.at(COMPARE)
    }

    /// The sentence of the plan: what was chosen, and what each way costs.
    pub(crate) fn decision(&self, method: CheckpointMethod, proof: CheckpointProof, limit_mib: Option<u64>) -> String {
        let seconds = |ms: u64| format!("{} s", ms.div_ceil(1_000));
        let size = format!("{} tables of {} MiB", self.tables, self.bytes >> 20);
        let back = 500 + self.tables * TABLE_MS;
        let proven = match proof {
            CheckpointProof::Restore => "by loading it into scratch schemas and comparing fingerprints",
            CheckpointProof::Read => "by reading it back (not by loading it)",
        };
        let dump = format!(
            "a dump takes about {} of the window and {} to go back",
            seconds(self.dump_ms()),
            seconds(2_000 + self.at(LOAD))
        );
        let copy = format!(
            "a copy takes about {} before the freeze, {} of the window and {} to go back, and {} MiB on the database server",
            seconds(self.early_ms(limit_mib)),
            seconds(self.compare_ms()),
            seconds(back),
            (self.bytes + self.bytes / 4) >> 20
        );
        match method {
            CheckpointMethod::Dump => format!(
                "the way back of {size} is a dump, made with the control plane stopped and proven {proven}: {dump}; {copy}"
            ),
            CheckpointMethod::Copy => format!(
                "the way back of {size} is a copy on the same server, proven range by range with the control plane stopped; a database \
                 that cannot have one stops the run before the freeze: {copy}; {dump}"
            ),
            CheckpointMethod::Auto => format!(
                "the way back of {size} is a copy on the same server, proven range by range with the control plane stopped; a database \
                 that cannot have one is dumped, which is said before the freeze: {copy}; {dump}"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_gigabytes_are_seconds_in_the_window_and_minutes_by_dump() {
        let costs = Costs {
            bytes: 5_000_000_000,
            tables: 600,
        };
        assert!(costs.dump_ms() > 5 * costs.compare_ms(), "{costs:?}");
        assert!(costs.early_ms(Some(10)) > 2 * costs.early_ms(None));
        let said = costs.decision(CheckpointMethod::Auto, CheckpointProof::Restore, None);
        assert!(
            said.contains("600 tables of 4768 MiB") && said.contains("a dump takes about 254 s of the window"),
            "{said}"
        );
        assert!(costs.early_ms(Some(0)) >= costs.early_ms(None));
    }
}
