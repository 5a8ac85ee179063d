//! What can go wrong with a data plane.

use std::io;

use camino::Utf8PathBuf;

/// An error of the data plane: what happened, to what, and what to type next.
#[derive(Debug, thiserror::Error)]
pub enum DataPlaneError {
    /// Namespaces need privileges.
    #[error(
        "a data plane needs root with CAP_NET_ADMIN and CAP_SYS_ADMIN for its network namespaces; missing: {missing}\n  next: \
         sudo ffu lab …, or leave --dataplane out"
    )]
    Privileges {
        /// What is missing.
        missing: String,
    },
    /// A program is not installed.
    #[error("the data plane needs the program {program}, which is not installed\n  next: apt-get install {package}")]
    NoProgram {
        /// The program.
        program: String,
        /// Debian's package.
        package: String,
    },
    /// What a QEMU guest is made of is not there.
    #[error(
        "the QEMU guest needs {missing} in {dir}\n  next: scripts/setup-guest (`scripts/setup --qemu` for QEMU, too)"
    )]
    NoGuestParts {
        /// What is missing.
        missing: String,
        /// Where it was looked for.
        dir: Utf8PathBuf,
    },
    /// The description does not make sense.
    #[error("this data plane cannot be built: {why}\n  next: correct its description")]
    BadSpec {
        /// Why not.
        why: String,
    },
    /// The lab has too few running instances.
    #[error(
        "the lab has {there} running instances that a guest can stand for, {asked} guests were asked for\n  next: make it \
         with fewer guests (--dataplane {there}) or more instances (--size)"
    )]
    TooFew {
        /// How many there are.
        there: usize,
        /// How many were asked for.
        asked: usize,
    },
    /// There is one already.
    #[error("{dir} has a data plane already\n  next: ffu lab down --dir {dir}")]
    AlreadyUp {
        /// The directory.
        dir: Utf8PathBuf,
    },
    /// There is none.
    #[error("{dir} has no data plane ({why})\n  next: ffu lab up --at SERIES --dataplane --dir {dir}")]
    None {
        /// The directory.
        dir: Utf8PathBuf,
        /// Why that is known.
        why: String,
    },
    /// It was never finished.
    #[error("the data plane in {dir} was never finished\n  next: ffu lab down --dir {dir}")]
    Unfinished {
        /// The directory.
        dir: Utf8PathBuf,
    },
    /// A guest or network that is not there.
    #[error("there is no {kind} {name:?}; there are: {known}\n  next: ffu lab status --dir {dir}")]
    NoSuch {
        /// `guest` or `network`.
        kind: &'static str,
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
        /// The lab.
        dir: Utf8PathBuf,
    },
    /// A namespace that should be there is not: the machine was started anew, or somebody removed it.
    #[error("the namespace {namespace} is gone: {source}\n  next: ffu lab down, then ffu lab up")]
    NoNamespace {
        /// Its name.
        namespace: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// `ip`, `nft` or another program failed.
    #[error("`{command}` failed ({how}): {output}\n  next: `ffu lab down` removes what is there")]
    Command {
        /// The command.
        command: String,
        /// How it ended.
        how: String,
        /// What it printed, cut.
        output: String,
    },
    /// The kernel refused something.
    #[error(
        "the kernel refused to {action} in the namespace {namespace}: {source}\n  next: look at it with `ip -n {namespace} address`"
    )]
    Kernel {
        /// What was tried.
        action: String,
        /// Where.
        namespace: String,
        /// Why.
        source: io::Error,
    },
    /// A guest does not come up.
    #[error("the guest {guest} did not come up: {why}\n  next: look at {log}")]
    Guest {
        /// Its name.
        guest: String,
        /// Why.
        why: String,
        /// Its log.
        log: Utf8PathBuf,
    },
    /// A server of Open vSwitch does not come up.
    #[error("{server} did not come up: {why}\n  next: look at {log}")]
    Server {
        /// Which one.
        server: String,
        /// Why.
        why: String,
        /// Its log.
        log: Utf8PathBuf,
    },
    /// Another fault is at the same thing.
    #[error("another fault is at the {part} of {name}\n  next: wait for its end, or end that command with Ctrl-C")]
    Busy {
        /// `link`, `bridge`, `packets`, …
        part: &'static str,
        /// To what.
        name: String,
    },
    /// A fault whose figures make no sense.
    #[error("{what} is not possible: {why}\n  next: ffu lab fault --help")]
    BadFault {
        /// What was asked.
        what: String,
        /// Why not.
        why: String,
    },
    /// A process that would not end.
    #[error("{what} does not end: {why}\n  next: end it by hand, then `ffu lab down` again")]
    StillThere {
        /// What.
        what: String,
        /// Why.
        why: String,
    },
    /// A file.
    #[error("cannot {action} {path}: {source}\n  next: free some space or correct the permissions, then try again")]
    Io {
        /// `read`, `write`, …
        action: &'static str,
        /// The file.
        path: Utf8PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl DataPlaneError {
    /// For `map_err`.
    pub(crate) fn io(action: &'static str, path: impl Into<Utf8PathBuf>) -> impl FnOnce(io::Error) -> DataPlaneError {
        let path = path.into();
        move |source| DataPlaneError::Io { action, path, source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_names_its_thing_and_what_to_type_next() {
        let text = || "THING".to_owned();
        let source = || io::Error::other("THING");
        let dir = || Utf8PathBuf::from("/THING");
        let all = [
            DataPlaneError::Privileges { missing: text() },
            DataPlaneError::NoProgram {
                program: text(),
                package: text(),
            },
            DataPlaneError::NoGuestParts {
                missing: text(),
                dir: dir(),
            },
            DataPlaneError::BadSpec { why: text() },
            DataPlaneError::AlreadyUp { dir: dir() },
            DataPlaneError::None {
                dir: dir(),
                why: text(),
            },
            DataPlaneError::Unfinished { dir: dir() },
            DataPlaneError::NoNamespace {
                namespace: text(),
                source: source(),
            },
            DataPlaneError::Command {
                command: text(),
                how: text(),
                output: text(),
            },
            DataPlaneError::Kernel {
                action: text(),
                namespace: text(),
                source: source(),
            },
            DataPlaneError::Guest {
                guest: text(),
                why: text(),
                log: dir(),
            },
            DataPlaneError::Server {
                server: text(),
                why: text(),
                log: dir(),
            },
            DataPlaneError::Busy {
                part: "link",
                name: text(),
            },
            DataPlaneError::BadFault {
                what: text(),
                why: text(),
            },
            DataPlaneError::StillThere {
                what: text(),
                why: text(),
            },
            DataPlaneError::io("read", "/THING")(source()),
        ];
        for error in all {
            let said = error.to_string();
            assert!(
                said.contains("THING") && said.matches("\n  next: ").count() == 1,
                "{said}"
            );
        }
    }
}
