//! Option catalogs of an overlay: packed or plain bytes that nobody vouches for.

#![no_main]

use std::collections::BTreeMap;

use ffu_catalog::Catalog;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for name in ["options/placement+site.json", "options/placement.json.zst"] {
        let overlay = BTreeMap::from([(name.to_owned(), bytes.to_owned())]);
        if let Ok(catalog) = Catalog::of_options(&overlay) {
            let _ = catalog.options_at("placement", &"2026.1".parse().expect("a series"));
            let _ = catalog.options("placement");
        }
    }
});
