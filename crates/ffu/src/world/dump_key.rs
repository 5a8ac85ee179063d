//! The key of encrypted dumps: that of the plan when they are made, whichever opens them on the way back. Both are asked for before
//! anything is stopped.

use camino::{Utf8Path, Utf8PathBuf};
use ffu_db::DbError;
use ffu_db::checkpoint::{self, DumpKey};
use ffu_engine::RunView;
use ffu_model::step::{Action, Phase};
use ffu_model::{Plan, Step};

use super::World;
use crate::exit::Exit;
use crate::failure::Failure;

impl World {
    /// Has the key read from here on the way back.
    pub fn open_dumps_with(&mut self, file: Utf8PathBuf) {
        self.dump_key = Some(file);
    }

    /// The plan's key, if it has one.
    pub(super) fn sealing_key(&self) -> Result<Option<DumpKey>, DbError> {
        sealing(&self.plan)
    }

    /// The key that is to open the checkpoint's dumps, if they need one and there is one.
    pub(super) fn opening_key(&self) -> Result<Option<DumpKey>, DbError> {
        opening(&self.plan, &self.run.checkpoint(), self.dump_key.as_deref())
    }
}

fn sealing(plan: &Plan) -> Result<Option<DumpKey>, DbError> {
    let Some(planned) = &plan.policy.dump_key else {
        return Ok(None);
    };
    let key = DumpKey::read_that_of(&planned.file, &planned.recipients)?;
    key.is_that_of(&planned.recipients)?;
    Ok(Some(key))
}

fn opening(plan: &Plan, directory: &Utf8Path, elsewhere: Option<&Utf8Path>) -> Result<Option<DumpKey>, DbError> {
    let recipients = checkpoint::load(directory)?.sealed();
    if recipients.is_empty() {
        return Ok(None);
    }
    let planned = plan.policy.dump_key.as_ref().map(|planned| planned.file.as_path());
    let file = elsewhere.or(planned);
    file.map(|file| DumpKey::read_that_of(file, &recipients)).transpose()
}

/// That the dumps which a plan may still make can be encrypted. `view` is that of the run, if there is one; `next` is typed when
/// the key is there.
///
/// # Errors
/// [`Exit::Refused`], with the next command.
pub fn can_seal(plan: &Plan, view: Option<&RunView>, next: &str) -> Result<(), Failure> {
    let made =
        |step: &Step| !matches!(step.action, Action::Checkpoint { .. }) || view.is_some_and(|v| v.is_done(&step.id));
    if plan.steps.iter().all(made) {
        return Ok(());
    }
    sealing(plan).map(drop).map_err(|error| {
        let text = format!("{error}\n  nothing was begun by this\n  next: put that key there, then {next}");
        Failure::new(Exit::Refused, text)
    })
}

/// That the way back will not stop half-way for want of a key that opens its dumps, or of a file of the checkpoint.
///
/// # Errors
/// [`Exit::Refused`], with the next command.
pub fn can_open(
    plan: &Plan,
    directory: &Utf8Path,
    view: &RunView,
    elsewhere: Option<&Utf8Path>,
) -> Result<(), Failure> {
    let migrated = |step: &Step| step.phase > Phase::Checkpoint && view.was_begun(&step.id);
    if view.is_done("rollback.databases") || !plan.steps.iter().any(migrated) {
        return Ok(());
    }
    let refused = |error: DbError| {
        let next = match &error {
            DbError::DumpKey { .. } | DbError::DumpKeyMissing { .. } => {
                "put the key back, or say where it is with `ffu rollback --dump-key FILE`"
            }
            _ => "mend it, then `ffu rollback` again",
        };
        let text = format!("{error}\n  nothing was stopped or changed by this\n  next: {next}");
        Failure::new(Exit::Refused, text)
    };
    let opened = opening(plan, directory, elsewhere);
    let whole = opened.and_then(|key| checkpoint::check_whole(directory, key.as_ref()));
    whole.map_err(refused)
}
