//! Everything that can go wrong with a database, each with the thing it happened to and the next step.

use camino::Utf8PathBuf;

use crate::oslo::ConfigError;
use crate::url::UrlError;

/// An error of this crate. No variant ever holds a password.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// A connection URL that cannot be used.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// A configuration file or option that is not there.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A cell mapping that cannot be followed.
    #[error(
        "cell {uuid} of {file}: {reason}; look at `nova-manage cell_v2 list_cells` and correct it with `nova-manage cell_v2 update_cell`"
    )]
    CellMapping {
        /// The configuration file with `[api_database] connection`.
        file: Utf8PathBuf,
        /// The cell.
        uuid: String,
        /// What is wrong.
        reason: String,
    },
    /// A MySQL option file that cannot be used.
    #[error("option file {file}: {reason}; it needs a [client] section with user, password and host or socket")]
    OptionFile {
        /// The file.
        file: Utf8PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Nobody answers.
    #[error(
        "database server {address} cannot be reached: {reason}; check that it runs and that this host may connect to it"
    )]
    Unreachable {
        /// `host:port` or `unix:/path`.
        address: String,
        /// What the system says.
        reason: String,
    },
    /// The server speaks to us only with encryption, or was asked to, and this program cannot.
    #[error(
        "the connection to {address} asks for TLS ({option}), which this build does not speak: use a URL without it, a socket, or an admin option file for a local account"
    )]
    Tls {
        /// The server.
        address: String,
        /// The URL's option.
        option: String,
    },
    /// Wrong user or password.
    #[error(
        "database server {address} refuses user {user:?} ({message}); check user and password in the service's configuration"
    )]
    AccessDenied {
        /// The server.
        address: String,
        /// The user.
        user: String,
        /// The server's words.
        message: String,
    },
    /// The account may not use the schema.
    #[error(
        "user {user:?} may not use database {schema:?} on {address}, or it does not exist; type `GRANT ALL ON `{schema}`.* TO …` as an administrator there"
    )]
    NoAccess {
        /// The server.
        address: String,
        /// The user.
        user: String,
        /// The schema.
        schema: String,
    },
    /// The schema does not exist.
    #[error(
        "database {schema:?} does not exist on {address}; correct the connection URL or create it with the project's db sync"
    )]
    UnknownSchema {
        /// The server.
        address: String,
        /// The schema.
        schema: String,
    },
    /// A table that is not there.
    #[error("database {schema:?} has no table {table:?}; check the catalog's entry against the schema's series")]
    UnknownTable {
        /// The schema.
        schema: String,
        /// The table.
        table: String,
    },
    /// A column that is not there.
    #[error("table {schema}.{table} has no column {column:?}; check the catalog's entry against the schema's series")]
    UnknownColumn {
        /// The schema.
        schema: String,
        /// The table.
        table: String,
        /// The column.
        column: String,
    },
    /// A right the account lacks.
    #[error("user {user:?} on {address} lacks {privileges}; grant it, or name an admin option file")]
    MissingPrivilege {
        /// The server.
        address: String,
        /// The user.
        user: String,
        /// Which.
        privileges: String,
    },
    /// The server takes no writes.
    #[error(
        "database server {address} is read-only ({which}): point the services at the primary, or type `SET GLOBAL read_only = OFF` there"
    )]
    ReadOnly {
        /// The server.
        address: String,
        /// The variable that says so.
        which: String,
    },
    /// A server older than what is supported.
    #[error(
        "database server {address} is {version}; supported are MariaDB from 10.3 and MySQL from 5.7: upgrade the server first"
    )]
    Unsupported {
        /// The server.
        address: String,
        /// Its version.
        version: String,
    },
    /// The connection broke.
    #[error(
        "the connection to {address} was lost while {during} ({reason}); see the server's log, start it again, then type `ffu resume`"
    )]
    Lost {
        /// The server.
        address: String,
        /// What was going on.
        during: String,
        /// The driver's or server's words.
        reason: String,
    },
    /// A statement took too long.
    #[error(
        "{address} did not finish {during} within {seconds} s; look at `SHOW PROCESSLIST` there for what holds it up"
    )]
    StatementTimeout {
        /// The server.
        address: String,
        /// What was going on.
        during: String,
        /// The limit.
        seconds: u64,
    },
    /// The server waited for a lock, or a node for its peers, and gave up.
    #[error(
        "{address}: {during} waited until the server gave up ({message}): for a lock, see `SHOW FULL PROCESSLIST` there; or a node of \
         a Galera cluster for what its peers have committed, see `SHOW STATUS LIKE 'wsrep_local_%'` there"
    )]
    Waited {
        /// The server.
        address: String,
        /// What was going on.
        during: String,
        /// What it said.
        message: String,
    },
    /// Any other error of a statement.
    #[error("{address}: {during} failed with error {code}: {message}")]
    Statement {
        /// The server.
        address: String,
        /// What was going on.
        during: String,
        /// The server's error number.
        code: u16,
        /// The server's words.
        message: String,
    },
    /// A query that does more than read.
    #[error("the query is refused: {reason}; a gate or drain is one plain SELECT (`ffu lint` checks a plan)")]
    QueryRefused {
        /// Why.
        reason: &'static str,
    },
    /// A query that does not give one unsigned integer.
    #[error("the query must give one row with one unsigned integer, but gave {found}: {query}")]
    NotACount {
        /// What came.
        found: String,
        /// The query, cut.
        query: String,
    },
    /// A name that cannot be one of a schema, table or column.
    #[error("{name:?} cannot be the name of a {what}: 1 to 64 printable characters")]
    BadName {
        /// Kind of thing.
        what: &'static str,
        /// The name, cut.
        name: String,
    },
    /// A program that is not installed.
    #[error("none of {programs} is installed; type `apt install {package}`")]
    ProgramMissing {
        /// The names tried.
        programs: String,
        /// The Debian package.
        package: &'static str,
    },
    /// A client program failed.
    #[error("{program} failed while {during}: {output}")]
    ProgramFailed {
        /// The program.
        program: String,
        /// What for.
        during: String,
        /// What it said, secrets masked.
        output: String,
    },
    /// The operator stopped it.
    #[error("stopped while {during}; nothing is lost, `ffu resume` starts it anew")]
    Stopped {
        /// What was going on.
        during: String,
    },
    /// It took longer than it may.
    #[error(
        "{during} took longer than {seconds} s and was ended; raise the step's timeout or look at the server's load"
    )]
    Timeout {
        /// What was going on.
        during: String,
        /// The limit.
        seconds: u64,
    },
    /// A file operation failed.
    #[error("{action} {path}: {source}")]
    Io {
        /// What was tried, e.g. `cannot write`.
        action: &'static str,
        /// The file.
        path: Utf8PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Not enough room, found before anything was written.
    #[error(
        "{path} has {free_mib} MiB free and the checkpoint needs about {needed_mib} MiB; free some space or choose another --state-dir"
    )]
    NoRoom {
        /// The directory.
        path: Utf8PathBuf,
        /// MiB free.
        free_mib: u64,
        /// MiB needed.
        needed_mib: u64,
    },
    /// The disk became full while a file was written; the partial file is gone.
    #[error(
        "the disk of {path} became full after {written} bytes; the partial file was removed: free some space, then type `ffu resume`"
    )]
    DiskFull {
        /// The file.
        path: Utf8PathBuf,
        /// Bytes written until then.
        written: u64,
    },
    /// The server has no room for a copy; what was copied is dropped again, and the databases themselves are untouched.
    #[error(
        "{address} has no room left ({message}) while {during}: the databases are untouched; free some space on the server's data directory, or use `ffu plan --checkpoint dump`"
    )]
    ServerFull {
        /// The server.
        address: String,
        /// What was going on.
        during: String,
        /// The server's words.
        message: String,
    },
    /// A database that cannot be kept as a copy on its own server.
    #[error(
        "database {schema:?} cannot have a standby copy: {reason}; `ffu plan --checkpoint dump` saves it by a dump"
    )]
    NoStandby {
        /// The schema.
        schema: String,
        /// Why.
        reason: String,
    },
    /// A checkpoint that would be made over a whole one.
    #[error(
        "{path} has a whole checkpoint already, which is not made again: `ffu resume` goes on from it, `ffu rollback` goes back to it"
    )]
    AlreadyWhole {
        /// The directory.
        path: Utf8PathBuf,
    },
    /// A checkpoint that is not whole.
    #[error("checkpoint {path}: {reason}; it cannot be used to go back")]
    BadCheckpoint {
        /// The directory or file.
        path: Utf8PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A key for dumps that cannot be used.
    #[error("dump key {file}: {reason}")]
    DumpKey {
        /// The file.
        file: Utf8PathBuf,
        /// Why; what to do depends on what it was wanted for.
        reason: String,
    },
    /// Dumps that need a key, and none was given.
    #[error("the dumps of {path} are encrypted for {recipients}: give the key with `ffu rollback --dump-key FILE`")]
    DumpKeyMissing {
        /// The checkpoint.
        path: Utf8PathBuf,
        /// The public keys.
        recipients: String,
    },
    /// Two fingerprints that should be equal are not.
    #[error("{what} is not as it was at the checkpoint: {differences}")]
    FingerprintDiffers {
        /// Which database.
        what: String,
        /// Sentences.
        differences: String,
    },
    /// Something wrote while nothing should.
    #[error(
        "{what} changed while the checkpoint was made: {differences}; find the service that still writes (`SHOW PROCESSLIST`), stop it, then type `ffu resume`"
    )]
    WrittenMeanwhile {
        /// Which database.
        what: String,
        /// Sentences.
        differences: String,
    },
    /// A destination that is not empty.
    #[error(
        "database {schema:?} on {address} has tables already ({tables}); tables are copied into an empty database only: empty it by hand if they may go"
    )]
    NotEmpty {
        /// The schema.
        schema: String,
        /// The server.
        address: String,
        /// Some tables.
        tables: String,
    },
    /// A private server that does not do what it should.
    #[error("private server in {dir}: {reason}")]
    PrivateServer {
        /// Its directory.
        dir: Utf8PathBuf,
        /// What is wrong, with the next step.
        reason: String,
    },
}

