//! The option catalogs that are embedded: whole, small, and true where the truth is known from elsewhere.

use std::collections::BTreeMap;

use ffu_catalog::Catalog;
use ffu_catalog::options::{OptType, OptionSet, pack};
use ffu_model::Series;

fn series(name: &str) -> Series {
    name.parse().unwrap()
}

#[test]
fn every_series_of_every_service_is_dumped_or_excused() {
    let catalog = Catalog::embedded().unwrap();
    let services: Vec<_> = catalog.option_services().collect();
    for project in &catalog.projects {
        assert!(
            services.contains(&project.name.as_str()),
            "{} has no option catalog",
            project.name
        );
    }
    for service in services {
        let options = catalog.options(service).unwrap().unwrap();
        for entry in &catalog.series {
            let excuse = options.not_dumped.iter().find(|one| one.series == entry.id);
            match options.at(&entry.id) {
                Some(set) => assert!(set.len() > 50, "{service} {} has {} options", entry.id, set.len()),
                None => assert!(
                    excuse.is_some_and(|one| one.reason.len() > 10),
                    "{service} {}",
                    entry.id
                ),
            }
        }
        let text = std::fs::read(format!(
            "{}/../../catalog/options/{service}.json.zst",
            env!("CARGO_MANIFEST_DIR")
        ))
        .unwrap();
        assert!(text.len() < 250_000, "{service} has {} bytes", text.len());
        assert_eq!(
            pack(options).unwrap(),
            text,
            "{service} is not what `make catalogs` writes"
        );
    }
}

#[test]
fn versions_are_those_of_the_hop_environments() {
    let catalog = Catalog::embedded().unwrap();
    for environment in &catalog.environments {
        for [project, version] in &environment.packages {
            let options = catalog.options(project).unwrap().unwrap();
            assert_eq!(
                options.versions.get(&environment.series),
                Some(version),
                "{project} {}",
                environment.series
            );
        }
    }
}

#[test]
fn nothing_of_the_machine_that_made_them_is_in_them() {
    let catalog = Catalog::embedded().unwrap();
    for service in catalog.option_services() {
        let text = serde_json::to_string(catalog.options(service).unwrap().unwrap()).unwrap();
        for bad in [
            "lib/python2",
            "lib/python3",
            "/root/",
            "/home/",
            "/tmp/ffu",
            "ffu-dumped",
            "9973",
            "192.0.2.97",
            " at 0x",
        ] {
            assert!(!text.contains(bad), "{service}: {bad}");
        }
    }
}

