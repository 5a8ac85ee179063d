//! Option catalogs: packing, indexes, additions, and everything that can be wrong with one.

use std::collections::BTreeMap;

use ffu_catalog::options::{
    LARGEST_UNPACKED, OptType, OptionsError, ServiceOptions, combine, pack, parse, to_json, unpack,
};
use ffu_catalog::{Catalog, Problem};
use ffu_model::Series;
use proptest::prelude::*;
use serde_json::json;

fn series(name: &str) -> Series {
    name.parse().unwrap()
}

/// A dump of one series with what differs between the two below.
fn dump(series: &str, more: serde_json::Value) -> ServiceOptions {
    let mut dump = json!({
        "format": 1, "service": "acme", "series": [series], "versions": {series: "1.0"},
        "dynamic_groups": [{"group": "DEFAULT", "option": "enabled", "pattern": "{name}", "like": ["one"],
                            "since": "train", "source": "acme/conf.py"}],
        "options": [
            {"group": "DEFAULT", "name": "enabled", "in": 1, "type": {"is": "list", "item": {"is": "string"}}, "default": []},
            {"group": "one", "name": "size", "in": 1, "type": {"is": "integer", "min": 1}, "default": 5,
             "aliases": [{"group": "DEFAULT", "name": "one_size"}, {"group": "one", "name": "old-size"}]}
        ],
        "auth_plugins": [{"name": "password", "options": [
            {"group": "", "name": "username", "in": 1, "type": {"is": "string"},
             "aliases": [{"group": "", "name": "user-name"}]}]}],
        "policy": [{"name": "acme:get", "in": 1, "check": "rule:admin", "predecessor": {"name": "acme:all", "check": "!"}}]
    });
    for (key, value) in more.as_object().into_iter().flatten() {
        dump[key] = value.clone();
    }
    serde_json::from_value(dump).unwrap()
}

fn order() -> Vec<Series> {
    ["stein", "train", "ussuri"].map(series).into()
}

#[test]
fn what_stays_the_same_is_stored_once() {
    let changed = json!({"options": [
        {"group": "one", "name": "size", "in": 1, "type": {"is": "integer", "min": 2}, "default": 6},
        {"group": "DEFAULT", "name": "enabled", "in": 1, "type": {"is": "list", "item": {"is": "string"}}, "default": []}
    ], "policy": []});
    let parts = [
        dump("ussuri", changed),
        dump("stein", json!({})),
        dump("train", json!({})),
    ];
    let whole = combine(&parts, &order()).unwrap();
    assert_eq!(whole.series, order());
    let named: Vec<_> = whole.options.iter().map(|o| (o.name.as_str(), o.series.0)).collect();
    assert_eq!(named, [("enabled", 0b111), ("size", 0b011), ("size", 0b100)]);
    assert_eq!(whole.auth_plugins[0].options[0].series.0, 0b111);
    let held: Vec<_> = whole.series_of(whole.policy[0].series).map(Series::as_str).collect();
    assert_eq!(held, ["stein", "train"]);

    let packed = pack(&whole).unwrap();
    assert_eq!(packed, pack(&whole).unwrap(), "the same catalog gives the same bytes");
    let again = unpack(&packed).unwrap();
    assert_eq!(to_json(&again).unwrap(), to_json(&whole).unwrap());
    let backwards: Vec<_> = parts.iter().rev().cloned().collect();
    assert_eq!(
        packed,
        pack(&combine(&backwards, &order()).unwrap()).unwrap(),
        "the order of dumps does not matter"
    );
}

#[test]
fn a_series_is_found_by_name_by_alias_and_by_group() {
    let whole = combine(&[dump("stein", json!({})), dump("train", json!({}))], &order()).unwrap();
    let train = whole.at(&series("train")).unwrap();
    assert_eq!(train.get("one", "size").unwrap().default, Some(json!(5)));
    assert!(train.get("one", "old-size").is_none() && train.get("two", "size").is_none());
    assert_eq!(train.by_alias("one", "old-size")[0].name, "size");
    assert_eq!(train.by_alias("DEFAULT", "one_size")[0].group, "one");
    assert!(train.by_alias("DEFAULT", "size").is_empty());
    assert_eq!(train.groups().collect::<Vec<_>>(), ["DEFAULT", "one"]);
    assert_eq!((train.len(), train.iter().count(), train.group("one").len()), (2, 2, 1));
    assert_eq!((train.version(), train.series().as_str()), (Some("1.0"), "train"));
    assert_eq!(train.auth_plugins().collect::<Vec<_>>(), ["password"]);
    assert_eq!(train.auth_plugin("password").next().unwrap().name, "username");
    assert_eq!(train.dynamic_groups().count(), 1);
    assert_eq!(
        whole.at(&series("stein")).unwrap().dynamic_groups().count(),
        0,
        "since train"
    );
    let policy = whole.policy_at(&series("train")).unwrap();
    assert_eq!(policy.get("acme:get").unwrap().check, "rule:admin");
    assert_eq!(policy.by_predecessor("acme:all")[0].name, "acme:get");
    assert!(whole.at(&series("ussuri")).is_none() && whole.policy_at(&series("ussuri")).is_none());
}

