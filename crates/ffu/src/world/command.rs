//! A project's command in its hop environment: run, judged by the catalog's rules and by what the database says afterwards.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::time::{Duration, Instant};

use camino::Utf8PathBuf;
use ffu_engine::{Inspection, Performed};
use ffu_hopenv::{Cold, HopEnv, ProjectCommand, Verdict, judge};
use ffu_hosts::Exit;
use ffu_model::secret::Secret;
use ffu_model::step::{CommandAction, Meaning, Overlay, Purpose};
use ffu_model::{Finding, Severity, Step, StepResult};

use super::warm::ran_cold;
use super::{World, config, failed, judged};

/// Online migrations work in batches of some thousand rows; one that is not done after so many is going round in circles.
const ROUNDS: u32 = 100_000;

/// A command with all its rounds.
struct Rounds {
    exit: Exit,
    verdict: Verdict,
    rounds: u32,
    /// Why the first one that was a plain process was not warm.
    cold: Option<Cold>,
}

impl World {
    pub(super) fn command(&self, step: &Step, action: &CommandAction, attempt: u32) -> Performed {
        if let Some(evidence) = self.proven_no_op(action) {
            self.one_less(&action.series, &action.project);
            return Performed::with(StepResult::Proven, evidence);
        }
        match self.command_to_its_end(step, action, attempt) {
            Ok(performed) => performed,
            Err(reason) => failed(reason),
        }
    }

    fn command_to_its_end(&self, step: &Step, action: &CommandAction, attempt: u32) -> Result<Performed, String> {
        if !action.needs_services.is_empty() {
            self.serve(&action.needs_services, &action.series)?;
        }
        let environment = self
            .environments
            .open(&action.series)
            .map_err(|error| error.to_string())?;
        let deadline = Instant::now() + Duration::from_secs(step.timeout_seconds);
        let overlay = action
            .overlay
            .as_ref()
            .map(|overlay| self.overlay(step, overlay))
            .transpose()?;
        let strangers = self.before_schema_change(action)?;
        let ended = self.rounds(step, action, attempt, &environment, deadline, overlay.as_ref());
        if let Some(overlay) = &overlay {
            let _ = fs::remove_file(overlay);
        }
        let Rounds {
            exit,
            verdict,
            rounds,
            cold,
        } = ended?;
        let missing = match (verdict.meaning, exit) {
            (Meaning::Success | Meaning::Warning, _) => self.missing_heads(step)?,
            _ => Vec::new(),
        };
        let mut performed = outcome(action, exit, verdict, rounds, &missing);
        if performed.result.is_good() {
            self.after_schema_change(action)?;
            self.one_less(&action.series, &action.project);
        }
        if !strangers.is_empty() && performed.result == StepResult::Succeeded {
            performed.result = StepResult::Warned;
        }
        performed.findings.extend(strangers);
        if self.warmth.is_some() {
            performed.figures.insert("warm".to_owned(), u64::from(cold.is_none()));
            performed
                .findings
                .extend(cold.map(|cold| ran_cold(Some(&action.project), &cold)));
        }
        Ok(performed)
    }

    fn rounds(
        &self,
        step: &Step,
        action: &CommandAction,
        attempt: u32,
        environment: &HopEnv,
        deadline: Instant,
        overlay: Option<&Utf8PathBuf>,
    ) -> Result<Rounds, String> {
        let config_files: Vec<Utf8PathBuf> = action
            .config_files
            .iter()
            .map(|file| config::expand(&self.staged(), file))
            .collect();
        let (output_dir, lock_file, secrets) = (self.run.outputs(), self.lock_file(step), self.secrets(action));
        let mut round = 1;
        let mut cold = None;
        let mut figures = BTreeMap::<String, u64>::new();
        loop {
            let suffix = if round == 1 { String::new() } else { format!(".{round}") };
            let command = ProjectCommand {
                action,
                config_files: &config_files,
                overlay_file: overlay.map(Utf8PathBuf::as_path),
                output_dir: &output_dir,
                name: &format!("{}.{attempt}{suffix}", step.id),
                timeout: deadline.saturating_duration_since(Instant::now()),
                lock_file: Some(&lock_file),
                secrets: &secrets,
            };
            let output = command.output();
            let finished = match &self.warmth {
                Some(warmth) => warmth.pool.run(environment, &command, &self.stop).map(|ran| {
                    cold = cold.take().or(ran.cold);
                    ran.finished
                }),
                None => environment.run(&command, &self.stop),
            }
            .map_err(|error| error.to_string())?;
            let mut verdict = judge(action, &finished.exit, &output);
            for (name, count) in &verdict.figures {
                let figure = figures.entry(name.clone()).or_default();
                // What one round leaves the next one moves.
                *figure = if name == "rows-left" { *count } else { *figure + count };
            }
            let again = verdict.meaning == Meaning::Again && action.purpose == Purpose::OnlineData;
            let stopping = self.stop.level() > ffu_hosts::StopLevel::Run;
            if again && !stopping && round < ROUNDS && Instant::now() < deadline {
                self.notes.say(&step.id, so_far(round, &figures));
                round += 1;
                continue;
            }
            verdict.figures = figures;
            return Ok(Rounds {
                exit: finished.exit,
                verdict,
                rounds: round,
                cold,
            });
        }
    }

    /// Held by the command while it lives, so that a later process knows.
    pub(super) fn lock_file(&self, step: &Step) -> Utf8PathBuf {
        self.run.private().join(format!("{}.lock", step.id))
    }

