//! Guests from the outside: started, found again, ended. A guest holds a lock file for as long as it lives, so that it is found
//! with certainty also when whoever started it was killed before it could write anything down.

use std::fs::OpenOptions;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use camino::Utf8PathBuf;
use serde::Serialize;

use super::DataPlane;
use super::error::DataPlaneError;
use super::guest::{GuestFile, HTTP_PORT, Identity};
use super::kernel::in_namespace;
use super::spec::GuestSpec;

/// How long a guest may take to serve.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(2);

/// How a guest is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GuestStatus {
    /// What it was built from.
    #[serde(flatten)]
    pub guest: GuestSpec,
    /// The namespace of its process.
    pub namespace: String,
    /// Its process, if it lives.
    pub pid: Option<u32>,
    /// Who it says it is; `None` if it does not answer.
    pub identity: Option<Identity>,
}

impl GuestStatus {
    /// In one line, for people.
    pub fn line(&self) -> String {
        let guest = &self.guest;
        let floating = guest
            .floating
            .map(|floating| format!(", {floating}"))
            .unwrap_or_default();
        let (network, address) = (&guest.network, guest.address);
        let how = match (&self.identity, self.pid) {
            (Some(identity), _) => {
                let broke = identity.stream.as_ref().map_or(0, |stream| stream.breaks);
                let stream = if broke > 0 {
                    format!(", its stream broke {broke} times")
                } else {
                    String::new()
                };
                let machine = guest.machine.as_ref().map_or("", |_| " of QEMU");
                format!("running (process {}{machine}){stream}", identity.pid)
            }
            (None, Some(pid)) => format!("does not answer (process {pid})"),
            (None, None) => "not running".to_owned(),
        };
        format!("{:<20} {address}{floating} on {network}: {how}", guest.name)
    }
}

impl DataPlane {
    /// Starts the guests that do not run.
    ///
    /// # Errors
    /// [`DataPlaneError::Guest`], [`DataPlaneError::NoNamespace`].
    pub fn start_guests(&self) -> Result<(), DataPlaneError> {
        let mut waiting = Vec::new();
        for at in 0..self.state.spec.guests.len() {
            if self.living(at).is_none() {
                waiting.push((at, self.spawn(at)?));
            }
        }
        waiting
            .into_iter()
            .try_for_each(|(at, pid)| self.wait_for(at, pid).map(drop))
    }

    /// How the guests are.
    pub fn status(&self) -> Vec<GuestStatus> {
        let guests = self.state.spec.guests.iter().enumerate();
        guests
            .map(|(at, guest)| {
                let namespace = self.names().of(at, guest);
                let pid = self.living(at).map(|identity| identity.pid);
                let identity = pid.and_then(|_| self.ask(at).ok());
                GuestStatus {
                    guest: guest.clone(),
                    namespace,
                    pid,
                    identity,
                }
            })
            .collect()
    }

    /// Asks a guest over HTTP, from its own namespace, who it is.
    ///
    /// # Errors
    /// [`DataPlaneError::NoSuch`], [`DataPlaneError::Guest`] if it does not answer.
    pub fn identity(&self, guest: &str) -> Result<Identity, DataPlaneError> {
        self.ask(self.guest_at(guest)?)
    }

    fn ask(&self, at: usize) -> Result<Identity, DataPlaneError> {
        if self.state.spec.guests[at].machine.is_some() {
            return self.ask_machine(at);
        }
        let namespace = self.names().guest(at);
        in_namespace(&namespace, || {
            let answer = body_of((Ipv4Addr::LOCALHOST, HTTP_PORT).into(), "/identity")
                .map_err(|error| self.ill(at, error.to_string()))?;
            serde_json::from_str(&answer).map_err(|error| self.ill(at, error.to_string()))
        })
    }

    /// The identity that a guest wrote down, if that very process lives.
    pub(super) fn living(&self, at: usize) -> Option<Identity> {
        let text = std::fs::read_to_string(self.file(at, "identity.json")).ok()?;
        let identity: Identity = serde_json::from_str(&text).ok()?;
        (ffu_hosts::ticks_at_start(identity.pid)? == identity.start_ticks).then_some(identity)
    }

