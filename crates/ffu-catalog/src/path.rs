//! Series by any of their names, and the hops between two of them.

use ffu_model::{Hop, Series};

use crate::Catalog;
use crate::error::shown;

/// Why there is no path, or no such series.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// The series is not in the catalog.
    #[error("unknown series {text:?}: choose one of {choices}")]
    Unknown {
        /// What was given.
        text: String,
        /// All series.
        choices: String,
    },
    /// From a series to itself.
    #[error("the cloud is at {series} already, there is no hop to it: choose a later series, one of {choices}")]
    Same {
        /// The series.
        series: String,
        /// Later series.
        choices: String,
    },
    /// The newest series cannot be left.
    #[error(
        "{series} is the newest series this catalog knows: there is no hop from it (a newer `ffu` or `--catalog DIR` may know one)"
    )]
    Newest {
        /// The series.
        series: String,
    },
    /// From a later series to an earlier one.
    #[error(
        "{to} is older than {from}: there is no way back through hops (`ffu rollback` takes a run back); from {from} choose one of {choices}"
    )]
    Backwards {
        /// Start.
        from: String,
        /// Target.
        to: String,
        /// Series later than the start.
        choices: String,
    },
}

impl Catalog {
    /// A series by its id, code name or number, in any letter case.
    ///
    /// # Errors
    /// [`PathError::Unknown`] with all choices.
    pub fn resolve(&self, text: &str) -> Result<Series, PathError> {
        let wanted = text.trim();
        self.series
            .iter()
            .find(|entry| {
                let number = entry.number.as_deref().unwrap_or(entry.id.as_str());
                [entry.id.as_str(), entry.name.as_str(), number]
                    .iter()
                    .any(|name| name.eq_ignore_ascii_case(wanted))
            })
            .map(|entry| entry.id.clone())
            .ok_or_else(|| PathError::Unknown {
                text: shown(text),
                choices: self.choices_from(0),
            })
    }

    /// The hops from one series to another, each series in turn; with `slurp` also the skips that upstream tests,
    /// wherever one starts at the series reached and does not pass the target.
    ///
    /// # Errors
    /// [`PathError`], which names the choices.
    pub fn path(&self, from: &Series, to: &Series, slurp: bool) -> Result<Vec<Hop>, PathError> {
        let place = |series: &Series| {
            self.position(series).ok_or_else(|| PathError::Unknown {
                text: series.to_string(),
                choices: self.choices_from(0),
            })
        };
        let (start, end) = (place(from)?, place(to)?);
        let choices = || self.choices_from(start + 1);
        if start >= end {
            return Err(if start + 1 == self.series.len() && start == end {
                PathError::Newest {
                    series: from.to_string(),
                }
            } else if start == end {
                PathError::Same {
                    series: from.to_string(),
                    choices: choices(),
                }
            } else {
                PathError::Backwards {
                    from: from.to_string(),
                    to: to.to_string(),
                    choices: choices(),
                }
            });
        }
        let mut hops = Vec::new();
        let mut at = start;
        while at < end {
            let next = if slurp { self.furthest_skip(at, end) } else { None }.unwrap_or(at + 1);
            hops.push(Hop {
                from: self.series[at].id.clone(),
                to: self.series[next].id.clone(),
            });
            at = next;
        }
        Ok(hops)
    }

    fn furthest_skip(&self, at: usize, end: usize) -> Option<usize> {
        self.skips
            .iter()
            .filter(|skip| self.position(&skip.from) == Some(at))
            .filter_map(|skip| self.position(&skip.to))
            .filter(|to| (at + 1..=end).contains(to))
            .max()
    }

    /// The series from a position on, for messages.
    fn choices_from(&self, start: usize) -> String {
        let names: Vec<String> = self
            .series
            .iter()
            .skip(start)
            .map(|entry| entry.id.to_string())
            .collect();
        if names.is_empty() {
            "none".to_owned()
        } else {
            names.join(", ")
        }
    }
}
