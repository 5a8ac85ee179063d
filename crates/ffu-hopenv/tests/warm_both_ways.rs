//! The commands of a hop run both ways, warm and as plain processes, on equal databases: exit codes, output, schema and
//! data have to be the same.

#![allow(clippy::print_stdout)] // What was measured; `cargo nextest run --no-capture` shows it.

mod cloud;
#[path = "support/resting.rs"]
mod resting;

use std::sync::Mutex;
use std::time::Duration;

use cloud::{Cloud, SCHEMATA, difference, hop, open, programs, settle};
use ffu_hopenv::{HopEnv, WarmPool};
use ffu_hosts::StopFlag;

type Step = (&'static str, &'static str, &'static [&'static str]);

/// Milliseconds warm and plain, and differences.
#[derive(Default)]
struct Found {
    wrong: Vec<String>,
    took: [u128; 2],
    cpu: [u128; 2],
}

/// Runs one command both ways.
fn compare(pool: &WarmPool, new: &HopEnv, [warm, plain]: [&Cloud; 2], at: usize, step: Step, found: &Mutex<Found>) {
    let name = format!("hop{at}");
    let (one, said) = warm.run(new, Some(pool), &name, step).unwrap();
    let (other, says) = plain.run(new, None, &name, step).unwrap();
    println!(
        "{step:?}: {} warm {:?} cpu {:?}, plain {:?} cpu {:?}",
        one.finished.exit, one.finished.duration, one.finished.cpu, other.finished.duration, other.finished.cpu
    );
    let mut found = found.lock().unwrap();
    for (at, finished) in [one.finished, other.finished].into_iter().enumerate() {
        found.took[at] += finished.duration.as_millis();
        found.cpu[at] += finished.cpu.as_millis();
    }
    if let Some(cold) = one.cold {
        found.wrong.push(format!("{step:?} ran cold: {cold}"));
    }
    if one.finished.exit != other.finished.exit {
        let (one, other) = (one.finished.exit, other.finished.exit);
        found.wrong.push(format!("{step:?}: {one} warm, {other} plain"));
    }
    let (mut says, mut said) = (plain.normal(&says), warm.normal(&said));
    if step.1 == "neutron-db-manage" {
        // Alembic has branches and heads in sets, so that two plain runs, too, take them in different order.
        for text in [&mut says, &mut said] {
            let mut lines: Vec<&str> = text.lines().collect();
            lines.sort_unstable();
            *text = lines.join("\n");
        }
    }
    if let Some(at) = difference(&says, &said) {
        found.wrong.push(format!("output of {step:?}, {at}"));
    }
}

/// Series behind the one that there is no room for were waited for in vain, three minutes each.
#[test]
fn every_series_that_waits_for_room_says_so() {
    let series = ["train", "2024.1", "2024.2"];
    let pool = WarmPool::new(300 << 20, None).unwrap();
    for one in series {
        let environment = open(one);
        let wanted = programs(&environment);
        pool.warm(environment, wanted);
    }
    for one in series {
        let settled = pool.settle(&one.parse().unwrap(), Duration::from_secs(60), &StopFlag::new());
        assert!(settled.unwrap().waits_for_room, "{one}");
    }
}

/// A hop, or with no series to come from the first one of a cloud: on empty databases.
fn both_ways(from: Option<&str>, to: &str) {
    let pool = WarmPool::new(ffu_model::warm::WARM_MEMORY, resting::in_build()).unwrap();
    for series in from.into_iter().chain([to]) {
        let environment = open(series);
        let wanted = programs(&environment);
        pool.warm(environment, wanted);
    }
    let (warm, plain, new) = (Cloud::new("warm"), Cloud::new("plain"), open(to));
    if let Some(from) = from {
        let old = open(from);
        warm.fill(&old, Some(&pool));
        pool.retire(old.series());
        plain.copy_of(&warm);
        // A dump does not tell keys that InnoDB made by itself, and drops by itself: both are to come out of one.
        warm.copy_of(&plain);
    }
    let settled = settle(&pool, new.series());
    println!(
        "{to}: {} MiB and {} MiB in files, warm in {:?}",
        settled.memory >> 20,
        settled.rests >> 20,
        settled.warmed_in
    );
    if resting::on_disk(&settled) {
        assert!(settled.stays.is_none() && settled.rests > settled.memory, "{settled:?}");
    }
    assert!(settled.cold.is_empty(), "{:?}", settled.cold);
    let found = Mutex::new(Found::default());
    let steps: Vec<Step> = hop(&new);
    let mut projects: Vec<&str> = steps.iter().map(|step| step.0).collect();
    projects.dedup();
    let queue = Mutex::new(projects.into_iter());
    // Projects beside each other, as in a run: the plain processes take most of this test's time.
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let Some(project) = queue.lock().unwrap().next() else {
                        return;
                    };
                    for (at, &step) in steps.iter().enumerate().filter(|(_, step)| step.0 == project) {
                        compare(&pool, &new, [&warm, &plain], at, step, &found);
                    }
                }
            });
        }
    });
    let Found { mut wrong, took, cpu } = found.into_inner().unwrap();
    println!(
        "{to}: warm {} ms, cpu {} ms; plain {} ms, cpu {} ms",
        took[0], cpu[0], took[1], cpu[1]
    );
    assert!(cpu[0] < cpu[1], "nothing is saved: {cpu:?}");
    for schema in SCHEMATA.into_iter().chain(["heat"]) {
        if let Some(at) = difference(&plain.dump(schema), &warm.dump(schema)) {
            wrong.push(format!("{schema}, {at}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_commands_of_rocky_on_python_2_7() {
    both_ways(None, "rocky");
}

#[test]
fn the_hop_to_train_on_python_3_7() {
    both_ways(Some("stein"), "train");
}

#[test]
fn the_hop_to_2024_2_on_python_3_11() {
    both_ways(Some("2024.1"), "2024.2");
}

/// `FFU_HOPS="train ussuri …" cargo nextest run -p ffu-hopenv --run-ignored only every_hop`: a minute a hop.
#[test]
#[ignore = "a minute a hop: the hops of FFU_HOPS"]
fn every_hop_that_is_named() {
    let named = std::env::var("FFU_HOPS").expect("FFU_HOPS names series, in order");
    let series: Vec<&str> = named.split_whitespace().collect();
    assert!(series.len() > 1, "FFU_HOPS names two series at least");
    for hop in series.windows(2) {
        both_ways(Some(hop[0]), hop[1]);
    }
}
