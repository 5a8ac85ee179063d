//! The watch holds a run, lets it go on, or stops it.

use std::sync::atomic::{AtomicU32, Ordering};

use ffu_model::Step;
use ffu_model::event::{EventKind, RunState};
use ffu_model::stop::StopFlag;

use super::{ScriptedWorld, diamond, scratch, start};
use crate::{Execution, Gate, Journal, PROBES_LOST, Permit, RunView, Scope, execute, read_journal};

/// Goes wrong when it is asked for the nth time, and is acknowledged when it was asked twice more.
struct Watch {
    asked: AtomicU32,
    at: u32,
    stops: bool,
    for_ever: bool,
    stop: StopFlag,
}

impl Gate for Watch {
    fn permit(&self, next: &Step) -> Permit {
        assert_ne!(next.id, "");
        let asked = self.asked.fetch_add(1, Ordering::SeqCst);
        if asked < self.at {
            Permit::Go
        } else if self.stops {
            Permit::Stop("too much was lost".to_owned())
        } else if self.for_ever || asked < self.at + 2 {
            if asked > self.at + 2 {
                self.stop.raise();
            }
            Permit::Hold("net1 is out".to_owned())
        } else {
            Permit::Go
        }
    }

    fn lost(&self) -> Option<u64> {
        Some(u64::from(self.asked.load(Ordering::SeqCst)))
    }
}

fn run(at: u32, stops: bool, for_ever: bool) -> (RunState, Vec<EventKind>, RunView) {
    let (scratch, plan, world) = (scratch(), diamond(), ScriptedWorld::default());
    let run = start(&scratch, &plan);
    let (mut journal, events) = Journal::open(&run.journal()).unwrap();
    let mut view = RunView::from_events(&events);
    let stop = StopFlag::new();
    let watch = Watch {
        asked: AtomicU32::new(0),
        at,
        stops,
        for_ever,
        stop: stop.clone(),
    };
    let execution = Execution {
        plan: &plan,
        scope: Scope::Upgrade,
        parallel: 2,
        from: None,
        performer: &world,
        gate: &watch,
        stop,
    };
    let state = execute(&execution, &mut journal, &mut view).unwrap();
    let events = read_journal(&run.journal()).unwrap();
    assert!(
        events
            .windows(2)
            .all(|pair| pair[0].boot <= pair[1].boot && pair[0].boot > 0)
    );
    (state, events.into_iter().map(|event| event.kind).collect(), view)
}

#[test]
fn a_held_run_begins_nothing_until_it_is_acknowledged() {
    for at in 0..4 {
        let (state, events, view) = run(at, false, false);
        assert_eq!(state, RunState::AwaitingAcceptance, "held at {at}");
        let held = events
            .iter()
            .position(|kind| matches!(kind, EventKind::Held { detail } if detail == "net1 is out"));
        let on = events.iter().position(|kind| matches!(kind, EventKind::WentOn { .. }));
        let (held, on) = (held.unwrap(), on.unwrap());
        assert!(held < on, "held at {at}");
        let between = events.get(held..on).unwrap();
        assert!(
            !between.iter().any(|kind| matches!(kind, EventKind::Intent { .. })),
            "held at {at}"
        );
        assert_eq!(view.held, None);
        for kind in &events {
            if let EventKind::Outcome { figures, .. } = kind {
                assert!(figures.contains_key(PROBES_LOST));
            }
        }
    }
}

#[test]
fn a_watch_that_stops_the_run_leaves_it_to_be_resumed() {
    let (state, events, _) = run(1, true, false);
    assert_eq!(state, RunState::Stopped);
    let last = events.last().unwrap();
    assert!(
        matches!(last, EventKind::Ended { detail, .. } if detail == "too much was lost"),
        "{last:?}"
    );
}

#[test]
fn the_operator_can_stop_a_held_run() {
    let (state, events, view) = run(1, false, true);
    assert_eq!(state, RunState::Stopped);
    assert!(events.iter().any(|kind| matches!(kind, EventKind::Held { .. })));
    assert_eq!(view.held, None, "nobody holds a run that no process works on");
}
