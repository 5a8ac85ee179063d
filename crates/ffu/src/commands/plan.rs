//! `ffu plan` and `ffu lint`.

use std::fmt::Write as _;

use camino::Utf8PathBuf;
use ffu_db::checkpoint::DumpKey;
use ffu_model::plan::{CheckpointMethod, CheckpointProof, ConfigurationPolicy, DumpKeyRef, Plan, Policy};
use ffu_model::{Phase, Severity};
use ffu_report::milliseconds;
use serde_json::json;

use crate::cli::runs::{CheckpointChoice, ConfigurationChoice, LintArguments, PlanArguments};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::places::{Places, absolute, read_file, write_file};

pub fn run(places: &Places, output: Output, arguments: PlanArguments) -> Result<Exit, Failure> {
    if let Some(step) = &arguments.explain {
        let plan = ffu_plan::read_plan(arguments.output.as_str(), &read_file(&arguments.output, "plan")?)?;
        let text = ffu_plan::explain(&plan, step).ok_or_else(|| no_step(&plan, step))?;
        output.result(text, &json!({"step": plan.step(step)}));
        return Ok(Exit::Success);
    }
    let (Some(cloud), Some(to)) = (&arguments.cloud, &arguments.to) else {
        return Err(Failure::new(
            Exit::Usage,
            "--cloud and --to are needed to make a plan\n  next: ffu plan --help",
        ));
    };
    let catalog = places.catalog()?;
    let bytes = read_file(cloud, "cloud file")?;
    let text = String::from_utf8(bytes)
        .map_err(|error| Failure::new(Exit::BadInput, format!("{cloud}: not UTF-8 ({error})")))?;
    let cloud = ffu_discover::from_toml(cloud.as_str(), &text)?;
    let defaults = Policy::default();
    if arguments.dump_key.is_some() && arguments.checkpoint == CheckpointChoice::Copy {
        return Err(Failure::new(
            Exit::Usage,
            "with --checkpoint copy there is no dump to encrypt\n  next: leave --dump-key out, or take --checkpoint auto or dump",
        ));
    }
    let dump_key = arguments.dump_key.map(dump_key).transpose()?;
    let policy = Policy {
        slurp: arguments.slurp,
        parallel: arguments.parallel.unwrap_or(defaults.parallel).clamp(1, 64),
        drain_deadline_seconds: arguments
            .drain
            .unwrap_or(defaults.drain_deadline_seconds)
            .clamp(1, 86_400),
        configuration: match arguments.configuration {
            ConfigurationChoice::Migrate => ConfigurationPolicy::Migrate,
            ConfigurationChoice::AcceptLoss => ConfigurationPolicy::AcceptLoss,
            ConfigurationChoice::Keep => ConfigurationPolicy::Keep,
        },
        checkpoint_proof: if arguments.quick_proof {
            CheckpointProof::Read
        } else {
            CheckpointProof::Restore
        },
        checkpoint: match arguments.checkpoint {
            CheckpointChoice::Auto => CheckpointMethod::Auto,
            CheckpointChoice::Copy => CheckpointMethod::Copy,
            CheckpointChoice::Dump => CheckpointMethod::Dump,
        },
        copy_limit_mib: arguments.copy_limit,
        thorough: arguments.thorough,
        dump_key,
    };
    let target = catalog.resolve(to)?;
    let mut plan = ffu_plan::plan(&cloud, &catalog, &target, &policy)?;
    if let Some(file) = &arguments.from_rehearsal {
        let rehearsal = ffu_plan::read_rehearsal(file.as_str(), &read_file(file, "rehearsal")?)?;
        ffu_plan::estimate_from(&mut plan, &rehearsal)?;
    }
    let bytes = plan.to_bytes().map_err(|error| Failure::new(Exit::Failure, error))?;
    write_file(&arguments.output, &bytes)?;
    let summary = summary(&plan);
    output.result(
        format!(
            "{summary}\nwritten to {}\n  next: review it, then `ffu run {}`",
            arguments.output, arguments.output
        ),
        &json!({"plan": plan.id, "output": arguments.output, "steps": plan.steps.len(), "report": plan.report}),
    );
    Ok(Exit::Success)
}

