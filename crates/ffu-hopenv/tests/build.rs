//! Real environments of a recipe with two small packages: built, verified, tampered with, interrupted, rebuilt offline.

mod support;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ffu_hopenv::{BuildEventKind, BuildOptions, EnvError, EnvStore};
use ffu_model::Series;

use support::{LOCK, Place, SERIES, catalog, python, series};

#[test]
fn an_environment_is_built_patched_verified_and_removed() {
    let place = Place::new();
    let catalog = catalog("uv", LOCK);
    let store = &place.store;
    assert!(matches!(store.open(&series()), Err(EnvError::Absent { .. })));
    let directory = place.build(&catalog, &place.options()).unwrap();
    assert!(place.told(|kind| matches!(kind, BuildEventKind::Patched { id, .. } if id == "test-six")));
    assert!(place.told(|kind| matches!(kind, BuildEventKind::Disk { need_mib: 48, .. })));
    let info = store.verify(&catalog, &series()).unwrap();
    assert_eq!(
        (info.packages["six"].as_str(), info.packages["iso8601"].as_str()),
        ("1.17.0", "2.1.0")
    );
    assert_eq!(info.patches, ["test-six"]);
    store.verify_quick(&catalog, &series()).unwrap();
    assert_eq!(store.list().unwrap().len(), 1);
    assert_eq!(place.names(), [SERIES, directory.file_name().unwrap()]);

    // Once more: nothing to do. With another lock: out of date.
    assert_eq!(place.build(&catalog, &place.options()).unwrap(), directory);
    assert!(place.told(|kind| *kind == BuildEventKind::UpToDate));
    let other = support::catalog("uv", &format!("{LOCK}# changed\n"));
    let error = store.verify(&other, &series()).unwrap_err();
    assert!(matches!(error, EnvError::Stale { .. }), "{error}");

    // While it is open, it is neither removed nor taken away by a rebuild.
    let open = store.open(&series()).unwrap();
    assert!(matches!(store.remove(&series()), Err(EnvError::InUse { .. })));
    let newer = place.build(&other, &place.options()).unwrap();
    assert_ne!(newer, directory);
    assert!(open.site_packages().join("six.py").is_file());
    drop(open);
    assert!(store.remove(&series()).unwrap());
    assert!(!store.remove(&series()).unwrap());
    assert!(place.names().is_empty(), "{:?}", place.names());
}

#[test]
fn a_changed_file_is_named_and_a_rebuild_does_not_bring_it_back() {
    let place = Place::new();
    let catalog = catalog("uv", LOCK);
    let directory = place.build(&catalog, &place.options()).unwrap();
    let site = place.store.open(&series()).unwrap().site_packages();
    let file = site.join("iso8601/iso8601.py");
    // Written in place, through the link into uv's cache, with the same length and time.
    let time = std::fs::metadata(&file).unwrap().modified().unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replacen("import", "imp0rt", 1)).unwrap();
    std::fs::File::options()
        .write(true)
        .open(&file)
        .unwrap()
        .set_modified(time)
        .unwrap();
    place.store.verify_quick(&catalog, &series()).unwrap();
    let error = place.store.verify(&catalog, &series()).unwrap_err().to_string();
    assert!(error.contains("iso8601/iso8601.py has changed"), "{error}");
    assert!(error.contains("ffu env build 2025.1 --force"), "{error}");

    let newer = place.build(&catalog, &place.options()).unwrap();
    assert_ne!(newer, directory);
    let cache_was_mended =
        place.told(|kind| matches!(kind, BuildEventKind::CacheRepaired { packages } if *packages == ["iso8601"]));
    // uv copies instead of linking where it cannot link; then its cache is sound.
    use std::os::unix::fs::MetadataExt as _;
    let now = newer.join(file.strip_prefix(&directory).unwrap());
    assert_eq!(cache_was_mended, std::fs::metadata(&now).unwrap().nlink() > 1);
    assert_eq!(std::fs::read_to_string(&now).unwrap(), text);
    place.store.verify(&catalog, &series()).unwrap();

    let site = place.store.open(&series()).unwrap().site_packages();
    std::fs::write(site.join("added.pth"), "import os").unwrap();
    std::fs::remove_file(site.join("six.py")).unwrap();
    for error in [
        place.store.verify(&catalog, &series()).unwrap_err(),
        place.store.verify_quick(&catalog, &series()).unwrap_err(),
    ] {
        let text = error.to_string();
        assert!(matches!(error, EnvError::Tampered { .. }), "{text}");
        assert!(
            text.contains("added.pth was added") && text.contains("six.py is missing"),
            "{text}"
        );
    }
}

