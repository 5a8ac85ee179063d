//! Series and hops by name. Their order is knowledge, so it lives in the catalog, not here.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The canonical id of a series: a code name up to `zed` (`train`), a number from `2023.1` on.
///
/// Lower case letters, digits, dots and dashes, 1 to 32 characters, so that it is safe as a file name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Series(String);

/// A text that cannot be the id of a series.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{text:?} cannot be a series: use its name or number, such as train or 2026.1 (`ffu catalog show` lists them)")]
pub struct BadSeries {
    /// The text that was given, cut to a printable length.
    pub text: String,
}

impl Series {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Series {
    type Err = BadSeries;

    fn from_str(text: &str) -> Result<Self, BadSeries> {
        let lower = text.trim().to_ascii_lowercase();
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '.' || c == '-';
        let starts_well = lower.starts_with(|c: char| c.is_ascii_alphanumeric());
        if (1..=32).contains(&lower.len()) && starts_well && lower.chars().all(plain) && !lower.contains("..") {
            Ok(Series(lower))
        } else {
            Err(BadSeries {
                text: text.chars().take(40).collect(),
            })
        }
    }
}

impl TryFrom<String> for Series {
    type Error = BadSeries;

    fn try_from(text: String) -> Result<Self, BadSeries> {
        text.parse()
    }
}

impl From<Series> for String {
    fn from(series: Series) -> String {
        series.0
    }
}

impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// From one series to the next one of a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hop {
    /// The series the databases are at before.
    pub from: Series,
    /// The series they are at afterwards; its packages run the migrations.
    pub to: Series,
}

impl fmt::Display for Hop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} → {}", self.from, self.to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_series() {
        assert_eq!("Train".parse::<Series>().unwrap().as_str(), "train");
        assert_eq!(" 2026.1 ".parse::<Series>().unwrap().as_str(), "2026.1");
    }

    #[test]
    fn paths_and_control_characters_are_not() {
        for bad in ["", "../etc", "a/b", "a..b", "tra\0in", ".train", "é", &"x".repeat(33)] {
            assert!(bad.parse::<Series>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_bad_series_in_a_file_is_an_error_not_a_panic() {
        let error = serde_json::from_str::<Series>("\"../../x\"").unwrap_err().to_string();
        assert!(error.contains("cannot be a series"), "{error}");
    }
}
