//! What a data plane is to look like: networks, guests, the way out. Pure: checked here, built by [`super::wiring`].

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use super::cidr::Cidr;
use super::error::DataPlaneError;
use super::machine::Machine;

/// The most guests: each is a process and a namespace.
pub const MOST_GUESTS: usize = 250;
/// The most networks.
const MOST_NETWORKS: usize = 50;

/// What a data plane is to look like.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// What the names of its namespaces begin with: at most 8 lower-case letters.
    pub prefix: String,
    /// The command that runs a guest; the path of the guest's configuration file is appended (see [`super::run_guest`]).
    pub program: Vec<String>,
    /// What a network is made of.
    #[serde(default)]
    pub switch: Switch,
    /// The way out.
    pub external: External,
    /// The networks.
    pub networks: Vec<NetworkSpec>,
    /// The guests.
    pub guests: Vec<GuestSpec>,
}

/// What a network is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Switch {
    /// A Linux bridge.
    #[default]
    Bridge,
    /// A bridge of Open vSwitch with its userspace datapath.
    OpenVswitch,
}

/// The external network: the vantage point outside has the gateway's address, the router its own and the floating ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct External {
    /// Its addresses.
    pub subnet: Subnet,
    /// The router's address in it.
    pub router: Ipv4Addr,
}

/// A network: one bridge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkSpec {
    /// Its name.
    pub name: String,
    /// Its subnets, one at least; the router has the gateway's address of each.
    pub subnets: Vec<Subnet>,
    /// The address of the vantage point inside, in one of the subnets.
    pub vantage: Ipv4Addr,
}

/// A guest: one process, in a namespace or as a machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GuestSpec {
    /// Its name.
    pub name: String,
    /// Its network.
    pub network: String,
    /// Its address.
    pub address: Ipv4Addr,
    /// Its hardware address.
    pub mac: String,
    /// Its floating address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub floating: Option<Ipv4Addr>,
    /// Where it is a machine of its own instead of a namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<Machine>,
    /// What it belongs to, for the targets file: `az`, `vnic_type`, `tenant`, `host`, …
    #[serde(default)]
    pub groups: BTreeMap<String, String>,
}

/// A subnet with its gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subnet {
    /// Its addresses.
    pub cidr: Cidr,
    /// Its gateway.
    pub gateway: Ipv4Addr,
}

impl Spec {
    /// The guest of that name and its place.
    pub fn guest(&self, name: &str) -> Option<(usize, &GuestSpec)> {
        self.guests.iter().enumerate().find(|(_, guest)| guest.name == name)
    }

    /// The network of that name and its place.
    pub fn network(&self, name: &str) -> Option<(usize, &NetworkSpec)> {
        self.networks
            .iter()
            .enumerate()
            .find(|(_, network)| network.name == name)
    }

    /// What its guests that are machines are made of.
    pub fn machines(&self) -> impl Iterator<Item = &Machine> {
        self.guests.iter().filter_map(|guest| guest.machine.as_ref())
    }

    /// Its guests that are namespaces, with their places.
    pub(crate) fn spaces(&self) -> impl Iterator<Item = (usize, &GuestSpec)> {
        self.guests
            .iter()
            .enumerate()
            .filter(|(_, guest)| guest.machine.is_none())
    }

    /// Checks it: everything that is built relies on it.
    ///
    /// # Errors
    /// [`DataPlaneError::BadSpec`].
    pub fn check(&self) -> Result<(), DataPlaneError> {
        self.refusal()
            .map_or(Ok(()), |why| Err(DataPlaneError::BadSpec { why }))
    }

    fn refusal(&self) -> Option<String> {
        let plain = |text: &str, longest: usize, more: &str| {
            (1..=longest).contains(&text.len())
                && text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c))
                && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        };
        if !plain(&self.prefix, 8, "") || self.program.is_empty() {
            return Some("prefix or program is not one".to_owned());
        }
        if !(1..=MOST_GUESTS).contains(&self.guests.len()) || !(1..=MOST_NETWORKS).contains(&self.networks.len()) {
            return Some(format!(
                "1 to {MOST_GUESTS} guests and 1 to {MOST_NETWORKS} networks are possible"
            ));
        }
        let mut names = BTreeSet::new();
        let everything = self.guests.iter().map(|guest| &guest.name);
        for name in everything.chain(self.networks.iter().map(|network| &network.name)) {
            if !plain(name, 60, "-_.") {
                return Some(format!("{name:?} is not a name (letters, digits, - _ .; at most 60)"));
            }
            if !names.insert(name) {
                return Some(format!("two things are called {name}"));
            }
        }
        let mut taken = BTreeSet::from([self.external.subnet.gateway, self.external.router]);
        if taken.len() < 2 || taken.iter().any(|address| !self.external.subnet.cidr.holds(*address)) {
            return Some("gateway and router of the external network must be two addresses in it".to_owned());
        }
        let mut once = |address: Ipv4Addr| (!taken.insert(address)).then(|| format!("{address} is there twice"));
        for network in &self.networks {
            if !network.subnets.iter().any(|subnet| subnet.cidr.holds(network.vantage)) {
                return Some(format!(
                    "the vantage point of {} is in none of its subnets",
                    network.name
                ));
            }
            if let Some(why) = once(network.vantage) {
                return Some(why);
            }
            for subnet in &network.subnets {
                if !subnet.cidr.holds(subnet.gateway) {
                    return Some(format!("the gateway {} is not in {}", subnet.gateway, subnet.cidr));
                }
                if let Some(why) = once(subnet.gateway) {
                    return Some(why);
                }
            }
        }
        let mut macs = BTreeSet::new();
        for guest in &self.guests {
            if self.subnet_of(guest).is_none() {
                return Some(format!(
                    "{} of {} is in no subnet of {:?}",
                    guest.address, guest.name, guest.network
                ));
            }
            if !is_mac(&guest.mac) || !macs.insert(guest.mac.to_ascii_lowercase()) {
                return Some(format!(
                    "{:?} of {} is no hardware address of its own",
                    guest.mac, guest.name
                ));
            }
            if let Some(why) = guest.machine.as_ref().and_then(Machine::refusal) {
                return Some(why);
            }
            for address in [Some(guest.address), guest.floating].into_iter().flatten() {
                if let Some(why) = once(address) {
                    return Some(why);
                }
            }
            if guest
                .floating
                .is_some_and(|floating| !self.external.subnet.cidr.holds(floating))
            {
                return Some(format!(
                    "the floating address of {} is not in the external network",
                    guest.name
                ));
            }
        }
        None
    }

    /// The subnet that a guest's address is in.
    pub(crate) fn subnet_of(&self, guest: &GuestSpec) -> Option<Subnet> {
        let (_, network) = self.network(&guest.network)?;
        network
            .subnets
            .iter()
            .copied()
            .find(|subnet| subnet.cidr.holds(guest.address))
    }
}

