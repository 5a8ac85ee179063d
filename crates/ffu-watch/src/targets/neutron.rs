//! Targets from neutron's database: floating IPs, router gateways, ports of instances. Pure: queries as text, rows in, targets out.
//!
//! Where the columns are from, checked in openstack/neutron (alembic migrations under
//! `neutron/db/migration/alembic_migrations`, models at tags 10.0.0 (Ocata) and 11.0.0 (Pike), and the tree of 2026.2):
//!
//! | table and columns | since | source |
//! | --- | --- | --- |
//! | `ports.id, network_id, device_owner, device_id, status`, `networks.id, name` | Kilo or earlier | `core_init_ops.py` |
//! | `ports.project_id`, `floatingips.project_id`, `routers.project_id` (`tenant_id` before) | Newton | `7d9d8eeec6ad` |
//! | `ipallocations.port_id, ip_address` | Kilo or earlier | `core_init_ops.py` |
//! | `floatingips.floating_ip_address, floating_network_id, fixed_port_id, router_id, status`, `routers.gw_port_id, admin_state_up` | Kilo or earlier | `l3_init_ops.py` |
//! | `router_extra_attributes.availability_zone_hints` | Mitaka | `dce3ec7a25c9` |
//! | `ml2_port_bindings.host, vnic_type` | Kilo or earlier | `ml2_init_ops.py` |
//! | `ml2_port_bindings.status`, one row a port *and host* | Ocata | `a9c43481023c` |
//!
//! So one query serves Ocata to 2026.2. From Rocky on nova makes a second binding of a port while it migrates a guest (INACTIVE at
//! the destination); the ACTIVE one says where the guest is. No migration up to 2026.2 changes one of these columns. A zone
//! is no column: nova writes `compute:ZONE` into `device_owner`; of a gateway the first of the router's hints is taken. Into `device_id`
//! of such a port nova writes the instance's uuid.

mod error;
mod vantage;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ffu_model::watch::{Probe, Target, Targets, Vantage, Workload};

use crate::Row;

/// Floating IPs with the port they lead to; Ocata to 2026.2, database of neutron.
pub const FLOATING_IPS: &str = "SELECT f.id, f.floating_ip_address, f.project_id, f.status, x.id, x.name, n.id, n.name, p.device_owner, \
     p.device_id, b.host, b.vnic_type FROM floatingips f JOIN networks x ON x.id = f.floating_network_id LEFT JOIN ports p ON p.id = f.fixed_port_id \
     LEFT JOIN networks n ON n.id = p.network_id LEFT JOIN ml2_port_bindings b ON b.port_id = p.id AND b.status = 'ACTIVE' ORDER BY f.id";

/// Router gateways with their addresses; Ocata to 2026.2, database of neutron.
pub const GATEWAYS: &str = "SELECT p.id, a.ip_address, r.project_id, r.id, r.name, r.admin_state_up, n.id, n.name, b.host, \
     e.availability_zone_hints FROM ports p JOIN routers r ON r.gw_port_id = p.id JOIN ipallocations a ON a.port_id = p.id \
     JOIN networks n ON n.id = p.network_id LEFT JOIN router_extra_attributes e ON e.router_id = r.id \
     LEFT JOIN ml2_port_bindings b ON b.port_id = p.id AND b.status = 'ACTIVE' \
     WHERE p.device_owner = 'network:router_gateway' ORDER BY p.id, a.ip_address";

/// Ports of instances with their addresses; Ocata to 2026.2, database of neutron.
pub const INSTANCE_PORTS: &str = "SELECT p.id, a.ip_address, p.project_id, p.status, p.device_owner, p.device_id, n.id, n.name, b.host, b.vnic_type \
     FROM ports p JOIN ipallocations a ON a.port_id = p.id JOIN networks n ON n.id = p.network_id \
     LEFT JOIN ml2_port_bindings b ON b.port_id = p.id AND b.status = 'ACTIVE' \
     WHERE p.device_owner LIKE 'compute:%' ORDER BY p.id, a.ip_address";

pub use error::NeutronError;
pub use vantage::NetworkVantage;

/// The rows of the three queries.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// Of [`FLOATING_IPS`].
    pub floating_ips: Vec<Row>,
    /// Of [`GATEWAYS`].
    pub gateways: Vec<Row>,
    /// Of [`INSTANCE_PORTS`].
    pub instance_ports: Vec<Row>,
}

