//! The merge itself: upstream's changes, key by key, onto the operator's document.

use super::document::{Document, Item};
use super::forms::{elements, form, separator, unused};
use super::{Conflict, Kind, Merged, Request, lists};
use crate::finding::{self, Finding, Severity};

/// How the remark of a conflict begins.
const MARK: &str = "# ffu: conflict: ";

pub(super) struct Merge<'a> {
    pub(super) request: &'a Request<'a>,
    pub(super) base: &'a Document,
    pub(super) theirs: &'a Document,
    pub(super) out: Document,
    pub(super) findings: Vec<Finding>,
}

pub(super) fn merge(request: &Request<'_>, base: &Document, mine: Document, theirs: &Document) -> Merged {
    let before = mine.text();
    if request.theirs.is_none() && request.kind == Kind::Paste {
        return unused(request, base, &mine, before);
    }
    let mut merge = Merge {
        request,
        base,
        theirs,
        out: mine.clone(),
        findings: Vec::new(),
    };
    for name in mine.names() {
        merge.section(&mine, name);
    }
    merge.new_sections(&mine);
    if request.kind == Kind::Paste {
        merge.repair(&mine);
    }
    let text = merge.out.text();
    let conflicts = text.lines().enumerate().filter_map(|(n, line)| {
        let subject = line.trim_start().strip_prefix(MARK)?.split(": ").next()?;
        Some(Conflict {
            subject: subject.to_owned(),
            line: n + 1,
        })
    });
    let conflicts = conflicts.collect();
    finding::sort(&mut merge.findings);
    Merged {
        conflicts,
        changed: text.as_bytes() != request.mine,
        unused: false,
        bytes: text.into_bytes(),
        findings: merge.findings,
    }
}

