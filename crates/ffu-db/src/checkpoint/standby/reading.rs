//! Which tables were read in the window and which needed not be, for people to read.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::writes::Doubt;

/// From here on a table that had to be read is worth a word about why.
const LARGE: u64 = 64 << 20;

/// Some tables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Share {
    /// How many.
    pub tables: u64,
    /// Bytes of their data and indexes, as the server estimates them.
    pub bytes: u64,
}

impl Share {
    fn count(&mut self, bytes: u64) {
        self.tables += 1;
        self.bytes += bytes;
    }

    fn add(&mut self, other: &Share) {
        self.tables += other.tables;
        self.bytes += other.bytes;
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} tables with {} MiB", self.tables, self.bytes >> 20)
    }
}

/// How the rows of the source are known to be those of the copy. Its text is a part of a sentence.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reading {
    /// Compared before the window, and by what the server knows not written since.
    pub known: Share,
    /// When the first of these was compared, in seconds since 1970 by the server's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<i64>,
    /// Read in the window.
    pub read: Share,
    /// Of those that were read: the server may have forgotten that they were written.
    pub forgotten: Share,
    /// The `table_definition_cache` with which it would not.
    pub cache_needed: u64,
}

impl Reading {
    /// Counts a table; `since` is when it was compared.
    pub(super) fn count(&mut self, bytes: u64, since: Result<i64, Doubt>) {
        match since {
            Ok(at) => {
                self.known.count(bytes);
                self.since = Some(self.since.map_or(at, |since| since.min(at)));
            }
            Err(doubt) => {
                self.read.count(bytes);
                if doubt == Doubt::Forgotten {
                    self.forgotten.count(bytes);
                }
            }
        }
    }

    /// Takes in what was read of another database.
    pub fn add(&mut self, other: &Reading) {
        self.known.add(&other.known);
        self.read.add(&other.read);
        self.forgotten.add(&other.forgotten);
        self.since = self.since.into_iter().chain(other.since).min();
        self.cache_needed = self.cache_needed.max(other.cache_needed);
    }
}

impl fmt::Display for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.known.tables > 0 {
            write!(
                f,
                "{} not written since they were compared, by what the server knows",
                self.known
            )?;
            if let Some(since) = self.since.and_then(|at| jiff::Timestamp::from_second(at).ok()) {
                write!(f, " (from {since} on)")?;
            }
            f.write_str("; ")?;
        }
        write!(f, "{} read in the window", self.read)?;
        if self.forgotten.bytes >= LARGE {
            write!(
                f,
                ", of them {} because the server may have forgotten that they were written: a table_definition_cache of {} or \
                 more from before the copy on would spare that",
                self.forgotten, self.cache_needed
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentence_says_what_was_read_and_the_remedy_where_it_matters() {
        let mut one = Reading::default();
        one.count(3 << 20, Err(Doubt::Written));
        assert_eq!(one.to_string(), "1 tables with 3 MiB read in the window");
        one.count(2 << 20, Err(Doubt::Forgotten));
        assert!(
            !one.to_string().contains("forgotten"),
            "small ones are not worth it: {one}"
        );
        let mut other = Reading {
            cache_needed: 1700,
            ..Reading::default()
        };
        other.count(70 << 20, Err(Doubt::Forgotten));
        other.count(900 << 20, Ok(1_000_060));
        other.count(100 << 20, Ok(1_000_000));
        one.add(&other);
        assert_eq!(
            one.to_string(),
            "2 tables with 1000 MiB not written since they were compared, by what the server knows (from 1970-01-12T13:46:40Z on); 3 \
             tables with 75 MiB read in the window, of them 2 tables with 72 MiB because the server may have forgotten that they were \
             written: a table_definition_cache of 1700 or more from before the copy on would spare that"
        );
    }
}
