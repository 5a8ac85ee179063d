//! Curated rules: what becomes of a configuration option where the option catalogs alone cannot say it.
//!
//! The catalogs know renames that left an alias behind. What they cannot know (several options that became one, a value that
//! was renamed, a feature that went away with its options) stands in `catalog/config-rules/*.toml`, each rule with its source.

use std::collections::{BTreeMap, BTreeSet};

use ffu_model::Series;
use serde::{Deserialize, Serialize};

use crate::error::{CatalogError, shown};
use crate::load::Parsed;

/// A file of rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleFile {
    /// Its rules.
    #[serde(default)]
    pub rule: Vec<Rule>,
}

/// What one change of a project means for files that were written before it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Its name, unique, in kebab-case; findings show it.
    pub id: String,
    /// The services it is about; every service where absent (a library that all of them use).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<String>,
    /// The first series in which it is so; it holds for every migration that enters this series.
    pub since: Series,
    /// What changed.
    pub change: Change,
    /// What happened upstream, in one or two sentences; it is written above the option.
    pub why: String,
    /// What the operator should do; empty where nothing has to be done.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub instead: String,
    /// Where the fact can be read: project, version, file, bug or release note.
    pub source: String,
}

/// The kinds of change. Options are `group.name` as the series before [`Rule::since`] calls them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Change {
    /// One option has another name now, and no alias says so.
    Move {
        /// The old option.
        from: String,
        /// The new one.
        to: String,
    },
    /// One option became several, each with its value.
    Split {
        /// The old option.
        from: String,
        /// The new ones.
        to: Vec<String>,
    },
    /// Several options became one.
    Template {
        /// How the new value is made.
        form: Form,
        /// The old options.
        from: Vec<String>,
        /// The new one.
        to: String,
    },
    /// Some values (or items of a list) have another name now, or none.
    Values {
        /// The options whose values these are; `*` stands for any text.
        options: Vec<String>,
        /// Old value to new value; an empty new one takes an item out of a list.
        map: BTreeMap<String, String>,
    },
    /// The option had no effect in the series before either.
    NeverEffective {
        /// The options; `*` stands for any text.
        options: Vec<String>,
    },
    /// The options went away with a feature.
    FeatureRemoved {
        /// The options; `*` stands for any text.
        options: Vec<String>,
        /// Whether most who set it miss nothing, so that it is a matter of choice rather than a loss.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        choice: bool,
        /// What to write instead, line by line, where that cannot be proven to do the same. `{group.name}` stands for the value
        /// of that option; of alternatives apart by ` | ` the first one counts whose options all have a value.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        write: Vec<String>,
    },
    /// The options are those of another service now, which has a file of its own.
    AnotherFile {
        /// The options; `*` stands for any text.
        options: Vec<String>,
        /// The service that reads them from [`Rule::since`] on.
        service: String,
        /// Its file, below `/etc`: `placement/placement.conf`.
        file: String,
        /// Options that it calls otherwise: old name to new name, both `group.name`.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        names: BTreeMap<String, String>,
    },
    /// There is more than one way on, or a value means something that is gone: the option stays as it is, and is reported.
    Decide {
        /// The options; `*` stands for any text.
        options: Vec<String>,
        /// Only where this is the value or an item of it; any value where empty. `*` stands for any text.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        values: Vec<String>,
        /// Whether what the option did is lost if nobody acts, rather than a matter of choice.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        lost: bool,
    },
}

/// How the value of a [`Change::Template`] is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// oslo.messaging's `driver://user:password@host:port,…/virtual_host` from `rabbit_*` and `rpc_backend`.
    TransportUrl,
}

/// A mistake in a file of rules.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("rule {rule:?}: {reason}; mend it in its file under config-rules/")]
pub struct RuleError {
    /// The rule.
    pub rule: String,
    /// What is wrong with it.
    pub reason: String,
}

