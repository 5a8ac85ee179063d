//! What an agent is told to do, and whether it can be done.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::num::NonZeroU32;

use ffu_model::watch::{Probe, Targets};
use serde::{Deserialize, Serialize};

use crate::error::WatchError;

/// The version of what watch and agent say to each other.
pub(crate) const VERSION: u32 = 1;

/// Probes a second that one vantage point sends at most. One core would do some 160,000 by ICMP on the loopback interface, where
/// its kernel answers them as well.
pub const MAX_RATE: u64 = 120_000;

/// The shortest interval: 50 Hz.
pub const MIN_INTERVAL_MS: u32 = 20;

/// Different intervals that one vantage point can have.
pub const MAX_INTERVALS: usize = 64;

/// The longest interval and timeout.
pub const MAX_MS: u32 = 60_000;

/// The first line an agent reads: everything it has to know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AgentTask {
    /// The version of the protocol.
    pub version: u32,
    /// The vantage point's name, for notices.
    pub vantage: String,
    /// Milliseconds between two probes of a target.
    pub interval_ms: u32,
    /// Milliseconds after which a probe is lost.
    pub timeout_ms: u32,
    /// Seconds without a word of the parent after which the agent is ended by the kernel: a connection can break without anybody's being
    /// told, and an agent must not probe on for nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silence_s: Option<NonZeroU32>,
    /// The targets of this vantage point.
    pub targets: Vec<AgentTarget>,
}

/// One target of an agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AgentTarget {
    /// Its place in the targets file.
    pub index: u32,
    /// Its address.
    pub address: IpAddr,
    /// How it is probed.
    pub probe: Probe,
    /// Milliseconds between two probes, if not the task's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval_ms: Option<u32>,
    /// The number of the first probe: higher than 0 after a restart.
    #[serde(default)]
    pub first_seq: u32,
}

impl AgentTask {
    /// The task of one vantage point. `first_seq` says with which number a target's probes go on.
    pub fn new(targets: &Targets, vantage: &str, first_seq: impl Fn(u32) -> u32) -> AgentTask {
        let here = targets
            .targets
            .iter()
            .enumerate()
            .filter(|(_, target)| target.vantage == vantage);
        AgentTask {
            version: VERSION,
            vantage: vantage.to_owned(),
            interval_ms: targets.interval_ms,
            timeout_ms: targets.timeout_ms,
            silence_s: None,
            targets: here
                .map(|(index, target)| {
                    let index = u32::try_from(index).unwrap_or(u32::MAX);
                    AgentTarget {
                        index,
                        address: target.address,
                        probe: target.probe.clone(),
                        interval_ms: target.interval_ms,
                        first_seq: first_seq(index),
                    }
                })
                .collect(),
        }
    }

    /// Milliseconds between two probes of one of its targets.
    pub fn interval_ms(&self, target: &AgentTarget) -> u32 {
        target.interval_ms.unwrap_or(self.interval_ms)
    }

    /// Refuses what cannot be probed: intervals, rates, addresses and texts that are out of range.
    pub fn check(&self) -> Result<(), WatchError> {
        if self.version != VERSION {
            return Err(WatchError::Task {
                why: format!("it is of version {}, not {VERSION}", self.version),
            });
        }
        if !(1..=MAX_MS).contains(&self.timeout_ms) {
            let why = format!("timeout_ms is {}, it must be 1 to {MAX_MS}", self.timeout_ms);
            return Err(WatchError::Task { why });
        }
        let mut intervals = BTreeSet::new();
        for target in &self.targets {
            let interval = self.interval_ms(target);
            let why = if !(MIN_INTERVAL_MS..=MAX_MS).contains(&interval) {
                Some(format!(
                    "interval_ms is {interval}, it must be {MIN_INTERVAL_MS} to {MAX_MS}"
                ))
            } else if intervals.insert(interval) && intervals.len() > MAX_INTERVALS {
                Some(format!(
                    "its interval_ms of {interval} is one too many: {MAX_INTERVALS} different ones are possible"
                ))
            } else {
                unprobeable(target)
            };
            if let Some(why) = why {
                return Err(WatchError::Target {
                    target: target.index,
                    why,
                });
            }
        }
        // Millihertz, so that long intervals count too.
        let rate: u64 = self
            .targets
            .iter()
            .map(|target| 1_000_000 / u64::from(self.interval_ms(target)))
            .sum();
        let rate = rate.div_ceil(1000);
        if rate > MAX_RATE {
            let targets = self.targets.len();
            return Err(WatchError::Rate {
                vantage: self.vantage.clone(),
                targets,
                rate,
                limit: MAX_RATE,
                interval_ms: (targets as u64 * 1000).div_ceil(MAX_RATE),
            });
        }
        Ok(())
    }
}

