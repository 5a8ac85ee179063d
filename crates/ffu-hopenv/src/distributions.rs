//! Which distributions are installed in a site-packages directory, and which a lock file asks for.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};

use camino::Utf8Path;

use crate::error::EnvError;

/// Installed distributions: normalised name → version, from `*.dist-info/METADATA`, `*.egg-info/PKG-INFO` and
/// `*.egg-info` files (Core metadata specification, which all three follow).
pub(crate) fn installed(site_packages: &Utf8Path) -> Result<BTreeMap<String, String>, EnvError> {
    let mut found = BTreeMap::new();
    let entries = site_packages
        .read_dir_utf8()
        .map_err(EnvError::io("read", site_packages))?;
    for entry in entries {
        let entry = entry.map_err(EnvError::io("read", site_packages))?;
        let path = entry.path();
        let metadata = if entry.file_name().ends_with(".dist-info") {
            path.join("METADATA")
        } else if entry.file_name().ends_with(".egg-info") {
            if path.is_dir() {
                path.join("PKG-INFO")
            } else {
                path.to_owned()
            }
        } else {
            continue;
        };
        // A directory without metadata is not an installed distribution to Python either.
        if let Some((name, version)) = name_and_version(&metadata) {
            found.insert(normalise(&name), version);
        }
    }
    Ok(found)
}

fn name_and_version(metadata: &Utf8Path) -> Option<(String, String)> {
    let (mut name, mut version) = (None, None);
    let mut line = Vec::new();
    let mut reader = BufReader::new(std::fs::File::open(metadata).ok()?);
    while reader.read_until(b'\n', &mut line).ok()? > 0 {
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end();
        if text.is_empty() {
            break;
        }
        if let Some(value) = text.strip_prefix("Name:") {
            name = Some(value.trim().to_owned());
        } else if let Some(value) = text.strip_prefix("Version:") {
            version = Some(value.trim().to_owned());
        }
        if name.is_some() && version.is_some() {
            break;
        }
        line.clear();
    }
    Some((name?, version?))
}

/// Distributions of a lock file: normalised name → version.
pub(crate) fn locked(lock: &str) -> BTreeMap<String, String> {
    lock.lines()
        .filter(|line| !line.starts_with(['#', ' ', '\t', '-']))
        .filter_map(|line| {
            let (name, rest) = line.split_once("==")?;
            let name = name.split('[').next().unwrap_or(name);
            let version = rest.split([' ', ';', '\\', '\t']).next()?;
            Some((normalise(name.trim()), version.trim().to_owned()))
        })
        .collect()
}

/// A distribution's name as PyPA's name normalisation gives it.
pub(crate) fn normalise(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for c in name.chars() {
        if matches!(c, '-' | '_' | '.') {
            if !out.ends_with('-') {
                out.push('-');
            }
        } else {
            out.extend(c.to_lowercase());
        }
    }
    out
}

/// Whether two spellings are the same version: leading zeros of numbers and trailing `.0` do not count (PEP 440).
pub(crate) fn same_version(a: &str, b: &str) -> bool {
    fn key(version: &str) -> Vec<String> {
        let lower = version.trim().trim_start_matches(['v', 'V']).to_lowercase();
        let mut parts: Vec<String> = Vec::new();
        for c in lower.chars() {
            let kind = |c: char| (c.is_ascii_digit(), c.is_alphabetic());
            if matches!(c, '.' | '-' | '_') {
                parts.push(String::new());
                continue;
            }
            match parts.last_mut() {
                Some(last) if last.chars().next_back().is_some_and(|l| kind(l) == kind(c)) => last.push(c),
                Some(last) if last.is_empty() => last.push(c),
                _ => parts.push(c.to_string()),
            }
        }
        let mut parts: Vec<String> = parts
            .into_iter()
            .filter(|part| !part.is_empty())
            .map(|part| {
                let short = part.trim_start_matches('0');
                if short.is_empty() {
                    "0".to_owned()
                } else {
                    short.to_owned()
                }
            })
            .collect();
        while parts.len() > 1 && parts.last().is_some_and(|last| last == "0") {
            parts.pop();
        }
        parts
    }
    key(a) == key(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locks_are_read_as_names_and_versions() {
        let lock = "# made by make locks\nFlask_RESTful==0.3.10 \\\n    --hash=sha256:aa\nzope.interface==7.0\nenum34==1.1.10 ; python_version < '3'\noslo.db[fixtures]==1.2 \\\n";
        let expected = [
            ("enum34", "1.1.10"),
            ("flask-restful", "0.3.10"),
            ("oslo-db", "1.2"),
            ("zope-interface", "7.0"),
        ];
        let found = locked(lock);
        assert_eq!(
            found.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect::<Vec<_>>(),
            expected
        );
    }

    #[test]
    fn versions_are_compared_as_python_does() {
        for (a, b) in [
            ("2015.04", "2015.4"),
            ("1.0", "1.0.0"),
            ("1.0rc1", "1.0.rc1"),
            ("V2", "2"),
            ("2024.1", "2024.01"),
        ] {
            assert!(same_version(a, b), "{a} {b}");
        }
        for (a, b) in [("1.0", "1.1"), ("1.0rc1", "1.0"), ("10", "1"), ("1.0", "10")] {
            assert!(!same_version(a, b), "{a} {b}");
        }
    }

    #[test]
    fn installed_distributions_are_found_in_their_three_forms() {
        let directory = tempfile::tempdir().unwrap();
        let site = Utf8Path::from_path(directory.path()).unwrap();
        let write = |path: &str, text: &str| {
            let path = site.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write(
            "a-1.dist-info/METADATA",
            "Metadata-Version: 2.1\nName: A.b\nVersion: 1\n\nVersion: 9\n",
        );
        write("c-2.egg-info/PKG-INFO", "Name: c\r\nVersion: 2\r\n");
        write("d-3.egg-info", "Name: d\nVersion: 3\n");
        write("e-4.dist-info/RECORD", "");
        let found = installed(site).unwrap();
        assert_eq!(found.len(), 3);
        assert_eq!(
            (found["a-b"].as_str(), found["c"].as_str(), found["d"].as_str()),
            ("1", "2", "3")
        );
    }
}
