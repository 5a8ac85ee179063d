//! What is wrong with a file, or with an edit.

use std::fmt;

/// Why a file cannot be read.
///
/// The text of the line is kept, but not shown: it may hold a password.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {kind}")]
pub struct ParseError {
    /// The line, from 1. For [`ParseErrorKind::NoSection`] the entry's own line.
    pub line: usize,
    /// The column, in characters from 1.
    pub column: usize,
    /// What is wrong.
    pub kind: ParseErrorKind,
    /// The line that oslo.config itself would name; another one only for [`ParseErrorKind::NoSection`], which it notices
    /// late.
    pub oslo_line: usize,
    /// The line without trailing blanks; it may hold a secret.
    pub text: String,
}

impl fmt::Debug for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ParseError({self})")
    }
}

/// The kinds of [`ParseError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ParseErrorKind {
    /// An indented line where there is no value to continue.
    Continuation,
    /// Neither `=` nor `:`.
    Assignment,
    /// Nothing in front of `=` or `:`.
    EmptyKey,
    /// `[` without `]` at the end of the line.
    SectionBracket,
    /// `[]`.
    SectionName,
    /// An entry above the first section.
    NoSection,
    /// Bytes that are not UTF-8.
    NotUtf8,
    /// A byte order mark in front.
    ByteOrderMark,
    /// 4 GiB or more.
    TooLarge,
}

impl ParseErrorKind {
    /// The words of oslo.config for it; `None` where Python itself or nobody complains.
    pub fn oslo(self) -> Option<&'static str> {
        match self {
            ParseErrorKind::Continuation => Some("Unexpected continuation line"),
            ParseErrorKind::Assignment => Some("No ':' or '=' found in assignment"),
            ParseErrorKind::EmptyKey => Some("Key cannot be empty"),
            ParseErrorKind::SectionBracket => Some("Invalid section (must end with ])"),
            ParseErrorKind::SectionName => Some("Empty section name"),
            ParseErrorKind::NoSection => Some("Section must be started before assignment"),
            ParseErrorKind::NotUtf8 | ParseErrorKind::ByteOrderMark | ParseErrorKind::TooLarge => None,
        }
    }
}

impl fmt::Display for ParseErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ParseErrorKind::Continuation => {
                "an indented line continues the value above it, and there is none (a blank line or a comment ends a \
                 value): take the blanks off its beginning"
            }
            ParseErrorKind::Assignment => {
                "neither '=' nor ':' in the line: write `option = value`, or put '#' in front of it"
            }
            ParseErrorKind::EmptyKey => "there is no option name in front of '=' or ':'",
            ParseErrorKind::SectionBracket => {
                "a section line must end with ']' (comments are not possible behind it): write `[section]` alone"
            }
            ParseErrorKind::SectionName => "the section has no name: write `[section]`",
            ParseErrorKind::NoSection => "an option stands above the first section: put `[DEFAULT]` in front of it",
            ParseErrorKind::NotUtf8 => "the file is not UTF-8 here: convert it, e.g. with `iconv -t UTF-8`",
            ParseErrorKind::ByteOrderMark => {
                "the file begins with a byte order mark, which oslo.config does not take: remove its first three bytes"
            }
            ParseErrorKind::TooLarge => "the file has 4 GiB or more, which no configuration has: is it the right file?",
        })
    }
}

/// Why an edit cannot be made; the document is then as it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// Such a key could not be read back.
    #[error("{key:?} cannot be an option's name in a file: use letters, digits and underscores")]
    Key {
        /// The key.
        key: String,
    },
    /// Such a value cannot be written: a value's lines cannot be blank, and further lines cannot begin or end with blanks.
    #[error("the value for {key} cannot be written in an oslo.config file ({reason}): write it on one line")]
    Value {
        /// The key it was for.
        key: String,
        /// What is in the way.
        reason: &'static str,
    },
    /// Such a section could not be read back.
    #[error("{section:?} cannot be a section: use a name without line breaks")]
    Section {
        /// The section.
        section: String,
    },
    /// The id is of another document, or the entry was commented out.
    #[error("the document has no entry {id} any more: it was commented out, or is of another file")]
    NoSuchEntry {
        /// The number of the id.
        id: u32,
    },
    /// More entries than 32 bits can count.
    #[error("the document has too many entries to take another: split the file")]
    Full,
}
