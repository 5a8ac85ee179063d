//! The command line. The texts here are the reference: `docs/reference/commands.md` is made from them.

pub mod config;
pub mod fault;
pub mod watch;

use std::ffi::OsString;

use camino::Utf8PathBuf;
use clap::{Args, Parser, Subcommand};

/// Fast-forward upgrades of OpenStack clouds: through every release in order, workloads up, with a way back.
#[derive(Debug, Parser)]
#[command(name = "ffu", version, max_term_width = 100)]
pub struct Cli {
    /// What every command takes.
    #[command(flatten)]
    pub everywhere: Everywhere,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
pub struct Everywhere {
    /// Print one JSON object a line instead of text.
    #[arg(long, global = true)]
    pub json: bool,
    /// A directory whose files replace or add to the built-in catalog.
    #[arg(long, global = true, value_name = "DIR")]
    pub catalog: Option<Utf8PathBuf>,
    /// Where runs are kept [default: $XDG_STATE_HOME/ffu].
    #[arg(long, global = true, value_name = "DIR")]
    pub state_dir: Option<Utf8PathBuf>,
    /// Where hop environments are kept [default: $XDG_CACHE_HOME/ffu].
    #[arg(long, global = true, value_name = "DIR")]
    pub cache_dir: Option<Utf8PathBuf>,
}

/// [`Cli`] as if there were no command but `config`: that takes a moment to set up, and all commands take longer than a file
/// takes to check.
#[derive(Debug, Parser)]
#[command(name = "ffu", version, max_term_width = 100)]
struct ConfigAlone {
    #[command(flatten)]
    everywhere: Everywhere,
    #[command(subcommand)]
    command: OnlyConfig,
}

#[derive(Debug, Subcommand)]
enum OnlyConfig {
    Config {
        #[command(subcommand)]
        command: config::ConfigCommand,
    },
}

impl Cli {
    /// Reads the arguments of this process.
    ///
    /// # Errors
    /// clap's own: a wrong argument, or help that was asked for.
    pub fn read() -> Result<Cli, clap::Error> {
        Cli::read_from(std::env::args_os().collect())
    }

