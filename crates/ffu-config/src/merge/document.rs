//! Sections and keys of an INI file as Python's `RawConfigParser` reads it, with every byte kept.

use super::{Kind, MOST_BYTES, MergeError, Side};

/// A line or a few that belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Item {
    /// A comment or blank line.
    Other(String),
    /// A key with its value, continuation lines included.
    Key {
        /// The key, as it is looked for.
        key: String,
        /// The lines of the value, trimmed.
        value: String,
        /// The lines as they stand.
        raw: String,
        /// The line, from 1; 0 for one that was added.
        line: usize,
    },
}

/// A section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Section {
    /// What stands in the brackets.
    pub name: String,
    /// The header line.
    pub header: String,
    /// Its line, from 1; 0 for one that was added.
    pub line: usize,
    /// What follows.
    pub items: Vec<Item>,
}

/// A file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Document {
    /// What stands before the first section.
    pub head: String,
    /// The sections.
    pub sections: Vec<Section>,
}

impl Document {
    pub(super) fn read(bytes: &[u8], side: Side, kind: Kind) -> Result<Self, MergeError> {
        if bytes.len() > MOST_BYTES {
            return Err(MergeError::TooLarge {
                side,
                bytes: bytes.len(),
                most: MOST_BYTES,
            });
        }
        let text = std::str::from_utf8(bytes).map_err(|error| MergeError::NotUtf8 {
            side,
            line: bytes[..error.valid_up_to()].iter().filter(|b| **b == b'\n').count() + 1,
        })?;
        let mut document = Document::default();
        // The key that an indented line would continue.
        let mut open = false;
        for (n, raw) in text.split_inclusive('\n').enumerate() {
            let line = raw.trim_end_matches(['\r', '\n']);
            let syntax = |what| MergeError::Syntax {
                side,
                line: n + 1,
                what,
            };
            if line.contains('\0') {
                return Err(syntax("it holds a NUL"));
            }
            let trimmed = line.trim();
            let comment = trimmed.is_empty() || trimmed.starts_with(['#', ';']);
            if comment {
                match document.sections.last_mut() {
                    Some(section) => section.items.push(Item::Other(raw.to_owned())),
                    None => document.head.push_str(raw),
                }
                // A comment inside of a value does not end it.
                open &= !trimmed.is_empty();
                continue;
            }
            if line.starts_with([' ', '\t']) && open {
                document.continue_value(trimmed, raw);
                continue;
            }
            if trimmed.starts_with('[') {
                let Some(end) = trimmed.find(']') else {
                    return Err(syntax("a section has no closing bracket"));
                };
                document.sections.push(Section {
                    name: trimmed[1..end].to_owned(),
                    header: raw.to_owned(),
                    line: n + 1,
                    items: Vec::new(),
                });
                open = false;
                continue;
            }
            let Some(section) = document.sections.last_mut() else {
                return Err(syntax("it stands before the first section"));
            };
            let Some((key, value)) = trimmed.split_once(['=', ':']) else {
                return Err(syntax("it is neither a section nor a key with a value"));
            };
            let key = key.trim_end();
            section.items.push(Item::Key {
                key: match kind {
                    Kind::Paste => key.to_owned(),
                    Kind::Rootwrap => key.to_lowercase(),
                },
                value: value.trim().to_owned(),
                raw: raw.to_owned(),
                line: n + 1,
            });
            open = true;
        }
        Ok(document)
    }

    fn continue_value(&mut self, trimmed: &str, line: &str) {
        let Some(section) = self.sections.last_mut() else {
            return;
        };
        let Some(at) = section.items.iter().rposition(|item| matches!(item, Item::Key { .. })) else {
            return;
        };
        let between: Vec<Item> = section.items.drain(at + 1..).collect();
        if let Some(Item::Key { value, raw, .. }) = section.items.last_mut() {
            for item in between {
                if let Item::Other(text) = item {
                    raw.push_str(&text);
                }
            }
            raw.push_str(line);
            value.push('\n');
            value.push_str(trimmed);
        }
    }

    /// The value that counts of a key: the last one.
    pub(super) fn get(&self, section: &str, key: &str) -> Option<&str> {
        let items = self
            .sections
            .iter()
            .filter(|s| s.name == section)
            .flat_map(|s| &s.items);
        let mut values = items.filter_map(|item| match item {
            Item::Key { key: this, value, .. } if this == key => Some(value.as_str()),
            _ => None,
        });
        values.next_back()
    }

    pub(super) fn has(&self, section: &str) -> bool {
        self.sections.iter().any(|s| s.name == section)
    }

    /// The keys of a section, each once, in order.
    pub(super) fn keys<'d>(&'d self, section: &'d str) -> Vec<&'d str> {
        let mut keys = Vec::new();
        for item in self
            .sections
            .iter()
            .filter(|s| s.name == section)
            .flat_map(|s| &s.items)
        {
            if let Item::Key { key, .. } = item
                && !keys.contains(&key.as_str())
            {
                keys.push(key.as_str());
            }
        }
        keys
    }

    /// The names of the sections, each once, in order.
    pub(super) fn names(&self) -> Vec<&str> {
        let mut names = Vec::new();
        for section in &self.sections {
            if !names.contains(&section.name.as_str()) {
                names.push(section.name.as_str());
            }
        }
        names
    }

    pub(super) fn text(&self) -> String {
        let mut text = self.head.clone();
        for section in &self.sections {
            text += &section.header;
            for item in &section.items {
                match item {
                    Item::Other(raw) | Item::Key { raw, .. } => {
                        // A last line without a line break that is no longer the last.
                        if !text.is_empty() && !text.ends_with('\n') {
                            text.push('\n');
                        }
                        text += raw;
                    }
                }
            }
            if !text.ends_with('\n') && !std::ptr::eq(section, &self.sections[self.sections.len() - 1]) {
                text.push('\n');
            }
        }
        text
    }
}