impl Rule {
    /// Whether it is about a service.
    pub fn is_about(&self, service: &str) -> bool {
        self.services.is_empty() || self.services.iter().any(|one| one == service)
    }

    /// The options it is about, as `group.name`; `*` stands for any text.
    pub fn options(&self) -> &[String] {
        match &self.change {
            Change::Move { from, .. } | Change::Split { from, .. } => std::slice::from_ref(from),
            Change::Template { from, .. } => from,
            Change::Values { options, .. }
            | Change::NeverEffective { options }
            | Change::FeatureRemoved { options, .. }
            | Change::AnotherFile { options, .. }
            | Change::Decide { options, .. } => options,
        }
    }

    /// Whether it is about an option.
    pub fn matches(&self, group: &str, name: &str) -> bool {
        self.options().iter().any(|pattern| {
            split_name(pattern).is_some_and(|(of_group, of_name)| glob(of_group, group) && glob(of_name, name))
        })
    }

    /// Whether it says what it must.
    ///
    /// # Errors
    /// The first mistake.
    pub fn check(&self) -> Result<(), RuleError> {
        let wrong = |reason: String| {
            Err(RuleError {
                rule: shown(&self.id),
                reason,
            })
        };
        if !ffu_model::cloud::is_name(&self.id) {
            return wrong("its id is no name: lower-case letters, digits, - and _".to_owned());
        }
        if self.why.trim().is_empty() || self.source.trim().is_empty() {
            return wrong("it needs a `why` and a `source`".to_owned());
        }
        let ends = match &self.change {
            Change::Move { to, .. } | Change::Template { to, .. } => std::slice::from_ref(to),
            Change::Split { to, .. } => to.as_slice(),
            _ => &[],
        };
        if self.options().is_empty() {
            return wrong("it names no option".to_owned());
        }
        if let Some(bad) = self
            .options()
            .iter()
            .chain(ends)
            .find(|name| split_name(name).is_none())
        {
            return wrong(format!("{:?} is no option: write group.name", shown(bad)));
        }
        if let Some(bad) = ends.iter().find(|name| name.contains('*')) {
            return wrong(format!("{:?} cannot be where an option goes to", shown(bad)));
        }
        if let Change::AnotherFile {
            service, file, names, ..
        } = &self.change
        {
            let bad = names.iter().flat_map(|(old, new)| [old, new]);
            if let Some(bad) = bad.into_iter().find(|name| split_name(name).is_none()) {
                return wrong(format!("{:?} is no option: write group.name", shown(bad)));
            }
            let plain = !file.starts_with('/') && file.split('/').all(|part| !part.is_empty() && part != "..");
            if !plain || !ffu_model::cloud::is_name(service) {
                return wrong(format!("{:?} is no file of a service below /etc", shown(file)));
            }
        }
        Ok(())
    }
}

/// What is wrong with the rules: in themselves, or with the series they name.
pub(crate) fn check(parsed: &Parsed, errors: &mut Vec<CatalogError>) {
    let known: BTreeSet<&Series> = parsed
        .series
        .iter()
        .flat_map(|file| &file.series)
        .map(|entry| &entry.id)
        .collect();
    let mut ids: BTreeSet<&str> = BTreeSet::new();
    for (file, rule) in parsed
        .rules
        .iter()
        .flat_map(|(file, rules)| rules.iter().map(move |rule| (file, rule)))
    {
        let wrong = |reason: &str| RuleError {
            rule: shown(&rule.id),
            reason: reason.to_owned(),
        };
        let mistake = match rule.check() {
            Err(error) => Some(error),
            Ok(()) if !known.contains(&rule.since) => Some(wrong("its series is not in series.toml")),
            Ok(()) if !ids.insert(&rule.id) => Some(wrong("there is another rule of that name")),
            Ok(()) => None,
        };
        if let Some(mistake) = mistake {
            errors.push(CatalogError {
                file: file.clone(),
                line: None,
                column: None,
                problem: mistake.into(),
            });
        }
    }
}

