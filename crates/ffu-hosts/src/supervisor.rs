//! The process manager for plain services: unit files in a directory, one detached process a unit.
//!
//! `DIR/UNIT.toml` says what to run, `DIR/run/UNIT.pid` which process that is (pid, start time, digest of the unit file),
//! `DIR/run/UNIT.lock` is locked by the process for as long as it lives (see [`crate::process`]). The lock closes the gap
//! between the start of a process and the record of it: what a killed `ffu` has just started is found all the same.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use ffu_model::cloud::is_name;
use nix::sys::signal::Signal;

use crate::detach::spawn_detached;
use crate::holders::{holding, still_running};
use crate::http::{HttpUrl, get_status};
use crate::process::{ProcessError, take_lock};
use crate::proctable::{self, Stat};
use crate::runfiles::{Record, digest, excerpt, io_error, remove_file};
use crate::services::{Probe, ServiceError, ServiceManager, UnitInfo, UnitStatus};
use crate::unitfile::UnitFile;

const POLL: Duration = Duration::from_millis(50);
const ONE_PROBE: Duration = Duration::from_secs(5);
/// A unit without a probe counts as started when it has lived so long.
const SETTLED: Duration = Duration::from_millis(700);

/// Services as plain processes of a directory of unit files.
#[derive(Clone, Debug)]
pub struct Supervisor {
    directory: Utf8PathBuf,
    start_timeout: Duration,
    stop_grace: Duration,
}

impl Supervisor {
    /// A supervisor over a directory of unit files, which need not exist yet. A unit has 120 s to answer and 15 s between
    /// SIGTERM and SIGKILL.
    pub fn new(directory: impl Into<Utf8PathBuf>) -> Supervisor {
        Supervisor {
            directory: directory.into(),
            start_timeout: Duration::from_secs(120),
            stop_grace: Duration::from_secs(15),
        }
    }

    /// With other deadlines.
    pub fn with_timeouts(mut self, start: Duration, stop_grace: Duration) -> Supervisor {
        self.start_timeout = start;
        self.stop_grace = stop_grace;
        self
    }

    /// Where its unit files are.
    pub fn directory(&self) -> &Utf8Path {
        &self.directory
    }

    /// Writes a unit file, atomically; a unit that runs goes on as it is until it is started again.
    ///
    /// # Errors
    /// [`ServiceError::BadUnitFile`] and [`ServiceError::Io`].
    pub fn install(&self, unit: &UnitFile) -> Result<(), ServiceError> {
        self.make(&self.directory)?;
        unit.write(&self.directory)
    }

    /// The unit file of a unit.
    ///
    /// # Errors
    /// It does not exist or cannot be used.
    pub fn unit_file(&self, unit: &str) -> Result<UnitFile, ServiceError> {
        check_name(unit)?;
        let path = self.path(unit);
        if !path.exists() {
            let known = self.names()?.join(", ");
            return Err(ServiceError::NoSuchUnit {
                unit: unit.to_owned(),
                place: self.directory.to_string(),
                known: if known.is_empty() { "none".to_owned() } else { known },
            });
        }
        UnitFile::read(&path)
    }

    /// The path of a unit's file, whether it exists or not.
    pub fn path(&self, unit: &str) -> Utf8PathBuf {
        self.directory.join(format!("{unit}.toml"))
    }

    /// Stops a unit and deletes its file and what was recorded of its runs. The log stays.
    ///
    /// # Errors
    /// [`ServiceError`]; a unit that is not there is fine.
    pub fn remove(&self, unit: &str) -> Result<(), ServiceError> {
        check_name(unit)?;
        if self.path(unit).exists() {
            self.stop(unit)?;
        }
        for path in [self.path(unit), self.pid_path(unit), self.lock_path(unit)] {
            remove_file(&path)?;
        }
        Ok(())
    }

    fn pid_path(&self, unit: &str) -> Utf8PathBuf {
        self.directory.join("run").join(format!("{unit}.pid"))
    }

    fn lock_path(&self, unit: &str) -> Utf8PathBuf {
        self.directory.join("run").join(format!("{unit}.lock"))
    }

