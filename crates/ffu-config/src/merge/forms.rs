//! Values in the form in which two are compared, and files that have nothing to be compared with.

use super::document::Document;
use super::{Kind, Merged, Request, paste};
use crate::finding::{Finding, Severity};

/// Whether a key holds a list, and what separates its elements.
pub(super) fn separator(kind: Kind, section: &str, key: &str) -> Option<char> {
    match kind {
        Kind::Paste => paste::is_pipeline(section, key).then_some(' '),
        Kind::Rootwrap => matches!(key, "filters_path" | "exec_dirs").then_some(','),
    }
}

pub(super) fn elements(separator: char, value: &str) -> Vec<&str> {
    let parts = value.split(|c: char| c == separator || (separator == ' ' && c.is_whitespace()));
    parts.map(str::trim).filter(|part| !part.is_empty()).collect()
}

/// A value in the form in which two are compared.
pub(super) fn form(kind: Kind, section: &str, key: &str, value: &str) -> String {
    let separator = separator(kind, section, key);
    match (separator, kind) {
        (Some(separator), _) => elements(separator, value).join(" "),
        // A filter is a list of words, of which blanks around the commas are no part.
        (None, Kind::Rootwrap) => value.split(',').map(str::trim).collect::<Vec<_>>().join(","),
        (None, Kind::Paste) => value.to_owned(),
    }
}

/// A file that the target does not read at all.
pub(super) fn unused(request: &Request<'_>, base: &Document, mine: &Document, text: String) -> Merged {
    let mut own = Vec::new();
    for section in mine.names() {
        for key in mine.keys(section) {
            let theirs = base
                .get(section, key)
                .map(|value| form(Kind::Paste, section, key, value));
            if theirs
                != mine
                    .get(section, key)
                    .map(|value| form(Kind::Paste, section, key, value))
            {
                own.push(format!("[{section}] {key}"));
            }
        }
    }
    let known = request.base.is_some();
    let message = format!("{} does not read this file any more", request.to);
    let finding = match own.is_empty() && known {
        true => Finding::new("merge-file-gone", Severity::RemovedWithoutEffect, request.name, message),
        false => {
            let what = own.join(", ");
            Finding::new(
                "merge-file-gone",
                Severity::LostUnlessYouAct,
                request.name,
                format!("{message}; your own: {what}"),
            )
            .remedy("find another place for these, such as the web server in front of the API")
        }
    };
    let mut finding = finding;
    finding.file = Some(request.name.to_owned());
    Merged {
        bytes: text.into_bytes(),
        changed: false,
        unused: true,
        conflicts: Vec::new(),
        findings: vec![finding],
    }
}
