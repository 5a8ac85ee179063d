//! The side effects of a run behind a gate of their own: before each step, everything it could reach is looked at.

use camino::Utf8PathBuf;
use ffu_engine::{Inspection, Performed, Performer, RollbackAction};
use ffu_model::Step;
use ffu_model::cloud::ConnectionRef;
use ffu_model::step::Action;

use super::shadow::{Ground, left_out};
use crate::world::{World, config};

/// Does the steps of a shadow plan.
pub struct Rehearsing<'a> {
    /// The side effects, which were handed the shadow plan.
    pub world: &'a World,
    /// Where everything has to lead.
    pub ground: &'a Ground,
    /// Where the run stages configuration.
    pub staged: Utf8PathBuf,
    /// Every connection of the cloud's databases in the shadow plan.
    pub references: Vec<ConnectionRef>,
}

/// Whether a step can touch nothing but the copy; `databases` are the connections that any step may use.
///
/// # Errors
/// What else it would touch.
pub fn guard(ground: &Ground, databases: &[ConnectionRef], step: &Step) -> Result<(), String> {
    if let Some(reason) = left_out(step) {
        return Err(format!("it is not for a rehearsal: {reason}"));
    }
    let mut references: Vec<&ConnectionRef> = databases.iter().collect();
    match &step.action {
        Action::CreateDatabase { connection, .. } => references.push(connection),
        Action::StageConfig { files } => {
            references.extend(
                files
                    .iter()
                    .flat_map(|file| file.connections.iter().map(|option| &option.connection)),
            );
        }
        Action::Command(command) => {
            references.extend(command.overlay.iter().map(|overlay| &overlay.connection));
            for file in &command.config_files {
                ground.check_file(file)?;
            }
        }
        _ => {}
    }
    references
        .into_iter()
        .try_for_each(|reference| ground.check_reference(reference))
}

impl Rehearsing<'_> {
    /// Commands read the staged files only in the form that leads to the copy.
    fn isolate_staged(&self) -> Result<(), String> {
        for (from, to) in &self.ground.staged {
            self.ground.isolate(&config::expand(&self.staged, from), to)?;
        }
        Ok(())
    }

    /// What a run would say to do next is not what to do now.
    fn reworded(&self, mut performed: Performed) -> Performed {
        let lines: Vec<String> = performed
            .detail
            .replace(&format!("{} ", self.ground.without_directories()), "")
            .lines()
            .map(|line| {
                let of_a_run = line.trim_start().starts_with("next:")
                    && (line.contains("`ffu resume`") || line.contains("`ffu rollback`"));
                if of_a_run {
                    "  next: mend it, then `ffu rehearse` again".to_owned()
                } else {
                    line.to_owned()
                }
            })
            .collect();
        performed.detail = lines.join("\n");
        performed
    }
}

impl Performer for Rehearsing<'_> {
    fn perform(&self, step: &Step, attempt: u32) -> Performed {
        if let Err(reason) = guard(self.ground, &self.references, step) {
            return Performed::failed(format!(
                "not done, because it could touch the cloud: {reason}\n  next: tell the makers of ffu; `ffu run` is not concerned"
            ));
        }
        let performed = self.reworded(self.world.perform(step, attempt));
        if performed.result.is_good()
            && matches!(step.action, Action::StageConfig { .. })
            && let Err(reason) = self.isolate_staged()
        {
            return Performed::failed(format!("{reason}\n  next: mend it, then `ffu rehearse` again"));
        }
        performed
    }

    fn inspect(&self, _step: &Step, _attempt: u32) -> Inspection {
        // A rehearsal is never taken up again: its copy is gone with it.
        Inspection::Stuck("a rehearsal is begun anew".to_owned())
    }

    fn take_back(&self, _action: RollbackAction) -> Performed {
        Performed::failed("there is nothing to take back of a rehearsal")
    }
}
