//! What an overlay may hold. Overlays come from outside, so their paths, sizes and bytes are judged before anything else.

use std::collections::BTreeMap;

use ffu_model::cloud::is_name;

use crate::error::{CatalogError, Problem, shown};

/// Largest TOML file, in bytes.
pub const LARGEST_FILE: usize = 4 << 20;
/// Largest lock file, in bytes; hashes make them long.
pub const LARGEST_LOCK: usize = 16 << 20;
/// Most files of an overlay.
pub const MOST_FILES: usize = 1000;

/// A path that no file of a catalog can have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadPath {
    /// It leaves the directory, or tries to.
    #[error("the path {0:?} leaves the overlay's directory or is not a plain relative path")]
    Escapes(String),
    /// It is none of the catalog's places.
    #[error(
        "{0:?} is no place of a catalog: there are series.toml, environments.toml, projects/NAME.toml, gates/NAME.toml, \
         heads/PROJECT.toml, patches/NAME.toml, config-rules/NAME.toml, locks/SERIES.{{in,lock,build.txt}}, options/SERVICE.json.zst and \
         options/SERVICE+NAME.{{json,json.zst}}"
    )]
    Unknown(String),
}

/// Whether a path, relative to the catalog's root and with `/` between its parts, is a place of a catalog.
///
/// # Errors
/// [`BadPath`] says why not; the text in it is cut and printable.
pub fn check_path(path: &str) -> Result<(), BadPath> {
    let hostile = |part: &str| part.is_empty() || part == "." || part == ".." || part.starts_with('-');
    if path.len() > 255
        || path.contains(['\\', ':'])
        || path.chars().any(char::is_control)
        || path.split('/').any(hostile)
    {
        return Err(BadPath::Escapes(shown(path)));
    }
    let known = match path.split_once('/') {
        None => matches!(path, "series.toml" | "environments.toml" | "README.md"),
        Some(("projects" | "gates" | "heads" | "patches" | "config-rules", file)) => {
            file.strip_suffix(".toml").is_some_and(is_name)
        }
        Some(("locks", file)) => [".in", ".lock", ".build.txt"].iter().any(|end| {
            file.strip_suffix(end)
                .is_some_and(|stem| stem.parse::<ffu_model::Series>().is_ok())
        }),
        Some(("options", file)) => file == "README.md" || crate::options::file_name(file).is_some(),
        Some(_) => false,
    };
    if known {
        Ok(())
    } else {
        Err(BadPath::Unknown(shown(path)))
    }
}

/// Everything that is wrong with an overlay's files as files.
pub(crate) fn check(files: &BTreeMap<String, Vec<u8>>) -> Vec<CatalogError> {
    let at = |file: &str, problem: Problem| CatalogError {
        file: shown(file),
        line: None,
        column: None,
        problem,
    };
    if files.len() > MOST_FILES {
        return vec![at(
            "(overlay)",
            Problem::TooMany {
                files: files.len(),
                limit: MOST_FILES,
            },
        )];
    }
    let mut errors = Vec::new();
    for (path, bytes) in files {
        if let Err(bad) = check_path(path) {
            errors.push(at(path, bad.into()));
            continue;
        }
        let limit = match path.split_once('/') {
            Some(("locks", _)) => LARGEST_LOCK,
            Some(("options", _)) => crate::options::LARGEST_PACKED,
            _ => LARGEST_FILE,
        };
        if bytes.len() > limit {
            errors.push(at(
                path,
                Problem::TooLarge {
                    bytes: bytes.len(),
                    limit,
                },
            ));
        }
    }
    errors
}

/// The bytes as text, or the offset of the first byte that is not UTF-8 or is NUL.
pub(crate) fn text(bytes: &[u8]) -> Result<&str, usize> {
    let text = std::str::from_utf8(bytes).map_err(|bad| bad.valid_up_to())?;
    match text.bytes().position(|byte| byte == 0) {
        Some(offset) => Err(offset),
        None => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_of_a_catalog_are_accepted() {
        for good in [
            "series.toml",
            "environments.toml",
            "projects/nova.toml",
            "gates/site-2.toml",
            "heads/nova.toml",
            "patches/p1.toml",
            "locks/2026.1.lock",
            "locks/pike.in",
            "locks/2026.1.build.txt",
            "options/nova.json.zst",
            "options/cinder+acme.json",
            "options/cinder+acme-2.json.zst",
            "options/README.md",
        ] {
            assert_eq!(check_path(good), Ok(()), "{good}");
        }
    }

    #[test]
    fn paths_that_leave_the_directory_are_refused() {
        for bad in [
            "../series.toml",
            "/series.toml",
            "gates/../../x.toml",
            "gates//x.toml",
            "gates/a\0.toml",
            "c:x.toml",
            "gates\\x.toml",
            "./series.toml",
            "",
            "-rf.toml",
            &format!("gates/{}.toml", "x".repeat(300)),
        ] {
            assert!(matches!(check_path(bad), Err(BadPath::Escapes(_))), "{bad:?}");
        }
    }

    #[test]
    fn unknown_places_are_refused_and_the_known_ones_named() {
        for bad in [
            "other.toml",
            "projects/nova.yaml",
            "projects/Nova.toml",
            "projects/a/b.toml",
            "locks/x.sh",
            "gates",
            "options/nova.json",
            "options/+acme.json",
            "options/nova+.json",
            "options/nova+a+b.json",
            "options/Nova.json.zst",
        ] {
            let error = check_path(bad).unwrap_err();
            assert!(matches!(error, BadPath::Unknown(_)), "{bad:?}");
            assert!(error.to_string().contains("projects/NAME.toml"), "{error}");
        }
    }

    #[test]
    fn nul_and_other_encodings_are_not_text() {
        assert_eq!(text(b"a\0b"), Err(1));
        assert_eq!(text(b"ab\xff"), Err(2));
        assert_eq!(text("ö".as_bytes()), Ok("ö"));
    }
}