    /// Starts a guest; it is not waited for.
    pub(super) fn spawn(&self, at: usize) -> Result<u32, DataPlaneError> {
        let spec = &self.state.spec;
        let guest = &spec.guests[at];
        if let Some(machine) = &guest.machine {
            return self.spawn_machine(at, machine);
        }
        // A ring: everybody talks to the next one.
        let peer = (spec.guests.len() > 1).then(|| spec.guests[(at + 1) % spec.guests.len()].address);
        let pid_file = self.pid_file(at);
        // The old one would look like the new one's.
        match std::fs::remove_file(&pid_file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(DataPlaneError::io("remove", pid_file)(error));
            }
            _ => {}
        }
        let config = GuestFile {
            name: guest.name.clone(),
            namespace: self.names().guest(at),
            address: guest.address,
            peer,
            pid_file,
            identity_file: self.file(at, "identity.json"),
        };
        let path = self.file(at, "json");
        let text = serde_json::to_vec(&config).map_err(|error| DataPlaneError::io("write", &path)(error.into()))?;
        self.write(&path, &text)?;
        let lock_path = self.file(at, "lock");
        let lock = ffu_hosts::take_lock(&lock_path).map_err(|error| self.ill(at, error.to_string()))?;
        let log_path = self.log(at);
        let opened = OpenOptions::new().append(true).create(true).mode(0o600).open(&log_path);
        let log = opened.map_err(DataPlaneError::io("write", &log_path))?;
        let errors = log.try_clone().map_err(DataPlaneError::io("write", &log_path))?;
        let program = &spec.program;
        let mut command = Command::new(&program[0]);
        command.args(&program[1..]).arg(&path).env_clear().current_dir("/");
        command
            .env("HOME", self.place())
            .stdin(Stdio::from(lock))
            .stdout(log)
            .stderr(errors);
        let mut child = command
            .spawn()
            .map_err(|error| self.ill(at, format!("{}: {error}", program[0])))?;
        let pid = child.id();
        // Somebody must wait for it should it die while this process lives.
        std::thread::spawn(move || {
            let _ = child.wait();
        });
        Ok(pid)
    }

    /// Waits until the guest that was started as this process serves.
    pub(super) fn wait_for(&self, at: usize, pid: u32) -> Result<Identity, DataPlaneError> {
        if self.state.spec.guests[at].machine.is_some() {
            return self.wait_for_machine(at, pid, None);
        }
        let begun = Instant::now();
        loop {
            let written = std::fs::read_to_string(self.pid_file(at)).unwrap_or_default();
            if written.trim() == pid.to_string()
                && let Some(identity) = self.living(at)
            {
                return Ok(identity);
            }
            if ffu_hosts::ticks_at_start(pid).is_none() {
                return Err(self.ill(at, "its process has ended".to_owned()));
            }
            if begun.elapsed() > PATIENCE {
                return Err(self.ill(at, format!("it does not serve after {} s", PATIENCE.as_secs())));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Ends every guest, also those that nothing was written down of.
    pub(super) fn end_guests(&self) -> Result<(), DataPlaneError> {
        std::thread::scope(|scope| {
            let guests = 0..self.state.spec.guests.len();
            let all: Vec<_> = guests.map(|at| scope.spawn(move || self.end(at))).collect();
            all.into_iter()
                .try_for_each(|one| one.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        })
    }

    pub(super) fn end(&self, at: usize) -> Result<(), DataPlaneError> {
        let ended = ffu_hosts::end_holders(&self.file(at, "lock"), GRACE);
        ended.map(drop).map_err(|error| DataPlaneError::StillThere {
            what: format!("the guest {}", self.state.spec.guests[at].name),
            why: error.to_string(),
        })
    }

    pub(super) fn file(&self, at: usize, ending: &str) -> Utf8PathBuf {
        self.place()
            .join("guests")
            .join(format!("{}.{ending}", self.state.spec.guests[at].name))
    }

    /// The file with a guest's process id.
    pub(super) fn pid_file(&self, at: usize) -> Utf8PathBuf {
        self.file(at, "pid")
    }

    pub(super) fn log(&self, at: usize) -> Utf8PathBuf {
        self.place()
            .join("log")
            .join(format!("{}.log", self.state.spec.guests[at].name))
    }

    pub(super) fn ill(&self, at: usize, why: String) -> DataPlaneError {
        DataPlaneError::Guest {
            guest: self.state.spec.guests[at].name.clone(),
            why,
            log: self.log(at),
        }
    }
}

/// The body of an HTTP server's answer.
pub(super) fn body_of(server: SocketAddr, path: &str) -> std::io::Result<String> {
    use std::io::{Read as _, Write as _};
    let patience = Duration::from_secs(2);
    let mut stream = std::net::TcpStream::connect_timeout(&server, patience)?;
    stream.set_read_timeout(Some(patience))?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: guest\r\nConnection: close\r\n\r\n").as_bytes())?;
    let mut answer = String::new();
    stream.take(64 << 10).read_to_string(&mut answer)?;
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
    body.ok_or_else(|| std::io::Error::new(std::io::ErrorKind::InvalidData, "no HTTP answer"))
}