/// What the operator wants.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Where ports of instances are probed from; without one for its network a port is left out.
    pub vantages: Vec<NetworkVantage>,
    /// Settings of the file that is made: interval, timeout, budgets. Its targets are replaced.
    pub template: Targets,
}

/// Targets, and what was left out and why.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// The targets, sorted by name.
    pub targets: Targets,
    /// What was left out, in words.
    pub remarks: Vec<String>,
}

/// Targets from the rows of the three queries.
///
/// Floating IPs and gateways are probed by ICMP from this host; ports of instances by ICMP from the vantage point that is given
/// for their network. Groups: `kind`, `network` (of the port; names that several networks share get a piece of the uuid),
/// `external`, `host`, `az`, `vnic_type`, `tenant`. The workload of a floating IP and of a port is the instance that it leads to.
///
/// # Errors
/// [`NeutronError::Columns`] if rows are of other queries.
pub fn from_rows(rows: &Rows, options: &Options) -> Result<Found, NeutronError> {
    let mut making = Making::default();
    let floating_ips = rows
        .floating_ips
        .iter()
        .map(|row| columns("floating IPs", row))
        .collect::<Result<Vec<_>, _>>()?;
    let gateways = rows
        .gateways
        .iter()
        .map(|row| columns("gateways", row))
        .collect::<Result<Vec<_>, _>>()?;
    let ports = rows
        .instance_ports
        .iter()
        .map(|row| columns("ports", row))
        .collect::<Result<Vec<_>, _>>()?;
    for [_, _, _, _, external, external_name, network, name, ..] in &floating_ips as &[[&str; 12]] {
        making.network(external, external_name);
        making.network(network, name);
    }
    for [_, _, _, _, _, _, network, name, ..] in &gateways as &[[&str; 10]] {
        making.network(network, name);
    }
    for [_, _, _, _, _, _, network, name, ..] in &ports as &[[&str; 10]] {
        making.network(network, name);
    }
    floating_ips.iter().for_each(|row| making.floating_ip(row));
    gateways.iter().for_each(|row| making.gateway(row));
    ports.iter().for_each(|row| making.port(row, options));
    Ok(making.finish(options))
}

/// A row's values; NULL is the empty text, which none of these columns tells from it.
fn columns<'a, const N: usize>(what: &'static str, row: &'a Row) -> Result<[&'a str; N], NeutronError> {
    let values: Vec<&str> = row.iter().map(|value| value.as_deref().unwrap_or_default()).collect();
    values.try_into().map_err(|values: Vec<&str>| NeutronError::Columns {
        what,
        got: values.len(),
        want: N,
    })
}

#[derive(Default)]
struct Making {
    /// Uuids by network name.
    networks: BTreeMap<String, BTreeSet<String>>,
    vantages: BTreeMap<String, Vantage>,
    /// By name; later ones of the same name get a piece of their uuid.
    targets: BTreeMap<String, Target>,
    left_out: BTreeMap<String, usize>,
}

impl Making {
    fn network(&mut self, id: &str, name: &str) {
        if !id.is_empty() {
            self.networks.entry(name.to_owned()).or_default().insert(id.to_owned());
        }
    }

    fn label(&self, id: &str, name: &str) -> String {
        let shared = self.networks.get(name).is_some_and(|ids| ids.len() > 1);
        match (name, shared) {
            ("", _) => id.to_owned(),
            (_, true) => format!("{name} ({})", piece(id)),
            _ => name.to_owned(),
        }
    }

    fn leave_out(&mut self, why: String) {
        *self.left_out.entry(why).or_default() += 1;
    }

    fn floating_ip(&mut self, row: &[&str; 12]) {
        let [
            id,
            address,
            project,
            status,
            external,
            external_name,
            network,
            name,
            owner,
            device,
            host,
            vnic_type,
        ] = *row;
        if network.is_empty() {
            return self.leave_out("floating IPs that lead to no port (or to port forwardings only)".to_owned());
        }
        if status != "ACTIVE" {
            return self.leave_out(format!("floating IPs whose status is {status:?}"));
        }
        let (external, network) = (self.label(external, external_name), self.label(network, name));
        let groups = [
            ("kind", "floating-ip"),
            ("external", &external),
            ("network", &network),
            ("host", host),
            ("az", zone(owner)),
            ("vnic_type", vnic_type),
            ("tenant", project),
        ];
        self.add("fip", id, address, Targets::HERE, &groups, instance(owner, device));
    }

