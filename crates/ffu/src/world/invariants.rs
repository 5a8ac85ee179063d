//! What must be the same afterwards: measured ahead of the freeze and, where it was written since, at the freeze; kept beside
//! the journal; compared after each project's hop and at the target. What the server knows not to have been written since it
//! was measured is not read again, unless the run is to be paranoid.

use std::collections::BTreeMap;
use std::fs;

use camino::{Utf8Path, Utf8PathBuf};
use ffu_db::Server;
use ffu_db::invariants::{self, Measure, Taken, Wanted, Witness};
use ffu_engine::Performed;
use ffu_model::cloud::DatabaseKey;
use ffu_model::step::Invariant;

use super::access::Database;
use super::{World, failed, services};

/// Differences that are told in full; the number of the others is said.
const TOLD: usize = 12;

type Measures = BTreeMap<String, Measure>;

impl World {
    fn baseline_path(&self) -> Utf8PathBuf {
        self.run.path().join("invariants.json")
    }

    fn ahead_path(&self) -> Utf8PathBuf {
        self.run.path().join("invariants-ahead.json")
    }

    /// Measures what is wanted, but what `earlier` has and was not written since; a paranoid run all of it.
    fn take<'a>(
        &self,
        wanted: impl Iterator<Item = &'a Invariant>,
        earlier: &Measures,
        witness: Witness,
    ) -> Result<Taken, String> {
        let mut places: BTreeMap<&DatabaseKey, (Database, Server)> = BTreeMap::new();
        let mut list = Vec::new();
        for invariant in wanted {
            let key = &invariant.database;
            if !places.contains_key(key) {
                let own = self.open(key)?;
                // What cannot be observed is read.
                let observer = self.access(key)?.strongest().unwrap_or_else(|_| own.server.clone());
                places.insert(key, (own, observer));
            }
            let Some((own, observer)) = places.get(key) else {
                continue;
            };
            list.push(Wanted {
                id: invariant.id.clone(),
                server: own.server.clone(),
                observer: observer.clone(),
                schema: own.schema.clone(),
                table: invariant.table.clone(),
                filter: invariant.filter.clone(),
                key: invariant.key.clone(),
            });
        }
        let none = Measures::new();
        let (earlier, witness) = match self.paranoid {
            true => (&none, Witness::Spared),
            false => (earlier, witness),
        };
        self.with_options(|options| invariants::take(&list, earlier, witness, options))
            .map_err(|error| error.to_string())
    }

    pub(super) fn measure_ahead(&self, wanted: &[Invariant]) -> Performed {
        if self.paranoid {
            return Performed::succeeded("left to the freeze: the run is to read everything then");
        }
        let mut performed = self.keep(wanted, &Measures::new(), Witness::Ahead, &self.ahead_path());
        if performed.result.is_good() {
            let left = wanted.len() - performed.figures.len();
            let without = match left {
                0 => String::new(),
                _ => format!(
                    "; {left} are left to the freeze: the server could not tell later that they were not written"
                ),
            };
            performed.detail.push_str(&without);
        }
        performed
    }

    pub(super) fn capture(&self, wanted: &[Invariant]) -> Performed {
        // Whatever of it is not there or cannot be used is measured now.
        let ahead = read(&self.ahead_path()).unwrap_or_default();
        self.keep(wanted, &ahead, Witness::Kept, &self.baseline_path())
    }

    fn keep(&self, wanted: &[Invariant], earlier: &Measures, witness: Witness, path: &Utf8Path) -> Performed {
        let taken = match self.take(wanted.iter(), earlier, witness) {
            Ok(taken) => taken,
            Err(reason) => return failed(reason),
        };
        if let Err(reason) = write(path, &taken.measures) {
            return failed(reason);
        }
        let mut performed = Performed::succeeded("");
        performed.figures = figures(&taken);
        let rows: u64 = taken.measures.values().map(|measure| measure.rows).sum();
        performed.detail = format!("{} invariants over {rows} rows{}", taken.measures.len(), known(&taken));
        performed
    }

    pub(super) fn compare(&self, wanted: &[Invariant]) -> Performed {
        let baseline = match read(&self.baseline_path()) {
            Ok(baseline) => baseline,
            Err(reason) => return failed(reason),
        };
        let there = |invariant: &&Invariant| baseline.contains_key(&invariant.id);
        let taken = match self.take(wanted.iter().filter(there), &baseline, Witness::Spared) {
            Ok(taken) => taken,
            Err(reason) => return failed(reason),
        };
        let mut differences = Vec::new();
        for invariant in wanted {
            let (Some(before), Some(after)) = (baseline.get(&invariant.id), taken.measures.get(&invariant.id)) else {
                continue;
            };
            let found = invariants::compare(before, after, &invariant.except);
            differences.extend(found.iter().map(|difference| format!("{}: {difference}", invariant.id)));
        }
        let mut performed = Performed::succeeded("");
        performed.figures = figures(&taken);
        if !differences.is_empty() {
            let more = differences.len().saturating_sub(TOLD);
            let mut text = differences.into_iter().take(TOLD).collect::<Vec<_>>().join("; ");
            if more > 0 {
                text.push_str(&format!("; and {more} more"));
            }
            let figures = performed.figures;
            performed = failed(format!(
                "what must be the same is not: {text}\n  next: `ffu rollback`; or, if the difference is meant, say so in an overlay of \
                 the catalog (`except`) and plan anew"
            ));
            performed.figures = figures;
            return performed;
        }
        let compared = taken.measures.len();
        let new = wanted.len() - compared;
        let without = if new > 0 {
            format!(", {new} had no baseline")
        } else {
            String::new()
        };
        performed.detail = format!("{compared} invariants equal{without}{}", known(&taken));
        performed
    }
}

/// Rows by invariant.
fn figures(taken: &Taken) -> BTreeMap<String, u64> {
    taken
        .measures
        .iter()
        .map(|(id, measure)| (id.clone(), measure.rows))
        .collect()
}

/// What was not read, in words; nothing if all was.
fn known(taken: &Taken) -> String {
    match taken.known.len() {
        0 => String::new(),
        many => {
            let rows: u64 = taken
                .known
                .iter()
                .filter_map(|id| taken.measures.get(id))
                .map(|measure| measure.rows)
                .sum();
            format!(
                "; {many} of them ({rows} rows) not read again: the server knows of no write since they were measured"
            )
        }
    }
}

fn write(path: &Utf8Path, measures: &Measures) -> Result<(), String> {
    let bytes = serde_json::to_vec_pretty(measures).map_err(|error| format!("{path}: {error}"))?;
    services::write(path, &bytes).map_err(|error| format!("{path}: {error}"))
}

fn read(path: &Utf8Path) -> Result<Measures, String> {
    let bytes = fs::read(path).map_err(|error| format!("{path}: {error}"))?;
    serde_json::from_slice(&bytes).map_err(|error| format!("{path}: {error}"))
}
