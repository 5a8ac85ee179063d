//! Runs one local command so that nothing of it is lost and nothing of it is left: clean environment, output in full in
//! files, a process group of its own, a deadline, and a lock that outlives this process.
//!
//! The lock file is the command's standard input: an flock belongs to the open file, which the command shares, so it is
//! held until the last of the command's processes has ended, even if `ffu` itself is killed with SIGKILL meanwhile. The
//! file is empty, so whoever reads it sees the end at once, as with `/dev/null`; and no code has to run between fork and
//! exec.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use nix::sys::signal::Signal;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;

use crate::proctable::{self, Stat};
use ffu_model::stop::StopFlag;

/// How often a running command is looked at.
const POLL: Duration = Duration::from_millis(10);
/// Grace between SIGTERM and SIGKILL where the caller has no wish of its own.
pub const DEFAULT_GRACE: Duration = Duration::from_secs(5);
/// How long a lock may be held by somebody who only looks ([`crate::still_running`]) before it counts as taken.
const LOCK_PATIENCE: Duration = Duration::from_secs(2);

/// A command to run.
#[derive(Clone, Debug)]
pub struct Spec {
    /// The program; a path, since the environment it would be searched in is not this process'.
    pub program: Utf8PathBuf,
    /// Its arguments. No secret: everybody on the host can read them.
    pub arguments: Vec<String>,
    /// Its whole environment; nothing is inherited.
    pub environment: BTreeMap<String, String>,
    /// Its working directory.
    pub current_dir: Utf8PathBuf,
    /// Where its standard output goes, in full; made anew, readable by the owner only.
    pub stdout: Utf8PathBuf,
    /// Where its standard error goes; the same path as `stdout` gives one file in order of writing.
    pub stderr: Utf8PathBuf,
    /// After so long it is ended.
    pub timeout: Duration,
    /// How long it has between SIGTERM and SIGKILL.
    pub grace: Duration,
    /// A file that is locked (flock) for as long as any process of the command lives.
    pub lock_file: Option<Utf8PathBuf>,
}

impl Spec {
    /// A command with one output file, an empty environment, the root as working directory, no lock, and [`DEFAULT_GRACE`].
    pub fn new(program: impl Into<Utf8PathBuf>, output: impl Into<Utf8PathBuf>, timeout: Duration) -> Self {
        let output = output.into();
        Spec {
            program: program.into(),
            arguments: Vec::new(),
            environment: BTreeMap::new(),
            current_dir: Utf8PathBuf::from("/"),
            stdout: output.clone(),
            stderr: output,
            timeout,
            grace: DEFAULT_GRACE,
            lock_file: None,
        }
    }

    /// With more arguments.
    pub fn args<T: Into<String>>(mut self, arguments: impl IntoIterator<Item = T>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this code.
    Code(i32),
    /// By a signal that did not come from here.
    Signal(i32),
    /// It was ended because its time was over.
    TimedOut,
    /// It was ended because the operator wanted a stop now.
    Stopped,
}

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Exit::Code(code) => write!(f, "exit code {code}"),
            Exit::Signal(signal) => match Signal::try_from(*signal) {
                Ok(known) => write!(f, "killed by {known}"),
                Err(_) => write!(f, "killed by signal {signal}"),
            },
            Exit::TimedOut => f.write_str("ended after its timeout"),
            Exit::Stopped => f.write_str("stopped by the operator"),
        }
    }
}

/// A command that is over: reaped, and nothing left of its process group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finished {
    /// How it ended.
    pub exit: Exit,
    /// From start to end, on the monotonic clock.
    pub duration: Duration,
    /// User and system CPU time of it and of the children it waited for, to 10 ms; zero if the kernel did not say.
    pub cpu: Duration,
}

