//! What the tests of real labs share.
#![allow(dead_code)]

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};
use ffu_catalog::Catalog;
use ffu_hopenv::EnvStore;
use ffu_hosts::StopFlag;
use ffu_lab::dataplane::Wanted;
use ffu_lab::{Environments, Lab, LabError, LabOptions, PlainEnvironments, down, up};

/// A lab in a scratch directory, which is taken down when the test ends, also by a panic.
pub struct Scratch {
    pub dir: Utf8PathBuf,
    _scratch: tempfile::TempDir,
}

impl Scratch {
    pub fn new() -> Scratch {
        let scratch = tempfile::Builder::new().prefix("ffu-lab-").tempdir().unwrap();
        let dir = Utf8Path::from_path(scratch.path()).unwrap().join("lab");
        Scratch { dir, _scratch: scratch }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = down(&self.dir);
    }
}

/// The product's environments, or those below FFU_LAB_ENVS.
pub fn environments() -> Box<dyn Environments> {
    let variable = |name: &str| {
        std::env::var(name)
            .ok()
            .filter(|value| !value.is_empty())
            .map(Utf8PathBuf::from)
    };
    if let Some(root) = variable("FFU_LAB_ENVS") {
        return Box::new(PlainEnvironments(root));
    }
    let cache = variable("XDG_CACHE_HOME").unwrap_or_else(|| variable("HOME").unwrap().join(".cache"));
    Box::new(EnvStore::new(cache.join("ffu")))
}

pub fn bring_up(catalog: &Catalog, dir: &Utf8Path, series: &str, size: u32) -> Result<Lab, LabError> {
    bring_up_with(catalog, dir, series, size, None)
}

pub fn bring_up_with(
    catalog: &Catalog,
    dir: &Utf8Path,
    series: &str,
    size: u32,
    dataplane: Option<Wanted>,
) -> Result<Lab, LabError> {
    let environments = environments();
    up(&LabOptions {
        dir: dir.to_owned(),
        series: series.parse().unwrap(),
        size,
        bulk: None,
        server_options: &[],
        dataplane,
        catalog,
        environments: environments.as_ref(),
        progress: &|event| {
            if std::env::var_os("FFU_LAB_VERBOSE").is_some() {
                use std::io::Write as _;
                let _ = writeln!(std::io::stderr(), "{series}: {event:?}");
            }
        },
        stop: StopFlag::new(),
    })
}

/// Kind to number.
pub fn counts(lab: &Lab) -> BTreeMap<String, u64> {
    let contents = lab.contents().unwrap();
    contents
        .into_iter()
        .map(|content| (format!("{} {}", content.project, content.what), content.count))
        .collect()
}

/// Pids of living processes that mention a directory in their command line.
pub fn processes_of(dir: &Utf8Path) -> Vec<i32> {
    let entries = std::fs::read_dir("/proc").unwrap();
    let pids = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let own = i32::try_from(std::process::id()).unwrap();
    pids.filter(|pid| *pid != own)
        .filter(|pid| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).contains(dir.as_str())
        })
        .collect()
}

/// What any lab of twenty instances holds, whatever its series.
pub fn check_contents(lab: &Lab) {
    let counts = counts(lab);
    let has = |what: &str, number: u64| {
        let found = counts.get(what).copied();
        assert_eq!(found, Some(number), "{what}; all: {counts:#?}");
    };
    // 20 instances: 3 deleted, one of the others in cell0.
    has("nova instances", 16);
    has("nova deleted instances", 3);
    has("nova instances that were never scheduled", 1);
    has("nova pinned instances", 2);
    has("nova PCI devices in use", 1);
    has("nova compute nodes", 2);
    has("nova services", 4);
    has("nova hosts", 2);
    has("nova cells", 2);
    has("nova flavors", 4);
    has("nova aggregates", 2);
    has("nova server groups", 1);
    has("nova instance mappings", 20);
    has("nova request specs", 20);
    has("placement resource providers", 2);
    has("neutron networks", 4);
    has("neutron SR-IOV ports", 1);
    has("neutron routers", 1);
    has("neutron floating IPs", 1);
    // 3 of their own, and two roots and a data disk of instances.
    has("cinder volumes", 6);
    has("cinder volumes in use", 3);
    has("cinder snapshots", 2);
    has("glance images", 3);
    has("glance deleted images", 1);
    has("heat stacks", 1);
    has("heat resources", 2);
    has("keystone projects", 5);
    has("keystone users", 10);
    assert_eq!(
        counts["placement allocations"], 46,
        "16 instances, three classes each, two of them without a disk"
    );
}