#[test]
fn a_catalog_that_contradicts_itself_is_refused_with_the_thing() {
    let twice = json!({"group": "one", "name": "size", "in": 1, "type": {"is": "boolean"}});
    for (more, expected) in [
        (
            json!({"options": [twice, twice]}),
            "option \"one.size\": it is defined twice in one series",
        ),
        (json!({"service": "../x"}), "service \"../x\": is no name"),
        (json!({"series": []}), "there must be 1 to 32"),
        (json!({"series": ["stein", "stein"]}), "one of them is there twice"),
        (json!({"versions": {}}), "series \"stein\": `versions` does not say"),
        (
            json!({"not_dumped": [{"series": "stein", "reason": "no"}]}),
            "it is dumped, and in `not_dumped` too",
        ),
        (
            json!({"options": [{"group": "a\n", "name": "b", "in": 1, "type": {"is": "boolean"}}]}),
            "group and name must be printable",
        ),
        (
            json!({"options": [{"group": "a", "name": "b", "in": 2, "type": {"is": "boolean"}}]}),
            "`in` names no series",
        ),
        (
            json!({"options": [{"group": "a", "name": "b", "in": 0, "type": {"is": "boolean"}}]}),
            "`in` names no series",
        ),
        (
            json!({"options": [{"group": "a", "name": "b", "in": 1, "type": {"is": "boolean"},
                                "aliases": [{"group": "a", "name": ""}]}]}),
            "its alias \"\" is empty",
        ),
        (
            json!({"policy": [{"name": "", "in": 1, "check": "!"}]}),
            "policy rule \"\"",
        ),
        (json!({"auth_plugins": [{"name": "", "options": []}]}), "plugin \"\""),
        (
            json!({"dynamic_groups": [{"group": "a", "option": "b", "pattern": "x", "like": [], "source": "s"}]}),
            "its pattern lacks {name}",
        ),
        (
            json!({"dynamic_groups": [{"group": "a", "option": "b", "pattern": "{name}", "like": [], "source": " "}]}),
            "it needs a `source`",
        ),
    ] {
        let error = parse(&to_json(&dump("stein", more)).unwrap()).unwrap_err();
        assert!(matches!(error, OptionsError::Invalid { .. }), "{error}");
        assert!(error.to_string().contains(expected), "{error} lacks {expected}");
        assert!(
            pack(&dump("stein", json!({"service": "X"}))).is_err(),
            "and not written"
        );
    }
}

#[test]
fn parts_that_do_not_fit_are_refused() {
    assert!(
        combine(&[], &order())
            .unwrap_err()
            .to_string()
            .contains("nothing to combine")
    );
    let other = dump("train", json!({"service": "other"}));
    let error = combine(&[dump("stein", json!({})), other], &order()).unwrap_err();
    assert!(error.to_string().contains("it is not acme"), "{error}");
    let error = combine(&[dump("yoga", json!({}))], &order()).unwrap_err();
    assert!(error.to_string().contains("the catalog does not know it"), "{error}");
}

#[test]
fn hostile_bytes_are_errors() {
    assert!(matches!(unpack(b"no zstd"), Err(OptionsError::Zstd { .. })));
    assert!(matches!(
        unpack(b""),
        Err(OptionsError::Json { .. } | OptionsError::Zstd { .. })
    ));
    let good = pack(&dump("stein", json!({}))).unwrap();
    assert!(matches!(
        unpack(&good[..good.len() / 2]),
        Err(OptionsError::Zstd { .. })
    ));
    let mut damaged = good.clone();
    let last = damaged.len() - 1;
    damaged[last] ^= 1;
    assert!(unpack(&damaged).is_err(), "the checksum is looked at");

    let bomb = zstd::bulk::compress(&vec![b' '; LARGEST_UNPACKED + 1], 1).unwrap();
    assert!(bomb.len() < 100_000);
    let error = unpack(&bomb).unwrap_err();
    assert!(
        matches!(
            error,
            OptionsError::TooLarge {
                limit: LARGEST_UNPACKED
            }
        ),
        "{error}"
    );

    let error = unpack(&zstd::bulk::compress(b"{\"format\": 1,\n \"service\": 5}", 1).unwrap()).unwrap_err();
    assert!(error.to_string().contains("line 2"), "{error}");
    let error = parse(b"{\"format\": 2, \"news\": true}").unwrap_err();
    assert_eq!(error, OptionsError::Format { found: 2 });
    assert!(error.to_string().contains("take a newer ffu"));
    // Types nest without end; the parser has a limit of its own.
    let deep = format!(
        "{}{}{}",
        "{\"is\":\"list\",\"item\":".repeat(5000),
        "{\"is\":\"boolean\"}",
        "}".repeat(5000)
    );
    assert!(serde_json::from_str::<OptType>(&deep).is_err());
}

fn overlay(path: &str, bytes: Vec<u8>) -> BTreeMap<String, Vec<u8>> {
    BTreeMap::from([(path.to_owned(), bytes)])
}

