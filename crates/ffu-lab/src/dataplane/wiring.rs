//! From a description to what `ip` and `nft` are told. Pure, so that it can be read and tested without a namespace.
//!
//! One namespace each: the outside (a vantage point), the router, the fabric (every network is a bridge in it), a vantage
//! point in every network, every guest. Interface names have at most 15 characters, so they count: guest 3 is at port `p3` of
//! the fabric, network 2 is the bridge `br2`.

use std::fmt::Write as _;
use std::net::Ipv4Addr;

use super::spec::{GuestSpec, Spec, Subnet, Switch};

/// Names of a data plane's namespaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Names {
    /// What all of them begin with; nothing else on the machine does.
    pub stem: String,
}

impl Names {
    pub(crate) fn new(prefix: &str, id: &str) -> Names {
        Names {
            stem: format!("{prefix}-{id}-"),
        }
    }

    pub(crate) fn outside(&self) -> String {
        format!("{}out", self.stem)
    }

    pub(crate) fn router(&self) -> String {
        format!("{}router", self.stem)
    }

    pub(crate) fn fabric(&self) -> String {
        format!("{}fabric", self.stem)
    }

    /// The vantage point in the network at this place.
    pub(crate) fn inside(&self, network: usize) -> String {
        format!("{}in{}", self.stem, network + 1)
    }

    /// The guest at this place.
    pub(crate) fn guest(&self, guest: usize) -> String {
        format!("{}g{}", self.stem, guest + 1)
    }

    /// Where a guest's process is: a machine is at the bridges.
    pub(crate) fn of(&self, place: usize, guest: &GuestSpec) -> String {
        match guest.machine {
            Some(_) => self.fabric(),
            None => self.guest(place),
        }
    }

    pub(crate) fn all(&self, spec: &Spec) -> Vec<String> {
        let mut names = vec![self.outside(), self.router(), self.fabric()];
        names.extend((0..spec.networks.len()).map(|at| self.inside(at)));
        names.extend(spec.spaces().map(|(at, _)| self.guest(at)));
        names
    }
}

/// Hardware addresses of ends that are no guest, and so have none in neutron: the place tells them apart.
fn mac(kind: u8, place: usize) -> String {
    let [.., high, low] = place.to_be_bytes();
    format!("0e:ff:00:{kind:02x}:{high:02x}:{low:02x}")
}

fn leg_mac(network: usize) -> String {
    mac(1, network)
}

fn inside_mac(network: usize) -> String {
    mac(2, network)
}

/// Neighbours are known from the start. Were they asked for, packets would wait for the answer: a long outage would seem to end
/// before its cause did, and a busy machine would lose some that nobody took away.
fn neighbour(address: Ipv4Addr, mac: &str, interface: &str) -> String {
    format!("neigh replace {address} lladdr {mac} dev {interface} nud permanent\n")
}

/// What the router knows of a network, forgotten and learned again.
pub(crate) fn relearn(spec: &Spec, network: usize) -> String {
    let leg = leg(network);
    let known = neighbours_in(spec, network, &leg);
    let addresses = known.lines().filter_map(|line| line.split(' ').nth(2));
    let forget: String = addresses
        .map(|address| format!("neigh del {address} dev {leg}\n"))
        .collect();
    // Only what is there can be forgotten.
    format!("{known}{forget}{known}")
}

/// The guests of a network and its vantage point, as seen from an interface in it.
fn neighbours_in(spec: &Spec, network: usize, interface: &str) -> String {
    let Some(one) = spec.networks.get(network) else {
        return String::new();
    };
    let guests = spec.guests.iter().filter(|guest| guest.network == one.name);
    let guests: String = guests
        .map(|guest| neighbour(guest.address, &guest.mac, interface))
        .collect();
    guests + &neighbour(one.vantage, &inside_mac(network), interface)
}

