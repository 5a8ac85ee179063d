//! Whatever bytes an overlay has, the answer is a catalog or errors, never a panic.

use std::collections::BTreeMap;

use ffu_catalog::{Catalog, Problem};
use proptest::prelude::*;

const PLACES: [&str; 7] = [
    "series.toml",
    "environments.toml",
    "projects/nova.toml",
    "gates/site.toml",
    "heads/nova.toml",
    "patches/site.toml",
    "locks/pike.lock",
];

fn embedded(path: &str) -> Vec<u8> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../catalog");
    std::fs::read(format!("{root}/{path}")).unwrap_or_default()
}

fn overlay(path: &str, bytes: impl Into<Vec<u8>>) -> BTreeMap<String, Vec<u8>> {
    BTreeMap::from([(path.to_owned(), bytes.into())])
}

#[test]
fn hostile_files_are_refused_before_they_are_read() {
    let problem = |files: &BTreeMap<String, Vec<u8>>| {
        let errors = Catalog::with_overlay(files).unwrap_err();
        assert!(errors.to_string().contains("ffu catalog check"), "{errors}");
        errors.errors()[0].problem.clone()
    };
    assert!(matches!(problem(&overlay("../evil.toml", "")), Problem::Path(_)));
    assert!(matches!(problem(&overlay("gates/evil.sh", "")), Problem::Path(_)));
    assert!(matches!(
        problem(&overlay("gates/a.toml", vec![b'a', 0])),
        Problem::NotText { offset: 1 }
    ));
    assert!(matches!(
        problem(&overlay("gates/a.toml", vec![0xff])),
        Problem::NotText { offset: 0 }
    ));
    let huge = vec![b'#'; ffu_catalog::overlay::LARGEST_FILE + 1];
    assert!(matches!(
        problem(&overlay("gates/a.toml", huge)),
        Problem::TooLarge { .. }
    ));
    let many = (0..=ffu_catalog::overlay::MOST_FILES)
        .map(|n| (format!("gates/g{n}.toml"), Vec::new()))
        .collect();
    assert!(matches!(problem(&many), Problem::TooMany { .. }));
    let deep = format!("gate = {}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(matches!(problem(&overlay("gates/a.toml", deep)), Problem::Toml { .. }));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes(place in 0..PLACES.len(), bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = Catalog::with_overlay(&BTreeMap::from([(PLACES[place].to_owned(), bytes)]));
    }

    #[test]
    fn arbitrary_paths(path in "\\PC{0,40}", text in "\\PC{0,80}") {
        let _ = Catalog::with_overlay(&BTreeMap::from([(path, text.into_bytes())]));
    }

    /// Real files with a few bytes changed reach much deeper than noise.
    #[test]
    fn damaged_files(
        place in 0..PLACES.len(),
        hits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = embedded(PLACES[place]);
        prop_assume!(!bytes.is_empty());
        for (index, byte) in hits {
            let at = index.index(bytes.len());
            bytes[at] = byte;
        }
        if let Err(errors) = Catalog::with_overlay(&BTreeMap::from([(PLACES[place].to_owned(), bytes)])) {
            prop_assert!(!errors.errors().is_empty());
            prop_assert!(errors.to_string().contains("next:"));
        }
    }
}
