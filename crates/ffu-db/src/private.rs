//! A private MariaDB server: own data directory, socket, port and root password, never the system's.
//!
//! The lab's database, and what the tests run on. It outlives the program that started it, so it is found again through
//! its directory: `server.json`, the pid file, and `client.cnf` with root's password (0600).

use std::fs;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use ffu_model::secret::Secret;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use crate::error::DbError;
use crate::programs;
use crate::server::Server;
use crate::url::ConnectionUrl;

const FORMAT: u32 = 1;
const READY_WITHIN: Duration = Duration::from_secs(60);
const STOPPED_WITHIN: Duration = Duration::from_secs(120);

/// How a private server is set up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Gives up durability for speed: for tests, whose data nobody needs after a power cut.
    #[serde(default)]
    pub fast: bool,
    /// Further options of `mariadbd`, each `--name=value`.
    #[serde(default)]
    pub extra: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    format: u32,
    port: u16,
    settings: Settings,
}

/// A private server in a directory. Dropping the handle leaves the server alone.
#[derive(Debug)]
pub struct PrivateServer {
    dir: Utf8PathBuf,
    port: u16,
    settings: Settings,
    /// Present while the server is this process's child: it has to be reaped.
    child: Option<std::process::Child>,
}

impl PrivateServer {
    /// Makes the data directory (which must not exist yet, or be empty) and starts the server for the first time.
    ///
    /// # Errors
    /// [`DbError::ProgramMissing`], [`DbError::PrivateServer`] with the tail of the log, [`DbError::Io`].
    pub fn create(dir: &Utf8Path, settings: &Settings) -> Result<Self, DbError> {
        let mut server = Self::prepare(dir, settings)?;
        server.start()?;
        Ok(server)
    }

    /// [`PrivateServer::create`] without starting.
    ///
    /// # Errors
    /// See [`PrivateServer::create`].
    pub(crate) fn prepare(dir: &Utf8Path, settings: &Settings) -> Result<Self, DbError> {
        let installer = programs::find(&["mariadb-install-db"], "mariadb-server")?;
        if fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some()) {
            return Err(failed(dir, "the directory is not empty: name another one, or open the server that is there"));
        }
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(|e| DbError::io("cannot create", dir, e))?;
        let mut server = PrivateServer { dir: dir.to_owned(), port: free_port(dir)?, settings: settings.clone(), child: None };
        if server.socket().as_str().len() > 100 {
            return Err(failed(dir, "the path is too long for a socket (100 bytes): use a shorter directory"));
        }
        let log = dir.join("install.log");
        let output = fs::File::create(&log).map_err(|e| DbError::io("cannot create", &log, e))?;
        let errors = output.try_clone().map_err(|e| DbError::io("cannot create", &log, e))?;
        let mut command = Command::new(&installer);
        command
            .args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"])
            .arg(format!("--datadir={}", dir.join("data")))
            .args(run_as())
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .process_group(0);
        let status = command.status().map_err(|e| DbError::io("cannot run", installer.clone(), e))?;
        if !status.success() {
            return Err(failed(dir, &format!("mariadb-install-db failed: {}", tail(&log))));
        }
        let password = random_password(dir)?;
        let client = ConnectionUrl::from_parts("root", Some(password.clone()), "localhost", None, Some(&server.socket()));
        crate::files::write_private(&server.option_file(), crate::option_file::client_section(&client).as_bytes())?;
        let password = crate::quote::literal(password.expose());
        let init = format!(
            "ALTER USER 'root'@'localhost' IDENTIFIED BY {password};\nDELETE FROM mysql.global_priv WHERE User = '' OR (User = 'root' AND Host <> 'localhost');\nFLUSH PRIVILEGES;\n"
        );
        crate::files::write_private(&dir.join("first-start.sql"), init.as_bytes())?;
        server.save()?;
        server.settings = settings.clone();
        Ok(server)
    }

    /// Finds a server again by its directory, running or not.
    ///
    /// # Errors
    /// [`DbError::PrivateServer`] if there is none or its state cannot be read.
    pub fn open_existing(dir: &Utf8Path) -> Result<Self, DbError> {
        let text = fs::read_to_string(dir.join("server.json"))
            .map_err(|e| failed(dir, &format!("there is no private server here (server.json: {e})")))?;
        let state: State =
            serde_json::from_str(&text).map_err(|e| failed(dir, &format!("server.json cannot be read: {e}")))?;
        if state.format != FORMAT {
            return Err(failed(dir, &format!("server.json has format {}, this program knows {FORMAT}", state.format)));
        }
        Ok(PrivateServer { dir: dir.to_owned(), port: state.port, settings: state.settings, child: None })
    }

    fn save(&self) -> Result<(), DbError> {
        let state = State { format: FORMAT, port: self.port, settings: self.settings.clone() };
        let text = serde_json::to_string_pretty(&state).map_err(|e| failed(&self.dir, &e.to_string()))?;
        crate::files::write_atomically(&self.dir.join("server.json"), text.as_bytes(), 0o600)
    }

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
            command.args(self.arguments()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
            self.child = Some(command.spawn().map_err(|e| DbError::io("cannot start", "mariadbd", e))?);
            match self.wait_ready() {
                // Somebody else may have taken the port since; before the first start it is nobody's yet.
                Err(_) if attempt < 2 && self.is_first_start() && tail(&self.log_file()).contains("Address already in use") => {
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
                ["--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=0", "--sync-binlog=0", "--innodb-flush-method=nosync"]
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
            let ended = self.child.as_mut().is_some_and(|child| !matches!(child.try_wait(), Ok(None)));
            if ended || Instant::now() > deadline {
                let why = if ended { "mariadbd ended while starting" } else { "mariadbd does not answer" };
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
        command.split(|byte| *byte == 0).any(|argument| argument == own.as_bytes()).then_some(pid)
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
        let pid = self.pid().or_else(|| self.child.as_ref().filter(|_| self.child_runs()).map(std::process::Child::id));
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
                return Err(failed(&self.dir, &format!("process {pid} does not end: {}", tail(&self.log_file()))));
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

    /// Its directory.
    pub fn dir(&self) -> &Utf8Path {
        &self.dir
    }

    /// Its TCP port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its socket.
    pub fn socket(&self) -> Utf8PathBuf {
        self.dir.join("s.sock")
    }

    /// Its error log.
    pub fn log_file(&self) -> Utf8PathBuf {
        self.dir.join("error.log")
    }

    /// The option file with root's password (0600).
    pub fn option_file(&self) -> Utf8PathBuf {
        self.dir.join("client.cnf")
    }

    /// Root's connection.
    ///
    /// # Errors
    /// See [`Server::connect`].
    pub fn admin(&self) -> Result<Server, DbError> {
        Server::admin(&self.option_file())
    }

    /// The URL by which a service with this account reaches a schema.
    pub fn url(&self, user: &str, password: &Secret, schema: &str) -> ConnectionUrl {
        ConnectionUrl::from_parts(user, Some(password.clone()), "127.0.0.1", Some(self.port), None).with_schema(schema)
    }

    /// Creates an account (if need be), a schema, and gives the account all rights on it.
    ///
    /// # Errors
    /// Whatever the server says.
    pub fn create_account(&self, user: &str, password: &Secret, schema: &str, charset: &str) -> Result<(), DbError> {
        let admin = self.admin()?;
        let (name, who) = (crate::quote::identifier("schema", schema)?, crate::quote::literal(user));
        if charset.is_empty() || !charset.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Err(DbError::BadName { what: "character set", name: charset.chars().take(64).collect() });
        }
        let mut session = admin.open(None)?;
        let during = format!("creating database {schema}");
        session.run(&format!("CREATE DATABASE IF NOT EXISTS {name} CHARACTER SET {charset}"), &during)?;
        let password = crate::quote::literal(password.expose());
        session.run(&format!("CREATE USER IF NOT EXISTS {who}@'127.0.0.1' IDENTIFIED BY {password}"), &during)?;
        session.run(&format!("GRANT ALL ON {}.* TO {who}@'127.0.0.1'", crate::quote::grant_pattern(schema)?), &during)
    }
}

fn failed(dir: &Utf8Path, reason: &str) -> DbError {
    DbError::PrivateServer { dir: dir.to_owned(), reason: reason.to_owned() }
}

fn run_as() -> Option<String> {
    nix::unistd::geteuid().is_root().then(|| "--user=root".to_owned())
}

fn free_port(dir: &Utf8Path) -> Result<u16, DbError> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).and_then(|socket| socket.local_addr());
    listener.map(|address| address.port()).map_err(|e| failed(dir, &format!("no free port: {e}")))
}

