//! The embedded option catalogs against the packages they were made from: the dumper of `make catalogs` runs again in the
//! hop environments, and what it finds must be what is embedded.
//!
//! It needs hop environments (`make test` builds some); each one of the series below that is there is dumped.

use std::path::PathBuf;
use std::process::Command;

use ffu_catalog::Catalog;
use ffu_catalog::options::{Opt, PolicyRule, SeriesSet, ServiceOptions};
use ffu_model::Series;

/// Old and new Python, small and large services, all that CI builds.
const DUMPED: [(&str, &str); 4] = [
    ("keystone", "rocky"),
    ("heat", "stein"),
    ("placement", "2024.1"),
    ("nova", "2025.1"),
];

fn python(series: &str) -> Option<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")))?;
    let python = cache.join("ffu/envs").join(series).join("bin/python");
    python.exists().then_some(python)
}

/// What `scripts/catalogs` does for one service of one series.
fn dump(python: &PathBuf, service: &str, series: &str) -> ServiceOptions {
    let scratch = tempfile::tempdir().unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/catalogs.d/dump.py");
    let output = Command::new(python)
        .args(["-B", "-W", "ignore", script, service, series])
        .current_dir(scratch.path())
        .env_remove("PYTHONPATH")
        .env("SETUPTOOLS_USE_DISTUTILS", "stdlib")
        .env("PYTHONHASHSEED", "0")
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{service} {series}: {errors}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn options(all: &[Opt], position: usize) -> Vec<Opt> {
    let here = all.iter().filter(|one| one.series.holds(position));
    here.map(|one| Opt {
        series: SeriesSet(1),
        ..one.clone()
    })
    .collect()
}

fn rules(all: &[PolicyRule], position: usize) -> Vec<PolicyRule> {
    let here = all.iter().filter(|one| one.series.holds(position));
    here.map(|one| PolicyRule {
        series: SeriesSet(1),
        ..one.clone()
    })
    .collect()
}

#[test]
fn a_series_that_is_dumped_again_is_what_is_embedded() {
    let catalog = Catalog::embedded().unwrap();
    let mut compared = 0;
    for (service, name) in DUMPED {
        let Some(python) = python(name) else { continue };
        let series: Series = name.parse().unwrap();
        let fresh = dump(&python, service, name);
        let embedded = catalog.options(service).unwrap().unwrap();
        let position = embedded.position(&series).unwrap();
        assert_eq!(embedded.versions[&series], fresh.versions[&series], "{service} {name}");
        assert_eq!(embedded.policy_files.contains(&series), !fresh.policy_files.is_empty());
        let (old, new) = (options(&embedded.options, position), options(&fresh.options, 0));
        for (old, new) in old.iter().zip(&new) {
            assert_eq!(old, new, "{service} {name}");
        }
        assert_eq!(old.len(), new.len(), "{service} {name}");
        assert_eq!(
            rules(&embedded.policy, position),
            rules(&fresh.policy, 0),
            "{service} {name}"
        );
        for plugin in &fresh.auth_plugins {
            let same = embedded.auth_plugins.iter().find(|one| one.name == plugin.name);
            let old = options(&same.unwrap().options, position);
            assert_eq!(old, options(&plugin.options, 0), "{service} {name} {}", plugin.name);
        }
        compared += 1;
    }
    assert!(
        compared > 0,
        "there is no hop environment: type `target/debug/ffu env build 2024.1`, or `make test`"
    );
}
