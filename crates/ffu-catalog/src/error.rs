//! What can be wrong with a catalog, each mistake with its place.

use std::fmt;

/// All mistakes of a catalog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogErrors(Vec<CatalogError>);

/// More than this many mistakes are counted, not listed.
const LISTED: usize = 100;

impl CatalogErrors {
    pub(crate) fn new(mut errors: Vec<CatalogError>) -> Self {
        errors.sort_by(|a, b| (&a.file, a.line, a.column).cmp(&(&b.file, b.line, b.column)));
        errors.dedup();
        CatalogErrors(errors)
    }

    /// The mistakes, by file and line.
    pub fn errors(&self) -> &[CatalogError] {
        &self.0
    }
}

impl fmt::Display for CatalogErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.len();
        write!(
            f,
            "the catalog has {count} mistake{}",
            if count == 1 { "" } else { "s" }
        )?;
        for error in self.0.iter().take(LISTED) {
            write!(f, "\n{error}")?;
        }
        if count > LISTED {
            write!(f, "\n… and {} more", count - LISTED)?;
        }
        write!(
            f,
            "\nnext: correct the files, then type `ffu catalog check --catalog DIR`"
        )
    }
}

impl std::error::Error for CatalogErrors {}

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogError {
    /// The file, relative to the catalog's root; made printable.
    pub file: String,
    /// Its line, from 1.
    pub line: Option<usize>,
    /// Its column in characters, from 1.
    pub column: Option<usize>,
    /// What is wrong.
    pub problem: Problem,
}

impl fmt::Display for CatalogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if let Some(column) = self.column {
            write!(f, ":{column}")?;
        }
        write!(f, ": {}", self.problem)
    }
}

impl std::error::Error for CatalogError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.problem)
    }
}

/// What is wrong at a place of a catalog.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The path is not one of the catalog's places, or unsafe.
    #[error("{0}")]
    Path(#[from] crate::overlay::BadPath),
    /// The file is larger than a catalog file can be.
    #[error("the file has {bytes} bytes; at most {limit} are read")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// There are too many files.
    #[error("the overlay has {files} files; at most {limit} are read")]
    TooMany {
        /// How many.
        files: usize,
        /// The limit.
        limit: usize,
    },
    /// The file is not UTF-8 text, or has a NUL byte in it.
    #[error("the file is not text: byte {offset} is not UTF-8 or is NUL")]
    NotText {
        /// Where the first bad byte is.
        offset: usize,
    },
    /// The file is not TOML, or a field is unknown, missing or of the wrong type.
    #[error("{message}")]
    Toml {
        /// What the parser says.
        message: String,
    },
    /// A file that must be there is not.
    #[error("the file is missing")]
    NoFile,
    /// A series that the catalog does not have.
    #[error("unknown series {series:?}; the catalog has {choices}")]
    UnknownSeries {
        /// What was written.
        series: String,
        /// What could have been.
        choices: String,
    },
    /// A span that ends before it begins.
    #[error("the span ends before it begins: since {since} is later than until {until}")]
    SpanReversed {
        /// Its begin.
        since: String,
        /// Its end.
        until: String,
    },
    /// A reference to something that does not exist.
    #[error("unknown {what} {name:?}; there is {choices}")]
    Unknown {
        /// Kind of thing.
        what: &'static str,
        /// What was written.
        name: String,
        /// What could have been.
        choices: String,
    },
    /// A name is used twice.
    #[error("{what} {name:?} is there twice")]
    Duplicate {
        /// Kind of thing.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// A name that is not safe as a file name.
    #[error(
        "{name:?} cannot be a {what}: use lower-case letters, digits, - and _, at most 64, a letter or digit first"
    )]
    BadName {
        /// Kind of thing.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// A value that does not fit its purpose.
    #[error("{what} {value:?} {reason}")]
    BadValue {
        /// Kind of thing.
        what: &'static str,
        /// The value, cut to a printable length.
        value: String,
        /// Why not.
        reason: String,
    },
    /// Knowledge without a source.
    #[error("{what} {name:?} needs a `source`: where does this come from?")]
    NoSource {
        /// Kind of thing.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// A query that is not a single SELECT.
    #[error("the query is refused: {reason}")]
    Query {
        /// Why.
        reason: &'static str,
    },
    /// Two meanings of one exit code in one series.
    #[error("exit code {code} has two meanings in {series}")]
    DoubledExit {
        /// The code.
        code: i32,
        /// The first series in which they meet.
        series: String,
    },
    /// No schema heads for a database in a series.
    #[error("no schema heads of {project}/{role} in {series}: add them to heads/{project}.toml (`make heads` does)")]
    NoHeads {
        /// Project.
        project: String,
        /// Role.
        role: String,
        /// Series.
        series: String,
    },
    /// No environment for a series.
    #[error("no hop environment for {series}: add it to environments.toml")]
    NoEnvironment {
        /// Series.
        series: String,
    },
    /// An option catalog that cannot be used.
    #[error("{0}")]
    Options(#[from] crate::options::OptionsError),
    /// A curated rule that cannot be used.
    #[error("{0}")]
    Rule(#[from] crate::rules::RuleError),
    /// Something else that must be stated is not.
    #[error("{0}")]
    Incomplete(String),
}

/// Text from outside, cut and made printable, for messages.
pub(crate) fn shown(text: &str) -> String {
    let cut: String = text.chars().take(60).collect();
    if cut.len() < text.len() {
        format!("{cut}…")
    } else {
        cut
    }
}
