//! The targets file for the watch: what a data plane offers to be probed, from outside and from inside.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use ffu_model::watch::{Probe, Target, Targets, Vantage, Workload};

use super::DataPlane;
use super::guest::{ECHO_PORT, HTTP_PORT};

/// The vantage point outside.
pub(crate) const OUTSIDE: &str = "outside";

impl DataPlane {
    /// For each guest: ICMP, UDP echo (HTTP for a machine) and a TCP stream, from outside through the router (to its floating address, where it
    /// has one) and from the vantage point in its network.
    pub fn targets(&self) -> Targets {
        let (spec, names) = (self.spec(), self.names());
        let netns = |name: String| Vantage::Netns { name };
        let mut vantages = BTreeMap::from([(OUTSIDE.to_owned(), netns(names.outside()))]);
        for (at, network) in spec.networks.iter().enumerate() {
            vantages.insert(inside(&network.name), netns(names.inside(at)));
        }
        let mut targets = Vec::new();
        for (at, guest) in spec.guests.iter().enumerate() {
            let mut groups = guest.groups.clone();
            groups.insert("network".to_owned(), guest.network.clone());
            groups.insert("guest".to_owned(), guest.name.clone());
            let workload = match guest.machine {
                None => Workload::Process {
                    pid_file: self.pid_file(at),
                },
                // Its process goes on when it restarts; its boot id does not.
                Some(_) => Workload::Http {
                    address: Ipv4Addr::into(guest.address),
                    port: HTTP_PORT,
                    path: "/identity".to_owned(),
                    namespace: self
                        .spec()
                        .network(&guest.network)
                        .map(|(place, _)| names.inside(place)),
                },
            };
            let outer = match guest.floating {
                Some(floating) => (floating, "floating-ip"),
                None => (guest.address, "routed"),
            };
            let ways = [
                (OUTSIDE.to_owned(), "outside", outer.0, outer.1),
                (inside(&guest.network), "inside", guest.address, "fixed"),
            ];
            for (vantage, from, address, kind) in ways {
                let mut groups = groups.clone();
                groups.insert("kind".to_owned(), kind.to_owned());
                for (probe, how) in probes(guest.machine.is_some()) {
                    targets.push(Target {
                        name: format!("{}/{from}/{how}", guest.name),
                        address: Ipv4Addr::into(address),
                        probe,
                        vantage: vantage.clone(),
                        interval_ms: None,
                        workload: Some(workload.clone()),
                        groups: groups.clone(),
                    });
                }
            }
        }
        Targets {
            interval_ms: 100,
            timeout_ms: 1000,
            vantages,
            targets,
            ..Targets::default()
        }
    }
}

fn inside(network: &str) -> String {
    format!("inside-{network}")
}

/// A machine has no UDP echo, and HTTP instead.
fn probes(of_machine: bool) -> [(Probe, &'static str); 3] {
    let (port, path) = (HTTP_PORT, "/".to_owned());
    [
        (Probe::Icmp, "icmp"),
        match of_machine {
            false => (Probe::UdpEcho { port: ECHO_PORT }, "udp-echo"),
            true => (Probe::Http { port, path }, "http"),
        },
        (Probe::TcpStream { port: ECHO_PORT }, "tcp-stream"),
    ]
}
