//! What oslo.policy makes of a rule that is, or is not, in the file: its handling of predecessors, era by era.
//!
//! Read off `oslo_policy.policy.Enforcer.load_rules` and `_handle_deprecated_rule` of the release in each series' upper
//! constraints, and asked again of the real library by `crates/ffu/tests/policy_differs.rs`.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use ffu_catalog::options::ServiceOptions;
use ffu_model::Series;

use super::check::{self, Check};
use super::history::Stage;

/// The most nodes of a check with all references written out that are compared.
const MOST_NODES: usize = 20_000;
/// The deepest nesting of references and operators together.
const DEEPEST: usize = 400;
/// The most different tests for which all combinations are tried.
const MOST_ATOMS: usize = 10;

/// How the predecessor's check is or-ed to a rule whose default changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joins {
    /// There are no predecessors yet.
    Never,
    /// As text, `new or old`, which denies everybody where one of the two is empty.
    AsText,
    /// As trees.
    AsTrees,
}

/// How the oslo.policy of a series treats rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Engine {
    /// Whether and how old defaults are or-ed to new ones.
    pub joins: Joins,
    /// Whether an override under the old name holds for the new rule.
    pub honours_old_names: bool,
    /// Whether an override under the old name that equals the old default is taken for none.
    pub old_default_is_no_override: bool,
    /// Whether the option `enforce_new_defaults` exists.
    pub knows_new_defaults: bool,
    /// Whether a rule that is deprecated for removal loses its predecessor.
    pub removal_ends_it: bool,
    /// Whether a file is tried as JSON first.
    pub reads_json: bool,
    /// Whether `policy.json` is read where the option is at its default `policy.yaml` and there is no such file.
    pub falls_back_to_json: bool,
}

impl Engine {
    /// The engine of a series. Series that are not listed here are as the newest.
    pub fn of(series: &Series) -> Self {
        let newest = Engine {
            joins: Joins::AsTrees,
            honours_old_names: true,
            old_default_is_no_override: true,
            knows_new_defaults: true,
            removal_ends_it: false,
            reads_json: false,
            falls_back_to_json: false,
        };
        // oslo.policy 3.7.1 to 4.6.0; checks had no equality, so no override ever equalled the old default.
        let wallaby = Engine {
            old_default_is_no_override: false,
            reads_json: true,
            falls_back_to_json: true,
            ..newest
        };
        // 3.1.2 and 3.5.0.
        let ussuri = Engine {
            removal_ends_it: true,
            falls_back_to_json: false,
            ..wallaby
        };
        // 2.1.3 and 2.3.4.
        let stein = Engine {
            joins: Joins::AsText,
            knows_new_defaults: false,
            ..ussuri
        };
        // 1.33.2 and 1.38.1.
        let queens = Engine {
            honours_old_names: false,
            removal_ends_it: false,
            ..stein
        };
        match series.as_str() {
            "liberty" | "mitaka" | "newton" | "ocata" | "pike" => Engine {
                joins: Joins::Never,
                ..queens
            },
            "queens" | "rocky" => queens,
            "stein" | "train" => stein,
            "ussuri" | "victoria" => ussuri,
            "wallaby" | "xena" | "yoga" | "zed" => wallaby,
            "2023.1" | "2023.2" | "2024.1" | "2024.2" | "2025.1" | "2025.2" => wallaby,
            _ => newest,
        }
    }
}

/// The settings of group `oslo_policy` that decide what rules mean, as one service has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `enforce_scope`.
    pub enforce_scope: bool,
    /// `enforce_new_defaults`.
    pub enforce_new_defaults: bool,
    /// `policy_default_rule`.
    pub default_rule: String,
    /// `policy_file`.
    pub policy_file: String,
    /// Whether the operator's configuration sets `policy_file`.
    pub policy_file_is_set: bool,
}