    fn names(&self) -> Result<Vec<String>, ServiceError> {
        let entries = match self.directory.read_dir_utf8() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(|source| io_error("read", &self.directory, source))?,
        };
        let mut names: Vec<String> = entries
            .filter_map(|entry| Some(entry.ok()?.file_name().strip_suffix(".toml")?.to_owned()))
            .filter(|name| is_name(name))
            .collect();
        names.sort();
        Ok(names)
    }

    fn make(&self, directory: &Utf8Path) -> Result<(), ServiceError> {
        std::fs::create_dir_all(directory).map_err(|source| io_error("make the directory", directory, source))
    }

    fn record(&self, unit: &str) -> Result<Option<Record>, ServiceError> {
        Record::read(&self.pid_path(unit))
    }

    /// The living processes of a unit: the recorded one first, then any that hold its lock.
    fn living(&self, unit: &str, record: Option<&Record>) -> Vec<Stat> {
        let recorded = record.and_then(|record| {
            proctable::stat(record.pid).filter(|stat| stat.start == record.start && stat.is_alive())
        });
        let lock = self.lock_path(unit);
        let mut processes: Vec<Stat> = recorded.into_iter().collect();
        if still_running(&lock).unwrap_or(true) {
            let mut others = holding(&lock);
            // The leader of the group first: that is the main process.
            others.sort_by_key(|process| (process.pid != process.group, process.start, process.pid));
            processes.extend(
                others
                    .into_iter()
                    .filter(|other| recorded.is_none_or(|r| r.pid != other.pid)),
            );
        }
        processes
    }

    fn spawn(&self, unit: &UnitFile) -> Result<i32, ServiceError> {
        if let Some(url) = self.probe_url(unit)?
            && url.is_open(Duration::from_secs(1))
        {
            return Err(ServiceError::AddressTaken {
                unit: unit.name.clone(),
                address: format!("{}:{}", url.host, url.port),
            });
        }
        let run = self.directory.join("run");
        self.make(&run)?;
        let lock = take_lock(&self.lock_path(&unit.name))?;
        let log = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&unit.log)
            .map_err(|source| io_error("write", &unit.log, source))?;
        let errors = log.try_clone().map_err(|source| io_error("write", &unit.log, source))?;
        let (program, arguments) = unit.command.split_first().ok_or_else(|| ServiceError::BadUnitFile {
            path: self.path(&unit.name),
            why: "command is empty".to_owned(),
        })?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .envs(&unit.environment)
            .current_dir(&unit.working_directory)
            .stdin(Stdio::from(lock))
            .stdout(log)
            .stderr(errors);
        let pid = spawn_detached(command).map_err(|source| {
            ServiceError::Process(ProcessError::Start {
                program: Utf8PathBuf::from(program),
                current_dir: unit.working_directory.clone(),
                source,
            })
        })?;
        let pid = pid.cast_signed();
        // Gone already: then the wait that follows says so.
        if let Some(stat) = proctable::stat(pid) {
            Record::of(unit, &stat).write(&self.pid_path(&unit.name))?;
        }
        Ok(pid)
    }

    fn probe_url(&self, unit: &UnitFile) -> Result<Option<HttpUrl>, ServiceError> {
        let parse = |url: &str| {
            HttpUrl::parse(url).map_err(|error| ServiceError::BadUnitFile {
                path: self.path(&unit.name),
                why: error.to_string(),
            })
        };
        unit.probe.as_ref().map(|probe| parse(&probe.url)).transpose()
    }

    fn wait_until_up(&self, unit: &UnitFile, pid: Option<i32>) -> Result<(), ServiceError> {
        let begun = Instant::now();
        let mut detail = "it was not asked yet".to_owned();
        loop {
            let alive = match pid {
                Some(pid) => proctable::stat(pid).is_some_and(|stat| stat.is_alive()),
                None => !self.living(&unit.name, self.record(&unit.name)?.as_ref()).is_empty(),
            };
            if !alive {
                return Err(ServiceError::Died {
                    unit: unit.name.clone(),
                    how: format!("after {:.1} s", begun.elapsed().as_secs_f32()),
                    log: unit.log.clone(),
                    excerpt: excerpt(&unit.log),
                });
            }
            match &unit.probe {
                None if begun.elapsed() >= SETTLED => return Ok(()),
                None => {}
                Some(probe) => {
                    let answer = Probe::of(&probe.url, get_status(&probe.url, ONE_PROBE));
                    if answer.answers {
                        return Ok(());
                    }
                    detail = answer.detail;
                }
            }
            if begun.elapsed() >= self.start_timeout {
                return Err(ServiceError::NoAnswer {
                    unit: unit.name.clone(),
                    seconds: self.start_timeout.as_secs(),
                    detail,
                    log: unit.log.clone(),
                    excerpt: excerpt(&unit.log),
                });
            }
            std::thread::sleep(POLL);
        }
    }
}

impl ServiceManager for Supervisor {
    fn describe(&self) -> String {
        format!("processes of {}", self.directory)
    }