#[test]
fn pip_builds_the_same_and_offline_needs_a_directory_of_packages() {
    let place = Place::new();
    let catalog = catalog("pip", LOCK);
    place.build(&catalog, &place.options()).unwrap();
    let info = place.store.verify(&catalog, &series()).unwrap();
    assert_eq!(info.packages["six"], "1.17.0");
    let mut offline = place.options();
    (offline.offline, offline.force) = (true, true);
    let variables: BTreeMap<String, String> = std::env::vars().filter(|(name, _)| name != "PIP_FIND_LINKS").collect();
    let store = place.store.clone().with_variables(variables);
    let error = store.build(&catalog, &series(), &offline, &|_| {}).unwrap_err();
    assert!(matches!(error, EnvError::OfflineNeedsPackages { .. }), "{error}");
    // The older one is as it was.
    place.store.verify(&catalog, &series()).unwrap();
}

#[test]
fn uv_builds_offline_from_its_cache_and_says_when_it_cannot() {
    let place = Place::new();
    let catalog = catalog("uv", LOCK);
    let mut options = place.options();
    options.offline = true;
    let error = place.build(&catalog, &options).unwrap_err();
    assert!(matches!(error, EnvError::Install { .. }), "{error}");
    assert!(place.names().is_empty(), "{:?}", place.names());
    options.offline = false;
    let first = place.build(&catalog, &options).unwrap();
    (options.offline, options.force) = (true, true);
    assert_ne!(place.build(&catalog, &options).unwrap(), first);
    place.store.verify(&catalog, &series()).unwrap();
}

/// Run again as a child by the next test, which kills it with SIGKILL.
#[test]
#[ignore = "the child of the next test"]
fn helper_builds_an_environment() {
    let root = std::env::var("FFU_HOPENV_TEST_ROOT").unwrap();
    let options = BuildOptions {
        python: Some(python().0),
        ..BuildOptions::default()
    };
    let _ = EnvStore::new(root).build(&catalog("uv", LOCK), &series(), &options, &|_| {});
}

#[test]
fn a_killed_build_leaves_nothing_that_looks_finished() {
    let place = Place::new();
    let mut child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "helper_builds_an_environment"])
        .env("FFU_HOPENV_TEST_ROOT", &place.root)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    let begun = || place.root.join("envs").exists() && place.names().iter().any(|name| name.contains('@'));
    while !begun() {
        assert!(Instant::now() < deadline, "the build never began");
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let leftovers = place.names();
    assert!(
        !leftovers.is_empty() && leftovers.iter().all(|name| name.contains('@')),
        "{leftovers:?}"
    );
    assert!(place.store.list().unwrap().is_empty());
    let catalog = catalog("uv", LOCK);
    assert!(matches!(
        place.store.verify(&catalog, &series()),
        Err(EnvError::Absent { .. })
    ));
    let directory = place.build(&catalog, &place.options()).unwrap();
    assert!(place.told(|kind| *kind == BuildEventKind::Cleaned { directories: 1 }));
    assert_eq!(place.names(), [SERIES, directory.file_name().unwrap()]);
    place.store.verify(&catalog, &series()).unwrap();
}

#[test]
fn what_cannot_be_built_is_said_and_nothing_is_left() {
    let place = Place::new();
    let sound = catalog("uv", LOCK);
    let unknown: Series = "austin".parse().unwrap();
    let error = place
        .store
        .build(&sound, &unknown, &place.options(), &|_| {})
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("no hop environment for austin") && error.contains("2025.1"),
        "{error}"
    );

    let forged = catalog(
        "uv",
        &LOCK.replace("4721f391", "00000000").replace("ff70335d", "00000000"),
    );
    let error = place.build(&forged, &place.options()).unwrap_err();
    assert!(matches!(error, EnvError::Install { .. }), "{error}");
    assert!(error.to_string().contains("six"), "{error}");
    assert!(place.names().is_empty(), "{:?}", place.names());

    let asking = support::catalog_asking_for("uv", LOCK, r#"["keystone", "27.0.0"]"#);
    let error = place.build(&asking, &place.options()).unwrap_err();
    assert!(matches!(error, EnvError::WrongPackage { .. }), "{error}");
    assert!(
        error
            .to_string()
            .contains("has no keystone where its recipe asks for keystone 27.0.0"),
        "{error}"
    );
    assert!(place.names().is_empty(), "{:?}", place.names());

    let mut options = place.options();
    options.python = Some("/bin/sh".into());
    let error = place.build(&sound, &options).unwrap_err();
    assert!(matches!(error, EnvError::WrongInterpreter { .. }), "{error}");

    let stopped = place.options();
    stopped.stop.raise();
    let error = place.build(&sound, &stopped).unwrap_err();
    assert!(matches!(error, EnvError::Stopped { .. }), "{error}");
    assert!(place.names().is_empty(), "{:?}", place.names());
}
