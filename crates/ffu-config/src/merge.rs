//! Three-way merge of files that are half configuration and half code: `api-paste.ini` and rootwrap's filters.
//!
//! Such files are shipped by upstream and edited by operators, and none of their contents is an option of a catalog. What
//! upstream changed between two series is applied to the operator's file; what the operator changed stays. It works on
//! sections, keys and the elements of pipelines, not on lines: a filter that the operator put into a pipeline that upstream
//! changed, too, is no conflict. Lines that need no change stay byte for byte. Where both changed the same thing, the
//! operator's form stays under a remark that holds upstream's.

mod document;
mod forms;
mod lists;
mod paste;
mod sections;
mod three_way;

use ffu_model::Series;

use crate::finding::Finding;

/// The most bytes of a file; real ones have a few thousand.
pub const MOST_BYTES: usize = 4 << 20;

/// What kind of file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// PasteDeploy: `api-paste.ini`, `glance-api-paste.ini`, `keystone-paste.ini`.
    Paste,
    /// oslo.rootwrap: `rootwrap.conf` and `rootwrap.d/*.filters`. All files of a directory are loaded.
    Rootwrap,
}

impl Kind {
    /// The kind of a file by its name, if it is one of these.
    pub fn of(name: &str) -> Option<Self> {
        let base = name.rsplit('/').next().unwrap_or(name);
        match base {
            _ if base.ends_with("paste.ini") => Some(Kind::Paste),
            "rootwrap.conf" => Some(Kind::Rootwrap),
            _ if base.ends_with(".filters") => Some(Kind::Rootwrap),
            _ => None,
        }
    }
}

/// Whose file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Upstream's of the first series.
    Base,
    /// The operator's.
    Mine,
    /// Upstream's of the target.
    Theirs,
}

impl std::fmt::Display for Side {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Side::Base => "upstream's file of the first series",
            Side::Mine => "the operator's file",
            Side::Theirs => "upstream's file of the target",
        })
    }
}

/// What is to be merged.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The kind of file.
    pub kind: Kind,
    /// Its name, for findings.
    pub name: &'a str,
    /// Upstream's file of the first series, if there was one.
    pub base: Option<&'a [u8]>,
    /// The operator's file.
    pub mine: &'a [u8],
    /// Upstream's file of the target, if there still is one.
    pub theirs: Option<&'a [u8]>,
    /// The target.
    pub to: &'a Series,
}

/// A place at which both sides changed the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// `[section] key`.
    pub subject: String,
    /// The line of the remark in the result, from 1.
    pub line: usize,
}

/// What came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merged {
    /// The file.
    pub bytes: Vec<u8>,
    /// Whether a byte is different from the operator's file.
    pub changed: bool,
    /// Whether the target has no use for the file at all; the bytes are the operator's then.
    pub unused: bool,
    /// Where both changed the same.
    pub conflicts: Vec<Conflict>,
    /// What has to be said, the most severe first.
    pub findings: Vec<Finding>,
}

/// Why files cannot be merged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    /// A file is larger than any such file.
    #[error("{side} has {bytes} bytes, more than {most}: is it the right file?")]
    TooLarge {
        /// Whose.
        side: Side,
        /// Its size.
        bytes: usize,
        /// The most that is read.
        most: usize,
    },
    /// A file is no text.
    #[error("{side}, line {line}: not UTF-8; convert it with `iconv -t UTF-8`")]
    NotUtf8 {
        /// Whose.
        side: Side,
        /// From 1.
        line: usize,
    },
    /// A line that neither PasteDeploy nor oslo.rootwrap can read.
    #[error("{side}, line {line}: {what}; the service refuses the whole file, correct the line")]
    Syntax {
        /// Whose.
        side: Side,
        /// From 1.
        line: usize,
        /// What is wrong.
        what: &'static str,
    },
}

/// Applies what upstream changed to the operator's file.
///
/// # Errors
/// If one of the files cannot be read.
pub fn merge(request: &Request<'_>) -> Result<Merged, MergeError> {
    let read = |bytes: Option<&[u8]>, side| document::Document::read(bytes.unwrap_or_default(), side, request.kind);
    let base = read(request.base, Side::Base)?;
    let mine = read(Some(request.mine), Side::Mine)?;
    let theirs = read(request.theirs, Side::Theirs)?;
    Ok(three_way::merge(request, &base, mine, &theirs))
}

#[cfg(test)]
mod tests;
