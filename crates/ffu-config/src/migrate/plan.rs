//! What happens to each entry of the files.

mod carried;
mod ended;
mod unknown;

use std::collections::BTreeMap;

use super::findings::at;
use super::side::Inst;
use super::uses::Place;
use super::work::{Order, Work};
use super::{references, value};
use crate::finding::Severity;

/// An option's value in one file, on its way to an option of the target.
#[derive(Clone, Debug)]
struct Arrival {
    place: Place,
    /// The option of `uses`.
    option: usize,
    rank: usize,
}

/// Plans all entries.
pub(crate) fn plan(work: &mut Work<'_, '_>) {
    let arrivals = arrivals(work);
    let won = settle(work, &arrivals);
    let places: Vec<Place> = places(work);
    for place in &places {
        let counted = work.uses.counts(*place);
        if counted.is_empty() {
            continue;
        }
        let targets = won.get(place).cloned().unwrap_or_default();
        let alive = counted.iter().any(|option| !work.destinies[*option].targets.is_empty());
        if alive && !targets.is_empty() {
            carried::carry(work, *place, &counted, &targets);
            ended::in_part(work, *place, &counted);
        } else if !alive {
            ended::end(work, *place, &counted);
        }
    }
    ended::templates(work);
    for place in &places {
        if work.uses.counts(*place).is_empty() {
            shadowed(work, *place);
        }
    }
    references::rewrite(work, &places);
    unknown::unknown(work);
}

fn places(work: &Work<'_, '_>) -> Vec<Place> {
    let mut places: Vec<Place> = work.uses.meanings.keys().copied().collect();
    places.sort_unstable();
    places
}

/// For each file and option of the target: the entries whose values arrive there.
type Arrivals<'a> = BTreeMap<(usize, String, String), (Inst<'a>, Vec<Arrival>)>;

fn arrivals<'a>(work: &Work<'_, 'a>) -> Arrivals<'a> {
    let mut arrivals: Arrivals<'a> = BTreeMap::new();
    for (option, entries) in work.uses.entries.iter().enumerate() {
        for target in &work.destinies[option].targets {
            for one in entries.iter().filter(|one| one.counts) {
                let key = (one.place.0, target.group.clone(), target.option.name.clone());
                let (_, list) = arrivals.entry(key).or_insert_with(|| (target.clone(), Vec::new()));
                list.push(Arrival {
                    place: one.place,
                    option,
                    rank: one.rank,
                });
            }
        }
    }
    arrivals
}

/// Which targets each entry gets. Where several entries of a file meet under one name that takes one value, the one that
/// the target's oslo.config would have taken keeps it, and the others are comments.
fn settle<'a>(work: &mut Work<'_, 'a>, arrivals: &Arrivals<'a>) -> BTreeMap<Place, Vec<Inst<'a>>> {
    let mut won: BTreeMap<Place, Vec<Inst<'a>>> = BTreeMap::new();
    let mut lost: Vec<(Place, usize, Place, Inst<'a>)> = Vec::new();
    for ((file, group, key), (target, list)) in arrivals {
        let mut list = list.clone();
        // The most important last, as entries of one name count.
        list.sort_by_key(|one| {
            let precedence = precedence(&work.uses.options[one.option], target);
            (std::cmp::Reverse(precedence), std::cmp::Reverse(one.rank), one.place)
        });
        let mut order = Order {
            multi: target.option.multi,
            places: list.iter().map(|one| one.place.1).collect(),
        };
        order.places.dedup();
        let Some(last) = list.last().cloned() else { continue };
        for one in list {
            if target.option.multi || one.place == last.place {
                let targets = won.entry(one.place).or_default();
                if !targets.iter().any(|other| other.key() == target.key()) {
                    targets.push(target.clone());
                }
            } else {
                lost.push((one.place, one.option, last.place, target.clone()));
            }
        }
        work.orders.insert((*file, group.clone(), key.clone()), order);
    }
    for (place, option, winner, target) in lost {
        // It may have won another target; then it stays for that.
        conflict(work, place, option, winner, &target, won.contains_key(&place));
    }
    won
}

/// 0: the option has this name itself; then the places of its name among the old spellings; then the rest.
fn precedence(option: &Inst<'_>, target: &Inst<'_>) -> usize {
    if option.key() == target.key() {
        return 0;
    }
    let old = target
        .option
        .aliases
        .iter()
        .position(|old| (old.group.as_str(), old.name.as_str()) == option.key());
    old.map_or(usize::MAX, |at| at + 1)
}

fn conflict(work: &mut Work<'_, '_>, place: Place, option: usize, winner: Place, target: &Inst<'_>, stays: bool) {
    let (Some(entry), Some(other)) = (work.entry(place), work.entry(winner)) else {
        return;
    };
    let (target_group, target_name) = target.key();
    let subject = format!("{}.{}", entry.group(), entry.key);
    let same = entry.value() == other.value();
    let line = other.line.unwrap_or(0);
    let reason = format!(
        "both this and [{}] {} (line {line}) are [{target_group}] {target_name} now; the other one's value stays",
        other.group(),
        other.key
    );
    let inst = work.uses.options[option].clone();
    let severity = if same {
        Severity::RemovedWithoutEffect
    } else {
        Severity::Decide
    };
    let remedy = if same {
        ""
    } else {
        "choose the value that the one option is to have"
    };
    let finding = at(
        "conflicting-names",
        severity,
        &subject,
        reason.clone(),
        work.spot(place),
    )
    .remedy(remedy);
    work.findings.add(&[inst.key()], finding);
    if !stays {
        work.step(place).comment_out = Some(vec![reason]);
    }
}

/// An entry whose value its own file overrides.
fn shadowed(work: &mut Work<'_, '_>, place: Place) {
    let Some(entry) = work.entry(place) else { return };
    let options = work.uses.meanings.get(&place).cloned().unwrap_or_default();
    let winner = options.iter().find_map(|option| {
        let of_file = |one: &&super::uses::Use| one.counts && one.place.0 == place.0;
        work.uses.entries[*option].iter().find(of_file).map(|one| one.place)
    });
    let Some(winner) = winner else { return };
    let Some(other) = work.entry(winner) else { return };
    let same_name = other.group() == entry.group() && other.key == entry.key;
    let step = work.steps.get(&winner);
    let winner_stays = step.is_none_or(|step| step.to.is_none() && step.comment_out.is_none());
    if same_name && winner_stays {
        return;
    }
    let line = other.line.unwrap_or(0);
    let reason = format!(
        "without effect: line {line} sets [{}] {} too, and that counts",
        other.group(),
        other.key
    );
    let subject = format!("{}.{}", entry.group(), entry.key);
    let finding = at(
        "shadowed",
        Severity::RemovedWithoutEffect,
        &subject,
        reason.clone(),
        work.spot(place),
    );
    work.findings.list.push(finding);
    work.step(place).comment_out = Some(vec![reason]);
}

/// Whether a value of an entry goes through value maps on its way.
fn new_value(work: &Work<'_, '_>, place: Place, counted: &[usize]) -> Option<String> {
    let entry = work.entry(place)?;
    let rules: Vec<_> = counted
        .iter()
        .flat_map(|option| work.destinies[*option].values.iter().copied())
        .collect();
    value::mapped_text(&entry.value(), &rules)
}