fn unprobeable(target: &AgentTarget) -> Option<String> {
    match &target.probe {
        Probe::Arp { .. } if target.address.is_ipv6() => Some("ARP is for IPv4 addresses, use icmp".to_owned()),
        Probe::Http { path, .. } if !path.starts_with('/') || path.bytes().any(|byte| byte <= b' ' || byte == 0x7f) => {
            Some(format!(
                "{path:?} is not the path of an HTTP request: it begins with / and has no blanks"
            ))
        }
        Probe::Dns { query, .. } if super::dns::query(query).is_none() => {
            Some(format!("{query:?} is not a domain name"))
        }
        Probe::TcpConnect { port: 0 }
        | Probe::TcpStream { port: 0 }
        | Probe::UdpEcho { port: 0 }
        | Probe::Http { port: 0, .. }
        | Probe::Dns { port: 0, .. } => Some("port 0 is no port".to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(count: u32, interval_ms: u32, probe: &Probe) -> AgentTask {
        let address = "127.0.0.1".parse().expect("an address");
        let target = |index| AgentTarget {
            index,
            address,
            probe: probe.clone(),
            interval_ms: None,
            first_seq: 0,
        };
        AgentTask {
            version: VERSION,
            vantage: "here".into(),
            interval_ms,
            timeout_ms: 1000,
            silence_s: None,
            targets: (0..count).map(target).collect(),
        }
    }

    #[test]
    fn rates_beyond_the_limit_are_refused_with_the_figure() {
        task(12_000, 100, &Probe::Icmp).check().expect("exactly the limit");
        task(100_000, 834, &Probe::Icmp).check().expect("many but slow");
        let error = task(100_000, 100, &Probe::Icmp)
            .check()
            .expect_err("too many")
            .to_string();
        assert!(
            error.contains("100000 targets need 1000000 packets a second"),
            "{error}"
        );
        assert!(error.contains("interval_ms to 834 or more"), "{error}");
    }

    #[test]
    fn nonsense_is_refused() {
        for (probe, word) in [
            (Probe::UdpEcho { port: 0 }, "port 0"),
            (
                Probe::Http {
                    port: 80,
                    path: "/a b".into(),
                },
                "path",
            ),
            (
                Probe::Http {
                    port: 80,
                    path: "/a\r\nX: y".into(),
                },
                "path",
            ),
            (
                Probe::Dns {
                    port: 53,
                    query: "a..b".into(),
                },
                "domain name",
            ),
        ] {
            let error = task(1, 100, &probe).check().expect_err("nonsense").to_string();
            assert!(error.contains(word) && error.contains("next:"), "{error}");
        }
        assert!(task(1, 19, &Probe::Icmp).check().is_err() && task(1, 0, &Probe::Icmp).check().is_err());
        let mut arp = task(1, 100, &Probe::Arp { interface: "lo".into() });
        arp.targets[0].address = "::1".parse().expect("an address");
        assert!(arp.check().is_err());
        let mut other = task(1, 100, &Probe::Icmp);
        other.version = 9;
        assert!(other.check().expect_err("version").to_string().contains("version 9"));
    }
}