fn with_service(service: &str, release: &str, look: impl FnOnce(OptionSet<'_>)) {
    let catalog = Catalog::embedded().unwrap();
    let options = catalog.options(service).unwrap().unwrap();
    look(options.at(&series(release)).unwrap());
}

#[test]
fn known_options_are_as_upstream_documents_them() {
    with_service("nova", "2024.1", |nova| {
        let timeout = nova.get("DEFAULT", "vif_plugging_timeout").unwrap();
        assert_eq!(timeout.default, Some(300.into()));
        assert!(matches!(timeout.kind, OptType::Integer { min: Some(0), .. }));
        assert!(nova.get("DEFAULT", "transport_url").unwrap().secret);
        assert!(nova.get("DEFAULT", "host").unwrap().machine_default);
        assert!(nova.get("pci", "device_spec").unwrap().multi);
        assert_eq!(nova.by_alias("pci", "passthrough_whitelist")[0].name, "device_spec");
        assert!(nova.get("DEFAULT", "debug").unwrap().mutable);
        // Hyphenated old names are looked for as they are, and with underscores.
        for old in ["log-config", "log_config"] {
            assert_eq!(nova.by_alias("DEFAULT", old)[0].name, "log_config_append", "{old}");
        }
        assert_eq!(
            nova.dynamic_groups()
                .filter(|group| group.option.starts_with("enabled_"))
                .count(),
            1
        );
        assert!(
            nova.auth_plugin("password")
                .any(|option| option.name == "user_domain_name")
        );
        assert!(
            nova.get("DEFAULT", "config_file").is_none(),
            "it is of the command line only"
        );
    });
    with_service("neutron", "2024.1", |neutron| {
        for (group, name) in [
            ("ml2", "mechanism_drivers"),
            ("ovs", "bridge_mappings"),
            ("ovn", "ovn_nb_connection"),
            ("linux_bridge", "physical_interface_mappings"),
            ("DEFAULT", "nova_metadata_host"),
        ] {
            assert!(neutron.get(group, name).is_some(), "{group}.{name}");
        }
    });
    with_service("keystone", "pike", |keystone| {
        assert!(matches!(&keystone.get("token", "provider").unwrap().default, Some(value) if value == "fernet"));
    });
    with_service("cinder", "2026.1", |cinder| {
        let backends = cinder
            .dynamic_groups()
            .find(|group| group.option == "enabled_backends")
            .unwrap();
        assert!(backends.like.iter().all(|group| cinder.group(group).len() > 500));
    });
}

#[test]
fn policy_counts_are_those_that_were_measured() {
    // Measured independently on 2026.1: (rules, with a predecessor, renamed by it).
    let catalog = Catalog::embedded().unwrap();
    for (service, rules, changed, renamed) in [
        ("nova", 214, 79, 78),
        ("neutron", 345, 271, 40),
        ("cinder", 167, 103, 16),
        ("keystone", 203, 157, 0),
        ("glance", 63, 36, 0),
        ("heat", 100, 67, 0),
    ] {
        let policy = catalog
            .options(service)
            .unwrap()
            .unwrap()
            .policy_at(&series("2026.1"))
            .unwrap();
        let with: Vec<_> = policy
            .iter()
            .filter_map(|rule| Some((rule, rule.predecessor.as_ref()?)))
            .collect();
        let other = with.iter().filter(|(rule, old)| rule.name != old.name).count();
        assert_eq!((policy.len(), with.len()), (rules, changed), "{service}");
        assert_eq!(other, renamed, "{service} renamed");
    }
}

#[test]
fn one_series_is_read_from_a_file_without_a_frame_for_quick_readers() {
    let whole = Catalog::embedded().unwrap();
    let whole = whole.options("placement").unwrap().unwrap();
    // The keys of a `Value` are in the order of the alphabet: `auth_plugins` before `series`, `group` before `in`.
    let value = serde_json::to_value(whole).unwrap().to_string();
    let one_frame = zstd::encode_all(value.as_bytes(), 3).unwrap();
    let (head, tail) = value.split_at(value.len() / 2);
    let cut_anywhere = [
        zstd::encode_all(head.as_bytes(), 3),
        zstd::encode_all(tail.as_bytes(), 3),
    ];
    let cut_anywhere = cut_anywhere.map(Result::unwrap).concat();
    for bytes in [one_frame, cut_anywhere] {
        let overlay = BTreeMap::from([("options/placement.json.zst".to_owned(), bytes)]);
        let catalog = Catalog::of_options(&overlay).unwrap();
        let part = catalog.options_at("placement", &series("2024.1")).unwrap().unwrap();
        let (of_whole, of_part) = (
            whole.at(&series("2024.1")).unwrap(),
            part.at(&series("2024.1")).unwrap(),
        );
        assert_eq!(of_whole.iter().collect::<Vec<_>>(), of_part.iter().collect::<Vec<_>>());
    }
}

#[test]
fn one_series_alone_is_the_same_as_in_the_whole() {
    let catalog = Catalog::embedded().unwrap();
    let light = Catalog::of_options(&BTreeMap::new()).unwrap();
    for service in catalog.option_services() {
        let whole = catalog.options(service).unwrap().unwrap();
        for series in [whole.series.first().unwrap(), whole.series.last().unwrap()] {
            let part = light.options_at(service, series).unwrap().unwrap();
            let (of_whole, of_part) = (whole.at(series).unwrap(), part.at(series).unwrap());
            assert_eq!(
                of_whole.iter().collect::<Vec<_>>(),
                of_part.iter().collect::<Vec<_>>(),
                "{service} {series}"
            );
            assert_eq!(of_whole.version(), of_part.version());
            let plugins: Vec<_> = of_whole.auth_plugins().collect();
            assert_eq!(plugins, of_part.auth_plugins().collect::<Vec<_>>());
            for plugin in plugins {
                let (of_whole, of_part) = (of_whole.auth_plugin(plugin), of_part.auth_plugin(plugin));
                assert_eq!(of_whole.collect::<Vec<_>>(), of_part.collect::<Vec<_>>(), "{plugin}");
            }
        }
        let never: Series = "2031.1".parse().unwrap();
        assert!(light.options_at(service, &never).unwrap().unwrap().at(&never).is_none());
    }
    assert!(light.options_at("nvoa", &"train".parse().unwrap()).is_none());
}
