//! Where the eras of oslo.config differ in how they read a file, so that a value of Rocky is read by Rocky's rules.
//!
//! Each difference was found by running the real library of every series from Pike to 2026.2 over the same input
//! (`crates/ffu/tests/reading_differs.rs` does it again); versions are those of each series' upper constraints.

use std::borrow::Cow;

use ffu_model::Series;

/// How the oslo.config of one series reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Era {
    /// Python 2.7 (up to Rocky): lines end at line feeds only, only ASCII blanks are blanks, text is bytes.
    pub python2: bool,
    /// `OS_GROUP__OPTION` in the environment counts (oslo.config 6.7.0, from Stein).
    pub environment: bool,
    /// A quote that stands alone is an empty item of a list with quotes, not an error (up to Stein).
    pub lone_quote_is_empty: bool,
    /// Which version of `rfc3986` judges URIs.
    pub rfc3986: Rfc3986,
}

/// The versions of the `rfc3986` library that judge URIs differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rfc3986 {
    /// 1.1 (up to Rocky), asked by `is_valid_uri`: query and fragment count too, and every `%` must begin an escape.
    V1_1,
    /// 1.2 (Stein), asked by its `Validator`, as all later ones: a host must be there, query and fragment may be anything.
    V1_2,
    /// 1.3 (Train): addresses need their points, and zones must begin with `%25`.
    V1_3,
    /// 1.4 and later (from Ussuri): an authority also ends at a backslash.
    V1_4,
}

impl Era {
    /// The newest: Ussuri and everything after it.
    pub const NEWEST: Era = Era {
        python2: false,
        environment: true,
        lone_quote_is_empty: false,
        rfc3986: Rfc3986::V1_4,
    };

    /// Train.
    pub const TRAIN: Era = Era {
        rfc3986: Rfc3986::V1_3,
        ..Era::NEWEST
    };

    /// Stein, on Python 3.
    pub const STEIN: Era = Era {
        lone_quote_is_empty: true,
        rfc3986: Rfc3986::V1_2,
        ..Era::NEWEST
    };

    /// Rocky and everything before it, on Python 2.7.
    pub const ROCKY: Era = Era {
        python2: true,
        environment: false,
        lone_quote_is_empty: true,
        rfc3986: Rfc3986::V1_1,
    };

    /// The era of a series. A series that is not listed here is read as the newest.
    pub fn of(series: &Series) -> Era {
        match series.as_str() {
            "liberty" | "mitaka" | "newton" | "ocata" | "pike" | "queens" | "rocky" => Era::ROCKY,
            "stein" => Era::STEIN,
            "train" => Era::TRAIN,
            _ => Era::NEWEST,
        }
    }

    /// A group as oslo.config compares it: in lower case, except exactly `DEFAULT` (so that `[default]` is another group).
    pub fn group(self, group: &str) -> Cow<'_, str> {
        let changes = |c: char| c.is_ascii_uppercase() || (!self.python2 && !c.is_ascii());
        if group == "DEFAULT" || !group.contains(changes) {
            Cow::Borrowed(group)
        } else {
            Cow::Owned(self.lower(group))
        }
    }

    /// `str.lower`, which in Python 2 knows ASCII only.
    pub(crate) fn lower(self, text: &str) -> String {
        if self.python2 {
            text.to_ascii_lowercase()
        } else {
            text.to_lowercase()
        }
    }

    /// Whether Python's `str.strip` takes a character off.
    pub(crate) fn is_blank(self, c: char) -> bool {
        match c {
            ' ' | '\t'..='\r' => true,
            '\x1c'..='\x1f' => !self.python2,
            c if c.is_ascii() => false,
            c => !self.python2 && c.is_whitespace(),
        }
    }

    /// `str.strip`.
    pub(crate) fn strip(self, text: &str) -> &str {
        text.trim_matches(|c| self.is_blank(c))
    }

    /// `str.rstrip`.
    pub(crate) fn strip_end(self, text: &str) -> &str {
        text.trim_end_matches(|c| self.is_blank(c))
    }

    /// `str.lstrip`.
    pub(crate) fn strip_start(self, text: &str) -> &str {
        text.trim_start_matches(|c| self.is_blank(c))
    }
}