impl Settings {
    /// The defaults of a service in a series, by its option catalog; where that does not know the group, oslo.policy's own
    /// of that series. What the operator's configuration sets has to be put over them.
    pub fn of_defaults(service: &ServiceOptions, series: &Series) -> Self {
        let options = service.at(series);
        let default = |name: &str| {
            let option = options.as_ref().and_then(|options| options.get("oslo_policy", name));
            option.and_then(|option| option.default.clone())
        };
        let flag = |name: &str| default(name).and_then(|value| value.as_bool()).unwrap_or(false);
        let text = |name: &str, otherwise: &str| match default(name) {
            Some(serde_json::Value::String(text)) => text,
            _ => otherwise.to_owned(),
        };
        // oslo.policy 6 (2026.2) has no such option any more: it always enforces.
        let always = !Engine::of(series).reads_json && default("enforce_scope").is_none();
        let mut policy_file = text("policy_file", "policy.json");
        // Placement sets its default when it starts, not when it is imported (placement/policy.py `init`), from Wallaby on;
        // in Stein its own option counted, in Train where there is no `policy.json`.
        let engine = Engine::of(series);
        if service.service == "placement" && (engine.falls_back_to_json || default_of_placement(&options).is_some()) {
            policy_file = default_of_placement(&options).unwrap_or_else(|| "policy.yaml".to_owned());
        }
        Settings {
            enforce_scope: flag("enforce_scope") || always,
            enforce_new_defaults: flag("enforce_new_defaults"),
            default_rule: text("policy_default_rule", "default"),
            policy_file,
            policy_file_is_set: false,
        }
    }
}

/// `[placement] policy_file`, while there was one.
fn default_of_placement(options: &Option<ffu_catalog::options::OptionSet<'_>>) -> Option<String> {
    let option = options.as_ref()?.get("placement", "policy_file")?;
    option.default.as_ref()?.as_str().map(str::to_owned)
}

/// A check with all references written out, or why there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// The check, simplified.
    Known(Check),
    /// It is too large to be compared.
    TooComplex,
}

impl Meaning {
    /// Whether both admit the same requests. Two that are too complex never do.
    pub fn same(&self, other: &Meaning) -> bool {
        match (self, other) {
            (Meaning::Known(a), Meaning::Known(b)) => a == b || equivalent(a, b),
            _ => false,
        }
    }
}

/// One series' service with the rules of the file: who may do what.
pub struct Enforcer<'a> {
    stage: &'a Stage<'a>,
    engine: Engine,
    settings: &'a Settings,
    file: &'a BTreeMap<String, Check>,
}

impl<'a> Enforcer<'a> {
    /// The service of a series, its settings, and the rules that are in force from files.
    pub fn new(stage: &'a Stage<'a>, settings: &'a Settings, file: &'a BTreeMap<String, Check>) -> Self {
        Enforcer {
            engine: Engine::of(&stage.series),
            stage,
            settings,
            file,
        }
    }

    /// `Enforcer.rules[name]` after `load_rules`, without the fallback to the default rule.
    pub fn rule(&self, name: &str) -> Option<Check> {
        if let Some(check) = self.file.get(name) {
            return Some(check.clone());
        }
        let rule = self.stage.rules.get(name).filter(|_| self.stage.in_code)?;
        let default = check::parse(&rule.check).check;
        let Some(old) = &rule.predecessor else {
            return Some(default);
        };
        if self.engine.joins == Joins::Never || (self.engine.removal_ends_it && rule.removal.is_some()) {
            return Some(default);
        }
        if self.honours(name, &old.name) {
            return self.file.get(&old.name).cloned();
        }
        let only_new = self.engine.knows_new_defaults && self.settings.enforce_new_defaults;
        if only_new || old.check == rule.check {
            return Some(default);
        }
        Some(match self.engine.joins {
            Joins::AsText => check::parse(&format!("{} or {}", rule.check, old.check)).check,
            _ => Check::Or(vec![default, check::parse(&old.check).check]),
        })
    }

    /// Whether the file's override of an old name holds for a rule of this series.
    pub fn honours(&self, name: &str, old: &str) -> bool {
        let (Some(rule), Some(over)) = (self.stage.rules.get(name), self.file.get(old)) else {
            return false;
        };
        let Some(predecessor) = rule.predecessor.as_ref().filter(|p| p.name == old) else {
            return false;
        };
        let ended = self.engine.removal_ends_it && rule.removal.is_some();
        let none = self.engine.old_default_is_no_override && check::parse(&predecessor.check).check == *over;
        self.engine.honours_old_names
            && self.stage.in_code
            && name != old
            && !self.file.contains_key(name)
            && !ended
            && !none
            && over.as_rule() != Some(name)
    }

    /// What a request needs for a rule. A rule that is nowhere is the default rule, or denies.
    pub fn meaning(&self, name: &str) -> Meaning {
        self.meaning_of(&Check::rule(name))
    }

