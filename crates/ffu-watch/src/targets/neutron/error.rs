//! What is wrong with rows, or with what the operator typed.

/// What cannot be used of neutron's database, or of what the operator typed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NeutronError {
    /// A row with another number of columns than its query asks for.
    #[error(
        "a row of neutron's {what} has {got} columns instead of {want}\n  next: run the query of this very version of ffu"
    )]
    Columns {
        /// `floating IPs`, …
        what: &'static str,
        /// Columns that came.
        got: usize,
        /// Columns that were asked for.
        want: usize,
    },
    /// `--vantage` that is not understood.
    #[error(
        "--vantage {text:?} is not understood\n  next: type network=NAME:NETNS for a network namespace of this host, or \
         network=NAME:ssh/HOST for another host"
    )]
    Vantage {
        /// What was typed.
        text: String,
    },
}