/// `group.name` in its two parts; a group may hold a dot, a name never does.
pub fn split_name(text: &str) -> Option<(&str, &str)> {
    let (group, name) = text.rsplit_once('.')?;
    (!group.is_empty() && !name.is_empty()).then_some((group, name))
}

/// Whether a text fits a pattern in which `*` stands for any text.
pub fn glob(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut left) = text.strip_prefix(head) else {
        return false;
    };
    let mut parts = rest.split('*').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return left.ends_with(part);
        }
        match left.find(part) {
            Some(at) => left = left.get(at + part.len()..).unwrap_or(""),
            None => return false,
        }
    }
    left.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: &str = r#"
        [[rule]]
        id = "x"
        since = "stein"
        change = { is = "move", from = "DEFAULT.a", to = "b.c" }
        why = "it moved"
        source = "nova 19.0.0"
    "#;

    fn rule(text: &str) -> Rule {
        toml::from_str::<RuleFile>(text).unwrap().rule.remove(0)
    }

    #[test]
    fn patterns_stand_for_any_text() {
        for (pattern, text, fits) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("a*", "ab", true),
            ("*b", "ab", true),
            ("a*c*e", "abcde", true),
            ("a*c*e", "abde", false),
            ("*", "", true),
            ("ab*ba", "aba", false),
        ] {
            assert_eq!(glob(pattern, text), fits, "{pattern} {text}");
        }
        let rule = rule(&RULE.replace("DEFAULT.a", "xenserver.*"));
        assert!(rule.matches("xenserver", "agent_timeout") && !rule.matches("DEFAULT", "agent_timeout"));
    }

    #[test]
    fn a_rule_without_a_source_or_an_option_is_refused() {
        assert_eq!(rule(RULE).check(), Ok(()));
        for (old, new, says) in [
            ("nova 19.0.0", " ", "needs a `why` and a `source`"),
            ("DEFAULT.a", "DEFAULT", "is no option: write group.name"),
            ("b.c", "b.*", "cannot be where an option goes to"),
            ("\"x\"", "\"X y\"", "is no name"),
            (
                r#"{ is = "move", from = "DEFAULT.a", to = "b.c" }"#,
                r#"{ is = "another-file", options = ["b.*"], service = "b", file = "../b.conf" }"#,
                "is no file of a service",
            ),
            (
                r#"{ is = "move", from = "DEFAULT.a", to = "b.c" }"#,
                r#"{ is = "another-file", options = ["b.*"], service = "b", file = "b/b.conf", names = { "b.c" = "d" } }"#,
                "is no option: write group.name",
            ),
        ] {
            let error = rule(&RULE.replace(old, new)).check().unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn a_bad_rule_of_an_overlay_is_reported_with_its_file() {
        for (old, new, says) in [
            ("stein", "stain", "its series is not in series.toml"),
            ("nova 19.0.0", "", "needs a `why` and a `source`"),
            ("\"x\"", "\"nova-cells-v1\"", "there is another rule of that name"),
        ] {
            let text = RULE.replace(old, new).into_bytes();
            let files = BTreeMap::from([("config-rules/site.toml".to_owned(), text)]);
            let errors = crate::Catalog::with_overlay(&files).unwrap_err().to_string();
            assert!(
                errors.contains("config-rules/site.toml") && errors.contains(says),
                "{errors}"
            );
        }
        let files = BTreeMap::from([("config-rules/site.toml".to_owned(), RULE.as_bytes().to_vec())]);
        let catalog = crate::Catalog::with_overlay(&files).unwrap();
        assert!(catalog.config_rules().iter().any(|rule| rule.id == "x"));
        assert!(
            catalog
                .config_rules()
                .iter()
                .any(|rule| rule.id == "rabbit-transport-url")
        );
    }

    #[test]
    fn a_word_the_format_does_not_have_is_refused() {
        assert!(toml::from_str::<RuleFile>(&RULE.replace("why", "because")).is_err());
    }
}
