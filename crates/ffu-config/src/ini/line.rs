//! How Python cuts a text into lines.

use crate::era::Era;

/// The lines of a text with their endings, as Python's text files yield them: Python 3 ends a line at `\n`, `\r\n` and `\r`,
/// Python 2 at `\n` alone.
pub(super) struct Lines<'a> {
    rest: &'a str,
    only_feeds: bool,
}

impl<'a> Lines<'a> {
    pub(super) fn new(text: &'a str, era: Era) -> Self {
        Lines {
            rest: text,
            only_feeds: era.python2,
        }
    }

    /// Lines in the sense of either Python, for what must hold under both.
    pub(super) fn strict(text: &'a str) -> Self {
        Lines {
            rest: text,
            only_feeds: false,
        }
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        if self.rest.is_empty() {
            return None;
        }
        let bytes = self.rest.as_bytes();
        let end = match bytes
            .iter()
            .position(|b| *b == b'\n' || (*b == b'\r' && !self.only_feeds))
        {
            None => bytes.len(),
            Some(at) if bytes[at] == b'\r' && bytes.get(at + 1) == Some(&b'\n') => at + 2,
            Some(at) => at + 1,
        };
        let (line, rest) = self.rest.split_at(end);
        self.rest = rest;
        Some(line)
    }
}

/// A line's ending.
pub(super) fn ending(line: &str) -> &str {
    let content = line.trim_end_matches(['\n', '\r']);
    &line[content.len()..]
}

/// A line without its ending.
pub(super) fn content(line: &str) -> &str {
    line.trim_end_matches(['\n', '\r'])
}

/// Line and column (both from 1, the column in characters) of a byte.
pub(super) fn place(text: &str, at: usize, era: Era) -> (usize, usize) {
    let mut start = 0;
    let mut number = 0;
    for line in Lines::new(text, era) {
        number += 1;
        if at < start + line.len() {
            let before = text.get(start..at).unwrap_or_default();
            return (number, before.chars().count() + 1);
        }
        start += line.len();
    }
    (number + 1, 1)
}
