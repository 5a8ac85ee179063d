//! A guest that is a machine of its own restarts while it is watched: its process, its address and its host stay, it answers again, and
//! the watch says that it restarted. The real program, a real kernel under QEMU; this needs root.

#![allow(clippy::print_stderr)]

mod common;
#[path = "../../ffu-lab/tests/planes/mod.rs"]
mod planes;
#[path = "common/watch.rs"]
mod watch;

use std::path::PathBuf;

use common::Scratch;
use ffu_lab::dataplane::{DataPlane, Switch};
use ffu_model::watch::{Budget, Budgets, OnBreach, Targets};
use planes::Plane;
use serde_json::Value;
use watch::{Watch, sleep, until};

/// Four guests of this program, the first a machine; `None`, loudly, where that cannot be.
fn up(place: &Plane) -> Option<DataPlane> {
    let mut spec = planes::with_machine(Switch::Bridge)?;
    spec.program = vec![env!("CARGO_BIN_EXE_ffu").to_owned(), "lab-guest".to_owned()];
    Some(DataPlane::up(spec, &place.dir).unwrap())
}

/// The lab's targets, with a budget that allows any outage: only a restart exceeds it.
fn targets(plane: &DataPlane, scratch: &Scratch) -> PathBuf {
    let mut targets: Targets = toml::from_str(&std::fs::read_to_string(plane.targets_path()).unwrap()).unwrap();
    targets.budgets = Budgets {
        on_breach: OnBreach::Continue,
        baseline_s: 2,
        budget: vec![Budget {
            name: "no restarts".to_owned(),
            longest_gap_ms: Some(600_000),
            ..Budget::default()
        }],
    };
    let path = scratch.path("targets.toml");
    std::fs::write(&path, toml::to_string(&targets).unwrap()).unwrap();
    path
}

/// Figures of one kind of a guest's targets.
fn of_guest<'a>(seen: &'a Value, guest: &str, figure: &str) -> Vec<&'a Value> {
    let targets = seen["targets"].as_array().unwrap().iter();
    let own = targets.filter(|target| target["groups"]["guest"] == guest);
    own.map(|target| &target["totals"][figure]).collect()
}

#[test]
fn a_machine_that_restarted_is_told_although_it_answers_again() {
    let (place, scratch) = (Plane::place(), Scratch::new());
    let Some(plane) = up(&place) else {
        return;
    };
    let before = plane.identity("server-1").unwrap();
    let watch = Watch::start(&scratch, Some(&targets(&plane, &scratch)), &[]);
    // The baseline, and boot ids that were read.
    sleep(6_000);
    let quiet = watch.seen();
    assert_eq!(
        (&quiet["totals"]["restarts"], &quiet["breaches"]),
        (&0.into(), &Value::Array(vec![])),
        "{quiet}"
    );

    let dir = place.dir.as_str();
    let kill = [
        "--json",
        "lab",
        "fault",
        "--dir",
        dir,
        "kill-guest",
        "server-1",
        "--for",
        "100ms",
    ];
    let injected = scratch.ffu(&kill).exits(0).json();
    let injected = &injected["injected"];
    until("a restart that the watch tells", || {
        watch.seen()["totals"]["restarts"] != 0
    });
    sleep(4_000);
    let (code, seen) = watch.end();
    assert_eq!(code, 4, "a budget was exceeded");

    // The very same process, and another boot; the address answers.
    let after = plane.identity("server-1").unwrap();
    assert_eq!((after.pid, after.start_ticks), (before.pid, before.start_ticks));
    assert_eq!(injected["boot_id"], after.boot_id.as_str());
    assert_ne!(after.boot_id, before.boot_id);
    assert!(
        seen["targets"]
            .as_array()
            .unwrap()
            .iter()
            .all(|target| target["out"] == false),
        "{seen}"
    );

    // One restart in the eyes of each of its targets, none of the others.
    assert_eq!(of_guest(&seen, "server-1", "restarts"), [&Value::from(1); 6], "{seen}");
    for other in ["server-2", "server-3", "server-4"] {
        assert_eq!(of_guest(&seen, other, "restarts"), [&Value::from(0); 6], "{seen}");
    }
    let breaches = seen["breaches"].as_array().unwrap();
    let says = breaches[0]["says"].as_str().unwrap();
    assert!(
        breaches.len() == 1 && says.contains("restarts of workloads, none is allowed"),
        "{breaches:?}"
    );
    // And where it was away, that is an outage of as long as it was; a stream takes its time to connect again, ICMP does not.
    let mut own = seen["targets"].as_array().unwrap().iter();
    let icmp = own.find(|target| target["name"] == "server-1/inside/icmp").unwrap();
    let gap = icmp["totals"]["longest_gap"].as_u64().unwrap();
    let moment = |name: &str, side: &str| injected[name][side].as_u64().unwrap();
    let away = moment("end", "not_before") - moment("begin", "not_after");
    assert!(gap.abs_diff(away) < 1_500_000_000, "{gap} ns, {away} ns");
}
