//! Writing a document: the text as it was, with the edits woven in.

use std::borrow::Cow;

use super::entry::encode;
use super::line::{Lines, content, ending};
use super::{Document, EntryId, EntrySpan};

impl Document {
    /// The file. Without edits these are the bytes that were read.
    pub fn to_bytes(&self) -> Vec<u8> {
        if !self.is_changed() {
            return self.text.clone().into_bytes();
        }
        let mut out = String::with_capacity(self.text.len() + 4096);
        let newline = self.newline();
        // The text is copied up to the next place where something is different.
        let mut copied = 0_u32;
        let mut stops: Vec<Stop> = Vec::new();
        for id in self.edits.entries.keys().copied() {
            if let Some(span) = self.spans.get(id as usize) {
                stops.push(Stop {
                    at: span.start,
                    what: What::Entry(EntryId(id)),
                });
            }
        }
        for section in self.edits.appended.keys().copied() {
            if let Some(at) = self.end_of_section(section) {
                stops.push(Stop {
                    at,
                    what: What::EndOf(section),
                });
            }
        }
        // What is appended to a section goes in front of an entry that begins at the same byte.
        stops.sort_by_key(|stop| (stop.at, matches!(stop.what, What::Entry(_))));
        for stop in stops {
            match stop.what {
                What::Entry(id) => {
                    let Some(span) = self.spans.get(id.0 as usize) else {
                        continue;
                    };
                    let comments = self.comment_start(id, span);
                    if self.edit_of(id).is_some_and(|edit| edit.moved.is_some()) {
                        out.push_str(self.cut(copied, comments.max(copied)));
                    } else {
                        out.push_str(self.cut(copied, span.start));
                        self.write_entry(&mut out, id, newline);
                    }
                    copied = span.end;
                }
                What::EndOf(section) => {
                    out.push_str(self.cut(copied, stop.at));
                    copied = stop.at.max(copied);
                    self.write_appended(&mut out, section, newline);
                }
            }
        }
        out.push_str(self.cut(copied, self.text.len() as u32));
        self.write_created(&mut out, newline);
        out.into_bytes()
    }

    /// The text of an entry as it is written now.
    pub(super) fn raw_of(&self, id: EntryId) -> Cow<'_, str> {
        let edit = self.edit_of(id);
        let newline = self.newline();
        let Some(span) = self.spans.get(id.0 as usize) else {
            let key = self.key_of(id).unwrap_or_default();
            return Cow::Owned(format!("{key} = {}{newline}", self.encoded(id, newline)));
        };
        let (new_key, new_value) = match edit {
            Some(edit) => (edit.key.as_deref(), edit.value.as_deref()),
            None => (None, None),
        };
        let source = self.cut(span.start, span.end);
        if new_key.is_none() && new_value.is_none() {
            return Cow::Borrowed(source);
        }
        let mut text = self.head(span, new_key);
        if new_value.is_some() {
            text.push_str(self.gap(span));
            text.push_str(&self.encoded(id, newline));
            text.push_str(ending(source));
        } else {
            text.push_str(self.cut(span.separator + 1, span.end));
        }
        Cow::Owned(text)
    }

    /// The beginning of an entry up to and with the separator, with another key if there is one.
    fn head(&self, span: &EntrySpan, new_key: Option<&str>) -> String {
        let head = self.cut(span.start, span.separator + 1);
        let Some(new_key) = new_key else {
            return head.to_owned();
        };
        let key = self.cut(span.start, span.separator);
        let behind = self.era.strip_end(key).len();
        let blanks = key.get(behind..).unwrap_or_default();
        // Odd blanks in front of the key are not kept: with another key they might begin a continuation line.
        format!("{new_key}{blanks}{}", self.cut(span.separator, span.separator + 1))
    }

    /// The blanks between separator and value; where there was no value, a blank if one stands in front of the separator.
    fn gap(&self, span: &EntrySpan) -> &str {
        let line = Lines::new(self.cut(span.separator + 1, span.end), self.era).next();
        let line = content(line.unwrap_or_default());
        let blanks = line.len() - line.trim_start_matches([' ', '\t']).len();
        if self.era.strip(line).is_empty() {
            return if self.cut(span.start, span.separator).ends_with(' ') {
                " "
            } else {
                ""
            };
        }
        line.get(..blanks).unwrap_or_default()
    }

    fn encoded(&self, id: EntryId, newline: &str) -> String {
        // Values were checked when they were set.
        encode(&self.value_of(id), newline).unwrap_or_default()
    }

    /// Comments that were added, then the entry, or its lines behind `#`.
    fn write_entry(&self, out: &mut String, id: EntryId, newline: &str) {
        let raw = self.raw_of(id);
        let edit = self.edit_of(id);
        if let Some(edit) = edit {
            for note in &edit.notes {
                end_line(out, newline);
                out.push_str(note);
                out.push_str(newline);
            }
        }
        if edit.is_some_and(|edit| edit.commented_out) {
            for line in Lines::strict(&raw) {
                out.push('#');
                out.push_str(line);
            }
        } else {
            out.push_str(&raw);
        }
    }

    fn write_appended(&self, out: &mut String, section: u32, newline: &str) {
        for id in self.edits.appended.get(&section).into_iter().flatten().copied() {
            end_line(out, newline);
            let comments = self.comments_of(id);
            let noted = self.edit_of(id).is_some_and(|edit| !edit.notes.is_empty());
            if noted || !comments.is_empty() {
                // A blank line, so that nothing else's comments are taken for its own.
                out.push_str(newline);
            }
            out.push_str(comments);
            end_line(out, newline);
            self.write_entry(out, id, newline);
            end_line(out, newline);
        }
    }

    fn write_created(&self, out: &mut String, newline: &str) {
        for (index, name) in self.edits.created.iter().enumerate() {
            end_line(out, newline);
            if !out.is_empty() {
                out.push_str(newline);
            }
            out.push('[');
            out.push_str(name);
            out.push(']');
            out.push_str(newline);
            self.write_appended(out, (self.sections.len() + index) as u32, newline);
        }
    }

    /// Where something appended to a section of the text goes: behind its last entry, or its section line.
    fn end_of_section(&self, section: u32) -> Option<u32> {
        let header = self.sections.get(section as usize)?.end;
        let last = self.source_entries(section).last();
        let last = last.and_then(|id| self.spans.get(id.0 as usize));
        Some(last.map_or(header, |span| span.end))
    }

    /// The line ending of the file: that of its first line, so long as it is one in every era.
    fn newline(&self) -> &'static str {
        let first = Lines::new(&self.text, self.era).next().unwrap_or_default();
        if first.ends_with("\r\n") { "\r\n" } else { "\n" }
    }
}

enum What {
    Entry(EntryId),
    EndOf(u32),
}

struct Stop {
    at: u32,
    what: What,
}

/// Ends the last line, if it is not ended.
fn end_line(out: &mut String, newline: &str) {
    if !out.is_empty() && !out.ends_with('\n') {
        out.push_str(newline);
    }
}
