//! The words of a migration's findings, and which options they name.

use ffu_model::Series;
use foldhash::HashSet;

use crate::fate::Name;
use crate::finding::{self, Finding, Limit, Severity};

/// The findings so far.
#[derive(Default)]
pub(crate) struct Findings {
    pub list: Vec<Finding>,
    limit: Limit,
    /// Options of the first series whose changed or lost value a finding tells of.
    named: HashSet<(String, String)>,
}

/// Where something stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spot<'s> {
    pub label: &'s str,
    pub line: Option<usize>,
}

impl Findings {
    /// A finding about an entry; options named by one that says more than `moved` need no proof.
    pub fn add(&mut self, options: &[(&str, &str)], finding: Finding) {
        if !matches!(finding.severity, Severity::Moved | Severity::Info) {
            self.named.extend(
                options
                    .iter()
                    .map(|(group, name)| ((*group).to_owned(), (*name).to_owned())),
            );
        }
        if self.limit.admits(&finding) {
            self.list.push(finding);
        }
    }

    /// All of them, as they are shown.
    pub fn into_sorted(self) -> Vec<Finding> {
        let mut list = self.list;
        list.extend(self.limit.rest());
        finding::sort(&mut list);
        list
    }

    pub fn names(&self, group: &str, name: &str) -> bool {
        self.named.contains(&(group.to_owned(), name.to_owned()))
    }
}

/// A finding at a place.
pub(crate) fn at(id: &str, severity: Severity, subject: &str, message: String, spot: Option<Spot<'_>>) -> Finding {
    let finding = Finding::new(id, severity, subject, message);
    match spot {
        Some(Spot {
            label,
            line: Some(line),
        }) => finding.at(Some(label), line, 1),
        Some(Spot { label, line: None }) => {
            let mut finding = finding;
            finding.file = Some(label.to_owned());
            finding
        }
        None => finding,
    }
}

/// `a`, `a and b`, `a, b and c`.
pub(crate) fn listed(names: &[Name]) -> String {
    let texts: Vec<String> = names.iter().map(Name::to_string).collect();
    match texts.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [many @ .., last] => format!("{} and {last}", many.join(", ")),
    }
}

/// Since when something is gone and who said so.
pub(crate) fn gone_since(service: &str, since: &Series, announced: Option<&Series>) -> String {
    match announced {
        Some(series) if series == since => format!("{service} {since} has it no more, as announced"),
        Some(series) => format!("{service} {since} has it no more, as announced in {series}"),
        None => format!("{service} {since} does not know it any more; nobody announced that"),
    }
}