    fn gateway(&mut self, row: &[&str; 10]) {
        let [id, address, project, _router, _name, up, network, name, host, hints] = *row;
        if up == "0" {
            return self.leave_out("gateways of routers that are switched off".to_owned());
        }
        let network = self.label(network, name);
        let zones: Vec<String> = serde_json::from_str(hints).unwrap_or_default();
        let groups = [
            ("kind", "gateway"),
            ("external", network.as_str()),
            ("network", &network),
            ("host", host),
            ("az", zones.first().map_or("", String::as_str)),
            ("tenant", project),
        ];
        self.add("gateway", id, address, Targets::HERE, &groups, None);
    }

    fn port(&mut self, row: &[&str; 10], options: &Options) {
        let [
            id,
            address,
            project,
            status,
            owner,
            device,
            network,
            name,
            host,
            vnic_type,
        ] = *row;
        if status != "ACTIVE" {
            return self.leave_out(format!("ports of instances whose status is {status:?}"));
        }
        let label = self.label(network, name);
        let Some(from) = options
            .vantages
            .iter()
            .find(|from| from.network == network || from.network == name || from.network == label)
        else {
            return self.leave_out(format!("ports of network {label}, for which no vantage point is given"));
        };
        let vantage = format!("network-{label}");
        self.vantages.insert(vantage.clone(), from.vantage.clone());
        let groups = [
            ("kind", "instance"),
            ("network", label.as_str()),
            ("host", host),
            ("az", zone(owner)),
            ("vnic_type", vnic_type),
            ("tenant", project),
        ];
        self.add("port", id, address, &vantage, &groups, instance(owner, device));
    }

    fn add(
        &mut self,
        kind: &str,
        id: &str,
        address: &str,
        vantage: &str,
        groups: &[(&str, &str)],
        workload: Option<Workload>,
    ) {
        let Ok(address) = address.parse::<IpAddr>() else {
            return self.leave_out(format!("{kind} addresses that are no IP address"));
        };
        let mut name = format!("{kind}-{address}");
        if kind == "port" || self.targets.contains_key(&name) {
            // Networks of tenants may use the same addresses.
            name = format!("{name}-{}", piece(id));
        }
        if self.targets.contains_key(&name) {
            name = format!("{kind}-{address}-{id}");
        }
        let labels = groups.iter().filter(|(_, value)| !value.is_empty());
        let target = Target {
            name: name.clone(),
            address,
            probe: Probe::Icmp,
            vantage: vantage.to_owned(),
            interval_ms: None,
            workload,
            groups: labels
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect(),
        };
        if self.targets.insert(name, target).is_some() {
            self.leave_out("rows that came twice".to_owned());
        }
    }

    fn finish(self, options: &Options) -> Found {
        let mut remarks: Vec<String> = self
            .left_out
            .into_iter()
            .map(|(why, count)| format!("left out: {count} {why}"))
            .collect();
        for from in &options.vantages {
            let known =
                |(name, ids): (&String, &BTreeSet<String>)| *name == from.network || ids.contains(&from.network);
            let labelled = self.vantages.contains_key(&format!("network-{}", from.network));
            if !labelled && !self.networks.iter().any(known) {
                remarks.push(format!(
                    "no port is in network {}, for which a vantage point is given",
                    from.network
                ));
            }
        }
        let mut vantages = options.template.vantages.clone();
        vantages.extend(self.vantages);
        Found {
            targets: Targets {
                vantages,
                targets: self.targets.into_values().collect(),
                ..options.template.clone()
            },
            remarks,
        }
    }
}

/// `compute:ZONE`; `compute:None` is an instance without one.
fn zone(device_owner: &str) -> &str {
    device_owner
        .strip_prefix("compute:")
        .filter(|zone| *zone != "None")
        .unwrap_or("")
}

/// The instance that a port belongs to.
fn instance(device_owner: &str, device: &str) -> Option<Workload> {
    let is_instance = device_owner.starts_with("compute:") && crate::instances::is_uuid(device);
    is_instance.then(|| Workload::Instance {
        uuid: device.to_owned(),
    })
}

/// Enough of a uuid to tell it from others.
fn piece(id: &str) -> String {
    id.chars().take(8).collect()
}

#[cfg(test)]
#[path = "neutron_tests.rs"]
mod tests;
