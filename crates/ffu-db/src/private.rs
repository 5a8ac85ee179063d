//! A private MariaDB server: own data directory, socket, port and root password, never the system's.
//!
//! The lab's database, and what the tests run on. It outlives the program that started it, so it is found again through
//! its directory: `server.json`, the pid file, and `client.cnf` with root's password (0600).

mod running;

use std::fs;
use std::io::Read as _;
use std::net::TcpListener;
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use camino::{Utf8Path, Utf8PathBuf};
use ffu_model::secret::Secret;
use serde::{Deserialize, Serialize};

use self::running::tail;
use crate::error::DbError;
use crate::programs;
use crate::server::Server;
use crate::url::ConnectionUrl;

const FORMAT: u32 = 1;

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
            return Err(failed(
                dir,
                "the directory is not empty: name another one, or open the server that is there",
            ));
        }
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(|e| DbError::io("cannot create", dir, e))?;
        let temporary = dir.join("tmp");
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&temporary)
            .map_err(|e| DbError::io("cannot create", &temporary, e))?;
        let mut server = PrivateServer {
            dir: dir.to_owned(),
            port: free_port(dir)?,
            settings: settings.clone(),
            child: None,
        };
        if server.socket().as_str().len() > 100 {
            return Err(failed(
                dir,
                "the path is too long for a socket (100 bytes): use a shorter directory",
            ));
        }
        let log = dir.join("install.log");
        let output = fs::File::create(&log).map_err(|e| DbError::io("cannot create", &log, e))?;
        let errors = output.try_clone().map_err(|e| DbError::io("cannot create", &log, e))?;
        let mut command = Command::new(&installer);
        command
            .args([
                "--no-defaults",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
                "--skip-name-resolve",
            ])
            .arg(format!("--datadir={}", dir.join("data")))
            .arg(format!("--tmpdir={temporary}"))
            .args(run_as())
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .process_group(0);
        let status = command
            .status()
            .map_err(|e| DbError::io("cannot run", installer.clone(), e))?;
        if !status.success() {
            return Err(failed(dir, &format!("mariadb-install-db failed: {}", tail(&log))));
        }
        let password = random_password(dir)?;
        let client = ConnectionUrl::from_parts(
            "root",
            Some(password.clone()),
            "localhost",
            None,
            Some(&server.socket()),
        );
        crate::files::write_private(
            &server.option_file(),
            crate::option_file::client_section(&client).as_bytes(),
        )?;
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
            return Err(failed(
                dir,
                &format!("server.json has format {}, this program knows {FORMAT}", state.format),
            ));
        }
        Ok(PrivateServer {
            dir: dir.to_owned(),
            port: state.port,
            settings: state.settings,
            child: None,
        })
    }

    fn save(&self) -> Result<(), DbError> {
        let state = State {
            format: FORMAT,
            port: self.port,
            settings: self.settings.clone(),
        };
        let text = serde_json::to_string_pretty(&state).map_err(|e| failed(&self.dir, &e.to_string()))?;
        crate::files::write_atomically(&self.dir.join("server.json"), text.as_bytes(), 0o600)
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
            return Err(DbError::BadName {
                what: "character set",
                name: charset.chars().take(64).collect(),
            });
        }
        let mut session = admin.open(None)?;
        let during = format!("creating database {schema}");
        session.run(
            &format!("CREATE DATABASE IF NOT EXISTS {name} CHARACTER SET {charset}"),
            &during,
        )?;
        let password = crate::quote::literal(password.expose());
        session.run(
            &format!("CREATE USER IF NOT EXISTS {who}@'127.0.0.1' IDENTIFIED BY {password}"),
            &during,
        )?;
        session.run(
            &format!(
                "GRANT ALL ON {}.* TO {who}@'127.0.0.1'",
                crate::quote::grant_pattern(schema)?
            ),
            &during,
        )
    }
}

fn failed(dir: &Utf8Path, reason: &str) -> DbError {
    DbError::PrivateServer {
        dir: dir.to_owned(),
        reason: reason.to_owned(),
    }
}

fn run_as() -> Option<String> {
    nix::unistd::geteuid().is_root().then(|| "--user=root".to_owned())
}

fn free_port(dir: &Utf8Path) -> Result<u16, DbError> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).and_then(|socket| socket.local_addr());
    listener
        .map(|address| address.port())
        .map_err(|e| failed(dir, &format!("no free port: {e}")))
}

pub(crate) fn random_password(dir: &Utf8Path) -> Result<Secret, DbError> {
    let mut bytes = [0_u8; 18];
    fs::File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut bytes))
        .map_err(|e| failed(dir, &format!("no random numbers: {e}")))?;
    Ok(Secret::new(ffu_model::digest::hex(&bytes)))
}
