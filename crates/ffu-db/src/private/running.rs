//! The process of a private server: started, found again by its pid file, ended by its number, reaped.

use std::fs;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::net::TcpStream;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{PrivateServer, failed, free_port, run_as};
use crate::error::DbError;
use crate::programs;
use crate::server::Server;

const READY_WITHIN: Duration = Duration::from_secs(60);
const STOPPED_WITHIN: Duration = Duration::from_secs(120);

impl PrivateServer {
    /// Starts it and waits until it answers; nothing to do if it runs.
    ///
    /// # Errors
    /// [`DbError::PrivateServer`] with the tail of its log.
    pub fn start(&mut self) -> Result<(), DbError> {
        if self.is_running() {
            return self.wait_ready();
        }
        // One that died on its own was never waited for.
        self.reap();
        for attempt in 0..3 {
            let mut command = Command::new(self.program()?);
            command
                .args(self.arguments())
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .process_group(0);
            self.child = Some(
                command
                    .spawn()
                    .map_err(|e| DbError::io("cannot start", "mariadbd", e))?,
            );
            match self.wait_ready() {
                // Somebody else may have taken the port since; before the first start it is nobody's yet.
                Err(_)
                    if attempt < 2
                        && self.is_first_start()
                        && tail(&self.log_file()).contains("Address already in use") =>
                {
                    self.reap();
                    self.port = free_port(&self.dir)?;
                    self.save()?;
                }
                other => {
                    other?;
                    break;
                }
            }
        }
        let first = self.dir.join("first-start.sql");
        match fs::remove_file(&first) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(DbError::io("cannot remove", first, e)),
            _ => Ok(()),
        }
    }

    fn is_first_start(&self) -> bool {
        self.dir.join("first-start.sql").exists()
    }

    pub(crate) fn program(&self) -> Result<Utf8PathBuf, DbError> {
        programs::find(&["mariadbd", "mysqld"], "mariadb-server")
    }

    pub(crate) fn arguments(&self) -> Vec<String> {
        let path = |name: &str| self.dir.join(name).to_string();
        let mut arguments = vec![
            "--no-defaults".to_owned(),
            format!("--datadir={}", path("data")),
            format!("--socket={}", self.socket()),
            format!("--pid-file={}", path("pid")),
            // A directory of its own: a server that starts removes what looks like left-over temporary tables in it,
            // those of other running servers too.
            format!("--tmpdir={}", path("tmp")),
            format!("--log-error={}", self.log_file()),
            format!("--port={}", self.port),
            "--bind-address=127.0.0.1".to_owned(),
            "--skip-name-resolve".to_owned(),
            "--character-set-server=utf8mb4".to_owned(),
            "--collation-server=utf8mb4_general_ci".to_owned(),
            "--innodb-buffer-pool-size=64M".to_owned(),
            "--innodb-log-file-size=48M".to_owned(),
            "--key-buffer-size=1M".to_owned(),
            "--aria-pagecache-buffer-size=1M".to_owned(),
            "--max-connections=300".to_owned(),
            "--max-allowed-packet=64M".to_owned(),
            "--performance-schema=OFF".to_owned(),
            "--skip-log-bin".to_owned(),
        ];
        arguments.extend(run_as());
        if self.settings.fast {
            arguments.extend(
                [
                    "--innodb-flush-log-at-trx-commit=0",
                    "--innodb-doublewrite=0",
                    "--sync-binlog=0",
                    "--innodb-flush-method=nosync",
                ]
                .map(str::to_owned),
            );
        }
        if self.is_first_start() {
            arguments.push(format!("--init-file={}", path("first-start.sql")));
        }
        arguments.extend(self.settings.extra.iter().cloned());
        arguments
    }

    pub(crate) fn wait_ready(&mut self) -> Result<(), DbError> {
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() && self.pid().is_some() {
                match Server::admin(&self.option_file()) {
                    Ok(_) => return Ok(()),
                    Err(error) if Instant::now() > deadline => return Err(error),
                    Err(_) => {}
                }
            }
            let ended = self
                .child
                .as_mut()
                .is_some_and(|child| !matches!(child.try_wait(), Ok(None)));
            if ended || Instant::now() > deadline {
                let why = if ended {
                    "mariadbd ended while starting"
                } else {
                    "mariadbd does not answer"
                };
                return Err(failed(&self.dir, &format!("{why}: {}", tail(&self.log_file()))));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Its process, if it runs: from the pid file, and only if that process is really this server.
    pub fn pid(&self) -> Option<u32> {
        let text = fs::read_to_string(self.dir.join("pid")).ok()?;
        let pid: u32 = text.trim().parse().ok().filter(|pid| *pid > 1)?;
        let command = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let own = format!("--datadir={}", self.dir.join("data"));
        command
            .split(|byte| *byte == 0)
            .any(|argument| argument == own.as_bytes())
            .then_some(pid)
    }

    /// Whether it runs.
    pub fn is_running(&self) -> bool {
        self.pid().is_some() || self.child_runs()
    }

    fn child_runs(&self) -> bool {
        // A child that is not reaped has an empty command line, one that is starting has no pid file yet.
        self.child.as_ref().is_some_and(|child| {
            fs::read(format!("/proc/{}/cmdline", child.id())).is_ok_and(|command| !command.is_empty())
        })
    }

    /// Ends it in an orderly way and waits until it is gone.
    ///
    /// # Errors
    /// [`DbError::PrivateServer`] if it does not end within two minutes.
    pub fn stop(&mut self) -> Result<(), DbError> {
        self.end(Signal::SIGTERM)
    }

    /// Ends it at once (SIGKILL), as a crash would.
    ///
    /// # Errors
    /// [`DbError::PrivateServer`] if it does not go.
    pub fn kill(&mut self) -> Result<(), DbError> {
        self.end(Signal::SIGKILL)
    }

    fn end(&mut self, signal: Signal) -> Result<(), DbError> {
        let pid = self.pid().or_else(|| {
            self.child
                .as_ref()
                .filter(|_| self.child_runs())
                .map(std::process::Child::id)
        });
        let Some(pid) = pid else {
            self.reap();
            return Ok(());
        };
        let target = Pid::from_raw(i32::try_from(pid).map_err(|e| failed(&self.dir, &e.to_string()))?);
        match kill(target, signal) {
            Ok(()) | Err(nix::errno::Errno::ESRCH) => {}
            Err(error) => return Err(failed(&self.dir, &format!("cannot signal process {pid}: {error}"))),
        }
        let deadline = Instant::now() + STOPPED_WITHIN;
        while self.is_running() {
            if let Some(child) = &mut self.child {
                let _ = child.try_wait();
            }
            if Instant::now() > deadline {
                return Err(failed(
                    &self.dir,
                    &format!("process {pid} does not end: {}", tail(&self.log_file())),
                ));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        self.reap();
        Ok(())
    }

    fn reap(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.wait();
        }
    }
}

/// The last lines of a log.
pub(super) fn tail(file: &Utf8Path) -> String {
    let read = || -> std::io::Result<String> {
        let mut log = fs::File::open(file)?;
        let length = log.metadata()?.len();
        log.seek(SeekFrom::Start(length.saturating_sub(2000)))?;
        let mut bytes = Vec::new();
        log.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
    };
    read().unwrap_or_else(|e| format!("(no log {file}: {e})"))
}
