//! What one step of a plan is, needs, and how it is taken back, in words.

use std::fmt::Write as _;

use ffu_model::Plan;
use ffu_model::plan::CheckpointMethod;
use ffu_model::step::{Action, Carriage, Meaning, NoOp, StagedFile, Undo};

/// The account of a step, or `None` if the plan has no such step.
pub fn explain(plan: &Plan, id: &str) -> Option<String> {
    let step = plan.step(id)?;
    let mut text = String::new();
    let _ = writeln!(text, "{}\n  {}", step.id, step.title);
    let _ = writeln!(text, "  phase:     {}", step.phase);
    if let Some(hop) = &step.hop {
        let _ = writeln!(text, "  hop:       {hop}");
    }
    if let Some(project) = &step.project {
        let _ = writeln!(text, "  project:   {project}");
    }
    let _ = writeln!(
        text,
        "  expected:  {:.1} s; fails after {} s",
        step.estimate_ms as f64 / 1000.0,
        step.timeout_seconds
    );
    let _ = writeln!(text, "  way back:  {}", undo(step.undo));
    list(&mut text, "needs", &step.needs);
    let followers: Vec<String> = plan
        .steps
        .iter()
        .filter(|other| other.needs.contains(&step.id))
        .map(|other| other.id.clone())
        .collect();
    list(&mut text, "then", &followers);
    action(&mut text, &step.action);
    if let (Action::Checkpoint { .. }, Some(key)) = (&step.action, &plan.policy.dump_key) {
        let _ = writeln!(text, "  dump key:  {} ({})", key.file, key.recipients.join(", "));
    }
    for source in step.sources.iter().filter(|source| !source.is_empty()) {
        let _ = writeln!(text, "  source:    {source}");
    }
    if plan.report.critical_path.contains(&step.id) {
        let _ = writeln!(text, "  It is on the critical path: the window is shorter if it is.");
    }
    Some(text)
}

fn list(text: &mut String, name: &str, items: &[String]) {
    if !items.is_empty() {
        let _ = writeln!(text, "  {:<10} {}", format!("{name}:"), items.join(", "));
    }
}

fn undo(undo: Undo) -> &'static str {
    match undo {
        Undo::Nothing => "nothing to take back",
        Undo::Checkpoint => "`ffu rollback` restores the checkpoint",
        Undo::Services => "`ffu rollback` starts the old services",
        Undo::Irreversible => "none: this is past the point of no return",
    }
}