    fn overlay(&self, step: &Step, overlay: &Overlay) -> Result<Utf8PathBuf, String> {
        let url = ffu_db::resolve(&overlay.connection)
            .map_err(|error| error.to_string())?
            .to_url();
        let directory = self.run.private().join(format!("{}.conf.d", step.id));
        let path = directory.join("overlay.conf");
        fs::create_dir_all(&directory)
            .and_then(|()| {
                OpenOptions::new()
                    .write(true)
                    .create(true)
                    .truncate(true)
                    .mode(0o600)
                    .open(&path)
            })
            .and_then(|mut file| writeln!(file, "[{}]\n{} = {}", overlay.section, overlay.option, url.expose()))
            .map_err(|error| format!("{path}: {error}"))?;
        Ok(path)
    }

    /// What must not be in the output: the passwords of every database of the project and nova's, for cells.
    fn secrets(&self, action: &CommandAction) -> Vec<Secret> {
        let mut secrets = Vec::new();
        for (key, reference) in &self.references {
            if key.project == action.project || action.project == "nova" {
                secrets.extend(ffu_db::resolve(reference).map(|url| url.secrets()).unwrap_or_default());
            }
        }
        secrets
    }

    pub(super) fn inspect_command(&self, step: &Step, action: &CommandAction, _attempt: u32) -> Inspection {
        let patience = Duration::from_secs(step.timeout_seconds);
        if let Err(error) = ffu_hosts::wait_until_free(&self.lock_file(step), patience, &self.stop) {
            return Inspection::Stuck(format!("its process from before still lives: {error}"));
        }
        // The overlay outlives a killed ffu.
        let _ = fs::remove_dir_all(self.run.private().join(format!("{}.conf.d", step.id)));
        if !action.expect_heads.is_empty() {
            match self.missing_heads(step) {
                Ok(missing) if missing.is_empty() => {
                    // Its process ended after the `ffu` that would have noted it.
                    if let Err(reason) = self.after_schema_change(action) {
                        return Inspection::Stuck(reason);
                    }
                    self.one_less(&action.series, &action.project);
                    return Inspection::Complete("the schema is at its head".to_owned());
                }
                Ok(missing) if action.repeatable => {
                    return Inspection::Incomplete(format!("{}; it is run again", missing.join("; ")));
                }
                Ok(missing) => return Inspection::Stuck(missing.join("; ")),
                Err(reason) => return Inspection::Stuck(reason),
            }
        }
        if action.repeatable {
            Inspection::Incomplete("it may be run again".to_owned())
        } else {
            Inspection::Stuck(format!(
                "{} {} is not safe to repeat blindly",
                action.program,
                action.arguments.join(" ")
            ))
        }
    }

    /// Ends commands that outlived their `ffu`: in a rollback their work is not wanted any more.
    pub(super) fn end_orphans(&self) -> Result<usize, String> {
        let mut ended = 0;
        let private = self.run.private();
        let entries = private.read_dir_utf8().map_err(|error| format!("{private}: {error}"))?;
        for entry in entries {
            let entry = entry.map_err(|error| format!("{private}: {error}"))?;
            if entry.file_name().ends_with(".lock") {
                ended +=
                    ffu_hosts::end_holders(entry.path(), Duration::from_secs(10)).map_err(|error| error.to_string())?;
            } else if entry.file_name().ends_with(".conf.d") {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
        Ok(ended)
    }
}

/// How far a migration in rounds is.
fn so_far(rounds: u32, figures: &BTreeMap<String, u64>) -> String {
    let moved = figures.get("rows-moved").copied().unwrap_or_default();
    let s = if rounds == 1 { "" } else { "s" };
    format!("{moved} rows moved in {rounds} round{s} so far")
}

fn outcome(action: &CommandAction, exit: Exit, verdict: Verdict, rounds: u32, missing: &[String]) -> Performed {
    let Verdict {
        meaning,
        note,
        mut findings,
        figures,
        excerpt,
    } = verdict;
    let command = format!("{} {}", action.program, action.arguments.join(" "));
    let mut performed = match meaning {
        _ if exit == Exit::Stopped => Performed::with(
            StepResult::Interrupted,
            format!("{command} was stopped by the operator"),
        ),
        Meaning::Success | Meaning::Warning if !missing.is_empty() => {
            failed(format!("{command} ended with {exit}, but {}", missing.join("; ")))
        }
        Meaning::Success => {
            let rounds = if rounds > 1 {
                format!(" in {rounds} rounds")
            } else {
                String::new()
            };
            let heads = if action.expect_heads.is_empty() {
                ""
            } else {
                "; the schema is at its head"
            };
            judged(format!("{note}{rounds}{heads}"), std::mem::take(&mut findings))
        }
        Meaning::Warning | Meaning::KnownCrash => {
            if findings.is_empty() {
                findings.push(Finding {
                    id: if meaning == Meaning::KnownCrash {
                        "known-crash"
                    } else {
                        "command-warned"
                    }
                    .to_owned(),
                    severity: Severity::Warning,
                    project: Some(action.project.clone()),
                    message: format!("{command} ended with {exit}: {note}"),
                    remedy: "read its output".to_owned(),
                    source: String::new(),
                });
            }
            judged(note, std::mem::take(&mut findings))
        }
        Meaning::Again => failed(format!(
            "{command} still has work left after {rounds} rounds: {note}\n{excerpt}"
        )),
        Meaning::Failure => failed(format!("{command} failed ({exit}): {note}\n{excerpt}")),
    };
    if performed.findings.is_empty() {
        performed.findings = findings;
    }
    performed.figures = figures;
    performed
}
