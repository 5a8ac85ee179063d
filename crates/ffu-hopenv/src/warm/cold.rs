//! Why a command ran as a plain process although warm ones were wanted: every doubt has a name that the operator reads.

/// Why a command did not run warm.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Cold {
    /// Nobody asked for this series or program beforehand.
    #[error("{program} of {series} was not warmed beforehand")]
    NotAsked {
        /// The series.
        series: String,
        /// The program.
        program: String,
    },
    /// It would take more memory than there is for it.
    #[error(
        "warming {series} needs about {needed_mib} MiB, and {free_mib} MiB of the budget of {budget_mib} MiB are free"
    )]
    Budget {
        /// The series.
        series: String,
        /// What is expected or was measured.
        needed_mib: u64,
        /// What is left.
        free_mib: u64,
        /// All of it.
        budget_mib: u64,
    },
    /// Its processes have been ended because it was done with, or to make room.
    #[error("the warm processes of {series} have ended already")]
    Retired {
        /// The series.
        series: String,
    },
    /// It was rebuilt after it had been warmed.
    #[error("the hop environment of {series} is another one than was warmed")]
    OtherEnvironment {
        /// The series.
        series: String,
    },
    /// The interpreter could not be started.
    #[error("the interpreter of {series} could not be started: {why}")]
    Start {
        /// The series.
        series: String,
        /// What the system said.
        why: String,
    },
    /// The process said itself that it cannot be used.
    #[error("{what} cannot be used warm: {why}")]
    Unfit {
        /// Series and project.
        what: String,
        /// What it said, cut.
        why: String,
    },
    /// It speaks another version of the protocol.
    #[error("{what} speaks version {found} of the protocol, not {expected}")]
    Version {
        /// Series and project.
        what: String,
        /// What it speaks.
        found: u32,
        /// What is spoken here.
        expected: u32,
    },
    /// It said something that is not understood.
    #[error("{what} does not keep to the protocol: {why}")]
    Protocol {
        /// Series and project.
        what: String,
        /// What was wrong.
        why: String,
    },
    /// It did not answer in time.
    #[error("{what} did not answer within {seconds} s")]
    Late {
        /// Series and project.
        what: String,
        /// How long was waited.
        seconds: u64,
    },
    /// Its process is gone.
    #[error("the process of {what} is gone")]
    Gone {
        /// Series and project.
        what: String,
    },
    /// The pool is closing.
    #[error("the warm processes are being ended")]
    Closing,
}
