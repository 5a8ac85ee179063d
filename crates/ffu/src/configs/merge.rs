//! `api-paste.ini` and rootwrap filters: upstream's own files of both series are taken from the hop environments, and what
//! upstream changed is applied to the operator's file.

use std::fs;

use camino::{Utf8Path, Utf8PathBuf};
use ffu_config::finding::{Finding, Severity};
use ffu_config::merge::{Kind, Request, merge};
use ffu_hopenv::EnvStore;
use ffu_model::Series;

/// Where packages lay the files that go to /etc, below the environment.
const LAID: [&str; 3] = ["etc", "usr/etc", "share"];
/// Files that are looked at in one environment.
const MOST: usize = 200_000;

/// What became of a file.
#[derive(Debug)]
pub struct Merged {
    /// Its new bytes; the old ones where it could not be merged.
    pub bytes: Vec<u8>,
    /// What there is to say.
    pub findings: Vec<Finding>,
    /// Whether upstream's files were at hand; else nothing was compared.
    pub at_hand: bool,
}

/// Merges a service's file against upstream's of both series. What cannot be merged stays as it is, with a finding that says
/// why.
pub fn against_upstream(
    store: &EnvStore,
    service: &str,
    path: &Utf8Path,
    mine: &[u8],
    (from, to): (&Series, &Series),
) -> Merged {
    let label = path.as_str();
    let name = path.file_name().unwrap_or(label);
    let left = |message: String, remedy: String| Merged {
        bytes: mine.to_vec(),
        findings: vec![
            Finding::new("not-merged", Severity::Decide, name, message)
                .at(Some(label), 1, 1)
                .remedy(remedy),
        ],
        at_hand: true,
    };
    let Some(kind) = Kind::of(name) else {
        return left(
            "it is no file that can be merged".to_owned(),
            "compare it by hand".to_owned(),
        );
    };
    let mut sides = Vec::new();
    for series in [from, to] {
        match store.open(series) {
            Ok(environment) => sides.push(shipped(environment.directory(), service, name)),
            Err(_) => {
                let missing = left(
                    format!("upstream's {name} of {series} is not at hand: there is no hop environment of {series}"),
                    format!("`ffu env build {from} {to}`, then run the command again"),
                );
                return Merged {
                    at_hand: false,
                    ..missing
                };
            }
        }
    }
    let (base, theirs) = (sides.first().cloned().flatten(), sides.get(1).cloned().flatten());
    if base.is_none() && theirs.is_none() {
        return left(
            format!("the packages of {from} and {to} ship no {name}: it is your own"),
            format!("read the release notes of {service} and compare it by hand"),
        );
    }
    let merged = merge(&Request {
        kind,
        name: label,
        base: base.as_deref(),
        mine,
        theirs: theirs.as_deref(),
        to,
    });
    match merged {
        Ok(merged) => Merged {
            bytes: merged.bytes,
            findings: merged.findings,
            at_hand: true,
        },
        Err(error) => left(
            error.to_string(),
            "mend the file, then run the command again".to_owned(),
        ),
    }
}

/// Upstream's file of that name for a service, from an environment: among what is laid out for /etc, else in the package.
pub fn shipped(environment: &Utf8Path, service: &str, name: &str) -> Option<Vec<u8>> {
    let mut places: Vec<Utf8PathBuf> = LAID.iter().map(|laid| environment.join(laid)).collect();
    if let Ok(pythons) = environment.join("lib").read_dir_utf8() {
        let package = service.replace('-', "_");
        places.extend(
            pythons
                .filter_map(Result::ok)
                .map(|python| python.path().join("site-packages").join(&package)),
        );
    }
    let mut met: Vec<Utf8PathBuf> = Vec::new();
    let mut looked = 0;
    for place in places {
        let mut open = vec![place];
        while let Some(directory) = open.pop() {
            let Ok(entries) = directory.read_dir_utf8() else {
                continue;
            };
            for entry in entries.filter_map(Result::ok) {
                looked += 1;
                if looked > MOST {
                    return None;
                }
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => open.push(entry.into_path()),
                    Ok(_) if entry.file_name() == name => met.push(entry.into_path()),
                    _ => {}
                }
            }
        }
        // Another service may ship a file of the same name (api-paste.ini): its own directory must be on the way.
        let own = met.iter().find(|path| {
            path.strip_prefix(environment)
                .is_ok_and(|inside| inside.components().any(|part| part.as_str() == service))
        });
        if let Some(own) = own {
            return fs::read(own).ok();
        }
    }
    // Names such as glance-api-paste.ini say whose they are.
    met.into_iter()
        .find(|_| name.starts_with(service))
        .and_then(|path| fs::read(path).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upstream_s_file_is_found_by_service_and_name() {
        let dir = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(dir.path()).unwrap();
        for (path, text) in [
            ("etc/cinder/api-paste.ini", "cinder"),
            ("etc/nova/api-paste.ini", "nova"),
            ("etc/glance-api-paste.ini", "glance"),
            ("lib/python3.11/site-packages/heat/etc/api-paste.ini", "heat"),
        ] {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let found = |service: &str, name: &str| shipped(root, service, name).map(|b| String::from_utf8(b).unwrap());
        assert_eq!(found("nova", "api-paste.ini").as_deref(), Some("nova"));
        assert_eq!(found("cinder", "api-paste.ini").as_deref(), Some("cinder"));
        assert_eq!(found("glance", "glance-api-paste.ini").as_deref(), Some("glance"));
        assert_eq!(found("heat", "api-paste.ini").as_deref(), Some("heat"));
        assert_eq!(found("keystone", "api-paste.ini"), None);
    }

    #[test]
    fn without_environments_the_file_stays_and_the_next_command_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(dir.path()).unwrap();
        let store = EnvStore::new(root.to_owned());
        let series = |name: &str| name.parse::<Series>().unwrap();
        let path = Utf8Path::new("/etc/nova/api-paste.ini");
        let ends = (&series("train"), &series("2026.1"));
        let merged = against_upstream(&store, "nova", path, b"[pipeline:x]\n", ends);
        assert!(!merged.at_hand);
        assert_eq!(merged.bytes, b"[pipeline:x]\n");
        assert!(
            merged.findings[0].remedy.contains("ffu env build train 2026.1"),
            "{}",
            merged.findings[0]
        );
    }
}
