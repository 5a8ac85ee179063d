//! What a lab holds, counted in its databases; good at every series, for the lab is fast-forwarded.

use std::time::Duration;

use ffu_db::Server;
use serde::Serialize;

use crate::error::LabError;
use crate::layout::Lab;

const LIMIT: Duration = Duration::from_secs(120);

/// So many of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Content {
    /// The project.
    pub project: String,
    /// The kind, in the plural: `instances`, `volumes in use`.
    pub what: String,
    /// How many.
    pub count: u64,
}

/// Project, kind, schema, table, condition. Placement's schema is looked for.
type Kind = (&'static str, &'static str, &'static str, &'static str, &'static str);

const KINDS: &[Kind] = &[
    ("keystone", "projects", "keystone", "project", "is_domain = 0"),
    ("keystone", "users", "keystone", "user", ""),
    ("keystone", "role assignments", "keystone", "assignment", ""),
    ("keystone", "endpoints", "keystone", "endpoint", ""),
    ("glance", "images", "glance", "images", "deleted = 0"),
    ("glance", "deleted images", "glance", "images", "deleted <> 0"),
    ("placement", "resource providers", "placement", "resource_providers", ""),
    ("placement", "inventories", "placement", "inventories", ""),
    ("placement", "allocations", "placement", "allocations", ""),
    ("nova", "cells", "nova_api", "cell_mappings", ""),
    ("nova", "hosts", "nova_api", "host_mappings", ""),
    ("nova", "flavors", "nova_api", "flavors", ""),
    ("nova", "aggregates", "nova_api", "aggregates", ""),
    ("nova", "server groups", "nova_api", "instance_groups", ""),
    ("nova", "instance mappings", "nova_api", "instance_mappings", ""),
    ("nova", "request specs", "nova_api", "request_specs", ""),
    ("nova", "services", "nova", "services", "deleted = 0"),
    ("nova", "compute nodes", "nova", "compute_nodes", "deleted = 0"),
    ("nova", "instances", "nova", "instances", "deleted = 0"),
    ("nova", "deleted instances", "nova", "instances", "deleted <> 0"),
    (
        "nova",
        "instances that were never scheduled",
        "nova_cell0",
        "instances",
        "deleted = 0",
    ),
    (
        "nova",
        "pinned instances",
        "nova",
        "instance_extra",
        "deleted = 0 AND numa_topology IS NOT NULL",
    ),
    ("nova", "block devices", "nova", "block_device_mapping", "deleted = 0"),
    (
        "nova",
        "PCI devices in use",
        "nova",
        "pci_devices",
        "deleted = 0 AND status = 'allocated'",
    ),
    ("neutron", "networks", "neutron", "networks", ""),
    ("neutron", "subnets", "neutron", "subnets", ""),
    ("neutron", "ports", "neutron", "ports", ""),
    (
        "neutron",
        "SR-IOV ports",
        "neutron",
        "ml2_port_bindings",
        "vnic_type = 'direct'",
    ),
    ("neutron", "routers", "neutron", "routers", ""),
    ("neutron", "floating IPs", "neutron", "floatingips", ""),
    ("neutron", "security groups", "neutron", "securitygroups", ""),
    ("cinder", "volume types", "cinder", "volume_types", "deleted = 0"),
    ("cinder", "volumes", "cinder", "volumes", "deleted = 0"),
    (
        "cinder",
        "volumes in use",
        "cinder",
        "volumes",
        "deleted = 0 AND status = 'in-use'",
    ),
    ("cinder", "snapshots", "cinder", "snapshots", "deleted = 0"),
    ("heat", "stacks", "heat", "stack", "deleted_at IS NULL"),
    ("heat", "resources", "heat", "resource", ""),
];

impl Lab {
    /// Counts what the lab holds.
    ///
    /// # Errors
    /// The database does not answer, or a table is not there.
    pub fn contents(&self) -> Result<Vec<Content>, LabError> {
        let server = self.server()?.admin()?;
        let placement = if has_tables(&server, "placement")? {
            "placement"
        } else {
            "nova_api"
        };
        KINDS
            .iter()
            .map(|(project, what, schema, table, condition)| {
                let schema = if *schema == "placement" { placement } else { *schema };
                let filter = if condition.is_empty() { "1 = 1" } else { *condition };
                let sql = format!("SELECT COUNT(*) FROM `{table}` WHERE {filter}");
                Ok(Content {
                    project: (*project).to_owned(),
                    what: (*what).to_owned(),
                    count: server.query_count(schema, &sql, LIMIT)?,
                })
            })
            .collect()
    }
}

fn has_tables(server: &Server, schema: &str) -> Result<bool, LabError> {
    Ok(server.schema_facts(schema)?.is_some_and(|facts| facts.tables > 0))
}
