//! What a configuration file is, by its name and place: whose, and in which language.

use camino::Utf8Path;

/// The language of a configuration file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// oslo.config.
    Options,
    /// oslo.policy, JSON or YAML.
    Policy,
    /// Paste deploy (`api-paste.ini`).
    Paste,
    /// `rootwrap.conf` or a `.filters` file.
    Rootwrap,
}

/// Files of a service whose names do not say so.
const OF_NEUTRON: [&str; 12] = [
    "ml2_conf.ini",
    "l3_agent.ini",
    "dhcp_agent.ini",
    "metadata_agent.ini",
    "metering_agent.ini",
    "openvswitch_agent.ini",
    "linuxbridge_agent.ini",
    "macvtap_agent.ini",
    "sriov_agent.ini",
    "neutron_ovn_metadata_agent.ini",
    "ovn_agent.ini",
    "ovn.ini",
];

/// Directories whose name is not the service's: kolla's are called after the container or the component.
const OF_DIRECTORIES: [(&str, &str); 4] = [
    ("horizon", ""),
    ("neutron-server", "neutron"),
    ("ml2", "neutron"),
    ("keystone-fernet", "keystone"),
];

/// What a file is; `None` where it is nothing that is carried over (certificates, keys, backups).
pub fn of_name(name: &str) -> Option<Kind> {
    if name.starts_with('.') || name.ends_with('~') || name.contains(".ffu-backup-") {
        return None;
    }
    let policy = |stem: &str| stem == "policy" || stem.ends_with("_policy") || stem.ends_with("-policy");
    if let Some(stem) = name
        .strip_suffix(".json")
        .or_else(|| name.strip_suffix(".yaml"))
        .or_else(|| name.strip_suffix(".yml"))
    {
        return policy(stem).then_some(Kind::Policy);
    }
    if name.ends_with("paste.ini") {
        return Some(Kind::Paste);
    }
    if name.ends_with(".filters") || name == "rootwrap.conf" {
        return Some(Kind::Rootwrap);
    }
    (name.ends_with(".conf") || name.ends_with(".ini")).then_some(Kind::Options)
}

/// Whose a file is, of the services that are known: by its name (`nova.conf`, `nova-compute.conf`, `ml2_conf.ini`), else by
/// the nearest directory that is called after a service.
pub fn service_of<'a>(path: &Utf8Path, services: &'a [String]) -> Option<&'a str> {
    let known = |name: &str| services.iter().find(|service| *service == name).map(String::as_str);
    let starts = |name: &str| {
        services
            .iter()
            .filter(|service| {
                name.strip_prefix(service.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '_', '.']))
            })
            .max_by_key(|service| service.len())
            .map(String::as_str)
    };
    let name = path.file_name()?;
    if let Some(service) = starts(name) {
        return Some(service);
    }
    if OF_NEUTRON.contains(&name) {
        return known("neutron");
    }
    path.ancestors().skip(1).find_map(|directory| {
        let name = directory.file_name()?;
        match OF_DIRECTORIES.iter().find(|(one, _)| *one == name) {
            Some((_, service)) => known(service),
            None => starts(name),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_the_kind() {
        for (name, kind) in [
            ("nova.conf", Some(Kind::Options)),
            ("ml2_conf.ini", Some(Kind::Options)),
            ("policy.json", Some(Kind::Policy)),
            ("policy.yaml", Some(Kind::Policy)),
            ("keystone_policy.yaml", Some(Kind::Policy)),
            ("metadefs.json", None),
            ("api-paste.ini", Some(Kind::Paste)),
            ("glance-api-paste.ini", Some(Kind::Paste)),
            ("compute.filters", Some(Kind::Rootwrap)),
            ("rootwrap.conf", Some(Kind::Rootwrap)),
            ("nova.conf~", None),
            (".nova.conf", None),
            ("nova.conf.ffu-backup-train", None),
            ("server.crt", None),
        ] {
            assert_eq!(of_name(name), kind, "{name}");
        }
    }

    #[test]
    fn names_and_places_tell_the_service() {
        let services: Vec<String> = ["nova", "neutron", "glance", "keystone"].map(String::from).into();
        for (path, service) in [
            ("/etc/nova/nova.conf", Some("nova")),
            ("/etc/kolla/nova-compute/nova.conf", Some("nova")),
            ("/etc/kolla/config/nova/host1/extra.conf", Some("nova")),
            ("/etc/glance/glance-api.conf", Some("glance")),
            ("/etc/neutron/plugins/ml2/ml2_conf.ini", Some("neutron")),
            ("/srv/ml2_conf.ini", Some("neutron")),
            ("/etc/nova/policy.json", Some("nova")),
            ("/etc/kolla/config/keystone/policy.yaml", Some("keystone")),
            ("/etc/novastuff/x.conf", None),
            ("/etc/my.cnf", None),
        ] {
            assert_eq!(service_of(Utf8Path::new(path), &services), service, "{path}");
        }
    }
}
