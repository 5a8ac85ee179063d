//! The whole life of a policy rule over the series: what it needs by default, what it was called before, what took its place.

use std::collections::BTreeSet;
use std::fmt;

use ffu_model::Series;
use serde::Serialize;

use super::history::{History, Stage};

/// What a rule is from one series on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Was {
    /// The service registers it.
    Registered {
        /// The default check.
        check: String,
        /// The scopes of tokens that it takes; empty for any.
        scopes: Vec<String>,
        /// The old rule whose check is or-ed to it and whose name may count in files, with its check.
        predecessor: Option<(String, String)>,
        /// Whether upstream has announced that it goes.
        to_be_removed: bool,
    },
    /// It is only an old name: these rules are what it was.
    OldNameOf(Vec<String>),
    /// The service has no such rule.
    Absent,
}

/// One stretch of a rule's life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Chapter {
    /// The first series.
    pub since: Series,
    /// The last one in which all of it is so.
    pub until: Series,
    /// What it is.
    pub was: Was,
}

/// A rule's life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Life {
    /// The rule.
    pub rule: String,
    /// Its stretches, oldest first, without the ones before it was known at all.
    pub chapters: Vec<Chapter>,
    /// All names it had before, and those that replaced it, over all series.
    pub related: Vec<String>,
}

/// Tells the life of a rule; `None` if no series knows the name, not even as an old one.
pub fn explain(history: &History<'_>, rule: &str) -> Option<Life> {
    let mut chapters: Vec<Chapter> = Vec::new();
    for (at, stage) in history.stages.iter().enumerate() {
        let was = in_stage(history, stage, at, rule);
        match chapters.last_mut() {
            Some(last) if last.was == was => last.until = stage.series.clone(),
            None if was == Was::Absent => {}
            _ => chapters.push(Chapter {
                since: stage.series.clone(),
                until: stage.series.clone(),
                was,
            }),
        }
    }
    let mut related = BTreeSet::new();
    for chapter in &chapters {
        match &chapter.was {
            Was::Registered { predecessor, .. } => related.extend(predecessor.iter().map(|(name, _)| name.clone())),
            Was::OldNameOf(names) => related.extend(names.iter().cloned()),
            Was::Absent => {}
        }
    }
    for at in 0..history.stages.len() {
        related.extend(history.successors(rule, at).map(|rule| rule.name.clone()));
    }
    related.remove(rule);
    (!chapters.is_empty()).then(|| Life {
        rule: rule.to_owned(),
        chapters,
        related: related.into_iter().collect(),
    })
}

fn in_stage(history: &History<'_>, stage: &Stage<'_>, at: usize, rule: &str) -> Was {
    if let Some(found) = stage.rules.get(rule) {
        return Was::Registered {
            check: found.check.clone(),
            scopes: found.scopes.clone(),
            predecessor: found
                .predecessor
                .as_ref()
                .map(|old| (old.name.clone(), old.check.clone())),
            to_be_removed: found.removal.is_some(),
        };
    }
    let names: Vec<String> = history.successors(rule, at).map(|rule| rule.name.clone()).collect();
    match names.is_empty() {
        true => Was::Absent,
        false => Was::OldNameOf(names),
    }
}

impl fmt::Display for Was {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Was::Absent => f.write_str("not there"),
            Was::OldNameOf(names) => write!(f, "only an old name of {}", names.join(", ")),
            Was::Registered {
                check,
                scopes,
                predecessor,
                to_be_removed,
            } => {
                write!(f, "{check:?}")?;
                if let Some((name, old)) = predecessor {
                    write!(f, ", before {name} with {old:?}")?;
                }
                if !scopes.is_empty() {
                    write!(f, ", for tokens of {}", scopes.join(", "))?;
                }
                if *to_be_removed {
                    f.write_str(", announced to go")?;
                }
                Ok(())
            }
        }
    }
}

impl fmt::Display for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.rule)?;
        for chapter in &self.chapters {
            match chapter.since == chapter.until {
                true => writeln!(f, "  {}: {}", chapter.since, chapter.was)?,
                false => writeln!(f, "  {} to {}: {}", chapter.since, chapter.until, chapter.was)?,
            }
        }
        if !self.related.is_empty() {
            writeln!(f, "  see also: {}", self.related.join(", "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use ffu_catalog::options::{PolicyRule, PredecessorRule, SeriesSet};

    use super::*;

    #[test]
    fn a_life_in_three_chapters() {
        let rule = |name: &str, check: &str, old: Option<&str>| PolicyRule {
            name: name.into(),
            series: SeriesSet(0),
            check: check.into(),
            scopes: vec!["project".into()],
            predecessor: old.map(|name| PredecessorRule {
                name: name.into(),
                check: "role:o".into(),
                since: None,
            }),
            removal: None,
        };
        let (old, new, later) = (
            rule("a", "role:o", None),
            rule("b", "role:p", Some("a")),
            rule("b", "role:p", None),
        );
        let stage = |series: &str, rule: Option<&'static PolicyRule>| Stage {
            series: series.parse().unwrap(),
            rules: rule
                .map(|rule| BTreeMap::from([(rule.name.as_str(), rule)]))
                .unwrap_or_default(),
            in_code: true,
        };
        let [old, new, later] = [old, new, later].map(|rule| &*Box::leak(Box::new(rule)));
        let history = History {
            stages: vec![
                stage("pike", None),
                stage("queens", Some(old)),
                stage("rocky", Some(old)),
                stage("stein", Some(new)),
                stage("train", Some(later)),
            ],
        };
        assert_eq!(
            explain(&history, "a").unwrap().to_string(),
            "a\n  queens to rocky: \"role:o\", for tokens of project\n  stein: only an old name of b\n  train: not there\n  \
             see also: b\n"
        );
        let life = explain(&history, "b").unwrap();
        assert_eq!(life.related, ["a"]);
        assert!(
            life.to_string().contains("stein: \"role:p\", before a with \"role:o\""),
            "{life}"
        );
        assert!(serde_json::to_string(&life).unwrap().contains("\"registered\""));
        assert_eq!(explain(&history, "nobody"), None);
    }
}