#[test]
fn an_overlay_adds_a_vendors_options_and_wins() {
    let vendor = json!({
        "format": 1, "service": "cinder", "series": ["2024.1"], "versions": {"2024.1": "acme 3"},
        "options": [
            {"group": "backend_defaults", "name": "acme_pool", "in": 1, "type": {"is": "string"}, "default": "gold"},
            {"group": "DEFAULT", "name": "host", "in": 1, "type": {"is": "hostname"}}
        ]
    });
    let files = overlay("options/cinder+acme.json", vendor.to_string().into_bytes());
    let catalog = Catalog::with_overlay(&files).unwrap();
    let cinder = catalog.options("cinder").unwrap().unwrap();
    let here = cinder.at(&series("2024.1")).unwrap();
    assert_eq!(
        here.get("backend_defaults", "acme_pool").unwrap().default,
        Some(json!("gold"))
    );
    assert_eq!(here.get("DEFAULT", "host").unwrap().kind, OptType::Hostname);
    let before = cinder.at(&series("2023.2")).unwrap();
    assert!(before.get("backend_defaults", "acme_pool").is_none());
    assert_ne!(before.get("DEFAULT", "host").unwrap().kind, OptType::Hostname);
    assert!(here.len() > 1000, "and the embedded ones are there");
}

#[test]
fn an_overlay_replaces_a_service_or_brings_a_new_one() {
    let files = overlay("options/acme.json.zst", pack(&dump("train", json!({}))).unwrap());
    let catalog = Catalog::with_overlay(&files).unwrap();
    assert!(catalog.option_services().any(|service| service == "acme"));
    assert!(catalog.options("acme").unwrap().unwrap().at(&series("train")).is_some());
    assert!(catalog.options("nobody").is_none());
    let small = pack(&dump("train", json!({"service": "cinder"}))).unwrap();
    let catalog = Catalog::with_overlay(&overlay("options/cinder.json.zst", small)).unwrap();
    assert_eq!(catalog.options("cinder").unwrap().unwrap().options.len(), 2);
}

#[test]
fn what_is_wrong_with_an_overlays_file_is_said_with_the_file() {
    let unknown = dump("train", json!({"series": ["zulu"], "versions": {"zulu": "1"}}));
    let turned = combine(
        &[dump("stein", json!({})), dump("train", json!({}))],
        &[series("train"), series("stein")],
    );
    let since = json!({"dynamic_groups": [{"group": "a", "option": "b", "pattern": "{name}", "like": [],
                       "since": "zulu", "source": "s"}]});
    // A frame for quick readers (eight bytes and its content) before the JSON of another catalog.
    let (good, other) = (
        pack(&dump("stein", json!({}))).unwrap(),
        pack(&dump("train", json!({}))).unwrap(),
    );
    let frame = |packed: &[u8]| 8 + u32::from_le_bytes(packed[4..8].try_into().unwrap()) as usize;
    let two_tongues = [&good[..frame(&good)], &other[frame(&other)..]].concat();
    for (path, bytes, expected) in [
        ("options/acme.json.zst", b"nonsense".to_vec(), "cannot be decompressed"),
        (
            "options/acme+x.json",
            b"[]".to_vec(),
            "not the JSON of an option catalog",
        ),
        (
            "options/acme+x.json",
            b"\xff".to_vec(),
            "not the JSON of an option catalog",
        ),
        (
            "options/other.json.zst",
            pack(&dump("train", json!({}))).unwrap(),
            "belongs to other by its name",
        ),
        (
            "options/acme.json.zst",
            pack(&unknown).unwrap(),
            "must be the catalog's",
        ),
        (
            "options/acme.json.zst",
            pack(&turned.unwrap()).unwrap(),
            "in its order: pike, queens",
        ),
        (
            "options/acme.json.zst",
            pack(&dump("train", since)).unwrap(),
            "a dynamic group names it",
        ),
        ("options/acme.json.zst", two_tongues, "not what its JSON says"),
    ] {
        let errors = Catalog::with_overlay(&overlay(path, bytes)).unwrap_err();
        let error = &errors.errors()[0];
        assert_eq!(error.file, path);
        assert!(matches!(error.problem, Problem::Options(_)), "{error}");
        assert!(error.to_string().contains(expected), "{error} lacks {expected}");
    }
    let errors = Catalog::with_overlay(&overlay("options/acme.json", Vec::new())).unwrap_err();
    assert!(errors.to_string().contains("options/SERVICE+NAME"), "{errors}");
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), at in 0usize..2000, with in any::<u8>()) {
        let _ = unpack(&bytes);
        let _ = parse(&bytes);
        let good = to_json(&dump("stein", json!({}))).unwrap();
        let mut changed = good.clone();
        let at = at % changed.len();
        changed[at] = with;
        if let Ok(options) = parse(&changed) {
            // What is accepted can be asked for everything.
            for one in &options.series {
                let set = options.at(one).unwrap();
                prop_assert_eq!(set.iter().count(), set.len());
            }
        }
    }
}