fn action(text: &mut String, action: &Action) {
    match action {
        Action::Command(command) => {
            let files: Vec<String> = command
                .config_files
                .iter()
                .map(|file| format!("--config-file {file}"))
                .collect();
            let _ = writeln!(
                text,
                "  runs:      {} {} {}  (in hop environment {})",
                command.program,
                files.join(" "),
                command.arguments.join(" "),
                command.series
            );
            for exit in &command.exit_codes {
                let _ = writeln!(
                    text,
                    "  exit {:>4}: {} – {}",
                    exit.code,
                    meaning(exit.meaning),
                    exit.note
                );
            }
            let _ = writeln!(text, "  any other exit code is a failure");
            for bad in &command.failure_texts {
                let _ = writeln!(text, "  a line with {bad:?} is a failure whatever the exit code");
            }
            for known in &command.known_exceptions {
                let _ = writeln!(text, "  a traceback that ends in {known} is left to the exit code");
            }
            for heads in &command.expect_heads {
                let _ = writeln!(
                    text,
                    "  must reach: {} {} = {}",
                    heads.database,
                    heads.name,
                    heads.versions.join(", ")
                );
            }
            match &command.no_op {
                Some(NoOp::Heads(_)) => {
                    let _ = writeln!(
                        text,
                        "  not run if the databases are at the heads of {} already",
                        command.series
                    );
                }
                Some(NoOp::Counts(counts)) => {
                    let names: Vec<String> = counts.iter().map(|c| format!("{} in {}", c.what, c.database)).collect();
                    let _ = writeln!(text, "  not run if nothing is counted: {}", names.join(", "));
                }
                None => {}
            }
            let repeat = if command.repeatable {
                "is run again"
            } else {
                "is not run again by itself"
            };
            let _ = writeln!(text, "  if interrupted, it {repeat}");
        }
        Action::Gate {
            database,
            query,
            message,
            remedy,
            ..
        } => {
            let _ = writeln!(
                text,
                "  asks:      {database}: {query}\n  offenders: {message}\n  remedy:    {remedy}"
            );
        }
        Action::Pause { message } => {
            let _ = writeln!(text, "  waits for: {message}");
        }
        Action::StopServices { units } | Action::StartServices { units, .. } | Action::VerifyServices { units } => {
            let _ = writeln!(text, "  units:     {}", units.join(", "));
        }
        Action::Drain { watches } => {
            for watch in watches {
                let _ = writeln!(text, "  waits for: {} in {}", watch.what, watch.database);
            }
        }
        Action::PrepareCheckpoint {
            databases, limit_mib, ..
        } => {
            let names: Vec<String> = databases.iter().map(ToString::to_string).collect();
            let limit = limit_mib.map_or("as fast as it goes".to_owned(), |mib| {
                format!("{mib} MiB a second at most")
            });
            let _ = writeln!(text, "  databases: {}\n  speed:     {limit}", names.join(", "));
        }
        Action::Checkpoint {
            databases,
            files,
            method,
        } => {
            let names: Vec<String> = databases.iter().map(ToString::to_string).collect();
            let _ = writeln!(text, "  databases: {}\n  files:     {}", names.join(", "), files.len());
            let method = match method {
                CheckpointMethod::Auto => "copies where they could be begun, dumps of the rest",
                CheckpointMethod::Copy => "copies",
                CheckpointMethod::Dump => "dumps",
            };
            let _ = writeln!(text, "  method:    {method}");
        }
        Action::CopyTables { from, to, tables, .. } => {
            let _ = writeln!(text, "  copies:    {} from {from} to {to}", tables.join(", "));
        }
        Action::StageConfig { files } | Action::InstallConfig { files, .. } => {
            for file in files {
                let _ = writeln!(text, "  file:      {}", file.destination);
                let _ = writeln!(text, "    {}", carried(file));
                for set in &file.set {
                    let _ = writeln!(
                        text,
                        "    sets [{}] {} = {} – {}",
                        set.section, set.option, set.value, set.reason
                    );
                }
            }
        }
        Action::MeasureInvariants { invariants }
        | Action::CaptureInvariants { invariants }
        | Action::CompareInvariants { invariants, .. } => {
            let names: Vec<&str> = invariants.iter().map(|i| i.id.as_str()).collect();
            let _ = writeln!(text, "  rows of:   {}", names.join(", "));
        }
        Action::ProbeDatabases { databases } | Action::ReviewAgents { databases } => {
            let names: Vec<String> = databases.iter().map(ToString::to_string).collect();
            let _ = writeln!(text, "  databases: {}", names.join(", "));
        }
        Action::VerifyEnvironment { .. } | Action::CreateDatabase { .. } | Action::DropCheckpoint { .. } => {}
    }
}

/// How the content of a file comes about.
fn carried(file: &StagedFile) -> String {
    let Some(source) = &file.source else {
        return "is new at the target".to_owned();
    };
    let Some(migration) = &file.migration else {
        return match file.kept.as_str() {
            "" => "as it is".to_owned(),
            why => format!("as it is: {why}"),
        };
    };
    let (Some(from), Some(to)) = (migration.path.first(), migration.path.last()) else {
        return "as it is".to_owned();
    };
    let how = match migration.carriage {
        Carriage::Options => "option by option",
        Carriage::Policy => "rule by rule",
        Carriage::Merge => "by a merge with upstream's of both",
    };
    let made = if *source == file.destination {
        String::new()
    } else {
        format!(", made from {source}")
    };
    let losses = if migration.accept_loss {
        "; losses are accepted"
    } else {
        ""
    };
    format!("carried from {from} to {to} {how}{made}{losses}")
}

fn meaning(meaning: Meaning) -> &'static str {
    match meaning {
        Meaning::Success => "done",
        Meaning::Warning => "done, with a warning",
        Meaning::Again => "run again",
        Meaning::Failure => "failed",
        Meaning::KnownCrash => "known crash of the program, says nothing about the cloud",
    }
}
