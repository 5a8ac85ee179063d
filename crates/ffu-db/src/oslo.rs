//! One option out of oslo.config files: just enough to find connection URLs. Reading without loss is `ffu-config`'s job.
//!
//! Follows oslo_config/iniparser.py and cfg.py: continuation lines begin with a blank, matching quotes around a value go,
//! later files win, groups are case-insensitive, `$name`, `${name}` and `$group.name` refer to other options, `%` is plain.

use std::collections::BTreeMap;
use std::io::ErrorKind;

use camino::{Utf8Path, Utf8PathBuf};
use ffu_model::secret::Secret;

/// Files larger than this are not configuration.
const MAX_BYTES: u64 = 16 << 20;

/// Why an option has no value. No value is ever part of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The file does not exist.
    #[error("configuration file {file} does not exist: restore it, or name the right root with --from")]
    FileMissing {
        /// The file.
        file: Utf8PathBuf,
    },
    /// The file may not be read.
    #[error(
        "configuration file {file} may not be read by this user: run ffu as root or as a member of the service's group"
    )]
    NoPermission {
        /// The file.
        file: Utf8PathBuf,
    },
    /// The file cannot be read for another reason.
    #[error("configuration file {file} cannot be read: {reason}")]
    Unreadable {
        /// The file.
        file: Utf8PathBuf,
        /// Why.
        reason: String,
    },
    /// The file is not text.
    #[error("configuration file {file} is not UTF-8 text (byte {offset}): save it as UTF-8")]
    NotText {
        /// The file.
        file: Utf8PathBuf,
        /// The first bad byte.
        offset: usize,
    },
    /// A line that is neither section, comment nor assignment.
    #[error("configuration file {file}, line {line}: {reason}")]
    Syntax {
        /// The file.
        file: Utf8PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        reason: &'static str,
    },
    /// No file has the section.
    #[error("no section [{section}] in {files}: add it with `{option} = …`")]
    SectionMissing {
        /// The section.
        section: String,
        /// The option that was looked for.
        option: String,
        /// The files.
        files: String,
    },
    /// The section has no such option.
    #[error("no option `{option}` in section [{section}] of {files}: add it")]
    OptionMissing {
        /// The section.
        section: String,
        /// The option.
        option: String,
        /// The files.
        files: String,
    },
    /// The value refers to something that is not set.
    #[error(
        "[{section}] {option} in {files} refers to ${name}, {reason}: write the value out (a plain $ is written $$)"
    )]
    Reference {
        /// The section.
        section: String,
        /// The option.
        option: String,
        /// The files.
        files: String,
        /// What it refers to.
        name: String,
        /// What is wrong with that.
        reason: &'static str,
    },
}

type Values = BTreeMap<String, BTreeMap<String, String>>;

/// The value of an option; of several files the last one that sets it wins. Values are secret: they are mostly URLs.
///
/// # Errors
/// [`ConfigError`], always with the file.
pub fn config_value(files: &[Utf8PathBuf], section: &str, option: &str) -> Result<Secret, ConfigError> {
    let mut values = Values::new();
    for file in files {
        parse(file, &read(file)?, &mut values)?;
    }
    let shown = || files.iter().map(|f| f.as_str()).collect::<Vec<_>>().join(", ");
    let group = values
        .get(&group_name(section))
        .ok_or_else(|| ConfigError::SectionMissing {
            section: section.to_owned(),
            option: option.to_owned(),
            files: shown(),
        })?;
    let raw = group.get(option).ok_or_else(|| ConfigError::OptionMissing {
        section: section.to_owned(),
        option: option.to_owned(),
        files: shown(),
    })?;
    let value = substitute(raw, &group_name(section), &values, 0).map_err(|(name, reason)| ConfigError::Reference {
        section: section.to_owned(),
        option: option.to_owned(),
        files: shown(),
        name,
        reason,
    })?;
    Ok(Secret::new(value))
}

fn group_name(section: &str) -> String {
    if section == "DEFAULT" {
        section.to_owned()
    } else {
        section.to_lowercase()
    }
}

