//! `ffu watch`, and what `ffu run` takes of it.

use std::net::SocketAddr;
use std::time::Duration;

use camino::Utf8PathBuf;
use clap::{Args, Subcommand};

/// `ffu watch`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct WatchArguments {
    /// What to do with a watch that runs or ran.
    #[command(subcommand)]
    pub command: Option<WatchCommand>,
    /// A watch by itself.
    #[command(flatten)]
    pub here: WatchHere,
}

/// A watch in this terminal, until Ctrl-C.
#[derive(Debug, Args)]
pub struct WatchHere {
    /// What is probed: a targets file (`ffu watch targets` makes one from neutron's database). A record that is gone on with has its own.
    #[arg(long, value_name = "FILE", required_unless_present_any = ["run", "record"])]
    pub targets: Option<Utf8PathBuf>,
    /// The cloud file that `ffu discover` wrote: targets whose workload is an instance of nova are looked up in its databases, at the begin and
    /// at the end [a run's watch has it from the plan].
    #[arg(long, value_name = "FILE", conflicts_with = "run")]
    pub cloud: Option<Utf8PathBuf>,
    /// The directory where everything that is seen is recorded; a record that is there is gone on with [default: a new one in the state directory].
    #[arg(long, value_name = "DIR")]
    pub record: Option<Utf8PathBuf>,
    /// End by itself after this: 30s, 10m, 2h [default: at Ctrl-C].
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    pub time: Option<Duration>,
    /// Serve the live page at this address; anything but loopback asks for the token in the record's file `token`.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<SocketAddr>,
    /// Print plain lines, also on a terminal.
    #[arg(long)]
    pub plain: bool,
    /// Write the report of what was seen, one HTML file.
    #[arg(long, value_name = "FILE")]
    pub html: Option<Utf8PathBuf>,
    /// The run that is watched: `ffu run` starts this.
    #[arg(long, hide = true, value_name = "RUN")]
    pub run: Option<String>,
}

/// What can be done with a watch.
#[derive(Debug, Subcommand)]
pub enum WatchCommand {
    /// Look at a watch that runs, from any terminal.
    Show {
        /// Which one.
        #[command(flatten)]
        which: Which,
        /// Print plain lines, also on a terminal.
        #[arg(long)]
        plain: bool,
    },
    /// Let a held run go on in spite of what was lost so far.
    Acknowledge {
        /// Which one.
        #[command(flatten)]
        which: Which,
    },
    /// End a watch that runs in the background.
    Stop {
        /// Which one.
        #[command(flatten)]
        which: Which,
    },
    /// Read a record again: the figures, the same as when it was made.
    Replay {
        /// The directory of the record.
        record: Utf8PathBuf,
        /// Write the report, one HTML file.
        #[arg(long, value_name = "FILE")]
        html: Option<Utf8PathBuf>,
    },
    /// Make a targets file from neutron's database.
    Targets(TargetsArguments),
}

/// Which watch.
#[derive(Debug, Args)]
pub struct Which {
    /// The run whose watch it is [default: the latest].
    pub run: Option<String>,
    /// The directory of a record, for a watch by itself.
    #[arg(long, value_name = "DIR", conflicts_with = "run")]
    pub record: Option<Utf8PathBuf>,
}

/// `ffu watch targets`.
#[derive(Debug, Args)]
pub struct TargetsArguments {
    /// The cloud file that `ffu discover` wrote.
    #[arg(long, value_name = "FILE")]
    pub cloud: Utf8PathBuf,
    /// The file to write [default: print it].
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<Utf8PathBuf>,
    /// Where a network's own addresses can be reached from: network=NAME:NAMESPACE for a network namespace of this host,
    /// network=NAME:ssh/HOST for another host; NAME may be the uuid; may be repeated. Addresses of other networks are left out.
    #[arg(long, value_name = "network=NAME:NAMESPACE")]
    pub vantage: Vec<String>,
    /// Targets at most; every network, host, zone and vnic_type stays present as far as that allows.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub max: usize,
    /// Another number chooses another sample.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Milliseconds between two probes of a target.
    #[arg(long, value_name = "MS", default_value_t = 100, value_parser = clap::value_parser!(u32).range(20..=60_000))]
    pub interval: u32,
}

/// What `ffu run` and `ffu resume` take of it.
#[derive(Clone, Debug, Default, Args)]
pub struct Watched {
    /// Measure the data plane through the run: a targets file. What exceeds its budgets holds or stops the run.
    #[arg(long, value_name = "FILE")]
    pub watch: Option<Utf8PathBuf>,
    /// Serve the watch's live page at this address; anything but loopback asks for the token in the run's file `watch/token`.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<SocketAddr>,
}

/// 500ms, 30s, 10m, 2h.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "a number and ms, s, m or h, as in 700ms or 10m".to_owned();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    let unit: u64 = match text.get(digits.len()..).unwrap_or_default() {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(wrong()),
    };
    let total = number
        .checked_mul(unit)
        .filter(|total| (1..=30 * 24 * 3_600_000).contains(total));
    total.map(Duration::from_millis).ok_or_else(wrong)
}