/// What a plan says of a key: where it is, and its public half.
fn dump_key(file: Utf8PathBuf) -> Result<DumpKeyRef, Failure> {
    let file = absolute(file)?;
    let key = DumpKey::read(&file).map_err(|error| {
        let next = if file.exists() {
            "mend it, then `ffu plan` again".to_owned()
        } else {
            format!("`ffu dump-key {file}` makes a key there")
        };
        Failure::new(Exit::BadInput, format!("{error}\n  next: {next}"))
    })?;
    Ok(DumpKeyRef {
        recipients: key.recipients(),
        file,
    })
}

fn no_step(plan: &Plan, step: &str) -> Failure {
    let near: Vec<&str> = plan
        .steps
        .iter()
        .map(|s| s.id.as_str())
        .filter(|id| id.contains(step) || step.contains(*id))
        .take(8)
        .collect();
    let choices = if near.is_empty() {
        "its ids are in the plan file, such as checkpoint or deploy.services".to_owned()
    } else {
        near.join(", ")
    };
    let step: String = step.chars().take(120).collect();
    Failure::new(
        Exit::BadInput,
        format!("the plan has no step {step:?}\n  next: choose one of its steps: {choices}"),
    )
}

/// What a plan will do, for people.
pub fn summary(plan: &Plan) -> String {
    let mut text = format!("plan {}: {} → {}\n", short(&plan.id), plan.from, plan.to);
    for decision in &plan.report.decisions {
        let _ = writeln!(text, "  - {decision}");
    }
    for finding in &plan.report.findings {
        let _ = writeln!(text, "  ! {finding}");
    }
    for phase in Phase::ALL {
        let steps: Vec<_> = plan.steps.iter().filter(|step| step.phase == phase).collect();
        let work: u64 = steps.iter().map(|step| step.estimate_ms).sum();
        let after = if phase.is_after_acceptance() {
            "  (on `ffu accept`)"
        } else {
            ""
        };
        let _ = writeln!(
            text,
            "  {phase:<11} {:>3} steps, {} of work{after}",
            steps.len(),
            milliseconds(work)
        );
    }
    let _ = writeln!(
        text,
        "  window: about {} with {} steps at once; decided by {}",
        milliseconds(plan.report.window_ms),
        plan.policy.parallel,
        critical(plan)
    );
    if let Some(measured) = &plan.report.measured {
        let _ = writeln!(
            text,
            "  measured: {} of the window's {} steps ({} % of its work) by the rehearsal of {}; the others are the catalog's estimates",
            measured.measured_steps,
            measured.window_steps,
            measured.percent(),
            measured.rehearsed.strftime("%Y-%m-%d %H:%M UTC")
        );
        for remark in &measured.remarks {
            let _ = writeln!(text, "    ! {remark}");
        }
    }
    for irreversible in &plan.report.irreversible {
        let _ = writeln!(text, "  irreversible: {irreversible}");
    }
    text
}

fn critical(plan: &Plan) -> String {
    let path = &plan.report.critical_path;
    match (path.first(), path.last()) {
        (Some(first), Some(last)) => format!("{} steps from {first} to {last}", path.len()),
        _ => "nothing".to_owned(),
    }
}

/// The first characters of an id.
pub fn short(id: &str) -> String {
    id.chars().take(12).collect()
}

pub fn lint(places: &Places, output: Output, arguments: LintArguments) -> Result<Exit, Failure> {
    let mut plan = ffu_plan::read_plan(arguments.plan.as_str(), &read_file(&arguments.plan, "plan")?)?;
    if arguments.reseal {
        plan.id = plan.compute_id().map_err(|error| Failure::new(Exit::Failure, error))?;
    }
    let findings = ffu_plan::lint(&plan, &places.catalog()?);
    let blocked = findings.iter().any(|finding| finding.severity == Severity::Blocker);
    let mut text: String = findings.iter().map(|finding| format!("{finding}\n")).collect();
    if findings.is_empty() {
        text = format!("plan {}: nothing to say against it", short(&plan.id));
    }
    if let Some(new) = arguments.output.filter(|_| arguments.reseal && !blocked) {
        write_file(
            &new,
            &plan.to_bytes().map_err(|error| Failure::new(Exit::Failure, error))?,
        )?;
        let _ = write!(text, "\nresealed as {} in {new}", short(&plan.id));
    }
    output.result(
        text,
        &json!({"plan": plan.id, "findings": findings, "runnable": !blocked}),
    );
    Ok(if blocked { Exit::Refused } else { Exit::Success })
}
