//! The command line. The texts here are the reference: `docs/reference/commands.md` is made from them.

pub mod config;
pub mod fault;
mod quick;
pub mod runs;
mod units;
pub mod watch;

use camino::Utf8PathBuf;
use clap::{Args, Parser, Subcommand};

use runs::{
    DiscoverArguments, DumpKeyArguments, LintArguments, PlanArguments, RehearseArguments, ReportArguments,
    ResumeArguments, RollbackArguments, RunArguments, RunChoice, StatusArguments,
};
use units::bytes;

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
    /// Make a key for `ffu plan --dump-key`.
    DumpKey(DumpKeyArguments),
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
