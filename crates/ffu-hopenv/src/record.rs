//! Compares installed files with what their packages say of them, in `*.dist-info/RECORD`.
//!
//! uv links files from its cache into every environment, so a file that somebody edited in one place is changed in all of
//! them and in the cache: building anew from that cache would install the change again. The lock's hashes guard the
//! download, these guard what was unpacked from it.

use std::collections::{BTreeMap, BTreeSet};

use camino::Utf8Path;

use crate::distributions::normalise;
use crate::error::EnvError;
use crate::manifest::FileEntry;

/// Distributions with a file in site-packages that is not what `RECORD` says, each with the first such file.
pub(crate) fn damaged(
    site_packages: &Utf8Path,
    files: &BTreeMap<String, FileEntry>,
    prefix: &str,
) -> Result<BTreeMap<String, String>, EnvError> {
    // Queens' lock has both msgpack 0.5.1 and msgpack-python 0.4.7, which bring the same files: the one installed last
    // wins, so a file is whole when it is what any of its packages says.
    let mut claims: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    let entries = site_packages
        .read_dir_utf8()
        .map_err(EnvError::io("read", site_packages))?;
    for entry in entries {
        let entry = entry.map_err(EnvError::io("read", site_packages))?;
        let Some(stem) = entry.file_name().strip_suffix(".dist-info") else {
            continue;
        };
        let record = entry.path().join("RECORD");
        let Ok(bytes) = std::fs::read(&record) else {
            continue;
        };
        let name = normalise(stem.split('-').next().unwrap_or(stem));
        let text = String::from_utf8_lossy(&bytes);
        let mut seen = BTreeSet::new();
        for (path, digest) in text.lines().filter_map(record_line) {
            // Scripts are rewritten for the environment, and what lies elsewhere is not imported. Old source packages list
            // their scripts where the wheel had them, below NAME.data.
            let first = path.split('/').next().unwrap_or_default();
            let elsewhere = first == ".." || first.is_empty() || first.ends_with(".data");
            if !elsewhere && !path.ends_with(".pyc") && seen.insert(path.clone()) {
                claims.entry(path).or_default().push((name.clone(), digest));
            }
        }
    }
    let mut found = BTreeMap::new();
    for (path, claims) in claims {
        let installed = files.get(&format!("{prefix}{path}")).map(|file| file.sha256.as_str());
        if !claims.iter().any(|(_, digest)| installed == Some(digest.as_str())) {
            for (name, _) in claims {
                found.entry(name).or_insert_with(|| path.clone());
            }
        }
    }
    Ok(found)
}

/// Path and SHA-256 (hexadecimal) of a line of `RECORD` that has one. It is CSV: a path with a comma stands in quotes.
fn record_line(line: &str) -> Option<(String, String)> {
    let (path, rest) = match line.strip_prefix('"') {
        Some(quoted) => {
            let (path, rest) = quoted.split_once("\",")?;
            (path.replace("\"\"", "\""), rest)
        }
        None => {
            let (path, rest) = line.split_once(',')?;
            (path.to_owned(), rest)
        }
    };
    let digest = rest.split(',').next()?.strip_prefix("sha256=")?;
    Some((path, hex_of_base64(digest)?))
}

/// URL-safe base64 without padding, as RECORD has it, in hexadecimal.
fn hex_of_base64(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(33);
    let (mut bits, mut count) = (0_u32, 0_u32);
    for c in text.trim_end_matches('=').bytes() {
        let value = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'-' | b'+' => 62,
            b'_' | b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6) | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from((bits >> count) & 0xff).ok()?);
        }
        bits &= (1 << count) - 1;
    }
    (bytes.len() == 32).then(|| ffu_model::digest::hex(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_two_packages_is_whole_when_one_of_them_knows_it() {
        let dir = tempfile::tempdir().unwrap();
        let site = Utf8Path::from_path(dir.path()).unwrap();
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let record = |package: &str, text: &str| {
            std::fs::create_dir(site.join(package)).unwrap();
            std::fs::write(site.join(package).join("RECORD"), text).unwrap();
        };
        record(
            "msgpack-0.5.1.dist-info",
            "msgpack/_packer.so,sha256=SEGz9MZZgeV3eBaCzP6W9DTR4oeYVCVaXKbh3GWEDjc,1\n",
        );
        record(
            "msgpack_python-0.4.7.dist-info",
            "msgpack/_packer.so,sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,0\n",
        );
        let mut files = BTreeMap::new();
        let mut file = |sha256: &str| {
            files.insert(
                "site/msgpack/_packer.so".to_owned(),
                FileEntry {
                    sha256: sha256.to_owned(),
                    size: 0,
                    mtime: 0,
                    compiled: false,
                },
            );
            damaged(site, &files, "site/").unwrap()
        };
        assert!(file(empty).is_empty());
        let both = file("00");
        assert_eq!(both.keys().collect::<Vec<_>>(), ["msgpack", "msgpack-python"]);
    }

    #[test]
    fn lines_of_a_record_are_read() {
        // The digest of the empty text, as wheels have it for empty __init__.py files.
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let line = "nova/__init__.py,sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,0";
        assert_eq!(record_line(line), Some(("nova/__init__.py".into(), empty.into())));
        let quoted = "\"a,\"\"b\"\".py\",sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,0";
        assert_eq!(record_line(quoted), Some(("a,\"b\".py".into(), empty.into())));
        for none in [
            "x/RECORD,,",
            "x.py,md5=aa,1",
            "x.py,sha256=!!,1",
            "x.py,sha256=AAAA,1",
            "",
            "\"open",
        ] {
            assert_eq!(record_line(none), None, "{none}");
        }
    }
}
