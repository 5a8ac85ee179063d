//! A private server that ends and is deleted when the test process ends, however it ends.
//!
//! A shell waits at a pipe whose other end only this process holds: when the process is gone, so is the pipe, and the
//! shell ends the server and deletes its directory. Neither statics (which are never dropped) nor panics matter.

use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use camino::{Utf8Path, Utf8PathBuf};
use ffu_model::secret::Secret;

use crate::error::DbError;
use crate::private::{PrivateServer, Settings};
use crate::server::Server;
use crate::url::{Access, ConnectionUrl};

const KEEPER: &str = r#"
dir=$1; shift
"$@" </dev/null >/dev/null 2>&1 &
server=$!
cat >/dev/null
kill -9 "$server" 2>/dev/null
wait "$server" 2>/dev/null
again=$(cat "$dir/pid" 2>/dev/null)
if [ -n "$again" ] && grep -qF "$dir/data" "/proc/$again/cmdline" 2>/dev/null; then kill -9 "$again"; fi
rm -rf "$dir"
"#;

/// The server of this test process.
#[derive(Debug)]
pub struct TestServer {
    private: PrivateServer,
    keeper: Child,
}

/// The one server of this test process; started at the first call.
///
/// # Panics
/// If it does not start: a test cannot go on then.
#[allow(clippy::panic)]
pub fn shared_server() -> &'static TestServer {
    static SHARED: OnceLock<TestServer> = OnceLock::new();
    SHARED.get_or_init(|| match TestServer::start() {
        Ok(server) => server,
        Err(error) => panic!("the tests need a MariaDB server of their own: {error}"),
    })
}

/// A port of this host that is free together with the one after it, as Galera wants them.
///
/// # Panics
/// If this host gives out no ports.
#[allow(clippy::unwrap_used)]
pub fn two_free_ports() -> u16 {
    loop {
        let one = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = one.local_addr().unwrap().port();
        if port < u16::MAX && TcpListener::bind(("127.0.0.1", port + 1)).is_ok() {
            return port;
        }
    }
}

/// Options of `mariadbd` for a node of a Galera cluster that listens at `own` and the port after it, and joins the node at `other`
/// or begins a cluster. Debian's server depends on the provider.
pub fn galera_node(own: u16, other: Option<u16>) -> Vec<String> {
    let incremental = own + 1;
    let join = other.map(|port| format!("127.0.0.1:{port}")).unwrap_or_default();
    vec![
        "wsrep-on=ON".to_owned(),
        "wsrep-provider=/usr/lib/galera/libgalera_smm.so".to_owned(),
        format!("wsrep-cluster-address=gcomm://{join}"),
        "wsrep-cluster-name=ffu".to_owned(),
        format!("wsrep-node-address=127.0.0.1:{incremental}"),
        format!(
            "wsrep-provider-options=base_host=127.0.0.1;base_port={own};gmcast.listen_addr=tcp://127.0.0.1:{own};\
             ist.recv_addr=127.0.0.1:{incremental}"
        ),
        "binlog-format=ROW".to_owned(),
        "innodb-autoinc-lock-mode=2".to_owned(),
    ]
}

impl TestServer {
    /// A further server, for tests that hurt it.
    ///
    /// # Errors
    /// See [`PrivateServer::create`].
    pub fn start() -> Result<Self, DbError> {
        Self::start_with(&[])
    }

    /// One with further options of `mariadbd`, each `--name=value`.
    ///
    /// # Errors
    /// See [`PrivateServer::create`].
    pub fn start_with(extra: &[&str]) -> Result<Self, DbError> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let unique = format!("ffu-db-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::SeqCst));
        let dir =
            Utf8PathBuf::from_path_buf(std::env::temp_dir().join(unique)).map_err(|path| DbError::PrivateServer {
                dir: path.to_string_lossy().into_owned().into(),
                reason: "the directory for temporary files has a name that is not UTF-8: set TMPDIR".to_owned(),
            })?;
        let mut private = PrivateServer::prepare(
            &dir,
            &Settings {
                fast: true,
                extra: extra.iter().map(|option| (*option).to_owned()).collect(),
            },
        )?;
        let mut keeper = Command::new("sh")
            .args(["-c", KEEPER, "keeper", dir.as_str(), private.program()?.as_str()])
            .args(private.arguments())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C at a terminal must not end the keeper before it has kept its word.
            .process_group(0)
            .spawn()
            .map_err(|e| DbError::io("cannot run", "sh", e))?;
        if let Err(error) = private.wait_ready() {
            drop(keeper.stdin.take());
            let _ = keeper.wait();
            return Err(error);
        }
        let _ = std::fs::remove_file(dir.join("first-start.sql"));
        Ok(TestServer { private, keeper })
    }

    /// The server itself.
    pub fn private(&self) -> &PrivateServer {
        &self.private
    }

    /// For tests that kill and start it.
    pub fn private_mut(&mut self) -> &mut PrivateServer {
        &mut self.private
    }

    /// Root's account.
    ///
    /// # Errors
    /// See [`Server::connect`].
    pub fn admin(&self) -> Result<Server, DbError> {
        self.private.admin()
    }

    /// An empty schema of this test's own, and an account that has all rights on it and none elsewhere.
    ///
    /// # Errors
    /// Whatever the server says.
    pub fn database(&self, label: &str) -> Result<TestDatabase, DbError> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let schema = format!("t{}_{label}", COUNT.fetch_add(1, Ordering::SeqCst));
        let password = Secret::new(format!("pw_{schema}:/@?#'\\"));
        self.private.create_account(&schema, &password, &schema, "utf8")?;
        Ok(TestDatabase {
            url: self.private.url(&schema, &password, &schema),
            schema,
            option_file: self.private.option_file(),
        })
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

/// A schema that is dropped with its handle.
#[derive(Debug)]
pub struct TestDatabase {
    /// The account's connection.
    pub url: ConnectionUrl,
    /// The schema, and the account's name.
    pub schema: String,
    option_file: Utf8PathBuf,
}

impl TestDatabase {
    /// The service's account, without an administrator's.
    pub fn access(&self) -> Access {
        Access {
            service: self.url.clone(),
            admin: None,
        }
    }

    /// With the administrator's.
    pub fn admin_access(&self) -> Access {
        Access {
            service: self.url.clone(),
            admin: Some(self.option_file.clone()),
        }
    }

    /// The option file of the administrator's account.
    pub fn option_file(&self) -> &Utf8Path {
        &self.option_file
    }

    /// Executes statements, one after the other.
    ///
    /// # Errors
    /// Whatever the server says.
    pub fn run(&self, statements: &[&str]) -> Result<(), DbError> {
        let server = Server::admin(&self.option_file)?;
        let mut session = server.open(Some(&self.schema))?;
        statements.iter().try_for_each(|sql| session.run(sql, sql))
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        if let Ok(server) = Server::admin(&self.option_file) {
            let _ = server.drop_database(&self.schema);
        }
    }
}
