//! The checks of a plan, whoever made or edited it. A plan that passes can be run; what it does is still the operator's judgement.

use std::collections::{BTreeMap, BTreeSet};

use camino::Utf8Path;
use ffu_catalog::Catalog;
use ffu_model::plan::{PLAN_FORMAT, Plan};
use ffu_model::step::{Action, Phase, Step, Undo, is_step_id};
use ffu_model::{Finding, Severity};

use crate::error::PlanError;

/// The largest plan that is read, in bytes. Eighteen hops of seven projects take about 1 MiB.
const LARGEST: usize = 32 * 1024 * 1024;

/// Reads a plan file's bytes strictly.
///
/// # Errors
/// [`PlanError::Malformed`] with line and column, for anything that is not a plan of this format.
pub fn read_plan(origin: &str, bytes: &[u8]) -> Result<Plan, PlanError> {
    let bad = |reason: String| PlanError::Malformed {
        origin: origin.to_owned(),
        reason,
    };
    if bytes.len() > LARGEST {
        return Err(bad(format!(
            "{} bytes is more than the {LARGEST} that a plan may have",
            bytes.len()
        )));
    }
    let head: serde_json::Value = serde_json::from_slice(bytes).map_err(|error| bad(error.to_string()))?;
    match head.get("format").and_then(serde_json::Value::as_u64) {
        Some(format) if format == u64::from(PLAN_FORMAT) => {}
        Some(format) => {
            return Err(bad(format!(
                "it has format {format}, this program reads format {PLAN_FORMAT}"
            )));
        }
        None => return Err(bad("it has no format number".to_owned())),
    }
    serde_json::from_slice(bytes).map_err(|error| bad(error.to_string()))
}