/// The text of a configuration file.
///
/// # Errors
/// Every way in which it cannot be read.
pub fn read(file: &Utf8Path) -> Result<String, ConfigError> {
    let failed = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => ConfigError::FileMissing { file: file.to_owned() },
        ErrorKind::PermissionDenied => ConfigError::NoPermission { file: file.to_owned() },
        _ => ConfigError::Unreadable {
            file: file.to_owned(),
            reason: error.to_string(),
        },
    };
    let metadata = std::fs::metadata(file).map_err(failed)?;
    if !metadata.is_file() || metadata.len() > MAX_BYTES {
        let reason = "it is not a regular file of at most 16 MiB".to_owned();
        return Err(ConfigError::Unreadable {
            file: file.to_owned(),
            reason,
        });
    }
    let bytes = std::fs::read(file).map_err(failed)?;
    String::from_utf8(bytes).map_err(|error| ConfigError::NotText {
        file: file.to_owned(),
        offset: error.utf8_error().valid_up_to(),
    })
}

fn parse(file: &Utf8Path, text: &str, values: &mut Values) -> Result<(), ConfigError> {
    let mut section = "DEFAULT".to_owned();
    let mut current: Option<(String, Vec<String>)> = None;
    for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let wrong = |reason| ConfigError::Syntax {
            file: file.to_owned(),
            line: index + 1,
            reason,
        };
        let line = line.trim_end();
        if line.starts_with([' ', '\t']) {
            match &mut current {
                Some((_, lines)) => lines.push(line.trim_start().to_owned()),
                None => {
                    return Err(wrong(
                        "a line that begins with a blank continues nothing: remove the blank",
                    ));
                }
            }
            continue;
        }
        flush(&mut current, &section, values);
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = line.strip_prefix('[') {
            let name = name
                .strip_suffix(']')
                .ok_or_else(|| wrong("a section must end with ]"))?;
            section = group_name(name.trim());
            values.entry(section.clone()).or_default();
            continue;
        }
        let (key, value) = line
            .split_once(['=', ':'])
            .ok_or_else(|| wrong("neither a section nor `option = value`"))?;
        if key.trim().is_empty() {
            return Err(wrong("an option without a name"));
        }
        current = Some((key.trim().to_owned(), vec![unquoted(value.trim()).to_owned()]));
    }
    flush(&mut current, &section, values);
    Ok(())
}

fn flush(current: &mut Option<(String, Vec<String>)>, section: &str, values: &mut Values) {
    if let Some((key, lines)) = current.take() {
        values
            .entry(section.to_owned())
            .or_default()
            .insert(key, lines.join("\n"));
    }
}

fn unquoted(value: &str) -> &str {
    for quote in ['"', '\''] {
        if value.len() >= 2
            && let Some(inner) = value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote))
        {
            return inner;
        }
    }
    value
}

fn substitute(raw: &str, group: &str, values: &Values, depth: u8) -> Result<String, (String, &'static str)> {
    let mut out = String::new();
    let mut rest = raw;
    while let Some(at) = rest.find(['$', '\\']) {
        out.push_str(&rest[..at]);
        let tail = &rest[at..];
        if let Some(after) = tail.strip_prefix("$$").or_else(|| tail.strip_prefix("\\$")) {
            out.push('$');
            rest = after;
            continue;
        }
        let (name, after) = reference(tail);
        if name.is_empty() {
            // Not a reference: Python's safe_substitute leaves it alone.
            let mut chars = tail.chars();
            out.extend(chars.next());
            rest = chars.as_str();
            continue;
        }
        if depth >= 10 {
            return Err((name.to_owned(), "which leads back to itself"));
        }
        let found = match name.split_once('.') {
            Some((other, option)) => {
                let other = group_name(other);
                values
                    .get(&other)
                    .and_then(|g| g.get(option))
                    .map(|value| (value, other))
            }
            None => [group, "DEFAULT"].iter().find_map(|g| {
                values
                    .get(*g)
                    .and_then(|options| options.get(name))
                    .map(|value| (value, (*g).to_owned()))
            }),
        };
        let (value, group) = found.ok_or_else(|| (name.to_owned(), "which no file sets"))?;
        out.push_str(&substitute(value, &group, values, depth + 1)?);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

/// The name after a `$`, and what follows it.
fn reference(tail: &str) -> (&str, &str) {
    let Some(body) = tail.strip_prefix('$') else {
        return ("", tail);
    };
    let named = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    let starts = |text: &str| text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if let Some(inner) = body.strip_prefix('{') {
        return match inner.split_once('}') {
            Some((name, after)) if starts(name) && name.chars().all(named) => (name, after),
            _ => ("", tail),
        };
    }
    if !starts(body) {
        return ("", tail);
    }
    let end = body.find(|c: char| !named(c)).unwrap_or(body.len());
    // A dot at the end belongs to the text around.
    let name = body[..end].trim_end_matches('.');
    (name, &body[name.len()..])
}