fn random_password(dir: &Utf8Path) -> Result<Secret, DbError> {
    let mut bytes = [0_u8; 18];
    fs::File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut bytes))
        .map_err(|e| failed(dir, &format!("no random numbers: {e}")))?;
    Ok(Secret::new(ffu_model::digest::hex(&bytes)))
}

/// The last lines of a log.
fn tail(file: &Utf8Path) -> String {
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

/// Whether a file is readable by its owner alone.
#[cfg(test)]
fn is_private(file: &Utf8Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(file).is_ok_and(|m| m.permissions().mode() & 0o077 == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_lives_dies_and_comes_back() {
        let scratch = tempfile::Builder::new().prefix("ffu-db-").tempdir().unwrap();
        let dir = Utf8Path::from_path(scratch.path()).unwrap().join("s");
        let mut server = PrivateServer::create(&dir, &Settings { fast: true, ..Settings::default() }).unwrap();
        assert!(server.is_running() && is_private(&server.option_file()));
        assert!(!dir.join("first-start.sql").exists(), "the password stays in one file");
        let password = Secret::new("pa'ss\\word");
        server.create_account("nova", &password, "nova", "utf8").unwrap();
        let url = server.url("nova", &password, "nova");
        assert!(Server::connect(&url).unwrap().schema_exists("nova").unwrap());
        assert!(PrivateServer::create(&dir, &Settings::default()).is_err(), "never over another one");

        server.kill().unwrap();
        assert!(!server.is_running());
        assert!(matches!(Server::connect(&url), Err(DbError::Unreachable { .. })));
        drop(server);

        let mut again = PrivateServer::open_existing(&dir).unwrap();
        again.start().unwrap();
        assert!(Server::connect(&url).unwrap().schema_exists("nova").unwrap());
        let mut other_handle = PrivateServer::open_existing(&dir).unwrap();
        let pid = other_handle.pid().unwrap();
        assert_eq!(again.pid(), Some(pid));
        again.stop().unwrap();
        other_handle.stop().unwrap();
        assert!(!other_handle.is_running() && !fs::exists(format!("/proc/{pid}")).unwrap());
    }

    #[test]
    fn a_directory_without_a_server_is_said_to_be_one() {
        let scratch = tempfile::tempdir().unwrap();
        let dir = Utf8Path::from_path(scratch.path()).unwrap();
        let error = PrivateServer::open_existing(dir).unwrap_err().to_string();
        assert!(error.contains("there is no private server here"), "{error}");
        fs::write(dir.join("server.json"), "{\"format\":1,\"port\":\"x\"}").unwrap();
        let error = PrivateServer::open_existing(dir).unwrap_err().to_string();
        assert!(error.contains("cannot be read"), "{error}");
    }
}
