//! What becomes of an option's name on the way from one series to another, by the catalogs of all series in between and the
//! curated rules. Names only: values are the business of [`crate::migrate`].
//!
//! A spelling is first resolved in its own series, even when it is a current name too, because the target may have dropped
//! the alias. Then every series is asked in turn, and a name that one of them does not know is kept in mind: a group that
//! joins the catalogs later looks dropped in between. At last the target is asked directly, and a disagreement is reported.

mod branch;
mod name;

use ffu_catalog::options::{Opt, OptionSet, ServiceOptions};
use ffu_catalog::rules::Rule;
use ffu_model::Series;
use serde::Serialize;

pub(crate) use branch::{Branch, End, advance};
pub use name::Name;

/// The catalogs of one service along a path of series.
#[derive(Clone, Debug)]
pub struct Lineage<'a> {
    steps: Vec<Step<'a>>,
}

/// One series of the path.
#[derive(Clone, Debug)]
pub(crate) struct Step<'a> {
    pub set: OptionSet<'a>,
    /// The rules that hold from here on, or from a series between the one before and this one.
    pub rules: Vec<&'a Rule>,
}

/// A path that cannot be followed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineageError {
    /// The service has no options in a series that is one of the ends.
    #[error(
        "there is no option catalog of {service} for {series}: {reason}; `ffu config options {service}` lists what there is"
    )]
    NotDumped {
        /// The service.
        service: String,
        /// The series.
        series: Series,
        /// Why.
        reason: String,
    },
    /// The path has no series in it.
    #[error("the path from one series to another is empty; name both with --from and --to")]
    NoPath,
}

/// What becomes of a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Fate {
    /// The target accepts it as it is, and calls it so itself.
    Kept,
    /// It is another name of the same group.
    Renamed {
        /// The name at the target.
        to: Name,
        /// The names on the way, each with the series that brought it.
        chain: Vec<(Series, Name)>,
    },
    /// It is in another group.
    Moved {
        /// The name at the target.
        to: Name,
        /// The names on the way, each with the series that brought it.
        chain: Vec<(Series, Name)>,
    },
    /// It has become several.
    Split {
        /// The names at the target.
        to: Vec<Name>,
    },
    /// Its value is a part of another option's now.
    Absorbed {
        /// The option.
        into: Name,
        /// The series in which that happened.
        since: Series,
        /// The id of the rule that says so.
        rule: String,
    },
    /// The target does not know it.
    Gone {
        /// The first series that does not.
        since: Series,
        /// The first series of the path in which its removal was announced; `None`: nobody said so.
        announced: Option<Series>,
        /// The id of the rule that says what happened to it.
        rule: Option<String>,
    },
    /// The series it comes from does not know it either.
    Unknown,
}

/// What one option of the first series has become, for those who move its values.
#[derive(Clone, Debug)]
pub(crate) struct Outcome<'a> {
    /// The options of the target that have its value now.
    pub successors: Vec<Branch<'a>>,
    /// The branches that ended, where none lives.
    pub ended: Vec<Branch<'a>>,
    /// What the target answers when it is asked directly, where that is something else.
    pub disagreement: Vec<&'a Opt>,
}

impl<'a> Lineage<'a> {
    /// The catalogs of a service on a path; `path` is all series from the first to the target, both included, oldest
    /// first. Series that could not be dumped are passed over.
    ///
    /// # Errors
    /// [`LineageError`] where one of the ends has no catalog.
    pub fn new(service: &'a ServiceOptions, path: &[Series], rules: &'a [Rule]) -> Result<Self, LineageError> {
        let (Some(first), Some(last)) = (path.first(), path.last()) else {
            return Err(LineageError::NoPath);
        };
        for end in [first, last] {
            if service.position(end).is_none() {
                return Err(not_dumped(service, end));
            }
        }
        let rules: Vec<&Rule> = rules.iter().filter(|rule| rule.is_about(&service.service)).collect();
        let mut steps: Vec<Step<'a>> = Vec::with_capacity(path.len());
        let mut entering: Vec<&Rule> = Vec::new();
        for series in path {
            // Rules of the first series are about files that are older still.
            if !steps.is_empty() {
                entering.extend(rules.iter().filter(|rule| rule.since == *series));
            }
            if let Some(set) = service.at(series) {
                steps.push(Step {
                    set,
                    rules: std::mem::take(&mut entering),
                });
            }
        }
        Ok(Lineage { steps })
    }

