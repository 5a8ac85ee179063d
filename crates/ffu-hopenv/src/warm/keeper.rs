//! The thread of a pool: warms one series after the other as long as there is room, and makes room where there is too little.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ffu_model::Series;
use ffu_model::warm::WARM_MEMORY_FOR_COMMANDS;

use super::cold::Cold;
use super::memory;
use super::pool::{Entry, Place, Programs, Shared};
use super::resting;
use super::tree::{COMMON, Tree};
use crate::command::HopEnv;

/// What a series is thought to take before one has been weighed; seven projects took 250 to 420 MiB.
const FIRST_GUESS: u64 = 420 << 20;
/// What a project takes at most while it is imported, if its memory rests afterwards: nova's 120 MiB, and what it shares with the others.
const PROJECT: u64 = 140 << 20;

/// Projects that are imported at once.
fn at_once() -> usize {
    std::thread::available_parallelism()
        .map_or(1, std::num::NonZero::get)
        .min(4)
}

/// Until the pool closes.
pub(super) fn keep_warm(shared: &Shared) {
    while let Some((environment, wanted)) = next(shared) {
        let begun = Instant::now();
        let series = environment.series().clone();
        let fail =
            |project: Option<String>, cold: Cold| shared.change(&series, |entry| entry.cold.push((project, cold)));
        let objection = shared.rest.as_ref().and_then(resting::objection);
        let rest = shared.rest.as_ref().filter(|_| objection.is_none());
        let rest = rest.map(|rest| rest.directory.as_path());
        let tree = match Tree::plant(&environment, COMMON, rest, &|| shared.closes()) {
            Ok(tree) => Arc::new(tree),
            Err(cold) => {
                fail(None, cold);
                shared.change(&series, |entry| entry.place = Place::Over);
                continue;
            }
        };
        shared.change(&series, |entry| {
            if matches!(entry.place, Place::Warming(_)) {
                entry.place = Place::Warming(Some(Arc::clone(&tree)));
            }
        });
        let queue = Mutex::new(wanted.iter());
        std::thread::scope(|scope| {
            for _ in 0..at_once() {
                scope.spawn(|| {
                    loop {
                        let Some(one) = queue.lock().unwrap_or_else(PoisonError::into_inner).next() else {
                            return;
                        };
                        match tree.add(&environment, &one.project, &one.programs, &|| shared.closes()) {
                            Ok(()) => shared.changed.notify_all(),
                            Err(cold) => fail(Some(one.project.clone()), cold),
                        }
                    }
                });
            }
        });
        let (weight, (rests, stays)) = (tree.memory(), tree.rests());
        shared.change(&series, |entry| {
            // It may have been retired meanwhile.
            if matches!(entry.place, Place::Warming(_)) {
                entry.place = Place::Warm(tree);
                entry.warmed_in = Some(begun.elapsed());
                entry.weight = weight;
                entry.rests = rests;
                entry.stays = objection.or(stays);
            }
        });
        shed(shared);
    }
}

/// The next series to warm, when there is room for it.
fn next(shared: &Shared) -> Option<(Arc<HopEnv>, Vec<Programs>)> {
    let mut entries = shared.lock();
    loop {
        if shared.closes() {
            return None;
        }
        let urgent = entries
            .iter()
            .position(|entry| entry.urgent && matches!(entry.place, Place::Queued));
        let first = entries.iter().position(|entry| matches!(entry.place, Place::Queued));
        if let Some(at) = urgent.or(first) {
            let needed = needed(shared, &entries);
            let free = shared.budget.saturating_sub(used(&entries));
            let fits = needed <= free;
            // Somebody waits: what is furthest ahead has to make room, else what was passed and not retired.
            let ahead = entries.iter().rposition(Entry::can_go).filter(|&last| last > at);
            let other = ahead.or_else(|| entries.iter().position(Entry::can_go));
            if !fits {
                // Those behind it wait for the same room: nobody shall wait for them to become warm.
                for entry in entries.iter_mut().filter(|entry| matches!(entry.place, Place::Queued)) {
                    entry.waits_for_room = true;
                }
            }
            if let Some(entry) = entries.get_mut(at) {
                entry.waits_for_room = !fits;
                if fits {
                    entry.place = Place::Warming(None);
                    return Some((Arc::clone(&entry.environment), entry.wanted.clone()));
                }
                shared.changed.notify_all();
                if urgent.is_some() && other.is_none() {
                    let cold = over_budget(shared, entry.series(), needed, free);
                    entry.cold.push((None, cold));
                    entry.place = Place::Over;
                    shared.changed.notify_all();
                    continue;
                }
            }
            if urgent.is_some()
                && let Some(entry) = other.and_then(|other| entries.get_mut(other))
            {
                entry.place = if ahead.is_some() { Place::Queued } else { Place::Over };
                if ahead.is_none() {
                    let series = entry.series().to_string();
                    entry.cold.push((None, Cold::Retired { series }));
                }
                continue;
            }
        }
        entries = shared.wait(entries, Duration::from_secs(1));
    }
}

/// Bytes that warming one more series takes.
fn needed(shared: &Shared, entries: &[Entry]) -> u64 {
    let heaviest = |rested: bool| {
        let weighed = entries
            .iter()
            .filter(|entry| entry.weight > 0 && (rested || entry.rests == 0));
        weighed.map(|entry| entry.weight).max()
    };
    let can_rest = shared
        .rest
        .as_ref()
        .is_some_and(|rest| resting::objection(rest).is_none());
    if can_rest {
        let imported = PROJECT * u64::try_from(at_once()).unwrap_or(1);
        return heaviest(true).unwrap_or_default().max(imported);
    }
    // What rests says nothing of one that cannot.
    heaviest(false).unwrap_or(FIRST_GUESS)
}

/// Bytes that are used up: this process, every tree, and what commands are going to want.
fn used(entries: &[Entry]) -> u64 {
    let trees: u64 = entries.iter().filter_map(Entry::tree).map(|tree| tree.memory()).sum();
    WARM_MEMORY_FOR_COMMANDS + memory::held(std::process::id().cast_signed()) + trees
}

fn over_budget(shared: &Shared, series: &Series, needed: u64, free: u64) -> Cold {
    Cold::Budget {
        series: series.to_string(),
        needed_mib: needed >> 20,
        free_mib: free >> 20,
        budget_mib: shared.budget >> 20,
    }
}

/// What turned out heavier than was thought makes room again, the furthest ahead first. It is weighed now, and will be warmed when there
/// is room for that.
fn shed(shared: &Shared) {
    let mut entries = shared.lock();
    while used(&entries) > shared.budget {
        let Some(entry) = entries.iter_mut().rev().find(|entry| entry.can_go()) else {
            break;
        };
        entry.place = Place::Queued;
    }
    drop(entries);
    shared.changed.notify_all();
}
