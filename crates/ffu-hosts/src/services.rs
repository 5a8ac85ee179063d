//! What the freeze and the deploy phase ask of whatever starts and stops services on a control-plane host.

use std::io;

use camino::Utf8PathBuf;
use ffu_model::Series;
use ffu_model::cloud::ServiceRole;
use jiff::Timestamp;

use crate::http::HttpError;
use crate::process::ProcessError;

/// Starts, stops and looks at services, known by their unit names.
pub trait ServiceManager: Send + Sync {
    /// What it is, for people: `systemd`, `processes of DIR`.
    fn describe(&self) -> String;

    /// The units it knows, sorted by name.
    ///
    /// # Errors
    /// [`ServiceError`].
    fn units(&self) -> Result<Vec<UnitInfo>, ServiceError>;

    /// In which state a unit is.
    ///
    /// # Errors
    /// [`ServiceError`].
    fn status(&self, unit: &str) -> Result<UnitStatus, ServiceError>;

    /// Starts a unit and waits until it answers; a unit that runs already is left running.
    ///
    /// # Errors
    /// [`ServiceError`]; then the unit may or may not run.
    fn start(&self, unit: &str) -> Result<(), ServiceError>;

    /// Stops a unit and waits until it is gone; stopping a stopped unit is fine.
    ///
    /// # Errors
    /// [`ServiceError`]; then the unit may or may not run.
    fn stop(&self, unit: &str) -> Result<(), ServiceError>;

    /// Whether the unit answers HTTP where its probe says.
    ///
    /// # Errors
    /// [`ServiceError`]; no answer is not an error but a [`Probe`] that says so.
    fn probe(&self, unit: &str) -> Result<Probe, ServiceError>;
}

/// A unit, with as much as its manager knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitInfo {
    /// Its name for [`ServiceManager`].
    pub unit: String,
    /// The service's name in the catalog; systemd does not know it.
    pub service: Option<String>,
    /// Its project.
    pub project: Option<String>,
    /// Control plane or agent.
    pub role: Option<ServiceRole>,
    /// The series whose packages serve.
    pub series: Option<Series>,
}

/// The state of a unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnitStatus {
    /// It runs.
    Running {
        /// Its main process.
        pid: u32,
        /// Since when, if that is known.
        started: Option<Timestamp>,
    },
    /// It does not run and is not meant to.
    Stopped,
    /// It was started and has died.
    Failed {
        /// How, in a sentence.
        why: String,
    },
    /// In between, or in a state this program has no word for.
    Unknown {
        /// What the manager says.
        state: String,
    },
}

/// Whether a service answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Whether it gave an HTTP answer below 500; for a unit without a probe, whether it runs.
    pub answers: bool,
    /// The status code, if there was one.
    pub status: Option<u16>,
    /// In words.
    pub detail: String,
}

impl Probe {
    /// The verdict on an answer, or on none.
    pub(crate) fn of(url: &str, answer: Result<u16, HttpError>) -> Probe {
        match answer {
            Ok(status) => Probe {
                // Services ask for a token (401) or offer a choice (300) when they are well; 5xx is a broken one.
                answers: status < 500,
                status: Some(status),
                detail: format!("{url} answers {status}"),
            },
            Err(error) => Probe {
                answers: false,
                status: None,
                detail: error.to_string(),
            },
        }
    }
}

/// What went wrong with a service.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The name cannot be a unit's.
    #[error("{unit:?} cannot be the name of a unit: {rule}")]
    BadName {
        /// What was given, cut.
        unit: String,
        /// What names look like.
        rule: &'static str,
    },
    /// There is no such unit.
    #[error("there is no unit {unit} in {place}: known are {known}")]
    NoSuchUnit {
        /// The unit.
        unit: String,
        /// Where it was looked for.
        place: String,
        /// What is there.
        known: String,
    },
    /// A unit file cannot be used.
    #[error("the unit file {path} is unusable: {why}")]
    BadUnitFile {
        /// The file.
        path: Utf8PathBuf,
        /// Why, with the line where there is one.
        why: String,
    },
    /// The files of the manager cannot be read or written.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// `read`, `write`, …
        action: &'static str,
        /// The file.
        path: Utf8PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The unit died while it was starting.
    #[error("{unit} ended while it was starting ({how}); the last lines of {log}:\n{excerpt}")]
    Died {
        /// The unit.
        unit: String,
        /// What is known about its end.
        how: String,
        /// Its log.
        log: Utf8PathBuf,
        /// The end of the log, masked.
        excerpt: String,
    },
    /// The unit runs and does not answer.
    #[error("{unit} runs, but did not answer within {seconds} s: {detail}; the last lines of {log}:\n{excerpt}")]
    NoAnswer {
        /// The unit.
        unit: String,
        /// How long was waited.
        seconds: u64,
        /// The last probe.
        detail: String,
        /// Its log.
        log: Utf8PathBuf,
        /// The end of the log, masked.
        excerpt: String,
    },
    /// Another process listens where the unit would.
    #[error(
        "something else already listens at {address}, where {unit} would: find it with `ss -ltnp` and stop it, then start \
         {unit} again"
    )]
    AddressTaken {
        /// The unit.
        unit: String,
        /// Where.
        address: String,
    },
    /// It would not stop.
    #[error("{unit} is still there after SIGKILL and {seconds} s: {detail}; stop it by hand, then `ffu resume`")]
    WouldNotStop {
        /// The unit.
        unit: String,
        /// How long was waited.
        seconds: u64,
        /// What is left of it.
        detail: String,
    },
    /// The manager's own command could not be run.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The manager's own command failed.
    #[error("`{command}` failed ({how}): {message}")]
    Manager {
        /// The command, as one would type it.
        command: String,
        /// How it ended.
        how: String,
        /// What it said, cut and masked.
        message: String,
    },
}
