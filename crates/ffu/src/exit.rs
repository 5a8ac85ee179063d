//! Exit codes: a documented, stable interface for scripts. `docs/reference/exit-codes.md` is made from this file.

/// What the process ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Success,
    /// It was tried and failed; nothing is half-done that `ffu status` would not show.
    Failure,
    /// The command line was wrong.
    Usage,
    /// A file that was given is malformed, or a thing that was named does not exist.
    BadInput,
    /// It could be done, but must not: drift, a blocker, a run in another state.
    Refused,
    /// A run stopped at a failing step or by the operator's wish: `ffu resume` or `ffu rollback`.
    Stopped,
    /// A run waits for the operator: `ffu resume`.
    Paused,
    /// Another process works on the same cloud.
    Locked,
    /// `ffu config` and `ffu policy`: files change, and nothing of it asks for a decision.
    Changed,
    /// `ffu config` and `ffu policy`: something is lost, or wrong, unless somebody decides.
    Decide,
}

impl Exit {
    /// All, for the reference.
    pub const ALL: [Exit; 10] = [
        Exit::Success,
        Exit::Failure,
        Exit::Usage,
        Exit::BadInput,
        Exit::Refused,
        Exit::Stopped,
        Exit::Paused,
        Exit::Locked,
        Exit::Changed,
        Exit::Decide,
    ];

    /// The code.
    pub fn code(self) -> u8 {
        match self {
            Exit::Success => 0,
            Exit::Failure => 1,
            Exit::Usage => 2,
            Exit::BadInput => 3,
            Exit::Refused => 4,
            Exit::Stopped => 5,
            Exit::Paused => 6,
            Exit::Locked => 7,
            Exit::Changed => 8,
            Exit::Decide => 9,
        }
    }

    /// Its meaning, for the reference.
    pub fn meaning(self) -> &'static str {
        match self {
            Exit::Success => "done",
            Exit::Failure => "tried and failed",
            Exit::Usage => "the command line is wrong",
            Exit::BadInput => "a given file is malformed, or a named thing does not exist",
            Exit::Refused => "it must not be done now: drift, a blocker, a run in another state",
            Exit::Stopped => {
                "the run stopped at a failing step or on request: `ffu resume` or `ffu rollback`; a rehearsal did: `ffu rehearse` again"
            }
            Exit::Paused => "the run waits for the operator: `ffu resume`",
            Exit::Locked => "another ffu works on the same cloud",
            Exit::Changed => "`ffu config` and `ffu policy`: files change, and nothing of it asks for a decision",
            Exit::Decide => "`ffu config` and `ffu policy`: a finding asks for a decision, see the list",
        }
    }
}
