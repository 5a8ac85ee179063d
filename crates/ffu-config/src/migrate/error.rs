//! Why a set of files cannot be migrated or checked.

use crate::fate::LineageError;
use crate::ini::{EditError, ParseError};

/// Why a set of files cannot be migrated or checked. No text of it shows a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MigrateError {
    /// A file is not one that oslo.config could read.
    #[error("{label}: {error}; mend the file, nothing was changed")]
    Parse {
        /// The file.
        label: String,
        /// What is wrong, and where.
        error: ParseError,
    },
    /// A file has a NUL character, which nobody means.
    #[error("{label}:{line}:{column}: a NUL character; take it out, nothing was changed")]
    Nul {
        /// The file.
        label: String,
        /// The line, from 1.
        line: usize,
        /// The column in characters, from 1.
        column: usize,
    },
    /// A series has no catalog.
    #[error(transparent)]
    Lineage(#[from] LineageError),
    /// An edit would not be read back as it was meant.
    #[error(
        "{label}: {subject} cannot be written: {error}; change it by hand in this file, then run the command again"
    )]
    Edit {
        /// The file.
        label: String,
        /// The option.
        subject: String,
        /// Why.
        error: EditError,
    },
    /// The migrated file would not be read by the target.
    #[error(
        "{label}: migrated, the file could not be read by the target: {error}; this is a mistake of ffu, please report it with the file"
    )]
    Unreadable {
        /// The file.
        label: String,
        /// What would be wrong.
        error: ParseError,
    },
}
