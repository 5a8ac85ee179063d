//! What can go wrong while the watch measures, each with the next thing to do.

use std::io;

use camino::Utf8PathBuf;

/// An error of the measuring half of the watch: what happened, to what, and what to type next.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The agent was not given a task that it understands.
    #[error(
        "the probing agent did not understand its task: {why}\n  next: both sides must be the same version of ffu: compare `ffu --version` here and there"
    )]
    Task {
        /// Why.
        why: String,
    },
    /// A figure or a text of the targets file that cannot be probed.
    #[error("target {target} of the targets file cannot be probed: {why}\n  next: correct it in the targets file")]
    Target {
        /// Its place in the file.
        target: u32,
        /// Why.
        why: String,
    },
    /// More probes a second than one vantage point can send.
    #[error(
        "vantage point {vantage}: {targets} targets need {rate} packets a second, the limit of one vantage point is {limit}\n  next: \
         set interval_ms to {interval_ms} or more, probe fewer targets, or spread them over several vantage points"
    )]
    Rate {
        /// The vantage point.
        vantage: String,
        /// Targets asked.
        targets: usize,
        /// Probes a second that they need.
        rate: u64,
        /// Probes a second that are allowed.
        limit: u64,
        /// An interval with which it would do, if all targets had it.
        interval_ms: u64,
    },
    /// The limit of open files is too low for the targets that need sockets of their own.
    #[error(
        "{targets} TCP and HTTP targets need up to {need} open files, the limit is {have}\n  next: `ulimit -n {need}` (as root, or \
         LimitNOFILE={need} in a systemd unit), or probe fewer of them"
    )]
    Files {
        /// Targets that need sockets of their own.
        targets: usize,
        /// Open files needed.
        need: u64,
        /// Open files allowed.
        have: u64,
    },
    /// The kernel does not let this user send probes of one kind.
    #[error("the kernel does not allow {what} here: {source}\n  next: {next}")]
    NotAllowed {
        /// Which probes.
        what: &'static str,
        /// What allows them.
        next: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
    /// A socket could not be made or set up.
    #[error("cannot {action}: {source}\n  next: `ss -s` and `ulimit -n` show what is in use")]
    Socket {
        /// What was tried.
        action: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// The interface of an ARP target is not there.
    #[error("there is no interface {interface} to send ARP requests out of\n  next: `ip link` lists the interfaces")]
    NoInterface {
        /// Its name.
        interface: String,
    },
    /// The parent does not read what the agent sends.
    #[error(
        "nobody has read the results for so long that {bytes} bytes wait\n  next: look at what stops the watch: `ps -o stat,wchan -C ffu`"
    )]
    Unread {
        /// Bytes that wait.
        bytes: usize,
    },
    /// A pipe between watch and agent.
    #[error("cannot {action}: {source}\n  next: start the watch again")]
    Pipe {
        /// What was tried.
        action: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// Bytes that are no frame.
    #[error("at byte {offset}: {why}\n  next: {next}")]
    Frame {
        /// Where.
        offset: u64,
        /// What is wrong.
        why: String,
        /// What to do.
        next: &'static str,
    },
    /// A file of a record.
    #[error("cannot {action} {path}: {source}\n  next: {next}")]
    Record {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: Utf8PathBuf,
        /// Why not.
        source: io::Error,
        /// What to do.
        next: &'static str,
    },
    /// A target names a vantage point that the file does not have.
    #[error(
        "target {target} is probed from {vantage}, which is not in the targets file\n  next: add [vantages.{vantage}] or correct the target"
    )]
    NoVantage {
        /// The target's name.
        target: String,
        /// The vantage point.
        vantage: String,
    },
    /// A vantage point cannot be started.
    #[error("vantage point {vantage} cannot be started: {why}\n  next: {next}")]
    Vantage {
        /// Its name.
        vantage: String,
        /// Why.
        why: String,
        /// What to do.
        next: String,
    },
}

impl WatchError {
    /// For `map_err`: a socket.
    pub(crate) fn socket(action: &'static str) -> impl Fn(io::Error) -> WatchError {
        move |source| WatchError::Socket { action, source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn socket_errors_say_what_was_tried_and_what_shows_more() {
        let error = WatchError::socket("open a UDP socket")(io::Error::from_raw_os_error(24)).to_string();
        assert!(
            error.starts_with("cannot open a UDP socket: Too many open files"),
            "{error}"
        );
        assert!(error.contains("\n  next: `ss -s`"), "{error}");
    }
}
