//! `ffu lab fault`.

use std::time::Duration;

use camino::Utf8PathBuf;
use clap::{Args, Subcommand};

use super::watch::duration;

/// Break something of a lab's data plane for a time; Ctrl-C undoes it early.
#[derive(Debug, Args)]
pub struct FaultArguments {
    /// The lab's directory.
    #[arg(long, value_name = "DIR", default_value = "ffu-lab", global = true)]
    pub dir: Utf8PathBuf,
    /// For how long: 700ms, 5s, 2m [default: 1s; flush-bridge: only for a moment].
    #[arg(long = "for", value_name = "TIME", value_parser = duration, global = true)]
    pub lasting: Option<Duration>,
    /// What.
    #[command(subcommand)]
    pub fault: FaultCommand,
}

/// What can be broken.
#[derive(Debug, Subcommand)]
pub enum FaultCommand {
    /// The guest's link is down.
    LinkDown {
        /// The guest.
        guest: String,
    },
    /// The network's bridge forgets everything and forwards nothing; the router forgets its neighbours and connections.
    FlushBridge {
        /// The network.
        network: String,
    },
    /// The guest is killed, and started again at the end.
    KillGuest {
        /// The guest.
        guest: String,
    },
    /// A share of the packets to the guest is dropped.
    Loss {
        /// The guest.
        guest: String,
        /// Such as 5% or 0.5%.
        #[arg(long, value_name = "PERCENT", value_parser = share)]
        share: u16,
    },
    /// Every packet to the guest is late.
    Latency {
        /// The guest.
        guest: String,
        /// Milliseconds.
        #[arg(long, value_name = "MILLISECONDS")]
        ms: u32,
    },
    /// Undo what a fault left whose command was killed.
    Heal,
}

/// 5%, 0.25%: of 10,000.
fn share(text: &str) -> Result<u16, String> {
    let wrong = || "a percentage from 0.01% to 100%, as in 5%".to_owned();
    let number: f64 = text.trim_end_matches('%').parse().map_err(|_| wrong())?;
    let share = (number * 100.0).round();
    if !(1.0..=10_000.0).contains(&share) {
        return Err(wrong());
    }
    // In range, and whole.
    Ok(share as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_percentages() {
        assert_eq!(
            (share("5%"), share("0.25%"), share("100")),
            (Ok(500), Ok(25), Ok(10_000))
        );
        for bad in ["", "%", "0", "0.001%", "101%", "-1", "NaN", "inf", "5 %x"] {
            assert!(share(bad).is_err(), "{bad:?}");
        }
    }
}
