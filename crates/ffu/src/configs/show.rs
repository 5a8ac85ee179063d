//! What a migration changes, for people: a unified diff without secrets, and the findings by severity.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use ffu_catalog::options::OptionSet;
use ffu_config::finding::{Finding, Severity};
use ffu_config::ini::Document;

use ffu_model::secret::{Secret, mask};
use similar::TextDiff;

/// Lines around a change.
const CONTEXT: usize = 3;

/// The values of a file that nobody may see, by the catalogs of either series and by their names.
pub fn secrets(bytes: &[u8], sets: &[&OptionSet<'_>]) -> Vec<Secret> {
    let Ok(document) = Document::parse(bytes) else {
        return Vec::new();
    };
    let mut secrets: Vec<String> = Vec::new();
    for entry in document.entries() {
        if is_secret(&entry.group(), &entry.key, sets) {
            let value = entry.value().into_owned();
            // A template or a reference names the value elsewhere; its lines are hidden all the same.
            secrets.extend(value.lines().map(|line| line.trim().to_owned()));
            secrets.push(value);
        }
    }
    secrets.retain(|secret| !secret.is_empty());
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    secrets.dedup();
    secrets.into_iter().map(Secret::new).collect()
}

/// Whether an option's value is hidden: the catalog says so, or its name does.
pub fn is_secret(group: &str, name: &str, sets: &[&OptionSet<'_>]) -> bool {
    let said = sets.iter().any(|set| {
        set.get(group, name).is_some_and(|option| option.secret)
            || set.by_alias(group, name).iter().any(|option| option.secret)
    });
    said || [
        "password",
        "passwd",
        "secret",
        "private_key",
        "auth_encryption_key",
        "admin_token",
    ]
    .iter()
    .any(|word| name.to_ascii_lowercase().contains(word))
}

/// A unified diff of a file, secrets hidden; empty where nothing changed.
pub fn diff(label: &str, before: &[u8], after: &[u8], secrets: &[Secret]) -> String {
    let hide = |bytes: &[u8]| hide(&String::from_utf8_lossy(bytes), secrets);
    let (before, after) = (hide(before), hide(after));
    let from = format!("a/{}", label.trim_start_matches('/'));
    let to = format!("b/{}", label.trim_start_matches('/'));
    TextDiff::from_lines(&before, &after)
        .unified_diff()
        .context_radius(CONTEXT)
        .header(&from, &to)
        .to_string()
}

/// Hides secrets in a text of lines: wherever they stand, and short ones where they are a whole value.
fn hide(text: &str, secrets: &[Secret]) -> String {
    let masked = mask(text, secrets);
    let short: Vec<&str> = secrets.iter().map(Secret::expose).filter(|one| one.len() < 4).collect();
    if short.is_empty() {
        return masked;
    }
    masked
        .split_inclusive('\n')
        .map(|line| {
            let body = line.trim_end_matches(['\n', '\r']);
            match body.split_once(['=', ':']) {
                Some((key, value)) if short.contains(&value.trim()) => {
                    let mark = body.get(key.len()..=key.len()).unwrap_or("=");
                    format!("{key}{mark} ***{}", line.get(body.len()..).unwrap_or_default())
                }
                _ => line.to_owned(),
            }
        })
        .collect()
}

/// How many findings of one kind are written out where none of them needs a decision; `--json` has all.
const MOST_OF_A_KIND: usize = 12;

/// The findings, most severe first, with a line of counts. Everything that needs a decision is written out.
pub fn findings(findings: &[Finding]) -> String {
    let mut text = String::new();
    for severity in Severity::ALL {
        let of: Vec<&Finding> = findings.iter().filter(|finding| finding.severity == severity).collect();
        if of.is_empty() {
            continue;
        }
        let _ = writeln!(text, "{severity}: {}", of.len());
        let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
        for finding in of {
            let met = kinds.entry(finding.id.as_str()).or_default();
            *met += 1;
            if severity.needs_a_decision() || *met <= MOST_OF_A_KIND {
                write_finding(&mut text, finding);
            }
        }
        for (id, count) in kinds {
            if !severity.needs_a_decision() && count > MOST_OF_A_KIND {
                let _ = writeln!(
                    text,
                    "  … and {} more of {id} (`--json` has all)",
                    count - MOST_OF_A_KIND
                );
            }
        }
    }
    text
}

fn write_finding(text: &mut String, finding: &Finding) {
    let place = match (&finding.file, finding.line) {
        (Some(file), Some(line)) => format!("{file}:{line}: "),
        (Some(file), None) => format!("{file}: "),
        _ => String::new(),
    };
    let _ = write!(text, "  {place}{}: {}", finding.subject, finding.message);
    if let Some(since) = &finding.since {
        let _ = write!(text, " (since {since})");
    }
    text.push('\n');
    if !finding.remedy.is_empty() {
        let _ = writeln!(text, "    next: {}", finding.remedy);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diff_shows_no_secret_in_value_comment_or_url() {
        let before = b"[DEFAULT]\nrabbit_password = s3cr3t!\nmetadata_proxy_shared_secret = ab\nx = 1\n";
        let after =
            b"[DEFAULT]\n# gone: rabbit_password = s3cr3t!\ntransport_url = rabbit://u:s3cr3t!@h/\nmetadata_proxy_shared_secret = ab\nx = 2\n";
        let secrets = secrets(before, &[]);
        let diff = diff("/etc/nova/nova.conf", before, after, &secrets);
        assert!(!diff.contains("s3cr3t") && !diff.contains("= ab"), "{diff}");
        assert!(
            diff.contains("--- a/etc/nova/nova.conf") && diff.contains("+x = 2"),
            "{diff}"
        );
        assert!(super::diff("x", before, before, &secrets).is_empty());
    }

    #[test]
    fn findings_come_by_severity_with_counts() {
        let all = [
            Finding::new("a", Severity::Info, "s", "quiet"),
            Finding::new("b", Severity::LostUnlessYouAct, "DEFAULT.x", "is gone").remedy("decide"),
        ];
        let text = findings(&all);
        assert!(
            text.starts_with("lost unless you act: 1\n  DEFAULT.x: is gone\n    next: decide\n"),
            "{text}"
        );
        assert!(text.ends_with("note: 1\n  s: quiet\n"), "{text}");
        let many: Vec<Finding> = (0..20)
            .map(|n| {
                Finding::new(
                    "default-changed",
                    Severity::ChangedDefault,
                    format!("DEFAULT.o{n}"),
                    "x",
                )
            })
            .collect();
        assert!(findings(&many).contains("… and 8 more of default-changed"));
    }
}
