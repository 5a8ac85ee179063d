//! After a kill at any line of the journal `resume` and `rollback` both end right; past the point of no return neither undoes.

use ffu_model::event::Event;

use super::*;

/// The crash test: a journal cut after any line, with the interrupted effect there or not, ends right.
#[test]
fn after_a_crash_at_any_line_resume_and_rollback_both_end_right() {
    let (whole, plan, world) = (scratch(), diamond(), ScriptedWorld::default());
    let run = start(&whole, &plan);
    go(&plan, &world, Scope::Upgrade, None, &run);
    let events = read_journal(&run.journal()).unwrap();
    let text = std::fs::read_to_string(run.journal()).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    for cut in 1..lines.len() {
        for torn in [false, true] {
            for effect_done in [false, true] {
                for back in [false, true] {
                    let scratch = scratch();
                    let run = start(&scratch, &plan);
                    let mut kept = lines[..cut].join("\n") + "\n";
                    if torn {
                        kept.push_str(&lines[cut][..lines[cut].len() / 2]);
                    }
                    std::fs::write(run.journal(), kept).unwrap();
                    let world = world_after(&events[..cut], effect_done);
                    check_recovery(&plan, &run, &world, back, cut);
                }
            }
        }
    }
}

/// Services that are up again may have written: databases are not brought back a second time.
#[test]
fn a_rollback_that_is_killed_goes_on_where_it_was() {
    let (scratch, plan, world) = (scratch(), diamond(), ScriptedWorld::default());
    let run = start(&scratch, &plan);
    go(&plan, &world, Scope::Upgrade, None, &run);
    let back = |world: &ScriptedWorld| {
        let (mut journal, events) = Journal::open(&run.journal()).unwrap();
        let mut view = RunView::from_events(&events);
        rollback(&plan, world, &mut journal, &mut view).unwrap()
    };
    assert_eq!(back(&world), RunState::RolledBack);
    // Killed when the services had been started and their outcome was not written.
    let text = std::fs::read_to_string(run.journal()).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    std::fs::write(run.journal(), lines[..lines.len() - 2].join("\n") + "\n").unwrap();
    let later = ScriptedWorld::default();
    assert_eq!(back(&later), RunState::RolledBack);
    assert_eq!(*later.log.lock().unwrap(), ["rollback.services"]);
}

fn world_after(events: &[Event], effect_done: bool) -> ScriptedWorld {
    let world = ScriptedWorld::default();
    for (step, state) in RunView::from_events(events).steps {
        if state.is_good() || effect_done {
            world.effects.lock().unwrap().insert(step, 1);
        }
    }
    world
}

fn check_recovery(plan: &Plan, run: &RunDirectory, world: &ScriptedWorld, back: bool, cut: usize) {
    if back {
        let (mut journal, events) = Journal::open(&run.journal()).unwrap();
        let mut view = RunView::from_events(&events);
        assert_eq!(
            rollback(plan, world, &mut journal, &mut view).unwrap(),
            RunState::RolledBack
        );
        assert!(world.effects().is_empty());
        assert!(
            rollback(plan, world, &mut journal, &mut view)
                .unwrap_err()
                .to_string()
                .contains("nothing left")
        );
        return;
    }
    assert_eq!(
        go(plan, world, Scope::Upgrade, None, run),
        RunState::AwaitingAcceptance,
        "cut at {cut}"
    );
    let effects = world.effects();
    assert_eq!(effects.len(), 5, "cut at {cut}: {effects:?}");
    assert!(effects.values().all(|&times| times == 1), "cut at {cut}: {effects:?}");
    read_journal(&run.journal()).unwrap();
}

#[test]
fn past_the_point_of_no_return_nothing_is_taken_back() {
    let (scratch, plan, world) = (scratch(), diamond(), ScriptedWorld::failing(&["finish.x"]));
    let run = start(&scratch, &plan);
    go(&plan, &world, Scope::Upgrade, None, &run);
    assert_eq!(go(&plan, &world, Scope::Acceptance, None, &run), RunState::Stopped);
    let (mut journal, events) = Journal::open(&run.journal()).unwrap();
    let mut view = RunView::from_events(&events);
    let error = rollback(&plan, &world, &mut journal, &mut view)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("point of no return") && error.contains("next:"),
        "{error}"
    );
    assert!(!world.log.lock().unwrap().iter().any(|l| l.starts_with("rollback")));
}
