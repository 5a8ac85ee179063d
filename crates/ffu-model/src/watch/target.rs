//! What is probed, how, and from where: the targets file.

use std::collections::BTreeMap;
use std::net::IpAddr;

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};

use super::Budgets;

/// The targets file (`targets.toml`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Targets {
    /// Milliseconds between two probes of a target, 20 (50 Hz) at least.
    #[serde(default = "Targets::default_interval_ms")]
    pub interval_ms: u32,
    /// Milliseconds after which a probe without answer counts as lost.
    #[serde(default = "Targets::default_timeout_ms")]
    pub timeout_ms: u32,
    /// Where probes come from, by name. `here` is always there.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub vantages: BTreeMap<String, Vantage>,
    /// What is tolerated, and what to do if it is exceeded.
    #[serde(default)]
    pub budgets: Budgets,
    /// How the targets were chosen, if they are a sample: in words, for the report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample: Option<String>,
    /// The targets.
    #[serde(default)]
    pub targets: Vec<Target>,
}

impl Default for Targets {
    /// What an empty file means.
    fn default() -> Self {
        Targets {
            interval_ms: Targets::default_interval_ms(),
            timeout_ms: Targets::default_timeout_ms(),
            vantages: BTreeMap::new(),
            budgets: Budgets::default(),
            sample: None,
            targets: Vec::new(),
        }
    }
}

impl Targets {
    /// The vantage point that needs no entry in the file.
    pub const HERE: &str = "here";

    fn default_interval_ms() -> u32 {
        100
    }

    fn default_timeout_ms() -> u32 {
        1000
    }
}

/// One address, probed in one way from one vantage point.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// What people call it; unique in the file.
    pub name: String,
    /// Its address.
    pub address: IpAddr,
    /// How it is probed.
    #[serde(default)]
    pub probe: Probe,
    /// From where: a name of [`Targets::vantages`], or `here`.
    #[serde(default = "Target::default_vantage")]
    pub vantage: String,
    /// Milliseconds between two probes, if not those of the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval_ms: Option<u32>,
    /// How its workload tells who it is, so that a restart is seen even if it answers again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload: Option<Workload>,
    /// What it belongs to: `network`, `az`, `vnic_type`, `tenant`, `host`, `kind` and whatever else the file says.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub groups: BTreeMap<String, String>,
}

impl Target {
    fn default_vantage() -> String {
        Targets::HERE.to_owned()
    }
}

/// How a target is probed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "type", deny_unknown_fields)]
pub enum Probe {
    /// ICMP (or ICMPv6) echo.
    #[default]
    Icmp,
    /// A TCP connection is made and closed.
    TcpConnect {
        /// The port.
        port: u16,
    },
    /// One TCP connection that stays; every probe is a line that the other side echoes. It must not break.
    TcpStream {
        /// The port of an echo service.
        port: u16,
    },
    /// A datagram that comes back.
    UdpEcho {
        /// The port of an echo service.
        port: u16,
    },
    /// An HTTP request whose status is below 500.
    Http {
        /// The port.
        port: u16,
        /// The path, `/` if not said.
        #[serde(default = "Probe::default_path")]
        path: String,
    },
    /// A DNS query that is answered, with whatever code.
    Dns {
        /// The port, 53 if not said.
        #[serde(default = "Probe::default_dns_port")]
        port: u16,
        /// The name that is asked for.
        query: String,
    },
    /// An ARP request on the local segment (IPv4 only).
    Arp {
        /// The interface it goes out of, in the vantage point.
        interface: String,
    },
}

impl Probe {
    fn default_path() -> String {
        "/".to_owned()
    }

    fn default_dns_port() -> u16 {
        53
    }
}

/// Where probes come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "type", deny_unknown_fields)]
pub enum Vantage {
    /// The host where `ffu` runs.
    Here,
    /// A network namespace of this host.
    Netns {
        /// Its name, as `ip netns` shows it.
        name: String,
    },
    /// Another host, over OpenSSH.
    Ssh {
        /// As `ssh` takes it: a host of ssh_config, or user@host.
        host: String,
        /// The whole path of an ssh_config that is used instead of the user's and the system's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        config: Option<Utf8PathBuf>,
        /// Path of `ffu` there.
        #[serde(default = "Vantage::default_program")]
        program: String,
    },
}

impl Vantage {
    fn default_program() -> String {
        "ffu".to_owned()
    }
}

/// Where a workload's identity is read. A change of it is a restart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "type", deny_unknown_fields)]
pub enum Workload {
    /// A process of this host: its id is in a file, its start time is in `/proc`.
    Process {
        /// The file with the process id.
        pid_file: Utf8PathBuf,
    },
    /// A host that can be logged into: its boot id; or a process of it.
    Ssh {
        /// As `ssh` takes it.
        host: String,
        /// The whole path of an ssh_config that is used instead of the user's and the system's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        config: Option<Utf8PathBuf>,
        /// The whole path of a file with a process id there: that process's start time, and the boot id.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pid_file: Option<Utf8PathBuf>,
    },
    /// A libvirt domain: its id and the start time of its process.
    Libvirt {
        /// As `virsh --connect` takes it.
        uri: String,
        /// Its name or uuid.
        domain: String,
    },
    /// A guest that tells its boot id over HTTP: JSON with a member `boot_id`.
    Http {
        /// Its address.
        address: IpAddr,
        /// The port, 80 if not said.
        #[serde(default = "Workload::default_port")]
        port: u16,
        /// The path, `/identity` if not said.
        #[serde(default = "Workload::default_path")]
        path: String,
        /// The network namespace of this host from which it is asked, if not where `ffu` runs.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        namespace: Option<String>,
    },
    /// An instance of nova without access to it: what the cell databases say of it before the freeze and after the hops.
    Instance {
        /// Its uuid.
        uuid: String,
    },
}

impl Workload {
    fn default_port() -> u16 {
        80
    }

    fn default_path() -> String {
        "/identity".to_owned()
    }
}
