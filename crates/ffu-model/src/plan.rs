//! The plan: an immutable file, reviewed, identified by its hash, applied exactly.

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};

use crate::cloud::{Cloud, DatabaseKey, DatabaseServer};
use crate::digest::sha256_hex;
use crate::finding::Finding;
use crate::series::{Hop, Series};
use crate::step::{Action, Step};

/// The format version this program writes and reads.
pub const PLAN_FORMAT: u32 = 1;

/// What the operator asked for beyond the target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Use the skips that upstream tests (SLURP) where the catalog has them.
    pub slurp: bool,
    /// Steps that run at once.
    pub parallel: u32,
    /// Seconds to wait for in-flight operations.
    pub drain_deadline_seconds: u64,
    /// Whether the checkpoint is proven by restoring it into a scratch schema.
    pub checkpoint_proof: CheckpointProof,
    /// What is done with the services' configuration files.
    #[serde(default)]
    pub configuration: ConfigurationPolicy,
    /// How the databases' way back is made.
    #[serde(default, skip_serializing_if = "CheckpointMethod::is_auto")]
    pub checkpoint: CheckpointMethod,
    /// MiB a second that copying ahead of the window may move at most; without it as fast as it goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy_limit_mib: Option<u64>,
    /// Whether every hop compares what must not change and starts the services that upgrade checks ask, instead of the end alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub thorough: bool,
    /// The key that dumps are encrypted with; without it they are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dump_key: Option<DumpKeyRef>,
}

/// Where the key of encrypted dumps is; nothing of the secret itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DumpKeyRef {
    /// The file with the secret key, read when dumps are made, proven and loaded.
    pub file: Utf8PathBuf,
    /// The public keys that belong to it (`age1…`), sorted: a run refuses another key.
    pub recipients: Vec<String>,
}

/// How the databases' way back is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CheckpointMethod {
    /// A copy on the same server where one can be made, a dump of the other databases.
    #[default]
    Auto,
    /// A copy of every database on the same server: begun before the freeze, finished and proven in the window; the way back
    /// is a rename.
    Copy,
    /// A dump of every database, made in the window; the way back loads it.
    Dump,
}

impl CheckpointMethod {
    /// Whether nothing was asked for.
    pub fn is_auto(&self) -> bool {
        *self == CheckpointMethod::Auto
    }

    /// Whether it is the one that plans had before there was a choice.
    pub fn is_dump(&self) -> bool {
        *self == CheckpointMethod::Dump
    }

    /// What a plan without a word about it means.
    pub fn dump() -> Self {
        CheckpointMethod::Dump
    }
}

/// What is done with the services' configuration files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConfigurationPolicy {
    /// They are carried to the target; a setting that would be lost stops the run before the freeze.
    #[default]
    Migrate,
    /// They are carried to the target; what would be lost is reported.
    AcceptLoss,
    /// They stay as they are.
    Keep,
}

/// How a checkpoint is verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CheckpointProof {
    /// Load the dump into a scratch schema and compare fingerprints.
    Restore,
    /// Read the dump back and compare its checksum.
    Read,
}

impl Default for Policy {
    fn default() -> Self {
        Policy {
            slurp: false,
            parallel: 2,
            drain_deadline_seconds: 300,
            checkpoint_proof: CheckpointProof::Restore,
            configuration: ConfigurationPolicy::Migrate,
            checkpoint: CheckpointMethod::Auto,
            copy_limit_mib: None,
            thorough: false,
            dump_key: None,
        }
    }
}

/// Everything a run will do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// [`PLAN_FORMAT`].
    pub format: u32,
    /// SHA-256 of the plan with this field empty; see [`Plan::compute_id`].
    pub id: String,
    /// The program and version that made it.
    pub generator: String,
    /// SHA-256 of the catalog it was made with.
    pub catalog: String,
    /// Where the cloud is.
    pub from: Series,
    /// Where it goes.
    pub to: Series,
    /// The hops, in order.
    pub hops: Vec<Hop>,
    /// What was asked for.
    pub policy: Policy,
    /// The cloud it was made for, whole: the run compares it with what it finds.
    pub cloud: Cloud,
    /// The steps, in an order in which they could run one by one.
    pub steps: Vec<Step>,
    /// What the planner decided and why.
    pub report: PlanningReport,
}

/// The planner's account of itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanningReport {
    /// Decisions, each with its reason.
    pub decisions: Vec<String>,
    /// What is checked before the window and would stop the run.
    pub waits_for: Vec<String>,
    /// What cannot be taken back, and from which step on.
    pub irreversible: Vec<String>,
    /// Findings about the cloud or the path.
    pub findings: Vec<Finding>,
    /// Expected length of the window (freeze to deploy along the critical path), in milliseconds.
    pub window_ms: u64,
    /// The steps of the critical path.
    pub critical_path: Vec<String>,
    /// Present if a rehearsal measured what the estimates are made of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<crate::rehearsal::MeasuredEstimates>,
}

impl Plan {
    /// The id the plan's content deserves.
    ///
    /// # Errors
    /// If the plan cannot be serialised, which no plan made by this program causes.
    pub fn compute_id(&self) -> Result<String, serde_json::Error> {
        let mut bare = self.clone();
        bare.id = String::new();
        Ok(sha256_hex(&serde_json::to_vec(&bare)?))
    }

    /// The step of that id.
    pub fn step(&self, id: &str) -> Option<&Step> {
        self.steps.iter().find(|step| step.id == id)
    }

    /// The server of a database: its own, or for one that the run creates that of the database whose server it shares.
    pub fn server_of(&self, key: &DatabaseKey) -> Option<&DatabaseServer> {
        let created = || {
            self.steps.iter().find_map(|step| match &step.action {
                Action::CreateDatabase { database, like, .. } if database == key => self.cloud.database(like),
                _ => None,
            })
        };
        self.cloud.server(&self.cloud.database(key).or_else(created)?.server)
    }

    /// The canonical bytes of the file: pretty JSON and a newline.
    ///
    /// # Errors
    /// See [`Plan::compute_id`].
    pub fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut bytes = serde_json::to_vec_pretty(self)?;
        bytes.push(b'\n');
        Ok(bytes)
    }
}