/// Everything that is wrong with a plan, worst first; empty means it can be run.
pub fn lint(plan: &Plan, catalog: &Catalog) -> Vec<Finding> {
    let mut found = Findings::default();
    found.seal(plan);
    found.ids(plan);
    found.needs(plan);
    found.path(plan, catalog);
    for step in &plan.steps {
        found.step(step);
    }
    found.against_planner(plan, catalog);
    found.0.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    found.0
}

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, severity: Severity, id: &str, message: String, remedy: &str) {
        self.0.push(Finding {
            id: id.to_owned(),
            severity,
            project: None,
            message,
            remedy: remedy.to_owned(),
            source: String::new(),
        });
    }

    fn block(&mut self, id: &str, message: String) {
        self.add(
            Severity::Blocker,
            id,
            message,
            "make the plan anew with `ffu plan`, or mend the edit",
        );
    }

    fn seal(&mut self, plan: &Plan) {
        if plan.compute_id().ok().as_deref() != Some(plan.id.as_str()) {
            self.add(
                Severity::Blocker,
                "plan-edited",
                "the plan's id is not the hash of its content: it was edited or damaged".to_owned(),
                "review it, then `ffu lint PLAN --reseal -o NEW` gives the edited plan an id of its own",
            );
        }
    }

    fn ids(&mut self, plan: &Plan) {
        let mut seen = BTreeSet::new();
        for step in &plan.steps {
            if !is_step_id(&step.id) {
                self.block("bad-step-id", format!("{:?} cannot be a step's id", step.id));
            }
            if !seen.insert(step.id.as_str()) {
                self.block("doubled-step-id", format!("{} is there twice", step.id));
            }
        }
        if plan.steps.is_empty() {
            self.block("no-steps", "the plan has no steps".to_owned());
        }
    }

    fn needs(&mut self, plan: &Plan) {
        let index: BTreeMap<&str, (usize, Phase)> = plan
            .steps
            .iter()
            .enumerate()
            .map(|(at, step)| (step.id.as_str(), (at, step.phase)))
            .collect();
        let mut after_checkpoint: BTreeSet<&str> = BTreeSet::new();
        for (at, step) in plan.steps.iter().enumerate() {
            let is_checkpoint = matches!(step.action, Action::Checkpoint { .. });
            if is_checkpoint || step.needs.iter().any(|need| after_checkpoint.contains(need.as_str())) {
                after_checkpoint.insert(&step.id);
            }
            for need in &step.needs {
                match index.get(need.as_str()) {
                    None => self.block(
                        "unknown-need",
                        format!("{} needs {need}, which is not in the plan", step.id),
                    ),
                    Some((before, _)) if *before >= at => self.block(
                        "need-comes-later",
                        format!(
                            "{} needs {need}, which stands at or after it: the order is broken or circular",
                            step.id
                        ),
                    ),
                    Some((_, phase)) if *phase > step.phase => self.block(
                        "phase-order",
                        format!(
                            "{} is in phase {} and needs {need} of phase {phase}",
                            step.id, step.phase
                        ),
                    ),
                    Some(_) => {}
                }
            }
            if step.phase > Phase::Checkpoint
                && step.phase < Phase::Release
                && !after_checkpoint.contains(step.id.as_str())
            {
                self.block(
                    "no-way-back",
                    format!("{} could run before the checkpoint is made", step.id),
                );
            }
        }
    }

    fn path(&mut self, plan: &Plan, catalog: &Catalog) {
        let ends = (
            plan.hops.first().map(|hop| &hop.from),
            plan.hops.last().map(|hop| &hop.to),
        );
        if ends != (Some(&plan.from), Some(&plan.to)) {
            self.block(
                "path-ends",
                format!("the hops do not lead from {} to {}", plan.from, plan.to),
            );
        }
        for pair in plan.hops.windows(2) {
            if pair[0].to != pair[1].from {
                self.block(
                    "path-gap",
                    format!("the hop to {} is followed by one from {}", pair[0].to, pair[1].from),
                );
            }
        }
        match catalog.path(&plan.from, &plan.to, plan.policy.slurp) {
            Ok(hops) if hops == plan.hops => {}
            Ok(_) => self.block(
                "path-skips",
                "the hops are not those of the catalog for this path and policy".to_owned(),
            ),
            Err(error) => self.block("path-unknown", error.to_string()),
        }
        if plan.catalog != catalog.digest() {
            self.add(
                Severity::Blocker,
                "catalog-changed",
                "the plan was made with another catalog than the one this program has now".to_owned(),
                "make the plan anew with `ffu plan`, or give the same --catalog DIR as then",
            );
        }
    }

    fn step(&mut self, step: &Step) {
        if (step.undo == Undo::Irreversible) != step.phase.is_after_acceptance() && step.undo != Undo::Nothing {
            self.block(
                "undo-phase",
                format!("{}: {:?} does not belong in phase {}", step.id, step.undo, step.phase),
            );
        }
        if step.timeout_seconds == 0 || step.timeout_seconds > 7 * 86_400 {
            self.block(
                "timeout",
                format!("{}: a timeout of {} s is not sensible", step.id, step.timeout_seconds),
            );
        }
        match &step.action {
            Action::Command(command) => {
                if command.program.contains('/') || command.program.contains('\0') || command.program.is_empty() {
                    self.block(
                        "program",
                        format!("{}: {:?} is not a program's name", step.id, command.program),
                    );
                }
                for file in &command.config_files {
                    self.file(step, file);
                }
            }
            Action::Gate { query, .. } => self.query(step, query),
            Action::Drain { watches } => watches.iter().for_each(|watch| self.query(step, &watch.query)),
            Action::Checkpoint { files, .. } => files.iter().for_each(|file| self.file(step, file)),
            Action::StageConfig { files } | Action::InstallConfig { files, .. } => {
                for file in files {
                    self.file(step, &file.destination);
                    file.source.iter().for_each(|source| self.file(step, source));
                }
            }
            _ => {}
        }
    }

    fn file(&mut self, step: &Step, file: &Utf8Path) {
        let inside = file.strip_prefix("{staged}").unwrap_or(file);
        let rooted = file.is_absolute() || file.starts_with("{staged}");
        if !rooted || file.as_str().contains('\0') || inside.components().any(|c| c.as_str() == "..") {
            self.block(
                "file-path",
                format!("{}: {file:?} is not an absolute path without `..`", step.id),
            );
        }
    }

    fn query(&mut self, step: &Step, query: &str) {
        if let Some(reason) = ffu_model::query::refusal(query) {
            self.block(
                "query",
                format!("{}: only a single SELECT may be asked: {reason}", step.id),
            );
        }
    }

    /// What the planner itself would have made of the same cloud: an edit shows as a difference.
    fn against_planner(&mut self, plan: &Plan, catalog: &Catalog) {
        if plan.catalog != catalog.digest() {
            return;
        }
        let fresh = match crate::plan(&plan.cloud, catalog, &plan.to, &plan.policy) {
            Ok(fresh) => fresh,
            Err(error) => {
                self.block(
                    "not-plannable",
                    format!("the planner refuses this cloud and target: {error}"),
                );
                return;
            }
        };
        let remedy = "if it is your edit and you mean it, go on; if not, make the plan anew";
        let have: BTreeMap<&str, &Step> = plan.steps.iter().map(|step| (step.id.as_str(), step)).collect();
        for step in &fresh.steps {
            match have.get(step.id.as_str()) {
                None => {
                    let severity = if step.phase <= Phase::Deploy {
                        Severity::Blocker
                    } else {
                        Severity::Warning
                    };
                    self.add(
                        severity,
                        "step-missing",
                        format!("{}: {} was taken out", step.id, step.title),
                        remedy,
                    );
                }
                // A rehearsal knows better how long a step takes than the catalog.
                Some(found) if !same(found, step, plan.report.measured.is_some()) => {
                    self.add(
                        Severity::Warning,
                        "step-changed",
                        format!("{} differs from what is planned", step.id),
                        remedy,
                    );
                }
                Some(_) => {}
            }
        }
        let planned: BTreeSet<&str> = fresh.steps.iter().map(|step| step.id.as_str()).collect();
        for step in plan.steps.iter().filter(|step| !planned.contains(step.id.as_str())) {
            self.add(
                Severity::Warning,
                "step-added",
                format!("{}: {} was added", step.id, step.title),
                remedy,
            );
        }
    }
}

/// Whether two steps are the same, with `estimates_differ` but for how long they are expected to take.
fn same(one: &Step, other: &Step, estimates_differ: bool) -> bool {
    let mut one = one.clone();
    if estimates_differ {
        one.estimate_ms = other.estimate_ms;
    }
    one == *other
}
