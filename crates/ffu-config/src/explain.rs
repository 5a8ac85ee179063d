//! The whole life of an option across the series: when it came, what it was called, what changed, when it went.

use ffu_catalog::options::{Opt, OptType, Removal, ServiceOptions};
use ffu_catalog::rules::Rule;
use ffu_model::Series;
use serde::Serialize;

use crate::fate::{Fate, Lineage, Name, meanings};

/// The life of an option, as far as the catalogs know it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Life {
    /// The name that was asked for.
    pub asked: Name,
    /// What it was, oldest first; a stage for each time something about it changed.
    pub stages: Vec<Stage>,
    /// What became of the name from the first series that knew it to the newest one.
    pub at_newest: Fate,
    /// What curated rules say about it.
    pub rules: Vec<Told>,
}

/// Series in which an option is the same.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stage {
    /// The first of them.
    pub first: Series,
    /// The last of them.
    pub last: Series,
    /// The option's name there.
    pub name: Name,
    /// Whether the name that was asked for is an old spelling of it there.
    pub old_spelling: bool,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: OptType,
    /// Its default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<serde_json::Value>,
    /// Whether it takes several values.
    pub multi: bool,
    /// Whether its value is masked everywhere.
    pub secret: bool,
    /// The old spellings it answers to.
    pub old_spellings: Vec<Name>,
    /// Set where upstream has announced that it goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub removal: Option<Removal>,
}

/// What a curated rule says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Told {
    /// The rule.
    pub rule: String,
    /// The first series in which it is so.
    pub since: Series,
    /// What happened.
    pub why: String,
    /// What to do.
    pub instead: String,
    /// Where that can be read.
    pub source: String,
}

/// The life of an option, by any of its names; `order` is all series, oldest first. `None`: no series knows the name.
pub fn explain(service: &ServiceOptions, rules: &[Rule], order: &[Series], group: &str, name: &str) -> Option<Life> {
    let group = crate::ini::normalise_group(group);
    let asked = Name::new(group.as_ref(), name);
    let mut names = earlier_names(service, order, &asked);
    let mut stages: Vec<Stage> = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    let mut first: Option<usize> = None;
    for (at, series) in order.iter().enumerate() {
        let Some(set) = service.at(series) else { continue };
        let mut met: Vec<&Opt> = Vec::new();
        for name in &names {
            let more = meanings(&set, &name.group, &name.name);
            met.extend(
                more.into_iter()
                    .filter(|option| !met.iter().any(|other| std::ptr::eq(*other, *option)))
                    .collect::<Vec<_>>(),
            );
        }
        if !met.is_empty() && first.is_none() {
            first = Some(at);
        }
        let mut still = Vec::new();
        for option in met {
            let here = Name::new(&option.group, &option.name);
            if !names.contains(&here) {
                names.push(here);
            }
            let stage = stage(option, series, &asked);
            let same = open
                .iter()
                .copied()
                .find(|at| stages.get(*at).is_some_and(|open| open.is_like(&stage)));
            match same {
                Some(at) => {
                    stages[at].last = series.clone();
                    still.push(at);
                }
                None => {
                    still.push(stages.len());
                    stages.push(stage);
                }
            }
        }
        open = still;
    }
    let first = first?;
    let newest = order.iter().rposition(|series| service.position(series).is_some())?;
    let lineage = Lineage::new(service, order.get(first..=newest)?, rules).ok()?;
    let told = rules
        .iter()
        .filter(|rule| rule.is_about(&service.service) && names.iter().any(|one| rule.matches(&one.group, &one.name)))
        .map(|rule| Told {
            rule: rule.id.clone(),
            since: rule.since.clone(),
            why: rule.why.clone(),
            instead: rule.instead.clone(),
            source: rule.source.clone(),
        })
        .collect();
    Some(Life {
        at_newest: lineage.fate(&asked.group, &asked.name),
        asked,
        stages,
        rules: told,
    })
}

/// The name, and those it had before: newest series first, because an old spelling was a current name earlier.
fn earlier_names(service: &ServiceOptions, order: &[Series], asked: &Name) -> Vec<Name> {
    let mut names = vec![asked.clone()];
    for set in order.iter().rev().filter_map(|series| service.at(series)) {
        let current: Vec<&Opt> = names
            .iter()
            .filter_map(|name| set.get(&name.group, &name.name))
            .collect();
        for old in current.iter().flat_map(|option| &option.aliases) {
            let name = Name::new(&old.group, &old.name);
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    names
}

fn stage(option: &Opt, series: &Series, asked: &Name) -> Stage {
    let name = Name::new(&option.group, &option.name);
    Stage {
        first: series.clone(),
        last: series.clone(),
        old_spelling: name != *asked,
        name,
        kind: option.kind.clone(),
        default: option.default.clone(),
        multi: option.multi,
        secret: option.secret,
        old_spellings: option
            .aliases
            .iter()
            .map(|old| Name::new(&old.group, &old.name))
            .collect(),
        removal: option.removal.clone(),
    }
}

impl Stage {
    fn is_like(&self, other: &Stage) -> bool {
        self.name == other.name
            && self.kind == other.kind
            && self.default == other.default
            && (self.multi, self.secret) == (other.multi, other.secret)
            && self.old_spellings == other.old_spellings
            && self.removal == other.removal
    }
}
