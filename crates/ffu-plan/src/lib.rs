//! From a cloud and the catalog to a plan, and the checks of a plan. Pure: nothing here reads a file or a database.
//!
//! Same input, same bytes: everything is iterated in the order of the catalog or of sorted maps, and no clock is read.

mod carriage;
mod commands;
mod context;
mod costs;
mod ends;
mod error;
mod expected;
mod explain;
mod files;
mod hops;
mod lint;
mod rehearsed;
mod schedule;

pub use error::PlanError;
pub use explain::explain;
pub use lint::{lint, read_plan};
pub use rehearsed::{estimate_from, read_rehearsal};
pub use schedule::{Schedule, schedule};

use ffu_catalog::Catalog;
use ffu_model::plan::{PLAN_FORMAT, Plan, Policy};
use ffu_model::{Cloud, Phase, Series, Severity};

use context::Context;

/// Makes the plan that takes `cloud` to `target`.
///
/// # Errors
/// When the cloud's series is not known for every project, when a finding of the cloud forbids a run, when the target
/// is not ahead of the cloud, or when the catalog lacks something that the path needs.
pub fn plan(cloud: &Cloud, catalog: &Catalog, target: &Series, policy: &Policy) -> Result<Plan, PlanError> {
    let mut context = Context::new(cloud, catalog, target, policy)?;
    ends::prepare(&mut context)?;
    ends::freeze(&mut context)?;
    ends::checkpoint(&mut context);
    hops::all(&mut context)?;
    ends::deploy(&mut context)?;
    ends::release(&mut context);
    ends::finish(&mut context)?;
    seal(context)
}

fn seal(mut context: Context<'_>) -> Result<Plan, PlanError> {
    expected::commands(&mut context);
    let order = schedule(&context.steps, context.policy.parallel, Phase::is_in_window);
    context.report.window_ms = order.length_ms;
    context.report.critical_path = order.critical_path;
    context.report.waits_for = context
        .steps
        .iter()
        .filter(|step| step.phase == Phase::Prepare)
        .map(|step| format!("{}: {}", step.id, step.title))
        .collect();
    context.report.findings = context
        .cloud
        .findings
        .iter()
        .filter(|f| f.severity >= Severity::Warning)
        .cloned()
        .collect();
    let mut plan = Plan {
        format: PLAN_FORMAT,
        id: String::new(),
        generator: concat!("ffu ", env!("CARGO_PKG_VERSION")).to_owned(),
        catalog: context.catalog.digest().to_owned(),
        from: context.from.clone(),
        to: context.target.clone(),
        hops: context.path.clone(),
        policy: context.policy.clone(),
        cloud: context.cloud.clone(),
        steps: context.steps,
        report: context.report,
    };
    plan.id = plan.compute_id().map_err(|error| PlanError::NotSerialisable {
        reason: error.to_string(),
    })?;
    Ok(plan)
}

#[cfg(test)]
mod tests;
