//! `ffu discover`, `plan` and `lint`, and what is done with a plan.

use camino::Utf8PathBuf;
use clap::Args;

use super::units::bytes;
use super::watch;

/// `ffu discover`.
#[derive(Debug, Args)]
pub struct DiscoverArguments {
    /// The deployment: `plain:DIR`, where DIR holds `etc/` with the services' configuration (`plain:/` for a host).
    #[arg(long, value_name = "KIND:DIR")]
    pub from: String,
    /// The file to write [default: print it].
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<Utf8PathBuf>,
    /// The series, where the databases fit several.
    #[arg(long, value_name = "SERIES")]
    pub series: Option<String>,
    /// A MySQL option file with an account that may create databases.
    #[arg(long, value_name = "FILE")]
    pub admin_option_file: Option<Utf8PathBuf>,
}

/// `ffu plan`.
#[derive(Debug, Args)]
pub struct PlanArguments {
    /// The cloud file that `ffu discover` wrote.
    #[arg(long, value_name = "FILE", required_unless_present = "explain")]
    pub cloud: Option<Utf8PathBuf>,
    /// The target.
    #[arg(long, value_name = "SERIES", required_unless_present = "explain")]
    pub to: Option<String>,
    /// The plan file to write, or with --explain to read [default: plan.json].
    #[arg(short, long, value_name = "FILE", default_value = "plan.json")]
    pub output: Utf8PathBuf,
    /// Explain this step of the plan file instead of making one.
    #[arg(long, value_name = "STEP")]
    pub explain: Option<String>,
    /// Take the skips that upstream tests (SLURP to SLURP).
    #[arg(long)]
    pub slurp: bool,
    /// Steps at once [default: 2].
    #[arg(long, value_name = "N")]
    pub parallel: Option<u32>,
    /// Seconds to wait for operations in flight [default: 300].
    #[arg(long, value_name = "SECONDS")]
    pub drain: Option<u64>,
    /// Prove the checkpoint by reading it back instead of loading it into scratch schemas.
    #[arg(long)]
    pub quick_proof: bool,
    /// Take the estimates from what `ffu rehearse` measured on this cloud and path.
    #[arg(long, value_name = "FILE", conflicts_with = "explain")]
    pub from_rehearsal: Option<Utf8PathBuf>,
    /// What is done with the services' configuration files.
    #[arg(long, value_enum, default_value = "migrate")]
    pub configuration: ConfigurationChoice,
    /// On every hop, compare what must not change and start the services that upgrade checks ask, instead of at the target alone;
    /// the window is longer for it.
    #[arg(long)]
    pub thorough: bool,
    /// How the databases' way back is made.
    #[arg(long, value_enum, default_value = "auto")]
    pub checkpoint: CheckpointChoice,
    /// MiB a second that copying ahead of the window may move at most [default: no limit]. What must be the same afterwards is
    /// measured ahead, too, by reading alone, a statement a table, and without this limit.
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub copy_limit: Option<u64>,
    /// Encrypt dumps with this key, an identity file of age, such as `ffu dump-key` makes. The file must be there in the run and for
    /// the way back; nothing of its secret is in the plan. Copies on the database server and configuration files are not encrypted.
    #[arg(long, value_name = "FILE")]
    pub dump_key: Option<Utf8PathBuf>,
}

/// `ffu dump-key`.
#[derive(Debug, Args)]
pub struct DumpKeyArguments {
    /// The file to make; it must not be there yet.
    pub file: Utf8PathBuf,
}

/// How the databases' way back is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum CheckpointChoice {
    /// A copy on the same server where one can be made, a dump of the other databases.
    Auto,
    /// A copy of every database on the same server, begun before the freeze: going back is a rename.
    Copy,
    /// A dump of every database, made in the window: going back loads it.
    Dump,
}

/// What is done with the services' configuration files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum ConfigurationChoice {
    /// Carry them to the target; a setting that would be lost stops the run before the freeze.
    Migrate,
    /// Carry them to the target, and only report what would be lost.
    AcceptLoss,
    /// Leave them as they are.
    Keep,
}