    fn read_from(arguments: Vec<OsString>) -> Result<Cli, clap::Error> {
        // What it does not accept is told by the whole, which knows every command.
        if arguments.iter().any(|argument| argument == "config")
            && let Ok(ConfigAlone { everywhere, command }) = ConfigAlone::try_parse_from(&arguments)
        {
            let OnlyConfig::Config { command } = command;
            let command = Command::Config { command };
            return Ok(Cli { everywhere, command });
        }
        Cli::try_parse_from(arguments)
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Print the hops from one series to another.
    Path(PathArguments),
    /// Look at or check the catalog.
    Catalog {
        /// What to do.
        #[command(subcommand)]
        command: CatalogCommand,
    },
    /// Build, list, verify or remove hop environments.
    Env {
        /// What to do.
        #[command(subcommand)]
        command: EnvCommand,
    },
    /// A throwaway real cloud on this machine.
    Lab {
        /// What to do.
        #[command(subcommand)]
        command: LabCommand,
    },
    /// Carry configuration files from one series to another, check them, explain options.
    Config {
        /// What to do.
        #[command(subcommand)]
        command: config::ConfigCommand,
    },
    /// Carry policy files from one series to another, check them, explain rules.
    Policy {
        /// What to do.
        #[command(subcommand)]
        command: config::PolicyCommand,
    },
    /// Describe a cloud from its deployment's files and its databases.
    Discover(DiscoverArguments),
    /// Make a plan, or explain a step of one.
    Plan(PlanArguments),
    /// Check a plan, also an edited one.
    Lint(LintArguments),
    /// Go through a plan's whole chain on a copy of the databases; the cloud stays up and untouched.
    Rehearse(RehearseArguments),
    /// Apply a plan exactly, up to the point of no return.
    Run(RunArguments),
    /// Go on with a run that stopped, paused or was killed.
    Resume(ResumeArguments),
    /// Bring databases, configuration and services back to the checkpoint, and prove it.
    Rollback(RollbackArguments),
    /// Pass the point of no return: finish the run and give up the way back.
    Accept(RunChoice),
    /// Measure the data plane: by itself, or look at the watch of a run.
    Watch(watch::WatchArguments),
    /// The probes of one vantage point, for a watch.
    #[command(hide = true)]
    WatchAgent,
    /// A guest of a lab's data plane.
    #[command(hide = true)]
    LabGuest {
        /// Its configuration file.
        config: Utf8PathBuf,
    },
    /// Show the runs, or where one is; works from another terminal and after a crash.
    Status(StatusArguments),
    /// Show what a run did: hops and projects with times, invariants, findings.
    Report(ReportArguments),
    /// Print reference documentation made from the program itself.
    #[command(hide = true)]
    Reference {
        /// `commands` or `exit-codes`.
        what: String,
    },
}

/// `ffu path`.
#[derive(Debug, Args)]
pub struct PathArguments {
    /// Where the cloud is.
    #[arg(long, value_name = "SERIES")]
    pub from: String,
    /// Where it goes.
    #[arg(long, value_name = "SERIES")]
    pub to: String,
    /// Take the skips that upstream tests (SLURP to SLURP).
    #[arg(long)]
    pub slurp: bool,
}

/// `ffu catalog`.
#[derive(Debug, Subcommand)]
pub enum CatalogCommand {
    /// Check the catalog, with the overlay if one is given.
    Check,
    /// Show series, projects and releases that cannot be installed.
    Show,
}

/// `ffu env`.
#[derive(Debug, Subcommand)]
pub enum EnvCommand {
    /// Build the environments of these series.
    Build {
        /// The series.
        #[arg(required = true)]
        series: Vec<String>,
        /// The Python interpreter to use (for all of them).
        #[arg(long, value_name = "PROGRAM")]
        python: Option<Utf8PathBuf>,
        /// Install from the local caches only.
        #[arg(long)]
        offline: bool,
        /// A directory of wheels and source archives that is searched, too (for Python 2.7 offline: only there).
        #[arg(long, value_name = "DIR")]
        find_links: Option<Utf8PathBuf>,
        /// Build again what is there already.
        #[arg(long)]
        force: bool,
        /// Builds at once [default: the machine's cores].
        #[arg(long, value_name = "N")]
        jobs: Option<usize>,
    },
    /// List the environments that are built.
    List,
    /// Compare environments with their manifests: every file, every version.
    Verify {
        /// The series; all that are built if none is given.
        series: Vec<String>,
    },
    /// Remove environments.
    Remove {
        /// The series.
        #[arg(required = true)]
        series: Vec<String>,
    },
}

/// Bytes, with a unit of 1024: `500M`, `5G`.
fn bytes(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: u64 = match text.get(digits.len()..).unwrap_or_default() {
        "" => 1,
        "K" | "k" => 1 << 10,
        "M" | "m" => 1 << 20,
        "G" | "g" => 1 << 30,
        _ => return Err("a number, and K, M or G".to_owned()),
    };
    let number: u64 = digits.parse().map_err(|_| "a number, and K, M or G".to_owned())?;
    let total = number.checked_mul(unit).filter(|total| *total <= 1 << 40);
    total.ok_or_else(|| "at most 1024G".to_owned())
}

/// `ffu lab`.
#[derive(Debug, Subcommand)]
pub enum LabCommand {
    /// Bring a lab cloud up.
    Up {
        /// The series it is at.
        #[arg(long, value_name = "SERIES")]
        at: String,
        /// Its directory [default: ffu-lab].
        #[arg(long, value_name = "DIR", default_value = "ffu-lab")]
        dir: Utf8PathBuf,
        /// Instances.
        #[arg(long, default_value_t = 20)]
        size: u32,
        /// Fill nova's databases up to so many bytes with instances that were deleted (such as 500M or 5G).
        #[arg(long, value_name = "BYTES", value_parser = bytes)]
        bulk: Option<u64>,
        /// A further option of its database server; may be repeated.
        #[arg(long, value_name = "NAME=VALUE")]
        server_option: Vec<String>,
        /// Give it a data plane with so many guests, in network namespaces; needs root [default: 4].
        #[arg(long, value_name = "GUESTS", num_args = 0..=1, default_missing_value = "4")]
        dataplane: Option<usize>,
        /// Its networks are made of Open vSwitch with the userspace datapath instead of Linux bridges.
        #[arg(long, requires = "dataplane")]
        ovs: bool,
        /// Its first guest is a machine of its own, with a Debian kernel, under QEMU.
        #[arg(long, requires = "dataplane")]
        qemu: bool,
    },
    /// Break something of the data plane of the lab in --dir for a time (--for 700ms, 5s, 2m); Ctrl-C undoes it early.
    Fault(fault::FaultArguments),
    /// Fill nova's databases up to so many bytes with instances that were deleted.
    Fill {
        /// Such as 500M or 5G.
        #[arg(value_name = "BYTES", value_parser = bytes)]
        bytes: u64,
        /// Its directory.
        #[arg(long, value_name = "DIR", default_value = "ffu-lab")]
        dir: Utf8PathBuf,
    },
    /// Show whether it runs, and what it holds.
    Status {
        /// Its directory.
        #[arg(long, value_name = "DIR", default_value = "ffu-lab")]
        dir: Utf8PathBuf,
    },
    /// Issue a token from its keystone for the administrator's password of the day it was made.
    Token {
        /// Its directory.
        #[arg(long, value_name = "DIR", default_value = "ffu-lab")]
        dir: Utf8PathBuf,
    },
    /// Start again what has stopped: its database and its services.
    Start {
        /// Its directory.
        #[arg(long, value_name = "DIR", default_value = "ffu-lab")]
        dir: Utf8PathBuf,
    },
    /// Stop it and remove everything, also after a crash.
    Down {
        /// Its directory.
        #[arg(long, value_name = "DIR", default_value = "ffu-lab")]
        dir: Utf8PathBuf,
    },
}

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
    /// MiB a second that copying ahead of the window may move at most [default: no limit].
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub copy_limit: Option<u64>,
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
    /// Run every command, also those that provably change nothing.
    #[arg(long)]
    pub paranoid: bool,
    /// Memory of ffu with all that it keeps warm, such as 8G: the more series are warm before the window, the shorter it is (a
    /// series with seven projects takes some 450M).
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

#[cfg(test)]
mod tests {
    use super::*;

    fn both(line: &str) -> (Result<String, String>, Result<String, String>) {
        let arguments: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        let shown = |read: Result<Cli, clap::Error>| match read {
            Ok(cli) => Ok(format!("{cli:?}")),
            Err(error) => Err(error.to_string()),
        };
        (
            shown(Cli::read_from(arguments.clone())),
            shown(Cli::try_parse_from(arguments)),
        )
    }

    #[test]
    fn config_is_read_as_it_is_beside_the_other_commands() {
        for line in [
            "ffu config check --series 2026.1 nova.conf",
            "ffu --json --cache-dir config config check --series train nova.conf",
            "ffu config explain --json --series train nova.conf",
            "ffu config migrate --from train --to 2026.1 -o out tree",
            "ffu config chek",
            "ffu config",
            "ffu config --help",
            "ffu config check --help",
            "ffu --catalog config path --from train --to zed",
            "ffu confg config",
        ] {
            let (quick, whole) = both(line);
            assert_eq!(quick, whole, "{line}");
        }
    }
}
