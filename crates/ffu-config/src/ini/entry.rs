//! One entry of a document, and how its key and value are cut out of the text.

use std::borrow::Cow;

use super::line::{Lines, content};
use super::{Document, EntryId, EntrySpan};
use crate::era::Era;

/// An option as it stands in a file.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    pub(super) document: &'a Document,
    /// Which one.
    pub id: EntryId,
    /// The text of its section line, verbatim.
    pub section: &'a str,
    /// Its key, without blanks around it.
    pub key: Cow<'a, str>,
    /// The line on which it stood when the file was read, from 1; `None` for one that an edit inserted.
    pub line: Option<usize>,
}

impl<'a> Entry<'a> {
    /// The value as oslo.config hands it out: further lines joined with `\n`, one pair of quotes taken off the first.
    pub fn value(&self) -> Cow<'a, str> {
        self.document.value_of(self.id)
    }

    /// The group as oslo.config compares it.
    pub fn group(&self) -> Cow<'a, str> {
        self.document.era.group(self.section)
    }

    /// All its lines as they would be written now, with their endings, without comments.
    pub fn raw(&self) -> Cow<'a, str> {
        self.document.raw_of(self.id)
    }

    /// The comment lines directly above it, with `#` or `;`, without line endings; those that edits added come last.
    pub fn comments(&self) -> Vec<&'a str> {
        let document = self.document;
        let source = document.comments_of(self.id);
        let notes = document.edit_of(self.id).map(|edit| edit.notes.as_slice());
        Lines::new(source, document.era)
            .map(content)
            .chain(notes.unwrap_or_default().iter().map(String::as_str))
            .collect()
    }
}

impl Document {
    pub(super) fn key_of(&self, id: EntryId) -> Option<Cow<'_, str>> {
        if let Some(key) = self.edit_of(id).and_then(|edit| edit.key.as_deref()) {
            return Some(Cow::Borrowed(key));
        }
        match self.spans.get(id.0 as usize) {
            Some(span) => Some(Cow::Borrowed(self.era.strip(self.cut(span.start, span.separator)))),
            None => self
                .inserted_of(id)
                .map(|inserted| Cow::Borrowed(inserted.key.as_str())),
        }
    }

    pub(super) fn value_of(&self, id: EntryId) -> Cow<'_, str> {
        if let Some(value) = self.edit_of(id).and_then(|edit| edit.value.as_deref()) {
            return Cow::Borrowed(value);
        }
        match self.spans.get(id.0 as usize) {
            Some(span) => self.source_value(span),
            None => Cow::Borrowed(self.inserted_of(id).map(|i| i.value.as_str()).unwrap_or_default()),
        }
    }

    fn source_value(&self, span: &EntrySpan) -> Cow<'_, str> {
        let text = self.cut(span.separator, span.end);
        let mut lines = Lines::new(text, self.era);
        // The separator is one ASCII character.
        let first = lines.next().and_then(|line| line.get(1..)).unwrap_or_default();
        let first = unquote(self.era.strip(first));
        let mut joined = Cow::Borrowed(first);
        for line in lines {
            let joined = joined.to_mut();
            joined.push('\n');
            joined.push_str(self.era.strip(line));
        }
        joined
    }

    /// The block of comment lines directly above an entry in the text.
    pub(super) fn comments_of(&self, id: EntryId) -> &str {
        match self.spans.get(id.0 as usize) {
            Some(span) => self.cut(self.comment_start(id, span), span.start),
            None => "",
        }
    }

    /// Where the comments above an entry begin; its own start where there are none.
    pub(super) fn comment_start(&self, id: EntryId, span: &EntrySpan) -> u32 {
        let section_end = self
            .sections
            .get(span.section as usize)
            .map_or(0, |section| section.end);
        let previous_end = match id.0.checked_sub(1).and_then(|i| self.spans.get(i as usize)) {
            Some(previous) => previous.end.max(section_end),
            None => section_end,
        };
        // Between the entry and what comes before it there are only comments and blank lines.
        let between = self.cut(previous_end, span.start);
        let mut start = previous_end;
        let mut at = previous_end;
        for line in Lines::new(between, self.era) {
            at += line.len() as u32;
            if !line.starts_with(['#', ';']) {
                start = at;
            }
        }
        start
    }

    pub(super) fn cut(&self, start: u32, end: u32) -> &str {
        self.text.get(start as usize..end as usize).unwrap_or_default()
    }

    pub(super) fn inserted_of(&self, id: EntryId) -> Option<&super::Inserted> {
        let index = (id.0 as usize).checked_sub(self.spans.len())?;
        self.edits.inserted.get(index)
    }
}

/// Takes one pair of quotes off, as `iniparser` does: the first and last character are the same quote. A quote that stands
/// alone is its own pair.
pub(super) fn unquote(value: &str) -> &str {
    for quote in ['"', '\''] {
        if let Some(inner) = value.strip_prefix(quote) {
            return match inner.strip_suffix(quote) {
                Some(inner) => inner,
                None if inner.is_empty() => "",
                None => value,
            };
        }
    }
    value
}

/// How a value is written so that it is read back the same in every era: the text behind the separator, lines joined with
/// `newline`; or what is in the way.
pub(super) fn encode(value: &str, newline: &str) -> Result<String, &'static str> {
    if value.contains('\r') {
        return Err("it has a carriage return");
    }
    let mut lines = value.split('\n');
    let first = lines.next().unwrap_or_default();
    let bare = Era::NEWEST.strip(first) == first && unquote(first) == first;
    let mut written = if bare { first.to_owned() } else { format!("\"{first}\"") };
    for line in lines {
        if line.is_empty() {
            return Err("it has an empty line");
        }
        if Era::NEWEST.strip(line) != line {
            return Err("one of its further lines begins or ends with blanks");
        }
        written.push_str(newline);
        written.push_str("    ");
        written.push_str(line);
    }
    Ok(written)
}
