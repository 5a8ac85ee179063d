//! What a rehearsal measured: `rehearsal.json`, and what a plan keeps of it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::cloud::{Cloud, DatabaseKey};
use crate::digest::sha256_hex;
use crate::event::StepResult;
use crate::finding::Finding;
use crate::series::{Hop, Series};
use crate::step::Action;

/// The format version this program writes and reads.
pub const REHEARSAL_FORMAT: u32 = 1;

/// A plan's whole chain, gone through on a copy. It holds no secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rehearsal {
    /// [`REHEARSAL_FORMAT`].
    pub format: u32,
    /// The program and version.
    pub program: String,
    /// The plan's id.
    pub plan: String,
    /// SHA-256 of the catalog it was made with.
    pub catalog: String,
    /// [`cloud_digest`] of the plan's cloud.
    pub cloud: String,
    /// The cloud's name, for people.
    pub name: String,
    /// Where the cloud is.
    pub from: Series,
    /// Where it goes.
    pub to: Series,
    /// The hops, in order.
    pub hops: Vec<Hop>,
    /// Steps at once.
    pub parallel: u32,
    /// When it was begun.
    pub begun: Timestamp,
    /// How it ended.
    pub outcome: RehearsalOutcome,
    /// On what it was done.
    pub machine: Machine,
    /// The copy of the databases.
    pub copy: CopyFigures,
    /// Wall time of all steps together, in milliseconds.
    pub wall_ms: u64,
    /// What was done, in the order of the plan.
    pub steps: Vec<RehearsedStep>,
    /// What was not, in the order of the plan.
    pub not_rehearsed: Vec<NotRehearsed>,
    /// What the operator should know of it: how it differs from the run it stands for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<String>,
}

/// How a rehearsal ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RehearsalOutcome {
    /// Every step that can be rehearsed was done.
    Complete,
    /// A step failed.
    Failed,
    /// The operator stopped it.
    Stopped,
}

/// The machine and the server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    /// Processors that this process may use.
    pub cores: u32,
    /// Bytes of memory; 0 if the system does not say.
    pub memory_bytes: u64,
    /// The private server: `mariadb 10.11.6-MariaDB`.
    pub server: String,
    /// The cloud's servers.
    pub cloud_servers: Vec<String>,
}

/// What was copied, and how fast.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CopyFigures {
    /// Milliseconds, all databases together.
    pub ms: u64,
    /// The limit, in bytes a second; absent for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// Transactions the rows were read in; with one, everything is of one moment.
    pub snapshots: usize,
    /// By database.
    pub databases: Vec<CopiedDatabase>,
}

/// One database of the copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CopiedDatabase {
    /// Its name in the cloud.
    pub database: DatabaseKey,
    /// Tables.
    pub tables: u64,
    /// Rows.
    pub rows: u64,
    /// Bytes that were carried.
    pub carried_bytes: u64,
    /// Data and index bytes of the source, as its server estimates them.
    pub source_bytes: u64,
    /// Milliseconds.
    pub ms: u64,
}

/// One step that was done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RehearsedStep {
    /// The step's id in the plan.
    pub id: String,
    /// [`action_digest`] of the plan's action: a plan whose step does something else is not estimated by it.
    pub action: String,
    /// Milliseconds.
    pub ms: u64,
    /// How it went.
    pub result: StepResult,
    /// In a sentence or two, secrets masked.
    pub detail: String,
    /// Findings.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// Figures, such as rows moved.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub figures: BTreeMap<String, u64>,
}

/// One step that was not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NotRehearsed {
    /// The step's id.
    pub id: String,
    /// Why.
    pub reason: String,
}

/// What a plan whose estimates were measured says of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeasuredEstimates {
    /// When the rehearsal was begun.
    pub rehearsed: Timestamp,
    /// The plan that was rehearsed.
    pub plan: String,
    /// Steps between freeze and deploy whose time was measured.
    pub measured_steps: usize,
    /// All steps between freeze and deploy.
    pub window_steps: usize,
    /// Estimated milliseconds of the measured ones, added up.
    pub measured_ms: u64,
    /// Estimated milliseconds of all of them, added up.
    pub estimated_ms: u64,
    /// What makes the times of the rehearsal differ from those of the run, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<String>,
}

impl MeasuredEstimates {
    /// The share of the window's work that was measured, in percent.
    pub fn percent(&self) -> u64 {
        (self.measured_ms * 100).checked_div(self.estimated_ms).unwrap_or(0)
    }
}

/// What makes a cloud the same for a rehearsal: where its databases are, and which schemas they have. Sizes and rows may
/// have changed since.
pub fn cloud_digest(cloud: &Cloud) -> String {
    let mut lines: Vec<String> = cloud
        .databases()
        .map(|(key, database)| {
            let address = cloud
                .server(&database.server)
                .map_or(database.server.as_str(), |server| server.address.as_str());
            format!("{key} {address}/{} {:?}", database.schema, database.heads)
        })
        .collect();
    lines.sort();
    sha256_hex(lines.join("\n").as_bytes())
}

/// Tells what a step does from what another one does.
///
/// # Errors
/// If the action cannot be serialised, which no action of this program causes.
pub fn action_digest(action: &Action) -> Result<String, serde_json::Error> {
    let digest = sha256_hex(&serde_json::to_vec(action)?);
    Ok(digest.chars().take(16).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_of_nothing_is_nothing() {
        let mut estimates = MeasuredEstimates {
            rehearsed: Timestamp::UNIX_EPOCH,
            plan: String::new(),
            measured_steps: 0,
            window_steps: 0,
            measured_ms: 0,
            estimated_ms: 0,
            remarks: Vec::new(),
        };
        assert_eq!(estimates.percent(), 0);
        (estimates.measured_ms, estimates.estimated_ms) = (9, 12);
        assert_eq!(estimates.percent(), 75);
    }

    #[test]
    fn another_action_has_another_digest() {
        let pause = |message: &str| Action::Pause {
            message: message.into(),
        };
        let digest = |action| action_digest(&action).unwrap();
        assert_eq!(digest(pause("a")), digest(pause("a")));
        assert_ne!(digest(pause("a")), digest(pause("b")));
        assert_eq!(digest(pause("a")).len(), 16);
    }
}