    fn units(&self) -> Result<Vec<UnitInfo>, ServiceError> {
        self.names()?
            .iter()
            .map(|name| {
                let unit = UnitFile::read(&self.path(name))?;
                Ok(UnitInfo {
                    unit: unit.name,
                    service: Some(unit.service),
                    project: Some(unit.project),
                    role: Some(unit.role),
                    series: Some(unit.series),
                })
            })
            .collect()
    }

    fn status(&self, unit: &str) -> Result<UnitStatus, ServiceError> {
        let file = self.unit_file(unit)?;
        let record = self.record(unit)?;
        Ok(match (self.living(unit, record.as_ref()).first(), record) {
            (Some(process), _) => UnitStatus::Running {
                pid: process.pid.cast_unsigned(),
                started: process.started(),
            },
            (None, Some(record)) => UnitStatus::Failed {
                why: format!("process {} has ended by itself; its log is {}", record.pid, file.log),
            },
            (None, None) => UnitStatus::Stopped,
        })
    }

    /// Starts a unit and waits until it answers. One that runs already is left running, unless its unit file has changed
    /// since: then it is stopped and started from the new one.
    fn start(&self, unit: &str) -> Result<(), ServiceError> {
        let file = self.unit_file(unit)?;
        let record = self.record(unit)?;
        if !self.living(unit, record.as_ref()).is_empty() {
            if record.is_some_and(|record| record.unit_digest == digest(&file)) {
                return self.wait_until_up(&file, None);
            }
            self.stop(unit)?;
        }
        let pid = self.spawn(&file)?;
        self.wait_until_up(&file, Some(pid))
    }

    fn stop(&self, unit: &str) -> Result<(), ServiceError> {
        let file = self.unit_file(unit)?;
        let record = self.record(unit)?;
        let mut living = self.living(unit, record.as_ref());
        let groups: Vec<i32> = living.iter().filter(|p| p.pid == p.group).map(|p| p.group).collect();
        for process in &living {
            proctable::signal_tree(process, Signal::SIGTERM);
            proctable::signal_tree(process, Signal::SIGCONT);
        }
        let url = self.probe_url(&file)?;
        let kill_at = Instant::now() + self.stop_grace;
        let give_up = kill_at + Duration::from_secs(10);
        while !living.is_empty() || groups.iter().any(|group| proctable::group_is_alive(*group)) {
            let now = Instant::now();
            if now >= kill_at {
                living
                    .iter()
                    .for_each(|process| proctable::signal_tree(process, Signal::SIGKILL));
                groups
                    .iter()
                    .for_each(|group| proctable::signal_group(*group, Signal::SIGKILL));
            }
            if now >= give_up {
                let pids: Vec<String> = living.iter().map(|process| process.pid.to_string()).collect();
                return Err(self.would_not_stop(unit, format!("processes {}", pids.join(", "))));
            }
            std::thread::sleep(POLL);
            living = self.living(unit, record.as_ref());
        }
        // Nothing was running: then whoever listens there is not this unit.
        while !groups.is_empty() && url.as_ref().is_some_and(|url| url.is_open(Duration::from_secs(1))) {
            if Instant::now() >= give_up {
                return Err(self.would_not_stop(unit, "its address is still listened at".to_owned()));
            }
            std::thread::sleep(POLL);
        }
        remove_file(&self.pid_path(unit))
    }

    fn probe(&self, unit: &str) -> Result<Probe, ServiceError> {
        let file = self.unit_file(unit)?;
        if let Some(probe) = &file.probe {
            return Ok(Probe::of(&probe.url, get_status(&probe.url, ONE_PROBE)));
        }
        let status = self.status(unit)?;
        Ok(Probe {
            answers: matches!(status, UnitStatus::Running { .. }),
            status: None,
            detail: match status {
                UnitStatus::Running { pid, .. } => format!("{unit} has no probe; its process {pid} runs"),
                UnitStatus::Failed { why } => why,
                UnitStatus::Stopped | UnitStatus::Unknown { .. } => format!("{unit} does not run"),
            },
        })
    }
}

impl Supervisor {
    fn would_not_stop(&self, unit: &str, detail: String) -> ServiceError {
        ServiceError::WouldNotStop {
            unit: unit.to_owned(),
            seconds: self.stop_grace.as_secs() + 10,
            detail,
        }
    }
}

fn check_name(unit: &str) -> Result<(), ServiceError> {
    if is_name(unit) {
        return Ok(());
    }
    Err(ServiceError::BadName {
        unit: unit.chars().take(60).collect(),
        rule: "lower-case letters, digits, - and _, at most 64",
    })
}