impl Merge<'_> {
    pub(super) fn same(&self, section: &str, key: &str, a: Option<&str>, b: Option<&str>) -> bool {
        let form = |value: Option<&str>| value.map(|value| form(self.request.kind, section, key, value));
        form(a) == form(b)
    }

    pub(super) fn say(
        &mut self,
        id: &str,
        severity: Severity,
        section: &str,
        key: &str,
        message: String,
        remedy: &str,
    ) {
        let subject = match key {
            "" => format!("[{section}]"),
            key => format!("[{section}] {key}"),
        };
        let mut finding = Finding::new(id, severity, subject, message).remedy(remedy);
        finding.file = Some(self.request.name.to_owned());
        finding.line = self.line(section, key);
        self.findings.push(finding);
    }

    fn line(&self, section: &str, key: &str) -> Option<usize> {
        let sections = self.out.sections.iter().filter(|s| s.name == section);
        let lines = sections.flat_map(|s| s.items.iter().map(move |item| (s.line, item)));
        let mut keys = lines.filter_map(|(_, item)| match item {
            Item::Key { key: this, line, .. } if this == key => Some(*line),
            _ => None,
        });
        let header = || self.out.sections.iter().find(|s| s.name == section).map(|s| s.line);
        keys.next_back().or_else(header).filter(|line| *line > 0)
    }

    fn section(&mut self, mine: &Document, name: &str) {
        let (base, theirs) = (self.base, self.theirs);
        if base.has(name) && !theirs.has(name) {
            let untouched = mine
                .keys(name)
                .iter()
                .all(|key| self.same(name, key, mine.get(name, key), base.get(name, key)));
            if untouched {
                self.remove_section(name);
                return;
            }
        }
        let mut keys = mine.keys(name);
        keys.extend(
            theirs
                .keys(name)
                .into_iter()
                .filter(|key| mine.get(name, key).is_none()),
        );
        for key in keys {
            self.key(mine, name, key);
        }
    }

    fn key(&mut self, mine: &Document, section: &str, key: &str) {
        let [was, own, new] = [self.base, mine, self.theirs].map(|document| document.get(section, key));
        let (was, new) = (was.map(str::to_owned), new.map(str::to_owned));
        let (was, new) = (was.as_deref(), new.as_deref());
        if self.same(section, key, own, new) || self.same(section, key, was, new) {
            return;
        }
        if self.same(section, key, was, own) {
            match new {
                Some(_) => self.take(section, key),
                None => self.drop_key(section, key),
            }
            return;
        }
        if let (Some(separator), Some(own), Some(new)) = (separator(self.request.kind, section, key), own, new) {
            let [was, own, new] = [was.unwrap_or_default(), own, new].map(|value| elements(separator, value));
            if let Some(list) = lists::merge(&was, &own, &new) {
                self.put_list(section, key, separator, &list);
                return;
            }
        }
        self.conflict(section, key, own, new);
    }

    /// Both changed it: the operator's form stays under a remark.
    fn conflict(&mut self, section: &str, key: &str, own: Option<&str>, new: Option<&str>) {
        let shown = |value: &str| value.split_whitespace().collect::<Vec<_>>().join(" ");
        let to = self.request.to;
        let upstream = match new {
            Some(new) => format!("upstream's in {to} is {key} = {}", shown(new)),
            None => format!("upstream has taken it out by {to}"),
        };
        if own.is_none() {
            let message = format!("you took it out, and upstream changed it: {upstream}");
            let remedy = "put it back if the target needs it";
            return self.say("merge-conflict", Severity::Decide, section, key, message, remedy);
        }
        let remark = format!("{MARK}[{section}] {key}: {upstream}\n");
        for part in self.out.sections.iter_mut().filter(|s| s.name == section).rev() {
            let Some(at) = part
                .items
                .iter()
                .rposition(|item| matches!(item, Item::Key { key: this, .. } if this == key))
            else {
                continue;
            };
            let there = at > 0 && part.items.get(at - 1) == Some(&Item::Other(remark.clone()));
            if !there {
                part.items.insert(at, Item::Other(remark));
            }
            break;
        }
        let message = format!("both you and upstream changed it; yours was kept, {upstream}");
        self.say(
            "merge-conflict",
            Severity::Decide,
            section,
            key,
            message,
            "choose one, and take the remark out",
        );
    }

    /// Takes upstream's lines of a key that the operator did not touch.
    fn take(&mut self, section: &str, key: &str) {
        let parts = self
            .theirs
            .sections
            .iter()
            .filter(|s| s.name == section)
            .flat_map(|s| s.items.iter().enumerate().map(move |n| (s, n)));
        let found = parts
            .rev()
            .find(|(_, (_, item))| matches!(item, Item::Key { key: this, .. } if this == key));
        let Some((their_section, (at, Item::Key { value, raw, .. }))) = found else {
            return;
        };
        let raw = if raw.ends_with('\n') {
            raw.clone()
        } else {
            format!("{raw}\n")
        };
        let before = their_section.items[..at].iter().rev().find_map(|item| match item {
            Item::Key { key, .. } => Some(key.clone()),
            Item::Other(_) => None,
        });
        // Upstream's comment directly above a key that is new comes with it.
        let comments = their_section.items[..at].iter().rev();
        let mut comments: Vec<Item> = comments
            .take_while(|item| matches!(item, Item::Other(raw) if raw.starts_with(['#', ';'])))
            .cloned()
            .collect();
        comments.reverse();
        let new = Item::Key {
            key: key.to_owned(),
            value: value.clone(),
            raw,
            line: 0,
        };
        let is = |item: &Item, wanted: &str| matches!(item, Item::Key { key, .. } if key == wanted);
        for part in self.out.sections.iter_mut().filter(|s| s.name == section).rev() {
            if let Some(item) = part.items.iter_mut().rev().find(|item| is(item, key)) {
                let line = if let Item::Key { line, .. } = item { *line } else { 0 };
                *item = new;
                if let Item::Key { line: this, .. } = item {
                    *this = line;
                }
                return self.say(
                    "merge-upstream",
                    Severity::Info,
                    section,
                    key,
                    "taken from upstream".into(),
                    "",
                );
            }
        }
        if let Some(part) = self.out.sections.iter_mut().rev().find(|s| s.name == section) {
            let after = before.and_then(|before| part.items.iter().rposition(|item| is(item, &before)));
            let last = || part.items.iter().rposition(|item| matches!(item, Item::Key { .. }));
            let at = match (after, last()) {
                (Some(after), _) => after + 1,
                (None, Some(_)) if their_section.items[..at].iter().all(|i| matches!(i, Item::Other(_))) => 0,
                (None, Some(last)) => last + 1,
                (None, None) => 0,
            };
            let known: Vec<Item> = part.items.clone();
            let comments = comments.into_iter().filter(|comment| !known.contains(comment));
            let items: Vec<Item> = comments.chain([new]).collect();
            part.items.splice(at..at, items);
            self.say(
                "merge-upstream",
                Severity::Info,
                section,
                key,
                "new, taken from upstream".into(),
                "",
            );
        }
    }

    fn drop_key(&mut self, section: &str, key: &str) {
        self.say(
            "merge-upstream-removed",
            Severity::Info,
            section,
            key,
            "upstream took it out, and so did the merge".into(),
            "",
        );
        for part in self.out.sections.iter_mut().filter(|s| s.name == section) {
            part.items
                .retain(|item| !matches!(item, Item::Key { key: this, .. } if this == key));
        }
    }

    fn put_list(&mut self, section: &str, key: &str, separator: char, list: &lists::List) {
        let text = match separator {
            ' ' => list.elements.join(" "),
            _ => list.elements.join(&separator.to_string()),
        };
        let old = self.out.get(section, key).unwrap_or_default().to_owned();
        if elements(separator, &old) == list.elements.iter().map(String::as_str).collect::<Vec<_>>() {
            return;
        }
        match &list.guessed {
            Some((own, theirs)) => {
                let message = format!("merged to {text}; {own} and {theirs} were both put at the same place");
                self.say(
                    "merge-order-guessed",
                    Severity::Decide,
                    section,
                    key,
                    message,
                    "check their order",
                );
            }
            None => self.say(
                "merge-list",
                Severity::Info,
                section,
                key,
                format!("merged to {text}"),
                "",
            ),
        }
        for part in self.out.sections.iter_mut().filter(|s| s.name == section).rev() {
            let last = part
                .items
                .iter_mut()
                .rev()
                .find(|item| matches!(item, Item::Key { key: this, .. } if this == key));
            if let Some(Item::Key { raw, value, .. }) = last {
                let end = raw.len() - raw.trim_end_matches(['\r', '\n']).len();
                let newline = if end == 0 {
                    "\n".to_owned()
                } else {
                    raw[raw.len() - end..].to_owned()
                };
                let sign = raw.find(['=', ':']).unwrap_or(raw.len());
                let blanks = raw[sign..].chars().skip(1).take_while(|c| *c == ' ').count().min(1);
                let head = raw.get(..=sign).unwrap_or(raw).to_owned();
                *raw = format!("{head}{}{text}{newline}", " ".repeat(blanks));
                *value = text;
                return;
            }
        }
    }
}
