//! Merges on the files that the real packages ship, from one series to another.
//!
//! It needs at least two hop environments (`ffu env build`); pairs of which one is not there are left out.

mod policy;

use std::path::{Path, PathBuf};

use ffu_config::merge::{Kind, Merged, Request, merge};
use ffu_model::Series;

const SERIES: [&str; 19] = [
    "pike", "queens", "rocky", "stein", "train", "ussuri", "victoria", "wallaby", "xena", "yoga", "zed", "2023.1",
    "2023.2", "2024.1", "2024.2", "2025.1", "2025.2", "2026.1", "2026.2",
];

fn environments() -> Vec<(Series, PathBuf)> {
    let there = SERIES
        .iter()
        .map(|series| (series.parse().unwrap(), policy::environments().join(series).join("etc")));
    there.filter(|(_, etc): &(Series, PathBuf)| etc.is_dir()).collect()
}

/// The files below `etc` that can be merged, as `nova/api-paste.ini`.
fn files(etc: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![etc.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if let Some(name) = path.strip_prefix(etc).unwrap().to_str()
                && Kind::of(name).is_some()
            {
                found.push(name.to_owned());
            }
        }
    }
    found.sort();
    found
}

fn ask(name: &str, base: &[u8], mine: &[u8], theirs: Option<&[u8]>, to: &Series) -> Merged {
    let request = Request {
        kind: Kind::of(name).unwrap(),
        name,
        base: Some(base),
        mine,
        theirs,
        to,
    };
    merge(&request).unwrap_or_else(|error| panic!("{name} to {to}: {error}"))
}

/// The lines that mean something, without regard to order, each once.
fn meaning(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let lines = text
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    let mut lines: Vec<String> = lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect();
    lines.sort();
    lines.dedup();
    lines
}

#[test]
fn upstreams_own_files_become_upstreams() {
    let there = environments();
    assert!(there.len() >= 2, "build more with `ffu env build`");
    let mut merged = 0;
    for (n, (_, from)) in there.iter().enumerate() {
        for (to, target) in &there[n..] {
            for name in files(from) {
                let base = std::fs::read(from.join(&name)).unwrap();
                let theirs = std::fs::read(target.join(&name)).ok();
                let done = ask(&name, &base, &base, theirs.as_deref(), to);
                assert!(done.conflicts.is_empty(), "{name} to {to}: {:?}", done.findings);
                match theirs {
                    Some(theirs) => {
                        let text = String::from_utf8_lossy(&done.bytes);
                        assert_eq!(meaning(&done.bytes), meaning(&theirs), "{name} to {to}\n{text}");
                    }
                    None => assert!(
                        done.unused || !String::from_utf8_lossy(&done.bytes).contains("Filter,"),
                        "{name} to {to}"
                    ),
                }
                merged += 1;
            }
        }
    }
    assert!(merged > 50, "{merged}");
}

#[test]
fn an_operators_filter_survives_every_hop() {
    let there = environments();
    let mut merged = 0;
    for (n, (_, from)) in there.iter().enumerate() {
        for (to, target) in &there[n..] {
            for (name, anchor) in [
                ("nova/api-paste.ini", "keystonecontext"),
                ("cinder/api-paste.ini", "keystonecontext"),
            ] {
                let (Ok(base), Ok(theirs)) = (std::fs::read(from.join(name)), std::fs::read(target.join(name))) else {
                    continue;
                };
                let text = String::from_utf8(base.clone()).unwrap();
                let mine = text.replace(&format!("authtoken {anchor}"), &format!("authtoken audit {anchor}"));
                let filter =
                    "\n# ours\n[filter:audit]\npaste.filter_factory = keystonemiddleware.audit:filter_factory\n";
                let mine = format!("{}{filter}", mine.trim_end_matches('\n'));
                let done = ask(name, &base, mine.as_bytes(), Some(&theirs), to);
                let text = String::from_utf8(done.bytes.clone()).unwrap();
                assert!(text.contains("# ours\n[filter:audit]\n"), "{name} to {to}\n{text}");
                let pipelines = text
                    .lines()
                    .filter(|line| line.contains(&format!(" authtoken audit {anchor} ")))
                    .count();
                let wanted = String::from_utf8_lossy(&theirs)
                    .lines()
                    .filter(|l| l.contains(&format!("authtoken {anchor}")))
                    .count();
                assert!(
                    wanted > 0 && pipelines >= wanted,
                    "{name} to {to}: {pipelines} of {wanted}\n{text}"
                );
                let again = ask(name, &base, &done.bytes, Some(&theirs), to);
                assert_eq!(
                    text,
                    String::from_utf8(again.bytes).unwrap(),
                    "{name} to {to}: not idempotent"
                );
                merged += 1;
            }
        }
    }
    assert!(merged > 3, "{merged}: build more with `ffu env build`");
}