impl DbError {
    pub(crate) fn io(action: &'static str, path: impl Into<Utf8PathBuf>, source: std::io::Error) -> Self {
        DbError::Io {
            action,
            path: path.into(),
            source,
        }
    }

    /// Whether the server said nothing at all or broke off: something to wait for or to repeat, not a fact about the data.
    pub fn is_connection_loss(&self) -> bool {
        matches!(self, DbError::Unreachable { .. } | DbError::Lost { .. })
    }
}

/// What the server or the driver said about a statement or connection, put in its class.
pub(crate) fn classify(error: mysql::Error, address: &str, user: &str, schema: &str, during: &str) -> DbError {
    let own = str::to_owned;
    match error {
        mysql::Error::MySqlError(error) => {
            let message = ffu_model::secret::mask(&error.message, &[]);
            let readonly = message.to_ascii_lowercase().replace('_', "-").contains("read-only");
            match error.code {
                1045 | 1698 | 1251 => DbError::AccessDenied {
                    address: own(address),
                    user: own(user),
                    message,
                },
                1044 => DbError::NoAccess {
                    address: own(address),
                    user: own(user),
                    schema: own(schema),
                },
                1049 => DbError::UnknownSchema {
                    address: own(address),
                    schema: own(schema),
                },
                1142 | 1143 | 1227 | 1370 => DbError::MissingPrivilege {
                    address: own(address),
                    user: own(user),
                    privileges: format!("a privilege ({message})"),
                },
                1290 | 1836 | 1223 if readonly || error.code != 1290 => DbError::ReadOnly {
                    address: own(address),
                    which: message,
                },
                1205 => DbError::Waited {
                    address: own(address),
                    during: own(during),
                    message,
                },
                1969 | 3024 => DbError::StatementTimeout {
                    address: own(address),
                    during: own(during),
                    seconds: 0,
                },
                1040 | 1129 | 1130 | 1203 | 1226 => DbError::Unreachable {
                    address: own(address),
                    reason: message,
                },
                1053 | 1077 | 1078 | 1079 | 1152 | 1184 | 1317 | 1927 => DbError::Lost {
                    address: own(address),
                    during: own(during),
                    reason: message,
                },
                1021 | 1114 => DbError::ServerFull {
                    address: own(address),
                    during: own(during),
                    message,
                },
                code => DbError::Statement {
                    address: own(address),
                    during: own(during),
                    code,
                    message,
                },
            }
        }
        other => DbError::Lost {
            address: own(address),
            during: own(during),
            reason: ffu_model::secret::mask(&other.to_string(), &[]),
        },
    }
}