/// Why a command could not be run, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// There is no such program.
    #[error(
        "the program {program} does not exist (or its interpreter does not): check the path and run the command again"
    )]
    NoProgram {
        /// The program.
        program: Utf8PathBuf,
    },
    /// It could not be started.
    #[error("cannot start {program} in {current_dir}: {source}")]
    Start {
        /// The program.
        program: Utf8PathBuf,
        /// Its working directory.
        current_dir: Utf8PathBuf,
        /// Why.
        source: io::Error,
    },
    /// An output file could not be made.
    #[error("cannot write the output file {path}: {source}; free some space or correct the directory's permissions")]
    Output {
        /// The file.
        path: Utf8PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The lock file could not be opened or locked.
    #[error("cannot lock {path}: {source}; the directory must be writable and on a file system with flock")]
    Lock {
        /// The file.
        path: Utf8PathBuf,
        /// Why.
        source: io::Error,
    },
    /// An earlier command with the same lock file still lives.
    #[error(
        "a command of an earlier run still works under {path} (`fuser -v {path}` shows it): wait until it has ended"
    )]
    StillRunning {
        /// The lock file.
        path: Utf8PathBuf,
    },
    /// The kernel lost track of it.
    #[error("cannot learn how {program} ended: {source}")]
    Wait {
        /// The program.
        program: Utf8PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Runs a command to its end: its own, its timeout's, or the operator's ([`crate::StopLevel::Now`]). On the latter two
/// its group gets SIGTERM and after the grace SIGKILL. What is left of its group when it has ended is killed too: nothing
/// of a finished command may still write.
///
/// # Errors
/// [`ProcessError`] if it could not be started; how it ended is never an error here.
pub fn run(spec: &Spec, stop: &StopFlag) -> Result<Finished, ProcessError> {
    let lock = spec.lock_file.as_deref().map(take_lock).transpose()?;
    let mut command = Command::new(&spec.program);
    command
        .args(&spec.arguments)
        .env_clear()
        .envs(&spec.environment)
        .current_dir(&spec.current_dir)
        .process_group(0);
    command.stdin(match lock {
        Some(file) => Stdio::from(file),
        None => Stdio::null(),
    });
    let stdout = create_output(&spec.stdout)?;
    let stderr = if spec.stderr == spec.stdout {
        stdout.try_clone().map_err(|source| ProcessError::Output {
            path: spec.stderr.clone(),
            source,
        })?
    } else {
        create_output(&spec.stderr)?
    };
    command.stdout(stdout).stderr(stderr);
    let started = Instant::now();
    let child = command.spawn().map_err(|source| start_error(spec, source))?;
    // The parent's copies of the output and lock descriptors go with `command`.
    drop(command);
    wait(spec, child, started, stop)
}

fn start_error(spec: &Spec, source: io::Error) -> ProcessError {
    let program = spec.program.clone();
    // The kernel says "not found" for a missing directory, too.
    if source.kind() == io::ErrorKind::NotFound && spec.current_dir.is_dir() {
        return ProcessError::NoProgram { program };
    }
    ProcessError::Start {
        program,
        current_dir: spec.current_dir.clone(),
        source,
    }
}

/// Opens and locks a lock file; see the module's first lines.
///
/// # Errors
/// [`ProcessError::Lock`]; [`ProcessError::StillRunning`] if a command of another run holds it.
pub fn take_lock(path: &Utf8Path) -> Result<File, ProcessError> {
    let failed = |source| ProcessError::Lock {
        path: path.to_owned(),
        source,
    };
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(failed)?;
    let patience = Instant::now() + LOCK_PATIENCE;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(std::fs::TryLockError::WouldBlock) if Instant::now() >= patience => {
                return Err(ProcessError::StillRunning { path: path.to_owned() });
            }
            Err(std::fs::TryLockError::WouldBlock) => std::thread::sleep(POLL),
            Err(std::fs::TryLockError::Error(source)) => return Err(failed(source)),
        }
    }
}

/// Makes a command's output file anew, readable by the owner only.
///
/// # Errors
/// [`ProcessError::Output`].
pub fn create_output(path: &Utf8Path) -> Result<File, ProcessError> {
    // Output may hold secrets until it has been masked: owner only. Appending keeps two writers from overwriting.
    let open = || {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        OpenOptions::new().append(true).create_new(true).mode(0o600).open(path)
    };
    open().map_err(|source| ProcessError::Output {
        path: path.to_owned(),
        source,
    })
}

