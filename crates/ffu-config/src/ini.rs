//! oslo.config's INI files, read without losing a byte and edited in place.
//!
//! [`Document::parse`] accepts and refuses exactly what `oslo_config.iniparser` accepts and refuses, and each entry's value
//! is what it would hand out. The document keeps the text and five numbers an entry; keys and values are cut out of the
//! text when asked for. Edits are remembered beside the text and woven in by [`Document::to_bytes`].

mod edit;
mod entry;
mod error;
mod line;
mod parse;
mod write;

use std::borrow::Cow;
use std::collections::BTreeMap;

use foldhash::HashMap;

pub use entry::Entry;
pub use error::{EditError, ParseError, ParseErrorKind};

use crate::era::Era;

/// Which entry of a document; it stays the same through all edits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId(pub(crate) u32);

/// A file of oslo.config.
#[derive(Clone, Debug)]
pub struct Document {
    text: String,
    era: Era,
    sections: Vec<SectionSpan>,
    spans: Vec<EntrySpan>,
    edits: Edits,
}

/// Where a section line stands in the text.
#[derive(Clone, Copy, Debug)]
struct SectionSpan {
    /// The first byte of its text, after the bracket.
    name_start: u32,
    /// The byte behind its text.
    name_end: u32,
    /// The byte behind its line.
    end: u32,
}

/// Where an entry stands in the text.
#[derive(Clone, Copy, Debug)]
struct EntrySpan {
    /// The first byte of its first line.
    start: u32,
    /// The separator of key and value.
    separator: u32,
    /// The byte behind its last line.
    end: u32,
    /// Its section, an index into the sections.
    section: u32,
    /// The number of its first line, from 1.
    line: u32,
}

/// What was changed since the text was read.
#[derive(Clone, Debug, Default)]
struct Edits {
    entries: BTreeMap<u32, EntryEdit>,
    /// Entries that are not in the text; their ids follow those of the text.
    inserted: Vec<Inserted>,
    /// Entries that were moved or inserted, by the index of the section at whose end they stand.
    appended: BTreeMap<u32, Vec<EntryId>>,
    /// Sections that are not in the text; their indexes follow those of the text.
    created: Vec<String>,
    /// The last section of each group, built with the first edit that needs it.
    last_of_group: Option<HashMap<String, u32>>,
}

#[derive(Clone, Debug, Default)]
struct EntryEdit {
    key: Option<String>,
    value: Option<String>,
    /// Comment lines that were added above it.
    notes: Vec<String>,
    /// The section it was moved to.
    moved: Option<u32>,
    commented_out: bool,
}

#[derive(Clone, Debug)]
struct Inserted {
    key: String,
    value: String,
}

impl Document {
    /// Reads a file as the newest oslo.config does.
    pub fn parse(bytes: &[u8]) -> Result<Document, ParseError> {
        Document::parse_as(bytes, Era::NEWEST)
    }

    /// Reads a file by the rules of an era.
    ///
    /// One input is refused that Python 2.7 took: bytes that are not UTF-8, because the file could not be used by any
    /// later series.
    pub fn parse_as(bytes: &[u8], era: Era) -> Result<Document, ParseError> {
        parse::parse(bytes, era)
    }

    /// The era by whose rules it was read.
    pub fn era(&self) -> Era {
        self.era
    }

    /// Whether any edit was made.
    pub fn is_changed(&self) -> bool {
        !self.edits.entries.is_empty() || !self.edits.inserted.is_empty()
    }

    /// Line and column of the first NUL character. oslo.config takes it as part of a key or value; nobody means it.
    pub fn first_nul(&self) -> Option<(usize, usize)> {
        let at = self.text.bytes().position(|byte| byte == 0)?;
        Some(line::place(&self.text, at, self.era))
    }

    /// The text of each section line, verbatim, in the order of the file, repeated where the file repeats it.
    pub fn sections(&self) -> impl Iterator<Item = &str> {
        (0..self.section_count()).map(|index| self.section_text(index))
    }

    /// The entries in the order in which they stand in the (edited) file.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        (0..self.section_count()).flat_map(move |section| {
            let own = self.source_entries(section);
            let appended = self.edits.appended.get(&section).map(Vec::as_slice).unwrap_or_default();
            own.filter(|id| self.edit_of(*id).is_none_or(|edit| edit.moved.is_none()))
                .chain(appended.iter().copied())
                .filter_map(|id| self.entry(id))
        })
    }

    /// One entry; `None` where it was commented out, or is of another document.
    pub fn entry(&self, id: EntryId) -> Option<Entry<'_>> {
        let edit = self.edit_of(id);
        if edit.is_some_and(|edit| edit.commented_out) {
            return None;
        }
        let span = self.spans.get(id.0 as usize);
        let section = match (edit.and_then(|edit| edit.moved), span) {
            (Some(section), _) => section,
            (None, Some(span)) => span.section,
            (None, None) => return None,
        };
        Some(Entry {
            document: self,
            id,
            section: self.section_text(section),
            key: self.key_of(id)?,
            line: span.map(|span| span.line as usize),
        })
    }

    fn edit_of(&self, id: EntryId) -> Option<&EntryEdit> {
        self.edits.entries.get(&id.0)
    }

    fn section_count(&self) -> u32 {
        (self.sections.len() + self.edits.created.len()) as u32
    }

    fn section_text(&self, index: u32) -> &str {
        let index = index as usize;
        match self.sections.get(index) {
            Some(span) => &self.text[span.name_start as usize..span.name_end as usize],
            None => {
                let created = self.edits.created.get(index - self.sections.len());
                created.map(String::as_str).unwrap_or_default()
            }
        }
    }

    /// The ids of the entries that stand under a section in the text.
    fn source_entries(&self, section: u32) -> impl Iterator<Item = EntryId> + use<> {
        let first = self.spans.partition_point(|span| span.section < section);
        let behind = self.spans.partition_point(|span| span.section <= section);
        (first as u32..behind as u32).map(EntryId)
    }
}

/// A group as the newest oslo.config compares it; [`Era::group`] does it for an era.
pub fn normalise_group(group: &str) -> Cow<'_, str> {
    Era::NEWEST.group(group)
}

#[cfg(test)]
mod tests;