/// `ffu lint`.
#[derive(Debug, Args)]
pub struct LintArguments {
    /// The plan.
    #[arg(default_value = "plan.json")]
    pub plan: Utf8PathBuf,
    /// Give an edited plan an id of its own, and write it to --output.
    #[arg(long, requires = "output")]
    pub reseal: bool,
    /// Where the resealed plan goes.
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<Utf8PathBuf>,
}

/// `ffu rehearse`.
#[derive(Debug, Args)]
pub struct RehearseArguments {
    /// The plan.
    #[arg(default_value = "plan.json")]
    pub plan: Utf8PathBuf,
    /// Where the measurements go.
    #[arg(short, long, value_name = "FILE", default_value = "rehearsal.json")]
    pub output: Utf8PathBuf,
    /// MiB a second that are read from the cloud's databases at most; 0 for no limit.
    #[arg(long, value_name = "MIB", default_value_t = 64, value_parser = clap::value_parser!(u64).range(0..=1_000_000))]
    pub limit: u64,
    /// Leave the copy and its server for looking into them.
    #[arg(long)]
    pub keep: bool,
    /// Start every command as a process of its own, instead of forking it from one that is kept warm.
    #[arg(long)]
    pub cold: bool,
    /// End and remove what earlier rehearsals left, kept copies too; rehearse nothing.
    #[arg(long)]
    pub clean: bool,
}

/// `ffu run`.
#[derive(Debug, Args)]
pub struct RunArguments {
    /// The plan.
    #[arg(default_value = "plan.json")]
    pub plan: Utf8PathBuf,
    /// Do not ask.
    #[arg(long)]
    pub yes: bool,
    /// How commands are run.
    #[command(flatten)]
    pub manner: Manner,
    /// The watch.
    #[command(flatten)]
    pub watched: watch::Watched,
}

/// How `ffu run` and `ffu resume` run the projects' commands.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct Manner {
    /// Start every command as a process of its own, instead of forking it from one that is kept warm.
    #[arg(long)]
    pub cold: bool,
    /// Run every command, also those that provably change nothing, and read every row of the databases for the checkpoint, and every
    /// row that must be the same, in the window, also of tables that the server knows not to have been written since before.
    #[arg(long)]
    pub paranoid: bool,
    /// Memory of ffu with all that it keeps warm, such as 8G, without what rests in files of the run's directory. A series with seven projects
    /// takes some 30M and rests in some 700M; where that directory is in memory or full, it takes 450M.
    #[arg(long, value_name = "BYTES", value_parser = bytes, default_value = "2G")]
    pub warm_memory: u64,
}

/// `ffu resume`.
#[derive(Debug, Args)]
pub struct ResumeArguments {
    /// The run [default: the latest].
    pub run: Option<String>,
    /// Go on from this step: failed steps that it needs were done by hand.
    #[arg(long, value_name = "STEP")]
    pub from: Option<String>,
    /// How commands are run.
    #[command(flatten)]
    pub manner: Manner,
    /// Go on without the watch that the run had.
    #[arg(long)]
    pub no_watch: bool,
}

/// `ffu rollback`.
#[derive(Debug, Args)]
pub struct RollbackArguments {
    /// Which run.
    #[command(flatten)]
    pub choice: RunChoice,
    /// Read every row that comes back, also of databases that are renamed back and known to be the same by their tables' ids.
    #[arg(long)]
    pub full_proof: bool,
    /// The key of encrypted dumps, if it is elsewhere than the plan says.
    #[arg(long, value_name = "FILE")]
    pub dump_key: Option<Utf8PathBuf>,
}

/// `ffu accept`.
#[derive(Debug, Args)]
pub struct RunChoice {
    /// The run [default: the latest].
    pub run: Option<String>,
    /// Do not ask.
    #[arg(long)]
    pub yes: bool,
}

/// `ffu status`.
#[derive(Debug, Args)]
pub struct StatusArguments {
    /// The run [default: the latest].
    pub run: Option<String>,
    /// List all runs.
    #[arg(long)]
    pub all: bool,
}

/// `ffu report`.
#[derive(Debug, Args)]
pub struct ReportArguments {
    /// The run [default: the latest].
    pub run: Option<String>,
}