fn wait(spec: &Spec, mut child: Child, started: Instant, stop: &StopFlag) -> Result<Finished, ProcessError> {
    let pid = child.id().cast_signed();
    let over = watch(pid, || has_exited(pid), spec, started, stop);
    let cpu = proctable::stat(pid).map_or(Duration::ZERO, |stat| stat.cpu());
    // While the leader is not reaped its number belongs to its group: nobody else can be hit.
    proctable::signal_group(pid, Signal::SIGKILL);
    let status = child.wait().map_err(|source| ProcessError::Wait {
        program: spec.program.clone(),
        source,
    })?;
    Ok(Finished {
        exit: over.ended_by.unwrap_or_else(|| exit_of(status)),
        duration: over.duration,
        cpu,
    })
}

struct Over {
    ended_by: Option<Exit>,
    duration: Duration,
}

/// Until the leader of a group has ended: by itself, or because its time was over or the operator said so.
fn watch(pid: i32, mut has_exited: impl FnMut() -> bool, spec: &Spec, started: Instant, stop: &StopFlag) -> Over {
    let mut ended_by = None;
    let mut kill_at = None;
    loop {
        if has_exited() {
            break;
        }
        let now = Instant::now();
        match kill_at {
            None => {
                if now.duration_since(started) >= spec.timeout {
                    ended_by = Some(Exit::TimedOut);
                } else if stop.is_now() {
                    ended_by = Some(Exit::Stopped);
                }
                if ended_by.is_some() {
                    proctable::signal_group(pid, Signal::SIGTERM);
                    // A stopped group would never see SIGTERM.
                    proctable::signal_group(pid, Signal::SIGCONT);
                    kill_at = Some(now + spec.grace);
                }
            }
            Some(at) if now >= at => proctable::signal_group(pid, Signal::SIGKILL),
            Some(_) => {}
        }
        std::thread::sleep(POLL);
    }
    Over {
        ended_by,
        duration: started.elapsed(),
    }
}

/// A living process that leads its own group and that another process has started, and will reap when it is told to.
#[derive(Clone, Copy, Debug)]
pub struct Adopted(Stat);

impl Adopted {
    /// The process of this number; `None` if there is none, or it does not lead a group.
    pub fn of(pid: i32) -> Option<Self> {
        proctable::stat(pid)
            .filter(|stat| stat.is_alive() && stat.group == pid)
            .map(Adopted)
    }

    /// What the kernel says of it now; `None` once it has been reaped.
    fn now(&self) -> Option<Stat> {
        proctable::stat(self.0.pid).filter(|stat| stat.start == self.0.start)
    }

    /// As [`run`], for a process that runs already, from `started` on; of `spec` only the limits are used. `reap` is called
    /// once, when it has ended, and says how.
    ///
    /// # Errors
    /// Those of `reap`.
    pub fn wait<E>(
        &self,
        spec: &Spec,
        started: Instant,
        stop: &StopFlag,
        reap: impl FnOnce() -> Result<Exit, E>,
    ) -> Result<Finished, E> {
        let pid = self.0.pid;
        let over = watch(
            pid,
            || !self.now().is_some_and(|stat| stat.is_alive()),
            spec,
            started,
            stop,
        );
        let mut cpu = Duration::ZERO;
        if let Some(stat) = self.now() {
            cpu = stat.cpu();
            proctable::signal_group(pid, Signal::SIGKILL);
        }
        let exit = reap()?;
        Ok(Finished {
            exit: over.ended_by.unwrap_or(exit),
            duration: over.duration,
            cpu,
        })
    }
}

/// Whether a child has ended, without reaping it.
fn has_exited(pid: i32) -> bool {
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    // An error means that there is nothing to wait for any more; `Child::wait` then says why.
    !matches!(waitid(Id::Pid(Pid::from_raw(pid)), flags), Ok(WaitStatus::StillAlive))
}

/// What a status of wait(2) says.
pub fn exit_of(status: ExitStatus) -> Exit {
    use std::os::unix::process::ExitStatusExt as _;
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, Some(signal)) => Exit::Signal(signal),
        // wait() without WUNTRACED reports nothing else.
        (None, None) => Exit::Code(-1),
    }
}