/// The network's gateways, as seen by an end in it.
fn gateways(spec: &Spec, network: usize) -> String {
    let subnets = spec.networks.get(network).map_or(&[][..], |one| &one.subnets);
    subnets
        .iter()
        .map(|subnet| neighbour(subnet.gateway, &leg_mac(network), "eth0"))
        .collect()
}

/// The fabric's port of a guest.
pub(crate) fn port(guest: usize) -> String {
    format!("p{}", guest + 1)
}

/// The fabric's bridge of a network.
pub(crate) fn bridge(network: usize) -> String {
    format!("br{}", network + 1)
}

/// The router's interface in a network.
pub(crate) fn leg(network: usize) -> String {
    format!("net{}", network + 1)
}

/// One script of `ip -batch`, in a namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Script {
    pub namespace: String,
    pub text: String,
}

/// Everything after the namespaces are there: links first, since the others need them.
pub(crate) fn scripts(spec: &Spec, names: &Names) -> Vec<Script> {
    let script = |namespace: String, text: String| Script { namespace, text };
    let mut all = vec![script(names.fabric(), fabric(spec, names))];
    let (outside, router) = ends(spec);
    all.push(script(names.router(), router));
    all.push(script(names.outside(), outside));
    for (at, network) in spec.networks.iter().enumerate() {
        if let Some(subnet) = network.subnets.iter().find(|subnet| subnet.cidr.holds(network.vantage)) {
            let text = host(network.vantage, subnet) + &gateways(spec, at) + &neighbours_in(spec, at, "eth0");
            all.push(script(names.inside(at), text));
        }
    }
    // A machine sets its own card up.
    for (at, guest) in spec.spaces() {
        if let Some(subnet) = spec.subnet_of(guest) {
            let known = neighbours_of(spec, at);
            let known = known.iter().map(|(address, mac)| neighbour(*address, mac, "eth0"));
            let text = host(guest.address, &subnet) + &known.collect::<String>();
            all.push(script(names.guest(at), text));
        }
    }
    all
}

/// Whom the guest at this place talks to directly, with their hardware addresses: its gateways, the vantage point in its network, its
/// partners in the ring of streams (those in other networks are the router's).
pub(crate) fn neighbours_of(spec: &Spec, at: usize) -> Vec<(Ipv4Addr, String)> {
    let guest = &spec.guests[at];
    let Some((place, network)) = spec.network(&guest.network) else {
        return Vec::new();
    };
    let gateways = network.subnets.iter().map(|subnet| (subnet.gateway, leg_mac(place)));
    let number = spec.guests.len();
    let partners = [(at + 1) % number, (at + number - 1) % number].map(|other| &spec.guests[other]);
    let partners = partners
        .into_iter()
        .filter(|other| other.network == guest.network && other.name != guest.name);
    gateways
        .chain([(network.vantage, inside_mac(place))])
        .chain(partners.map(|other| (other.address, other.mac.clone())))
        .collect()
}

/// The fabric's ports of a network: the router's, the vantage point's, the guests'.
pub(crate) fn ports_of(spec: &Spec, network: usize) -> Vec<String> {
    let guests = spec.guests.iter().enumerate();
    let here = guests.filter(|(_, guest)| spec.networks.get(network).is_some_and(|one| one.name == guest.network));
    let own = [format!("r{}", network + 1), format!("v{}", network + 1)];
    own.into_iter().chain(here.map(|(at, _)| port(at))).collect()
}