/// A unicast hardware address, as `fa:16:3e:00:00:01`.
fn is_mac(text: &str) -> bool {
    let parts: Vec<&str> = text.split(':').collect();
    let bytes = parts
        .iter()
        .filter(|part| part.len() == 2)
        .filter_map(|part| u8::from_str_radix(part, 16).ok());
    let bytes: Vec<u8> = bytes.collect();
    parts.len() == 6 && bytes.len() == 6 && bytes[0] & 1 == 0 && bytes.iter().any(|byte| *byte != 0)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn two_networks() -> Spec {
        let subnet = |cidr: &str, gateway: &str| Subnet {
            cidr: cidr.parse().unwrap(),
            gateway: gateway.parse().unwrap(),
        };
        let guest = |n: u8, network: &str, address: &str, floating: Option<&str>| GuestSpec {
            name: format!("server-{n}"),
            network: network.to_owned(),
            address: address.parse().unwrap(),
            mac: format!("fa:16:3e:00:00:{n:02x}"),
            floating: floating.map(|text| text.parse().unwrap()),
            machine: None,
            groups: BTreeMap::new(),
        };
        Spec {
            prefix: "ffut".to_owned(),
            program: vec!["/bin/ffu".to_owned(), "lab-guest".to_owned()],
            switch: Switch::Bridge,
            external: External {
                subnet: subnet("203.0.113.0/24", "203.0.113.1"),
                router: "203.0.113.9".parse().unwrap(),
            },
            networks: vec![
                NetworkSpec {
                    name: "red".to_owned(),
                    subnets: vec![subnet("10.1.0.0/16", "10.1.255.254")],
                    vantage: "10.1.255.253".parse().unwrap(),
                },
                NetworkSpec {
                    name: "blue".to_owned(),
                    subnets: vec![subnet("10.2.0.0/24", "10.2.0.1")],
                    vantage: "10.2.0.254".parse().unwrap(),
                },
            ],
            guests: vec![
                guest(1, "red", "10.1.0.2", Some("203.0.113.20")),
                guest(2, "blue", "10.2.0.3", None),
            ],
        }
    }

    #[test]
    fn a_good_one_passes_and_survives_its_file() {
        let spec = two_networks();
        spec.check().unwrap();
        let text = serde_json::to_string(&spec).unwrap();
        assert_eq!(serde_json::from_str::<Spec>(&text).unwrap(), spec);
    }

    #[test]
    fn every_mistake_is_found() {
        type Spoil = fn(&mut Spec);
        let mistakes: [(&str, Spoil); 12] = [
            ("prefix", |s| s.prefix = "a/b".to_owned()),
            ("guests", |s| s.guests.clear()),
            ("name", |s| s.guests[0].name = "a b".to_owned()),
            ("called", |s| s.guests[1].name = "red".to_owned()),
            ("twice", |s| s.networks[0].vantage = s.networks[0].subnets[0].gateway),
            ("twice", |s| s.guests[0].address = s.networks[0].vantage),
            ("no subnet", |s| s.guests[1].address = "10.1.0.9".parse().unwrap()),
            ("no subnet", |s| s.guests[1].network = "green".to_owned()),
            ("hardware", |s| s.guests[1].mac = s.guests[0].mac.to_ascii_uppercase()),
            ("hardware", |s| s.guests[1].mac = "01:00:00:00:00:01; rm".to_owned()),
            ("MiB", |s| s.guests[0].machine = Some(Machine::new("relative".into()))),
            ("floating", |s| s.guests[0].floating = Some("10.9.9.9".parse().unwrap())),
        ];
        for (word, spoil) in mistakes {
            let mut spec = two_networks();
            spoil(&mut spec);
            let error = spec.check().unwrap_err().to_string();
            assert!(error.contains(word) && error.contains("\n  next: "), "{word}: {error}");
        }
    }
}
