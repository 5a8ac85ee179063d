//! `ffu config` and `ffu policy`.

use camino::Utf8PathBuf;
use clap::{Args, Subcommand};

/// `ffu config`.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Carry configuration files from one series to another, and prove that nothing was lost.
    Migrate(MigrateArguments),
    /// Check configuration files as strictly as a series can be.
    Check(CheckArguments),
    /// Tell the life of an option: names, defaults and types in every series.
    Explain {
        /// The service, such as nova.
        service: String,
        /// The option, such as `DEFAULT.vif_plugging_timeout`.
        option: String,
    },
    /// List the options that a service knows in a series.
    Options {
        /// The service, such as nova.
        service: String,
        /// The series.
        series: String,
    },
    /// Count, for every pair of series, what becomes of the option names (Markdown).
    Table {
        /// The services; all where none is given.
        services: Vec<String>,
    },
}

/// `ffu policy`.
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Carry policy files from one series to another, JSON to YAML where the target wants it.
    Migrate(MigrateArguments),
    /// Check policy files against the rules of a series.
    Check(CheckArguments),
    /// Tell the life of a rule: names, defaults and scopes in every series.
    Explain {
        /// The service, such as nova.
        service: String,
        /// The rule, such as `os_compute_api:servers:create`.
        rule: String,
    },
    /// List the rules that a service knows in a series.
    Options {
        /// The service, such as nova.
        service: String,
        /// The series.
        series: String,
    },
}

/// `ffu config migrate`, `ffu policy migrate`.
#[derive(Debug, Args)]
pub struct MigrateArguments {
    /// Files in the order in which the service is given them, or directories such as /etc/nova or /etc/kolla/config.
    #[arg(required = true, value_name = "FILES")]
    pub files: Vec<Utf8PathBuf>,
    /// The service the files belong to; found from names and directories where it is not given.
    #[arg(long)]
    pub service: Option<String>,
    /// The series the files were written for.
    #[arg(long, value_name = "SERIES", required_unless_present = "cloud")]
    pub from: Option<String>,
    /// Take the series of each project from the file that `ffu discover` wrote.
    #[arg(long, value_name = "FILE", conflicts_with = "from")]
    pub cloud: Option<Utf8PathBuf>,
    /// The series to carry them to.
    #[arg(long, value_name = "SERIES")]
    pub to: String,
    /// Show a unified diff (the default).
    #[arg(long, conflicts_with_all = ["in_place", "output"])]
    pub diff: bool,
    /// Write the files where they are, keeping owner and mode, each with a backup beside it.
    #[arg(long, conflicts_with = "output")]
    pub in_place: bool,
    /// Write all files below this directory, changed or not.
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<Utf8PathBuf>,
    /// Write down defaults that changed, so that the old ones stay in force.
    #[arg(long)]
    pub pin_defaults: bool,
    /// Ask the real oslo.config of both series as well; their hop environments must be there.
    #[arg(long)]
    pub verify: bool,
    /// The environment that the service is started with, as `NAME=VALUE` lines: `OS_GROUP__OPTION` overrides files.
    #[arg(long, value_name = "FILE")]
    pub env_file: Option<Utf8PathBuf>,
    /// Write the findings in SARIF 2.1.0 too.
    #[arg(long, value_name = "FILE")]
    pub sarif: Option<Utf8PathBuf>,
}

/// `ffu config check`, `ffu policy check`.
#[derive(Debug, Args)]
pub struct CheckArguments {
    /// Files in the order in which the service is given them, or directories.
    #[arg(required = true, value_name = "FILES")]
    pub files: Vec<Utf8PathBuf>,
    /// The service the files belong to; found from names and directories where it is not given.
    #[arg(long)]
    pub service: Option<String>,
    /// The series that is to read them.
    #[arg(long, value_name = "SERIES")]
    pub series: String,
    /// The environment that the service is started with, as `NAME=VALUE` lines: `OS_GROUP__OPTION` overrides files.
    #[arg(long, value_name = "FILE")]
    pub env_file: Option<Utf8PathBuf>,
    /// Write the findings in SARIF 2.1.0 too.
    #[arg(long, value_name = "FILE")]
    pub sarif: Option<Utf8PathBuf>,
}
