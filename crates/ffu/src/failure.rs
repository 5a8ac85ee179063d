//! The one error type of the command line: a message for people and an exit code for scripts.

use ffu_engine::EngineError;

use crate::exit::Exit;

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// What happened, to which thing, and the next command; secrets masked.
    pub message: String,
}

impl Failure {
    /// Any failure.
    pub fn new(exit: Exit, message: impl std::fmt::Display) -> Self {
        Failure {
            exit,
            message: ffu_model::secret::mask(&message.to_string(), &[]),
        }
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        let exit = match &error {
            EngineError::Locked { .. } => Exit::Locked,
            EngineError::Unfinished { .. } | EngineError::WrongState { .. } | EngineError::PlanChanged { .. } => {
                Exit::Refused
            }
            EngineError::NoSuchRun { .. } | EngineError::NoRuns { .. } | EngineError::BadFrom { .. } => Exit::BadInput,
            EngineError::JournalDamaged { .. } => Exit::BadInput,
            EngineError::JournalWrite { .. } | EngineError::State { .. } => Exit::Failure,
        };
        Failure::new(exit, error)
    }
}

impl From<ffu_plan::PlanError> for Failure {
    fn from(error: ffu_plan::PlanError) -> Self {
        let exit = match &error {
            ffu_plan::PlanError::Blocked { .. } | ffu_plan::PlanError::Ahead { .. } => Exit::Refused,
            ffu_plan::PlanError::UnknownSeries { .. } | ffu_plan::PlanError::OtherRehearsal { .. } => Exit::Refused,
            ffu_plan::PlanError::NotSerialisable { .. } => Exit::Failure,
            _ => Exit::BadInput,
        };
        Failure::new(exit, error)
    }
}

macro_rules! failures {
    ($($error:ty => $exit:expr),* $(,)?) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Failure::new($exit, error)
            }
        })*
    };
}

failures! {
    ffu_catalog::CatalogErrors => Exit::BadInput,
    ffu_catalog::PathError => Exit::BadInput,
    ffu_model::series::BadSeries => Exit::BadInput,
    ffu_hopenv::EnvError => Exit::Failure,
    ffu_discover::DiscoverError => Exit::BadInput,
    ffu_discover::CloudFileError => Exit::BadInput,
    ffu_lab::LabError => Exit::Failure,
    ffu_lab::dataplane::DataPlaneError => Exit::Failure,
    ffu_live::LiveError => Exit::Failure,
    ffu_watch::WatchError => Exit::BadInput,
    ffu_watch::targets::TargetsError => Exit::BadInput,
    ffu_watch::targets::neutron::NeutronError => Exit::BadInput,
}