fn fabric(spec: &Spec, names: &Names) -> String {
    let (mut text, mut cards) = (String::new(), String::new());
    let mut plug = |inner: &str, outer: &str, namespace: String, mac: &str| {
        let ends = format!("link add {inner} type veth peer name {outer} address {mac} netns {namespace}");
        let _ = writeln!(text, "{ends}");
    };
    for at in 0..spec.networks.len() {
        plug(&format!("r{}", at + 1), &leg(at), names.router(), &leg_mac(at));
        plug(&format!("v{}", at + 1), "eth0", names.inside(at), &inside_mac(at));
    }
    for (at, guest) in spec.guests.iter().enumerate() {
        match guest.machine {
            Some(_) => cards += &format!("tuntap add name {} mode tap\n", port(at)),
            None => plug(&port(at), "eth0", names.guest(at), &guest.mac),
        }
    }
    text += &cards;
    for at in 0..spec.networks.len() {
        let bridge = bridge(at);
        let master = match spec.switch {
            Switch::Bridge => {
                // No waiting before a port forwards: a fault shall end when it says so.
                let _ = writeln!(
                    text,
                    "link add {bridge} type bridge forward_delay 0 stp_state 0\nlink set {bridge} up"
                );
                format!("master {bridge} ")
            }
            Switch::OpenVswitch => String::new(),
        };
        for port in ports_of(spec, at) {
            let _ = writeln!(text, "link set {port} {master}up");
        }
    }
    text
}

/// The outside and the router.
fn ends(spec: &Spec) -> (String, String) {
    let external = &spec.external;
    let length = external.subnet.cidr.length();
    let mut outside = format!(
        "link set lo up\naddr add {}/{length} dev eth0\nlink set eth0 up\n",
        external.subnet.gateway
    );
    let mut router = format!(
        "link set lo up\naddr add {}/{length} dev ext\nlink set ext up\n",
        external.router
    );
    for floating in spec.guests.iter().filter_map(|guest| guest.floating) {
        let _ = writeln!(router, "addr add {floating}/32 dev ext");
    }
    for (at, network) in spec.networks.iter().enumerate() {
        let leg = leg(at);
        let _ = writeln!(router, "link set {leg} up");
        for subnet in &network.subnets {
            let _ = writeln!(router, "addr add {}/{} dev {leg}", subnet.gateway, subnet.cidr.length());
            let _ = writeln!(outside, "route add {} via {}", subnet.cidr, external.router);
        }
    }
    let _ = writeln!(router, "route add default via {}", external.subnet.gateway);
    let (ext, out) = (mac(3, 0), mac(3, 1));
    router += &neighbour(external.subnet.gateway, &out, "ext");
    let floating = spec.guests.iter().filter_map(|guest| guest.floating);
    outside.extend(
        floating
            .chain([external.router])
            .map(|address| neighbour(address, &ext, "eth0")),
    );
    router.extend((0..spec.networks.len()).map(|at| neighbours_in(spec, at, &leg(at))));
    (outside, router)
}

/// An end with one interface.
fn host(address: Ipv4Addr, subnet: &Subnet) -> String {
    let (length, gateway) = (subnet.cidr.length(), subnet.gateway);
    format!("link set lo up\naddr add {address}/{length} dev eth0\nlink set eth0 up\nroute add default via {gateway}\n")
}

/// The link between router and outside, made in the router.
pub(crate) fn uplink(names: &Names) -> Script {
    Script {
        namespace: names.router(),
        text: format!(
            "link add ext address {} type veth peer name eth0 address {} netns {}\n",
            mac(3, 0),
            mac(3, 1),
            names.outside()
        ),
    }
}

/// The router's rules: each floating address leads to its guest, and the guest's own connections leave under it.
pub(crate) fn translation(spec: &Spec) -> String {
    let (mut into, mut out) = (String::new(), String::new());
    for guest in &spec.guests {
        if let Some(floating) = guest.floating {
            let _ = writeln!(into, "    ip daddr {floating} dnat to {}", guest.address);
            let _ = writeln!(out, "    oifname \"ext\" ip saddr {} snat to {floating}", guest.address);
        }
    }
    format!(
        "table ip ffu {{\n  chain in {{\n    type nat hook prerouting priority -100;\n{into}  }}\n  chain out {{\n    type nat \
         hook postrouting priority 100;\n{out}  }}\n}}\n"
    )
}

#[cfg(test)]
#[path = "wiring/tests.rs"]
mod tests;
