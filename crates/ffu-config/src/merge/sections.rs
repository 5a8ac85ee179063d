//! Whole sections: what upstream has taken out, what it has added, and what pipelines still need.

use super::document::{Document, Item, Section};
use super::paste;
use super::three_way::Merge;
use crate::finding::Severity;

impl Merge<'_> {
    /// Removes a section that the operator did not touch; comments of the operator's own stay.
    pub(super) fn remove_section(&mut self, name: &str) {
        self.say(
            "merge-upstream-removed",
            Severity::Info,
            name,
            "",
            "upstream took it out, and so did the merge".into(),
            "",
        );
        let theirs: Vec<&Item> = self.base.sections.iter().flat_map(|s| &s.items).collect();
        let mut sections: Vec<Section> = Vec::new();
        for mut section in std::mem::take(&mut self.out.sections) {
            if section.name != name {
                sections.push(section);
                continue;
            }
            section.items.retain(|item| match item {
                Item::Key { .. } => false,
                // Blank lines between a section that goes and the next one go with it.
                Item::Other(raw) => !raw.trim().is_empty() && !theirs.contains(&item),
            });
            // A banner over the next section stands at the end of this one.
            let banner = self.banner_after(name);
            section.items.extend(banner);
            match sections.last_mut() {
                Some(last) => last.items.extend(section.items),
                None => self.out.head.extend(section.items.iter().map(|item| match item {
                    Item::Other(raw) | Item::Key { raw, .. } => raw.as_str(),
                })),
            }
        }
        self.out.sections = sections;
    }

    /// The comments at the end of a section of upstream's old file, which belong to what follows it.
    fn banner_after(&self, name: &str) -> Vec<Item> {
        let Some(section) = self.base.sections.iter().rev().find(|s| s.name == name) else {
            return Vec::new();
        };
        let last = section
            .items
            .iter()
            .rposition(|item| matches!(item, Item::Key { .. }))
            .map_or(0, |n| n + 1);
        let tail = &section.items[last..];
        match tail
            .iter()
            .any(|item| matches!(item, Item::Other(raw) if !raw.trim().is_empty()))
        {
            true => tail.to_vec(),
            false => Vec::new(),
        }
    }

    /// Adds sections that upstream has added, each after the one that it follows there.
    pub(super) fn new_sections(&mut self, mine: &Document) {
        for name in self.theirs.names() {
            if mine.has(name) {
                continue;
            }
            if self.base.has(name) {
                let same = |key: &&str| self.same(name, key, self.base.get(name, key), self.theirs.get(name, key));
                if !self.theirs.keys(name).iter().all(same) {
                    let message = format!("you took it out, and upstream changed it by {}", self.request.to);
                    let remedy = "put it back if the target needs it";
                    self.say("merge-conflict", Severity::Decide, name, "", message, remedy);
                }
                continue;
            }
            self.add_section(name, "new, taken from upstream");
        }
    }

    fn add_section(&mut self, name: &str, message: &str) {
        let Some(at) = self.theirs.sections.iter().position(|s| s.name == name) else {
            return;
        };
        let mut section = self.theirs.sections[at].clone();
        section.line = 0;
        while matches!(section.items.last(), Some(Item::Other(_))) {
            section.items.pop();
        }
        if let Some(Item::Key { raw, .. }) = section.items.last_mut()
            && !raw.ends_with('\n')
        {
            raw.push('\n');
        }
        section.items.push(Item::Other("\n".to_owned()));
        let before = self.theirs.sections[..at]
            .iter()
            .rev()
            .find_map(|known| self.out.sections.iter().rposition(|section| section.name == known.name));
        let place = before.map_or(0, |n| n + 1);
        let blank = |item: &Item| matches!(item, Item::Other(raw) if raw.trim().is_empty());
        if let Some(previous) = place.checked_sub(1).and_then(|n| self.out.sections.get_mut(n)) {
            // Comments at the end of a section, after a blank line where there is one, belong to the one that follows.
            let last = previous
                .items
                .iter()
                .rposition(|item| matches!(item, Item::Key { .. }))
                .map_or(0, |n| n + 1);
            let gap = previous.items[last..]
                .iter()
                .position(blank)
                .map_or(last, |n| last + n + 1);
            let moved = previous.items.split_off(gap);
            if !previous.items.last().is_some_and(blank) {
                previous.items.push(Item::Other("\n".to_owned()));
            }
            section.items.extend(moved);
        }
        self.out.sections.insert(place, section);
        self.say("merge-upstream", Severity::Info, name, "", message.to_owned(), "");
    }

    /// Puts back what a pipeline still needs, and tells what is nowhere.
    pub(super) fn repair(&mut self, mine: &Document) {
        for (name, section, key) in paste::missing(&self.out) {
            if paste::section_of(&self.out, &name).is_some() {
                continue;
            }
            if let Some(theirs) = paste::section_of(self.theirs, &name).map(|s| s.name.clone()) {
                self.add_section(&theirs, "needed by a pipeline, taken from upstream");
            } else if let Some(own) = paste::section_of(mine, &name).cloned() {
                let own_name = own.name.clone();
                if let Some(Section { items, .. }) = self.out.sections.last_mut()
                    && !matches!(items.last(), Some(Item::Other(raw)) if raw.trim().is_empty())
                {
                    items.push(Item::Other("\n".to_owned()));
                }
                self.out.sections.push(own);
                let message =
                    format!("upstream took it out, but [{section}] {key} uses it, so it stays; its code may be gone");
                let remedy = "check that what it names can still be imported, or take it out of the pipeline";
                self.say("merge-still-used", Severity::Decide, &own_name, "", message, remedy);
            } else if !paste::missing(mine).iter().any(|(before, ..)| *before == name) {
                let message = format!("uses {name}, for which there is no section");
                self.say(
                    "merge-nothing-there",
                    Severity::Decide,
                    &section,
                    &key,
                    message,
                    "add the section",
                );
            }
        }
    }
}
