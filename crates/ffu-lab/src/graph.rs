//! Steps that wait for one another, worked off by a few lanes: independent projects come up side by side.

use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Instant;

use crate::error::LabError;
use crate::options::LabEvent;

/// What a step does.
pub(crate) type Work<'a> = Box<dyn Fn() -> Result<(), LabError> + Send + Sync + 'a>;

/// One step.
pub(crate) struct Step<'a> {
    pub(crate) name: String,
    pub(crate) needs: Vec<String>,
    pub(crate) work: Work<'a>,
}

#[derive(Default)]
struct State {
    begun: BTreeSet<usize>,
    done: BTreeSet<usize>,
    failure: Option<LabError>,
}

/// Does all steps, each after those it needs; needs that are not among the steps count as met. The order of the list
/// decides among those that could begin. After a failure nothing new begins; what runs is waited for.
///
/// # Errors
/// The first failure.
pub(crate) fn work_off(steps: &[Step<'_>], lanes: usize, tell: &(dyn Fn(&LabEvent) + Sync)) -> Result<(), LabError> {
    tell(&LabEvent::Planned { steps: steps.len() });
    let needs: Vec<Vec<usize>> = steps
        .iter()
        .map(|step| {
            (0..steps.len())
                .filter(|at| step.needs.contains(&steps[*at].name))
                .collect()
        })
        .collect();
    let state = Mutex::new(State::default());
    let changed = Condvar::new();
    std::thread::scope(|scope| {
        for _ in 0..lanes.clamp(1, steps.len().max(1)) {
            scope.spawn(|| lane(steps, &needs, &state, &changed, tell));
        }
    });
    match state.into_inner().unwrap_or_else(PoisonError::into_inner).failure {
        Some(failure) => Err(failure),
        None => Ok(()),
    }
}

fn lane(
    steps: &[Step<'_>],
    needs: &[Vec<usize>],
    state: &Mutex<State>,
    changed: &Condvar,
    tell: &(dyn Fn(&LabEvent) + Sync),
) {
    let mut now = state.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        if now.failure.is_some() || now.begun.len() == steps.len() {
            return;
        }
        let can_begin = |at: &usize| !now.begun.contains(at) && needs[*at].iter().all(|need| now.done.contains(need));
        let Some(at) = (0..steps.len()).find(can_begin) else {
            if now.begun.len() == now.done.len() {
                // Nothing runs and nothing can begin: the needs go round in a circle, which is a mistake of `up`.
                return;
            }
            now = changed.wait(now).unwrap_or_else(PoisonError::into_inner);
            continue;
        };
        now.begun.insert(at);
        drop(now);
        let step = steps[at].name.clone();
        tell(&LabEvent::Started { step: step.clone() });
        let begun = Instant::now();
        let outcome = (steps[at].work)();
        tell(&match &outcome {
            Ok(()) => LabEvent::Finished {
                step,
                took: begun.elapsed(),
            },
            Err(_) => LabEvent::Failed { step },
        });
        now = state.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            Ok(()) => {
                now.done.insert(at);
            }
            Err(error) => {
                now.failure.get_or_insert(error);
            }
        }
        changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step<'a>(name: &str, needs: &[&str], work: impl Fn() -> Result<(), LabError> + Send + Sync + 'a) -> Step<'a> {
        Step {
            name: name.to_owned(),
            needs: needs.iter().map(|need| (*need).to_owned()).collect(),
            work: Box::new(work),
        }
    }

    #[test]
    fn steps_wait_for_what_they_need() {
        let seen = Mutex::new(Vec::new());
        let note = |name: &'static str| {
            let seen = &seen;
            move || {
                seen.lock().unwrap().push(name);
                Ok(())
            }
        };
        let steps = [
            step("c", &["a", "b"], note("c")),
            step("b", &["a", "absent"], note("b")),
            step("a", &[], note("a")),
        ];
        work_off(&steps, 3, &|_| {}).unwrap();
        assert_eq!(*seen.lock().unwrap(), ["a", "b", "c"]);
    }

    #[test]
    fn after_a_failure_nothing_begins() {
        let events = Mutex::new(Vec::new());
        let failing = || Err(LabError::BadSize { size: 0, largest: 1 });
        let steps = [step("a", &[], failing), step("b", &["a"], || Ok(()))];
        let error = work_off(&steps, 2, &|event| events.lock().unwrap().push(event.clone())).unwrap_err();
        assert!(matches!(error, LabError::BadSize { .. }));
        let events = events.into_inner().unwrap();
        assert!(events.contains(&LabEvent::Failed { step: "a".to_owned() }));
        assert!(!events.contains(&LabEvent::Started { step: "b".to_owned() }));
    }
}
