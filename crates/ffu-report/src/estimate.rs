//! What a plan expected and what a run took: by phase, and the steps that were furthest off.

use ffu_model::{Phase, Plan};
use serde::Serialize;

/// Steps that are named.
const NAMED: usize = 5;
/// A difference below this is noise, in milliseconds.
const NOISE_MS: u64 = 500;

/// Estimate and fact of the steps that were done.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Comparison {
    /// What the estimates were made of, in words.
    pub basis: String,
    /// By phase, the times of its steps added up.
    pub phases: Vec<PhaseComparison>,
    /// The steps that were furthest off, the furthest first.
    pub furthest: Vec<StepComparison>,
}

/// One phase.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PhaseComparison {
    /// The phase.
    pub phase: Phase,
    /// Steps that were done.
    pub steps: usize,
    /// Milliseconds that the plan expected of them.
    pub estimate_ms: u64,
    /// Milliseconds that they took.
    pub actual_ms: u64,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StepComparison {
    /// Its id.
    pub step: String,
    /// Milliseconds that the plan expected.
    pub estimate_ms: u64,
    /// Milliseconds that it took.
    pub actual_ms: u64,
}

impl StepComparison {
    fn off(&self) -> u64 {
        self.estimate_ms.abs_diff(self.actual_ms)
    }
}

/// Compares what was done with success: `took` gives the milliseconds of such a step.
pub(crate) fn compare(plan: &Plan, took: impl Fn(&str) -> Option<u64>) -> Comparison {
    let mut comparison = Comparison {
        basis: basis(plan),
        ..Comparison::default()
    };
    let mut all = Vec::new();
    for phase in Phase::ALL {
        let mut row = PhaseComparison {
            phase,
            steps: 0,
            estimate_ms: 0,
            actual_ms: 0,
        };
        for step in plan.steps.iter().filter(|step| step.phase == phase) {
            let Some(actual_ms) = took(&step.id) else {
                continue;
            };
            row.steps += 1;
            row.estimate_ms += step.estimate_ms;
            row.actual_ms += actual_ms;
            all.push(StepComparison {
                step: step.id.clone(),
                estimate_ms: step.estimate_ms,
                actual_ms,
            });
        }
        if row.steps > 0 {
            comparison.phases.push(row);
        }
    }
    all.retain(|step| step.off() >= NOISE_MS);
    all.sort_by(|a, b| b.off().cmp(&a.off()).then_with(|| a.step.cmp(&b.step)));
    all.truncate(NAMED);
    comparison.furthest = all;
    comparison
}

fn basis(plan: &Plan) -> String {
    match &plan.report.measured {
        None => "the catalog's estimates".to_owned(),
        Some(measured) => format!(
            "a rehearsal of {}, {} % of the window's work measured",
            measured.rehearsed.strftime("%Y-%m-%d"),
            measured.percent()
        ),
    }
}
