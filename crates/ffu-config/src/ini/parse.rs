//! The parser: `oslo_config.iniparser.BaseParser.parse` and `oslo_config.cfg.ConfigParser`, step by step.

use super::error::{ParseError, ParseErrorKind};
use super::line::{Lines, place};
use super::{Document, Edits, EntrySpan, SectionSpan};
use crate::era::Era;

pub(super) fn parse(bytes: &[u8], era: Era) -> Result<Document, ParseError> {
    if u32::try_from(bytes.len()).is_err() {
        return Err(plain(1, 1, ParseErrorKind::TooLarge));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let sound = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let sound = std::str::from_utf8(sound).unwrap_or_default();
        let (line, column) = place_of_end(sound, era);
        plain(line, column, ParseErrorKind::NotUtf8)
    })?;
    if text.starts_with('\u{feff}') {
        return Err(plain(1, 1, ParseErrorKind::ByteOrderMark));
    }
    let mut parser = Parser {
        era,
        sections: Vec::new(),
        spans: Vec::new(),
        open: None,
    };
    parser.run(text)?;
    let Parser {
        mut sections,
        mut spans,
        ..
    } = parser;
    sections.shrink_to_fit();
    spans.shrink_to_fit();
    Ok(Document {
        text: text.to_owned(),
        era,
        sections,
        spans,
        edits: Edits::default(),
    })
}

/// The place behind a text.
fn place_of_end(text: &str, era: Era) -> (usize, usize) {
    let mut number = 1;
    let mut column = 1;
    for line in Lines::new(text, era) {
        let ends = line.ends_with('\n') || (!era.python2 && line.ends_with('\r'));
        (number, column) = if ends {
            (number + 1, 1)
        } else {
            (number, line.chars().count() + 1)
        };
    }
    (number, column)
}

fn plain(line: usize, column: usize, kind: ParseErrorKind) -> ParseError {
    ParseError {
        line,
        column,
        kind,
        oslo_line: line,
        text: String::new(),
    }
}

struct Parser {
    era: Era,
    sections: Vec<SectionSpan>,
    spans: Vec<EntrySpan>,
    /// The entry whose value is still going on.
    open: Option<EntrySpan>,
}

impl Parser {
    fn run(&mut self, text: &str) -> Result<(), ParseError> {
        let mut start = 0;
        let mut number = 0;
        for raw in Lines::new(text, self.era) {
            number += 1;
            let line = self.era.strip_end(raw);
            let end = start + raw.len();
            if line.is_empty() {
                self.close(text, number)?;
            } else if line.starts_with([' ', '\t']) {
                match self.open.as_mut() {
                    Some(entry) => entry.end = end as u32,
                    None => {
                        let blanks = line.len() - self.era.strip_start(line).len();
                        return Err(error(line, number, blanks, ParseErrorKind::Continuation));
                    }
                }
            } else {
                self.close(text, number)?;
                self.begin(line, start, end, number)?;
            }
            start = end;
        }
        self.close(text, number)
    }

    /// A line that stands for itself: a section, a comment, the first line of an entry.
    fn begin(&mut self, line: &str, start: usize, end: usize, number: usize) -> Result<(), ParseError> {
        if line.starts_with('[') {
            if !line.ends_with(']') {
                return Err(error(line, number, line.len(), ParseErrorKind::SectionBracket));
            }
            if line.len() <= 2 {
                return Err(error(line, number, 1, ParseErrorKind::SectionName));
            }
            self.sections.push(SectionSpan {
                name_start: start as u32 + 1,
                name_end: (start + line.len()) as u32 - 1,
                end: end as u32,
            });
        } else if !line.starts_with(['#', ';']) {
            let separator = line
                .find(['=', ':'])
                .ok_or_else(|| error(line, number, line.len(), ParseErrorKind::Assignment))?;
            let key = line.get(..separator).unwrap_or_default();
            if self.era.strip(key).is_empty() {
                return Err(error(line, number, separator, ParseErrorKind::EmptyKey));
            }
            self.open = Some(EntrySpan {
                start: start as u32,
                separator: (start + separator) as u32,
                end: end as u32,
                section: 0,
                line: number as u32,
            });
        }
        Ok(())
    }

    /// The value that was going on is over. Only now does oslo.config notice that there was no section.
    fn close(&mut self, text: &str, number: usize) -> Result<(), ParseError> {
        let Some(mut entry) = self.open.take() else {
            return Ok(());
        };
        if self.sections.is_empty() {
            let line = Lines::new(text.get(entry.start as usize..).unwrap_or_default(), self.era).next();
            let line = self.era.strip_end(line.unwrap_or_default());
            return Err(ParseError {
                oslo_line: number,
                ..error(line, entry.line as usize, 0, ParseErrorKind::NoSection)
            });
        }
        entry.section = self.sections.len() as u32 - 1;
        self.spans.push(entry);
        Ok(())
    }
}

fn error(line: &str, number: usize, at: usize, kind: ParseErrorKind) -> ParseError {
    let (_, column) = place(line, at, Era::ROCKY);
    let column = if at >= line.len() {
        line.chars().count() + 1
    } else {
        column
    };
    ParseError {
        line: number,
        column,
        kind,
        oslo_line: number,
        text: line.to_owned(),
    }
}
