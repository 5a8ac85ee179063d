//! From the lab's rows to a data plane: guests have the addresses of neutron ports whose instances nova says are running.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;

use super::error::DataPlaneError;
use super::machine::Machine;
use super::spec::{External, GuestSpec, NetworkSpec, Spec, Subnet, Switch};
use crate::error::LabError;
use crate::layout::Lab;

const LIMIT: Duration = Duration::from_secs(30);
const PREFIX: &str = "ffu";

/// A data plane that a lab shall have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// How many guests.
    pub guests: usize,
    /// The command that runs a guest, see [`Spec::program`].
    pub program: Vec<String>,
    /// What its networks are made of.
    pub switch: Switch,
    /// What the first guest is made of, if it shall be a machine of its own.
    pub machine: Option<Machine>,
}

/// Running instances with a bound IPv4 port, those with a floating address first, then in the order they were made.
const PORTS: &str = "SELECT i.display_name, n.name, a.ip_address, p.mac_address, f.floating_ip_address, i.host, \
    COALESCE(i.availability_zone, SUBSTRING(p.device_owner, 9)), b.vnic_type, k.name \
    FROM neutron.ports p JOIN neutron.ipallocations a ON a.port_id = p.id JOIN neutron.networks n ON n.id = p.network_id \
    JOIN nova.instances i ON i.uuid = p.device_id AND i.deleted = 0 AND i.power_state = 1 \
    JOIN neutron.subnets s ON s.id = a.subnet_id AND s.ip_version = 4 \
    LEFT JOIN neutron.ml2_port_bindings b ON b.port_id = p.id AND b.host = i.host \
    LEFT JOIN neutron.floatingips f ON f.fixed_port_id = p.id LEFT JOIN keystone.project k ON k.id = p.project_id \
    WHERE p.device_owner LIKE 'compute:%' ORDER BY f.floating_ip_address IS NULL, i.id LIMIT 5000";

const SUBNETS: &str = "SELECT n.name, s.cidr, s.gateway_ip FROM neutron.subnets s JOIN neutron.networks n ON n.id = \
    s.network_id WHERE s.ip_version = 4 AND s.gateway_ip IS NOT NULL ORDER BY s.cidr LIMIT 1000";

const GATEWAYS: &str = "SELECT s.cidr, s.gateway_ip, a.ip_address FROM neutron.ports p JOIN neutron.ipallocations a ON \
    a.port_id = p.id JOIN neutron.subnets s ON s.id = a.subnet_id AND s.ip_version = 4 WHERE p.device_owner = \
    'network:router_gateway' AND s.gateway_ip IS NOT NULL ORDER BY a.ip_address LIMIT 1";

const TAKEN: &str = "SELECT ip_address FROM neutron.ipallocations LIMIT 200000";

type Row = Vec<Option<String>>;

impl Lab {
    /// The description of a data plane whose guests stand for instances of this lab, from its databases.
    ///
    /// # Errors
    /// The database does not answer; [`DataPlaneError::TooFew`].
    pub fn data_plane_spec(&self, wanted: &Wanted) -> Result<Spec, LabError> {
        let server = self.server()?.admin()?;
        let rows = |sql: &str| server.query_rows("neutron", sql, LIMIT);
        let taken = rows(TAKEN)?
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|text| text.parse().ok())
            .collect();
        Ok(describe(
            wanted,
            &rows(PORTS)?,
            &rows(SUBNETS)?,
            &rows(GATEWAYS)?,
            &taken,
        )?)
    }
}

fn describe(
    wanted: &Wanted,
    ports: &[Row],
    subnets: &[Row],
    gateways: &[Row],
    taken: &BTreeSet<Ipv4Addr>,
) -> Result<Spec, DataPlaneError> {
    let bad = |why: &str| DataPlaneError::BadSpec { why: why.to_owned() };
    let mut by_network: BTreeMap<&str, Vec<Subnet>> = BTreeMap::new();
    for row in subnets {
        if let Some((name, subnet)) = text(row, 0).zip(subnet(row, 1)) {
            by_network.entry(name).or_default().push(subnet);
        }
    }
    let mut candidates: Vec<GuestSpec> = Vec::new();
    for guest in ports.iter().filter_map(guest) {
        // An instance with several ports or addresses is one guest: its first.
        if !candidates.iter().any(|other| other.name == guest.name) {
            candidates.push(guest);
        }
    }
    let there = candidates.len();
    let mut guests = choose(candidates, wanted.guests);
    if guests.len() < wanted.guests {
        return Err(DataPlaneError::TooFew {
            there,
            asked: wanted.guests,
        });
    }
    if let Some(first) = guests.first_mut() {
        first.machine.clone_from(&wanted.machine);
    }
    let used: BTreeSet<&str> = guests.iter().map(|guest| guest.network.as_str()).collect();
    let mut networks = Vec::new();
    for name in used {
        let subnets = by_network
            .remove(name)
            .ok_or_else(|| bad("a network of instances has no subnet"))?;
        let free = |address: &Ipv4Addr| !taken.contains(address) && subnets.iter().all(|one| one.gateway != *address);
        let vantage = subnets.iter().find_map(|subnet| subnet.cidr.from_the_top().find(free));
        networks.push(NetworkSpec {
            name: name.to_owned(),
            vantage: vantage.ok_or_else(|| bad("a network has no free address for a vantage point"))?,
            subnets,
        });
    }
    let gateway = gateways
        .first()
        .and_then(|row| Some((subnet(row, 0)?, text(row, 2)?.parse().ok()?)));
    let (subnet, router) = gateway.ok_or_else(|| bad("the lab's neutron has no router with a gateway"))?;
    let spec = Spec {
        prefix: PREFIX.to_owned(),
        program: wanted.program.clone(),
        switch: wanted.switch,
        external: External { subnet, router },
        networks,
        guests,
    };
    spec.check()?;
    Ok(spec)
}

