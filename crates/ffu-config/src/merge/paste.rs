//! Which sections of a PasteDeploy file refer to which, so that a merge leaves no pipeline with a part that is not there.

use super::document::{Document, Item};

/// Prefixes of section names that a name in a pipeline can mean (`paste.deploy.loadwsgi`).
const PREFIXES: [&str; 8] = [
    "filter",
    "app",
    "application",
    "composite",
    "composit",
    "pipeline",
    "filter-app",
    "server",
];

/// Whether a key holds the parts of a pipeline.
pub(super) fn is_pipeline(section: &str, key: &str) -> bool {
    match section.split_once(':') {
        Some(("pipeline", _)) => key == "pipeline",
        // Projects' own pipeline factories: `keystone = cors … osapi`; `/v2: app` is a urlmap.
        Some(("composite" | "composit", _)) => key != "use" && !key.starts_with('/') && !key.contains('.'),
        _ => false,
    }
}

/// Names that a document refers to without having a section for them, with the section and key that do so.
pub(super) fn missing(document: &Document) -> Vec<(String, String, String)> {
    let there = |name: &str| {
        let sections = document.sections.iter().map(|section| section.name.as_str());
        sections.into_iter().any(|section| match section.split_once(':') {
            Some((prefix, rest)) => PREFIXES.contains(&prefix.trim()) && rest.trim() == name,
            None => section == name,
        })
    };
    let mut missing = Vec::new();
    for section in &document.sections {
        let prefix = section.name.split(':').next().unwrap_or_default();
        for item in &section.items {
            let Item::Key { key, value, .. } = item else { continue };
            let names: Vec<&str> = match prefix {
                "pipeline" if key == "pipeline" => value.split_whitespace().collect(),
                "composite" | "composit" if key != "use" => value.split_whitespace().collect(),
                "filter-app" if key == "next" => vec![value],
                _ if key == "use" || key == "filter-with" => vec![value.as_str()],
                _ => continue,
            };
            // `egg:…`, `call:…`, `config:…` lead out of the file.
            for name in names.into_iter().filter(|name| !name.contains(':') && !name.is_empty()) {
                let url_or_flag = name.starts_with('/') || ["true", "false"].contains(&name.to_lowercase().as_str());
                if !there(name) && !url_or_flag {
                    missing.push((name.to_owned(), section.name.clone(), key.clone()));
                }
            }
        }
    }
    missing
}

/// The section of a document that a name in a pipeline means.
pub(super) fn section_of<'d>(document: &'d Document, name: &str) -> Option<&'d super::document::Section> {
    document
        .sections
        .iter()
        .find(|section| match section.name.split_once(':') {
            Some((prefix, rest)) => PREFIXES.contains(&prefix.trim()) && rest.trim() == name,
            None => false,
        })
}