    /// What a request needs for a check.
    pub fn meaning_of(&self, check: &Check) -> Meaning {
        let left = Cell::new(MOST_NODES);
        match self.expand(check, &mut Vec::new(), &left, 0) {
            Some(check) => Meaning::Known(check),
            None => Meaning::TooComplex,
        }
    }

    fn expand(&self, check: &Check, seen: &mut Vec<String>, left: &Cell<usize>, depth: usize) -> Option<Check> {
        left.set(left.get().checked_sub(1)?);
        if depth > DEEPEST {
            return None;
        }
        let mut all = |parts: &[Check]| -> Option<Vec<Check>> {
            parts
                .iter()
                .map(|part| self.expand(part, seen, left, depth + 1))
                .collect()
        };
        match check {
            Check::True | Check::False => Some(check.clone()),
            Check::Not(inner) => Some(match self.expand(inner, seen, left, depth + 1)? {
                Check::True => Check::False,
                Check::False => Check::True,
                Check::Not(inner) => *inner,
                other => Check::Not(Box::new(other)),
            }),
            Check::And(parts) => Some(gather(all(parts)?, true)),
            Check::Or(parts) => Some(gather(all(parts)?, false)),
            Check::Test { kind, against } if kind == "rule" => {
                if seen.contains(against) {
                    // A circle: Python's recursion limit ends the request, whoever makes it.
                    return Some(check.clone());
                }
                let fallback = || self.rule(&self.settings.default_rule);
                let Some(found) = self.rule(against).or_else(fallback) else {
                    return Some(Check::False);
                };
                seen.push(against.clone());
                let expanded = self.expand(&found, seen, left, depth + 1);
                seen.pop();
                expanded
            }
            // Roles are compared without regard to case.
            Check::Test { kind, against } if kind == "role" && !against.contains('%') => Some(Check::Test {
                kind: kind.clone(),
                against: against.to_lowercase(),
            }),
            Check::Test { .. } => Some(check.clone()),
        }
    }
}

/// Flattens, sorts and shortens the parts of an `and` or an `or`.
fn gather(parts: Vec<Check>, and: bool) -> Check {
    let (neutral, decisive) = match and {
        true => (Check::True, Check::False),
        false => (Check::False, Check::True),
    };
    let mut flat = BTreeSet::new();
    for part in parts {
        match part {
            Check::And(inner) if and => flat.extend(inner),
            Check::Or(inner) if !and => flat.extend(inner),
            part if part == neutral => {}
            part => {
                flat.insert(part);
            }
        }
    }
    if flat.contains(&decisive) {
        return decisive;
    }
    let mut flat: Vec<Check> = flat.into_iter().collect();
    match flat.len() {
        0 => neutral,
        1 => flat.remove(0),
        _ if and => Check::And(flat),
        _ => Check::Or(flat),
    }
}

/// Tries all combinations of the tests in both.
fn equivalent(a: &Check, b: &Check) -> bool {
    let mut atoms = BTreeSet::new();
    collect(a, &mut atoms);
    collect(b, &mut atoms);
    if atoms.len() > MOST_ATOMS {
        return false;
    }
    let atoms: Vec<&Check> = atoms.into_iter().collect();
    (0..1_usize << atoms.len()).all(|world| holds(a, &atoms, world) == holds(b, &atoms, world))
}

fn collect<'c>(check: &'c Check, atoms: &mut BTreeSet<&'c Check>) {
    match check {
        Check::True | Check::False => {}
        Check::Not(inner) => collect(inner, atoms),
        Check::And(parts) | Check::Or(parts) => parts.iter().for_each(|part| collect(part, atoms)),
        Check::Test { .. } => {
            atoms.insert(check);
        }
    }
}

fn holds(check: &Check, atoms: &[&Check], world: usize) -> bool {
    match check {
        Check::True => true,
        Check::False => false,
        Check::Not(inner) => !holds(inner, atoms, world),
        Check::And(parts) => parts.iter().all(|part| holds(part, atoms, world)),
        Check::Or(parts) => parts.iter().any(|part| holds(part, atoms, world)),
        Check::Test { .. } => atoms.binary_search(&check).is_ok_and(|n| world >> n & 1 == 1),
    }
}

#[cfg(test)]
mod tests;
