//! How long steps take when as many run at once as the policy allows, and which chain of them decides.
//!
//! The same rule as the engine's: among the steps that are ready, the earliest in the file starts first.

use std::collections::BTreeMap;

use ffu_model::{Phase, Step};

/// The result of [`schedule`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schedule {
    /// Milliseconds from the first start to the last end.
    pub length_ms: u64,
    /// The chain of steps in which each started when the one before ended, up to the last end.
    pub critical_path: Vec<String>,
}

/// Simulates the steps whose phase `include` accepts. Needs on other steps count as met.
pub fn schedule(steps: &[Step], parallel: u32, include: impl Fn(Phase) -> bool) -> Schedule {
    let steps: Vec<&Step> = steps.iter().filter(|step| include(step.phase)).collect();
    let index: BTreeMap<&str, usize> = steps
        .iter()
        .enumerate()
        .map(|(at, step)| (step.id.as_str(), at))
        .collect();
    let mut ends: Vec<Option<u64>> = vec![None; steps.len()];
    let mut cause: Vec<Option<usize>> = vec![None; steps.len()];
    let mut running: Vec<usize> = Vec::new();
    let mut started = vec![false; steps.len()];
    let (mut now, mut last) = (0_u64, None);
    loop {
        for at in 0..steps.len() {
            if running.len() >= parallel.max(1) as usize {
                break;
            }
            let done = |end: Option<u64>| end.is_some_and(|end| end <= now);
            let ready = !started[at]
                && steps[at]
                    .needs
                    .iter()
                    .all(|need| index.get(need.as_str()).is_none_or(|&n| done(ends[n])));
            if ready {
                started[at] = true;
                ends[at] = Some(now + steps[at].estimate_ms);
                cause[at] = last;
                running.push(at);
            }
        }
        let Some(next) = running.iter().copied().min_by_key(|&at| (ends[at], at)) else {
            break;
        };
        running.retain(|&at| at != next);
        now = ends[next].unwrap_or(now);
        last = Some(next);
    }
    let mut critical_path = Vec::new();
    let mut at = last;
    while let Some(step) = at {
        critical_path.push(steps[step].id.clone());
        at = cause[step];
    }
    critical_path.reverse();
    Schedule {
        length_ms: now,
        critical_path,
    }
}
