//! What a migration has to say to the operator: one type for options, policy rules and merged files, so that one list and
//! one set of exit codes serve them all.

mod limit;

use std::fmt;

use ffu_model::Series;
use serde::{Deserialize, Serialize};

pub(crate) use limit::Limit;

/// How much a finding asks of the operator; the most severe first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Something that had an effect has none any more, and nothing took its place.
    LostUnlessYouAct,
    /// There is more than one reasonable way on, or the effect may have changed.
    Decide,
    /// A default is another one now, and the file did not pin it.
    ChangedDefault,
    /// The same effect under another name or at another place.
    Moved,
    /// It is gone and had no effect before either.
    RemovedWithoutEffect,
    /// Worth knowing; nothing to do.
    Info,
}

impl Severity {
    /// All of them, the most severe first.
    pub const ALL: [Severity; 6] = [
        Severity::LostUnlessYouAct,
        Severity::Decide,
        Severity::ChangedDefault,
        Severity::Moved,
        Severity::RemovedWithoutEffect,
        Severity::Info,
    ];

    /// Whether a person has to act or choose before the result may be used.
    pub fn needs_a_decision(self) -> bool {
        self <= Severity::Decide
    }

    /// The words for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::LostUnlessYouAct => "lost unless you act",
            Severity::Decide => "decide",
            Severity::ChangedDefault => "changed default",
            Severity::Moved => "moved",
            Severity::RemovedWithoutEffect => "removed, was without effect",
            Severity::Info => "note",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One thing that the operator should know about a migration. It never holds the value of a secret option.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// What kind of finding it is, in kebab-case; stable, so that scripts can ask for it.
    pub id: String,
    /// How much it asks.
    pub severity: Severity,
    /// The file, as it was handed in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The line in the file as it was before, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// The column in characters, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
    /// What it is about: `DEFAULT.rpc_backend`, a policy rule, `[pipeline:x] pipeline`.
    pub subject: String,
    /// What is the case.
    pub message: String,
    /// What to do; empty where nothing has to be done.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub remedy: String,
    /// Where the knowledge comes from; empty for what the file itself shows.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub source: String,
    /// The first series in which it is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Series>,
}

impl Finding {
    /// A finding about a subject, without a place, remedy, source or series.
    pub fn new(
        id: impl Into<String>,
        severity: Severity,
        subject: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Finding {
            id: id.into(),
            severity,
            file: None,
            line: None,
            column: None,
            subject: subject.into(),
            message: message.into(),
            remedy: String::new(),
            source: String::new(),
            since: None,
        }
    }

    /// The same at a place in a file.
    #[must_use]
    pub fn at(mut self, file: Option<&str>, line: usize, column: usize) -> Self {
        self.file = file.map(str::to_owned);
        self.line = Some(line);
        self.column = Some(column);
        self
    }

    /// The same with what to do.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = remedy.into();
        self
    }

    /// The same with where the knowledge comes from.
    #[must_use]
    pub fn source(mut self, source: impl Into<String>) -> Self {
        self.source = source.into();
        self
    }

    /// The same with the first series in which it is so.
    #[must_use]
    pub fn since(mut self, since: &Series) -> Self {
        self.since = Some(since.clone());
        self
    }
}

impl fmt::Display for Finding {
    /// `FILE:LINE:COLUMN: SEVERITY: SUBJECT: MESSAGE (since SERIES); REMEDY [SOURCE]`, without the parts that are absent.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{file}:")?;
        }
        for place in [self.line, self.column].into_iter().flatten() {
            write!(f, "{place}:")?;
        }
        if self.file.is_some() || self.line.is_some() {
            f.write_str(" ")?;
        }
        write!(f, "{}: {}: {}", self.severity, self.subject, self.message)?;
        if let Some(since) = &self.since {
            write!(f, " (since {since})")?;
        }
        if !self.remedy.is_empty() {
            write!(f, "; {}", self.remedy)?;
        }
        if !self.source.is_empty() {
            write!(f, " [{}]", self.source)?;
        }
        Ok(())
    }
}

/// Sorts findings as they are shown: by severity, then in the order of the files.
pub fn sort(findings: &mut [Finding]) {
    findings.sort_by(|a, b| {
        let key = |finding: &Finding| (finding.severity, finding.file.clone(), finding.line, finding.column);
        key(a).cmp(&key(b)).then_with(|| a.subject.cmp(&b.subject))
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_as_one_line() {
        let plain = Finding::new("option-removed", Severity::LostUnlessYouAct, "DEFAULT.a", "is gone");
        assert_eq!(plain.to_string(), "lost unless you act: DEFAULT.a: is gone");
        let full = plain
            .at(Some("nova.conf"), 7, 1)
            .remedy("set b")
            .source("nova 27.0.0")
            .since(&"zed".parse().unwrap());
        assert_eq!(
            full.to_string(),
            "nova.conf:7:1: lost unless you act: DEFAULT.a: is gone (since zed); set b [nova 27.0.0]"
        );
        let json = serde_json::to_string(&full).unwrap();
        assert_eq!(serde_json::from_str::<Finding>(&json).unwrap(), full);
        assert!(json.contains("\"severity\":\"lost-unless-you-act\""));
    }

    #[test]
    fn the_most_severe_come_first() {
        let mut all: Vec<Finding> = Severity::ALL
            .iter()
            .rev()
            .map(|s| Finding::new("x", *s, "s", "m"))
            .collect();
        sort(&mut all);
        assert!(all.iter().map(|f| f.severity).eq(Severity::ALL));
        assert!(Severity::Decide.needs_a_decision() && !Severity::ChangedDefault.needs_a_decision());
        assert_eq!(
            Severity::RemovedWithoutEffect.to_string(),
            "removed, was without effect"
        );
    }
}
