//! The edits a migration makes. Each is checked first, so that what is written is read back as what was meant, in every era.

use super::entry::encode;
use super::error::EditError;
use super::line::{Lines, content};
use super::{Document, EntryEdit, EntryId, Inserted};
use crate::era::Era;
use foldhash::{HashMap, HashMapExt as _};

impl Document {
    /// Gives an entry another key; everything around it stays as it is.
    pub fn rename(&mut self, id: EntryId, key: &str) -> Result<(), EditError> {
        check_key(key)?;
        self.edit(id)?.key = Some(key.to_owned());
        Ok(())
    }

    /// Gives an entry another value. It is put into quotes where it would not be read back otherwise.
    pub fn set_value(&mut self, id: EntryId, value: &str) -> Result<(), EditError> {
        let key = self.live(id)?.key.into_owned();
        check_value(&key, value)?;
        self.edit(id)?.value = Some(value.to_owned());
        Ok(())
    }

    /// Moves an entry, with the comments directly above it, to the end of a section: the last one of that group, or a new
    /// one at the end of the file.
    pub fn move_to(&mut self, id: EntryId, section: &str) -> Result<(), EditError> {
        check_section(section)?;
        self.live(id)?;
        let target = self.section_for(section);
        let before = self.edit(id)?.moved.replace(target);
        if let Some(entries) = before.and_then(|section| self.edits.appended.get_mut(&section)) {
            entries.retain(|other| *other != id);
        }
        self.edits.appended.entry(target).or_default().push(id);
        Ok(())
    }

    /// Turns an entry into comments: the reasons first, then all its lines behind `#`.
    pub fn comment_out(&mut self, id: EntryId, reasons: &[&str]) -> Result<(), EditError> {
        self.annotate(id, reasons)?;
        self.edit(id)?.commented_out = true;
        Ok(())
    }

    /// Adds comment lines directly above an entry, below those that it has.
    pub fn annotate(&mut self, id: EntryId, lines: &[&str]) -> Result<(), EditError> {
        self.live(id)?;
        let lines = comment_lines(lines);
        self.edit(id)?.notes.extend(lines);
        Ok(())
    }

    /// Adds an entry with comments at the end of a section (as [`Document::move_to`] finds it).
    pub fn insert(&mut self, section: &str, key: &str, value: &str, comments: &[&str]) -> Result<EntryId, EditError> {
        check_section(section)?;
        check_key(key)?;
        check_value(key, value)?;
        let number = self.spans.len() + self.edits.inserted.len();
        let id = EntryId(u32::try_from(number).map_err(|_| EditError::Full)?);
        let target = self.section_for(section);
        self.edits.inserted.push(Inserted {
            key: key.to_owned(),
            value: value.to_owned(),
        });
        let edit = EntryEdit {
            moved: Some(target),
            notes: comment_lines(comments),
            ..EntryEdit::default()
        };
        self.edits.entries.insert(id.0, edit);
        self.edits.appended.entry(target).or_default().push(id);
        Ok(id)
    }

    fn live(&self, id: EntryId) -> Result<super::Entry<'_>, EditError> {
        self.entry(id).ok_or(EditError::NoSuchEntry { id: id.0 })
    }

    fn edit(&mut self, id: EntryId) -> Result<&mut EntryEdit, EditError> {
        self.live(id)?;
        Ok(self.edits.entries.entry(id.0).or_default())
    }

    /// The section at whose end something new of a group goes; the last one, so that it counts after what is there.
    fn section_for(&mut self, section: &str) -> u32 {
        if self.edits.last_of_group.is_none() {
            let mut last = HashMap::new();
            for (index, text) in self.sections().enumerate() {
                last.insert(self.era.group(text).into_owned(), index as u32);
            }
            self.edits.last_of_group = Some(last);
        }
        let new = self.section_count();
        let group = self.era.group(section).into_owned();
        let groups = self.edits.last_of_group.get_or_insert_default();
        let index = *groups.entry(group).or_insert(new);
        if index == new {
            self.edits.created.push(section.to_owned());
        }
        index
    }
}

fn check_key(key: &str) -> Result<(), EditError> {
    let bad = key.is_empty()
        || key.contains(['=', ':', '\n', '\r'])
        || key.starts_with(['[', '#', ';', '\u{feff}'])
        || Era::NEWEST.strip(key) != key;
    if bad {
        return Err(EditError::Key { key: key.to_owned() });
    }
    Ok(())
}

fn check_value(key: &str, value: &str) -> Result<(), EditError> {
    encode(value, "\n").map(drop).map_err(|reason| EditError::Value {
        key: key.to_owned(),
        reason,
    })
}

fn check_section(section: &str) -> Result<(), EditError> {
    if section.is_empty() || section.contains(['\n', '\r']) {
        return Err(EditError::Section {
            section: section.to_owned(),
        });
    }
    Ok(())
}

/// Comment lines as they are written: each begins with `#` (or `;`), none holds a line break.
fn comment_lines(lines: &[&str]) -> Vec<String> {
    let mut written = Vec::new();
    for text in lines {
        if text.is_empty() {
            written.push("#".to_owned());
        }
        for line in Lines::strict(text) {
            let line = Era::NEWEST.strip_end(content(line));
            written.push(match line.chars().next() {
                Some('#' | ';') => line.to_owned(),
                Some(_) => format!("# {line}"),
                None => "#".to_owned(),
            });
        }
    }
    written
}