/// So many, taken from each network in turn, so that none is left out.
fn choose(candidates: Vec<GuestSpec>, number: usize) -> Vec<GuestSpec> {
    let mut turns: BTreeMap<String, usize> = BTreeMap::new();
    let mut ranked: Vec<(usize, GuestSpec)> = Vec::new();
    for guest in candidates {
        let turn = turns.entry(guest.network.clone()).or_default();
        ranked.push((*turn, guest));
        *turn += 1;
    }
    // Stable: within a turn those with a floating address stay first.
    ranked.sort_by_key(|(turn, _)| *turn);
    ranked.into_iter().take(number).map(|(_, guest)| guest).collect()
}

fn text(row: &Row, at: usize) -> Option<&str> {
    row.get(at)?.as_deref()
}

fn subnet(row: &Row, at: usize) -> Option<Subnet> {
    Some(Subnet {
        cidr: text(row, at)?.parse().ok()?,
        gateway: text(row, at + 1)?.parse().ok()?,
    })
}

fn guest(row: &Row) -> Option<GuestSpec> {
    let labels = [(5, "host"), (6, "az"), (7, "vnic_type"), (8, "tenant")];
    let groups = labels
        .iter()
        .filter_map(|(at, key)| Some(((*key).to_owned(), text(row, *at)?.to_owned())));
    Some(GuestSpec {
        name: text(row, 0)?.to_owned(),
        network: text(row, 1)?.to_owned(),
        address: text(row, 2)?.parse().ok()?,
        mac: text(row, 3)?.to_owned(),
        floating: text(row, 4).and_then(|address| address.parse().ok()),
        machine: None,
        groups: groups.collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(texts: &[&str]) -> Row {
        texts
            .iter()
            .map(|text| (!text.is_empty()).then(|| (*text).to_owned()))
            .collect()
    }

    fn tables() -> (Vec<Row>, Vec<Row>, Vec<Row>) {
        let port = |name: &str, network: &str, ip: &str, mac: &str, floating: &str| {
            row(&[
                name,
                network,
                ip,
                mac,
                floating,
                "compute-001",
                "az-1",
                "normal",
                "demo-web",
            ])
        };
        let ports = vec![
            port("b", "red", "10.1.0.3", "fa:16:3e:00:00:03", "203.0.113.20"),
            port("a", "red", "10.1.0.2", "fa:16:3e:00:00:02", ""),
            port("a", "red", "10.1.0.7", "fa:16:3e:00:00:07", ""),
            port("c", "blue", "10.2.0.2", "fa:16:3e:00:00:04", ""),
        ];
        let subnets = vec![
            row(&["red", "10.1.0.0/16", "10.1.255.254"]),
            row(&["blue", "10.2.0.0/24", "10.2.0.1"]),
        ];
        (
            ports,
            subnets,
            vec![row(&["203.0.113.0/24", "203.0.113.1", "203.0.113.9"])],
        )
    }

    fn wanted(guests: usize) -> Wanted {
        Wanted {
            guests,
            program: vec!["/bin/ffu".to_owned()],
            switch: Switch::Bridge,
            machine: None,
        }
    }

    #[test]
    fn every_network_has_its_turn_and_vantage_points_take_free_addresses() {
        let (ports, subnets, gateways) = tables();
        let taken = BTreeSet::from(["10.1.255.253".parse().unwrap()]);
        let spec = describe(&wanted(2), &ports, &subnets, &gateways, &taken).unwrap();
        let names: Vec<&str> = spec.guests.iter().map(|guest| guest.name.as_str()).collect();
        assert_eq!(names, ["b", "c"]);
        assert_eq!(spec.guests[0].floating, Some("203.0.113.20".parse().unwrap()));
        assert_eq!(spec.guests[0].groups["az"], "az-1");
        let vantages: Vec<String> = spec
            .networks
            .iter()
            .map(|network| network.vantage.to_string())
            .collect();
        assert_eq!(vantages, ["10.2.0.254", "10.1.255.252"]);
        assert_eq!(spec.external.router.to_string(), "203.0.113.9");
        assert_eq!(
            describe(&wanted(3), &ports, &subnets, &gateways, &taken)
                .unwrap()
                .guests
                .len(),
            3
        );
    }

    #[test]
    fn the_first_guest_is_the_machine() {
        let (ports, subnets, gateways) = tables();
        let machine = Some(Machine::new("/parts".into()));
        let wanted = Wanted {
            machine: machine.clone(),
            ..wanted(2)
        };
        let spec = describe(&wanted, &ports, &subnets, &gateways, &BTreeSet::new()).unwrap();
        assert_eq!((&spec.guests[0].machine, &spec.guests[1].machine), (&machine, &None));
        assert!(spec.guests[0].floating.is_some());
    }

    #[test]
    fn too_few_instances_and_no_router_are_said() {
        let (ports, subnets, gateways) = tables();
        let error = describe(&wanted(4), &ports, &subnets, &gateways, &BTreeSet::new()).unwrap_err();
        assert!(error.to_string().contains("--dataplane 3"), "{error}");
        let error = describe(&wanted(1), &ports, &subnets, &[], &BTreeSet::new()).unwrap_err();
        assert!(error.to_string().contains("no router"), "{error}");
    }
}
