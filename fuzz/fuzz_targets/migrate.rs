//! A nova.conf carried from Train to 2026.1: whatever is in it, every option that was set is proven equal or named, and what
//! comes out is taken by the target's reader and carried no further.

#![no_main]

use std::collections::BTreeMap;
use std::sync::LazyLock;

use ffu_catalog::Catalog;
use ffu_config::migrate::{InputFile, Migrator};
use ffu_model::Series;
use libfuzzer_sys::fuzz_target;

static CATALOG: LazyLock<Catalog> = LazyLock::new(|| Catalog::of_configuration(&BTreeMap::new()).expect("the catalog"));

static MIGRATORS: LazyLock<[Migrator<'static>; 2]> = LazyLock::new(|| {
    ["train", "2026.1"].map(|from| {
        let place = |name: &str| CATALOG.position(&name.parse().expect("a series")).expect("known");
        let path: Vec<Series> = CATALOG.series[place(from)..=place("2026.1")].iter().map(|e| e.id.clone()).collect();
        let path: &'static [Series] = path.leak();
        let options = CATALOG.options("nova").expect("nova").expect("readable");
        Migrator::new(options, CATALOG.config_rules(), path).expect("both ends are dumped")
    })
});

fuzz_target!(|bytes: &[u8]| {
    let file = |bytes: &[u8]| {
        [InputFile {
            label: "nova.conf".to_owned(),
            bytes: bytes.to_owned(),
        }]
    };
    let nothing = BTreeMap::new();
    let Ok(outcome) = MIGRATORS[0].migrate(&file(bytes), &nothing, false) else {
        return;
    };
    let proof = outcome.proof;
    assert_eq!(proof.options_set, proof.proven_equal + proof.named, "an option was lost without a word");
    let migrated = &outcome.files[0].bytes;
    let again = MIGRATORS[1].migrate(&file(migrated), &nothing, false).expect("the target reads it");
    assert!(again.files[0].bytes == *migrated, "carried twice");
});
