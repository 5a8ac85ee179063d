//! What must be the same afterwards: measured at the freeze, kept beside the journal, compared after each project's hop and at
//! the target.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;

use ffu_db::invariants::{self, Measure};
use ffu_engine::Performed;
use ffu_model::step::Invariant;

use super::{World, failed};

/// Differences that are told in full; the number of the others is said.
const TOLD: usize = 12;

impl World {
    fn baseline_path(&self) -> camino::Utf8PathBuf {
        self.run.path().join("invariants.json")
    }

    fn measure(&self, invariant: &Invariant) -> Result<Measure, String> {
        let database = self.open(&invariant.database)?;
        invariants::measure(
            &database.server,
            &database.schema,
            &invariant.table,
            &invariant.filter,
            &invariant.key,
        )
        .map_err(|error| format!("{}: {error}", invariant.id))
    }

    pub(super) fn capture(&self, wanted: &[Invariant]) -> Performed {
        let mut measures: BTreeMap<String, Measure> = BTreeMap::new();
        let mut performed = Performed::succeeded("");
        for invariant in wanted {
            match self.measure(invariant) {
                Ok(measure) => {
                    performed.figures.insert(invariant.id.clone(), measure.rows);
                    measures.insert(invariant.id.clone(), measure);
                }
                Err(reason) => return failed(reason),
            }
        }
        if let Err(reason) = self.write_baseline(&measures) {
            return failed(reason);
        }
        let rows: u64 = performed.figures.values().sum();
        performed.detail = format!("{} invariants over {rows} rows", measures.len());
        performed
    }

    fn write_baseline(&self, measures: &BTreeMap<String, Measure>) -> Result<(), String> {
        let path = self.baseline_path();
        let temporary = self.run.path().join("invariants.json.tmp");
        let bytes = serde_json::to_vec_pretty(measures).map_err(|error| format!("{path}: {error}"))?;
        fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temporary)
            .and_then(|mut file| file.write_all(&bytes).and_then(|()| file.sync_all()))
            .and_then(|()| fs::rename(&temporary, &path))
            .map_err(|error| format!("{path}: {error}"))
    }

    fn read_baseline(&self) -> Result<BTreeMap<String, Measure>, String> {
        let path = self.baseline_path();
        let bytes = fs::read(&path).map_err(|error| format!("{path}: {error}"))?;
        serde_json::from_slice(&bytes).map_err(|error| format!("{path}: {error}"))
    }

    pub(super) fn compare(&self, wanted: &[Invariant]) -> Performed {
        let baseline = match self.read_baseline() {
            Ok(baseline) => baseline,
            Err(reason) => return failed(reason),
        };
        let mut differences = Vec::new();
        let mut performed = Performed::succeeded("");
        let (mut compared, mut new) = (0, 0);
        for invariant in wanted {
            let Some(before) = baseline.get(&invariant.id) else {
                new += 1;
                continue;
            };
            match self.measure(invariant) {
                Ok(after) => {
                    compared += 1;
                    performed.figures.insert(invariant.id.clone(), after.rows);
                    let found = invariants::compare(before, &after, &invariant.except);
                    differences.extend(found.iter().map(|difference| format!("{}: {difference}", invariant.id)));
                }
                Err(reason) => return failed(reason),
            }
        }
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
        let without = if new > 0 {
            format!(", {new} had no baseline")
        } else {
            String::new()
        };
        performed.detail = format!("{compared} invariants equal{without}");
        performed
    }
}