    /// The options of the first series.
    pub fn first(&self) -> &OptionSet<'a> {
        &self.steps[0].set
    }

    /// The options of the target.
    pub fn target(&self) -> &OptionSet<'a> {
        &self.steps[self.steps.len() - 1].set
    }

    /// What becomes of a name or an old spelling of the first series; the group in lower case, or `DEFAULT`.
    pub fn fate(&self, group: &str, name: &str) -> Fate {
        let asked = Name::new(group, name);
        let meant = meanings(self.first(), group, name);
        if meant.is_empty() {
            return Fate::Unknown;
        }
        let outcomes: Vec<_> = meant
            .iter()
            .map(|option| self.outcome(&option.group, &option.name))
            .collect();
        let mut alive: Vec<&Branch<'a>> = Vec::new();
        for branch in outcomes.iter().flat_map(|outcome| &outcome.successors) {
            if !alive.iter().any(|other| other.key() == branch.key()) {
                alive.push(branch);
            }
        }
        if alive.iter().any(|branch| branch.key() == (group, name)) {
            return Fate::Kept;
        }
        match alive.as_slice() {
            [] => {}
            [one] => {
                let (to, chain) = (one.name(), self.chain(one));
                return if to.group == asked.group {
                    Fate::Renamed { to, chain }
                } else {
                    Fate::Moved { to, chain }
                };
            }
            several => {
                let to = several.iter().map(|branch| branch.name()).collect();
                return Fate::Split { to };
            }
        }
        // The end that says most: a rule's, then an announced one, then a silent one.
        let ended = outcomes.iter().flat_map(|outcome| &outcome.ended);
        let said = ended.max_by_key(|branch| (matches!(branch.end, End::Rule(..)), branch.announced.is_some()));
        said.map_or(Fate::Unknown, |branch| self.gone(branch))
    }

    fn gone(&self, branch: &Branch<'a>) -> Fate {
        if let End::Rule(at, rule) = branch.end {
            if let Some(into) = branch::absorbed_into(rule) {
                return Fate::Absorbed {
                    into,
                    since: self.series(at).clone(),
                    rule: rule.id.clone(),
                };
            }
            return Fate::Gone {
                since: self.series(at).clone(),
                announced: branch.announced.map(|at| self.series(at).clone()),
                rule: Some(rule.id.clone()),
            };
        }
        Fate::Gone {
            since: self.series(branch.missing.unwrap_or(0)).clone(),
            announced: branch.announced.map(|at| self.series(at).clone()),
            rule: None,
        }
    }

    fn chain(&self, branch: &Branch<'a>) -> Vec<(Series, Name)> {
        let passage = |&(at, (group, name)): &(usize, (&str, &str))| (self.series(at).clone(), Name::new(group, name));
        branch.via.iter().map(passage).collect()
    }

    pub(crate) fn series(&self, at: usize) -> &'a Series {
        self.steps[at.min(self.steps.len() - 1)].set.series()
    }

    pub(crate) fn steps(&self) -> &[Step<'a>] {
        &self.steps
    }

    /// What an option of the first series (by its current name) has become.
    pub(crate) fn outcome(&self, group: &str, name: &str) -> Outcome<'a> {
        let Some(option) = self.first().get(group, name) else {
            return Outcome {
                successors: Vec::new(),
                ended: Vec::new(),
                disagreement: Vec::new(),
            };
        };
        let mut branches = vec![Branch::start(option)];
        for (at, step) in self.steps.iter().enumerate().skip(1) {
            branches = branch::advance(branches, at, step);
        }
        let direct = meanings(self.target(), group, name);
        let (successors, ended): (Vec<_>, Vec<_>) = branches.into_iter().partition(Branch::is_alive);
        let disagreement = direct
            .into_iter()
            .filter(|option| {
                !successors
                    .iter()
                    .any(|branch| branch.key() == (&option.group, &option.name))
            })
            .filter(|_| !ended.iter().any(|branch| matches!(branch.end, End::Rule(..))))
            .collect();
        Outcome {
            successors,
            ended,
            disagreement,
        }
    }
}

/// The options that a spelling sets: the one of that name, and those that answer to it as an old name.
pub(crate) fn meanings<'a>(set: &OptionSet<'a>, group: &str, name: &str) -> Vec<&'a Opt> {
    let mut meant: Vec<&'a Opt> = set.get(group, name).into_iter().collect();
    for option in set.by_alias(group, name) {
        if !meant.iter().any(|other| std::ptr::eq(*other, *option)) {
            meant.push(option);
        }
    }
    meant
}

pub(crate) fn not_dumped(service: &ServiceOptions, series: &Series) -> LineageError {
    let listed = service.not_dumped.iter().find(|one| one.series == *series);
    LineageError::NotDumped {
        service: service.service.clone(),
        series: series.clone(),
        reason: listed.map_or_else(
            || "it is not one of the series that were dumped".to_owned(),
            |one| one.reason.clone(),
        ),
    }
}
