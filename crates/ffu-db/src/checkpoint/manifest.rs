//! `checkpoint.json` and the private list of connections beside it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};

use camino::{Utf8Path, Utf8PathBuf};
use ffu_model::DatabaseKey;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Target;
use super::standby::SavedCopy;
use crate::error::DbError;
use crate::fingerprint::Fingerprint;
use crate::quote::is_word;
use crate::url::{Access, ConnectionUrl};

/// 2: a dump may be in several files, and encrypted. In 1 it was in one, which [`pieces`] turns into this.
pub(super) const FORMAT: u32 = 2;
pub(super) const FILE: &str = "checkpoint.json";
const CONNECTIONS: &str = "connections.json";
const MAX_BYTES: u64 = 64 << 20;

/// What every format begins with.
#[derive(Deserialize)]
struct Head {
    format: u32,
}

/// What a checkpoint holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// 2; 1 if it was made when a dump was one file.
    pub format: u32,
    /// When it was complete.
    pub created: jiff::Timestamp,
    /// The databases.
    pub databases: Vec<SavedDatabase>,
    /// The files.
    pub files: Vec<SavedFile>,
}

/// One database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedDatabase {
    /// Its name in the cloud.
    pub key: DatabaseKey,
    /// The server's address.
    pub server: String,
    /// The server's version.
    pub server_version: String,
    /// The schema.
    pub schema: String,
    /// Its dump. If it has neither dump nor copy it did not exist: going back drops it.
    pub saved: Option<SavedDump>,
    /// Its copy on the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copied: Option<SavedCopy>,
}

/// The dump of a database that existed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedDump {
    /// Default character set.
    pub charset: String,
    /// Default collation.
    pub collation: String,
    /// What it held.
    pub fingerprint: Fingerprint,
    /// The public keys that its files are encrypted for; none if they are not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sealed: Vec<String>,
    /// Its files: one for every large table, and one for all else, which is the last.
    pub pieces: Vec<Piece>,
}

/// A file of a dump.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Piece {
    /// The one table that is in it; none for all other tables, views, routines and events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// The file, in the checkpoint's directory.
    pub file: String,
    /// SHA-256 of the file.
    pub sha256: String,
    /// Its bytes.
    pub bytes: u64,
    /// Bytes of the SQL text in it.
    pub raw_bytes: u64,
}

impl SavedDump {
    /// Bytes of its files.
    pub fn bytes(&self) -> u64 {
        self.pieces.iter().map(|piece| piece.bytes).sum()
    }

    /// Bytes of the SQL text in them.
    pub fn raw_bytes(&self) -> u64 {
        self.pieces.iter().map(|piece| piece.raw_bytes).sum()
    }
}

/// One file of the deployment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedFile {
    /// Absolute path.
    pub path: Utf8PathBuf,
    /// Absent if the file did not exist: going back removes it.
    pub saved: Option<SavedContent>,
}

/// A file that existed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedContent {
    /// The copy, in the checkpoint's directory.
    pub copy: String,
    /// SHA-256 of the content.
    pub sha256: String,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

impl Manifest {
    /// Bytes of all dumps.
    pub fn bytes(&self) -> u64 {
        self.databases
            .iter()
            .filter_map(|d| d.saved.as_ref())
            .map(SavedDump::bytes)
            .sum()
    }

    /// The public keys that dumps are encrypted for; none if no dump is.
    pub fn sealed(&self) -> Vec<String> {
        let dumps = self.databases.iter().filter_map(|database| database.saved.as_ref());
        let keys: BTreeSet<String> = dumps.flat_map(|dump| dump.sealed.iter().cloned()).collect();
        keys.into_iter().collect()
    }
}

/// How the file names of a database's dump begin: a role may hold anything but NUL, a file name may not.
pub(super) fn dump_name(key: &DatabaseKey) -> String {
    let safe = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let role: String = key
        .role
        .chars()
        .map(|c| if safe(c) { c } else { '_' })
        .take(80)
        .collect();
    if role == key.role {
        format!("{}-{role}", key.project)
    } else {
        let digest = ffu_model::digest::sha256_hex(key.role.as_bytes());
        format!("{}-{role}-{}", key.project, &digest[..8])
    }
}

/// The file of a table's dump, or of all else's.
pub(super) fn piece_name(key: &DatabaseKey, number: Option<usize>, sealed: bool) -> String {
    let number = number.map(|number| format!(".{number:04}")).unwrap_or_default();
    format!("{}{number}.sql.zst{}", dump_name(key), if sealed { ".age" } else { "" })
}

fn is_dump(name: &str) -> bool {
    name.ends_with(".sql.zst") || name.ends_with(".sql.zst.age")
}

/// Whether a name from a manifest stays in the checkpoint's directory.
fn is_inside(name: &str) -> bool {
    let plain = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
    };
    match name.split_once('/') {
        Some((directory, file)) => directory == "files" && plain(file),
        None => plain(name),
    }
}

pub(super) fn broken(path: &Utf8Path, reason: impl Into<String>) -> DbError {
    DbError::BadCheckpoint {
        path: path.to_owned(),
        reason: reason.into(),
    }
}

pub(super) fn private_directory(path: &Utf8Path) -> Result<(), DbError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(0o700)))
        .map_err(|e| DbError::io("cannot create", path, e))
}

/// Makes the directory, and removes what an unfinished checkpoint left in it: nothing else than our own kinds of files.
pub(super) fn prepare_directory(dir: &Utf8Path) -> Result<(), DbError> {
    private_directory(dir)?;
    crate::client::remove_leftovers(dir);
    for entry in fs::read_dir(dir)
        .map_err(|e| DbError::io("cannot read", dir, e))?
        .flatten()
    {
        let Ok(path) = Utf8PathBuf::from_path_buf(entry.path()) else {
            continue;
        };
        let name = path.file_name().unwrap_or_default();
        let result = if name == "files" {
            fs::remove_dir_all(&path)
        } else if is_dump(name) || name == CONNECTIONS || name.starts_with(".ffu-") {
            fs::remove_file(&path)
        } else {
            Ok(())
        };
        result.map_err(|e| DbError::io("cannot remove", path, e))?;
    }
    private_directory(&dir.join("files"))
}

pub(super) fn write(dir: &Utf8Path, manifest: &Manifest) -> Result<(), DbError> {
    crate::files::sync_directory(&dir.join("files"))?;
    crate::files::sync_directory(dir)?;
    let mut bytes = serde_json::to_vec_pretty(manifest).map_err(|e| broken(dir, e.to_string()))?;
    bytes.push(b'\n');
    crate::files::write_atomically(&dir.join(FILE), &bytes, 0o600)
}

/// Reads and checks the manifest of a checkpoint.
///
/// # Errors
/// [`DbError::BadCheckpoint`] if there is none, or it is of another format, or names files outside the directory.
pub fn load(dir: &Utf8Path) -> Result<Manifest, DbError> {
    let path = dir.join(FILE);
    let metadata =
        fs::metadata(&path).map_err(|e| broken(&path, format!("there is no whole checkpoint here ({e})")))?;
    if metadata.len() > MAX_BYTES {
        return Err(broken(&path, "the manifest is larger than 64 MiB"));
    }
    let bytes = fs::read(&path).map_err(|e| DbError::io("cannot read", &path, e))?;
    let unreadable = |e: serde_json::Error| broken(&path, e.to_string());
    let format = serde_json::from_slice::<Head>(&bytes).map_err(unreadable)?.format;
    let manifest: Manifest = match format {
        FORMAT => serde_json::from_slice(&bytes).map_err(unreadable)?,
        1 => {
            let mut value = serde_json::from_slice(&bytes).map_err(unreadable)?;
            pieces(&mut value);
            serde_json::from_value(value).map_err(unreadable)?
        }
        other => {
            let reason =
                format!("format {other} is unknown, this program knows {FORMAT}: use the version that made it");
            return Err(broken(&path, reason));
        }
    };
    for database in &manifest.databases {
        crate::quote::identifier("schema", &database.schema)?;
        if let Some(copied) = &database.copied {
            let ours = super::standby::is_ours(&copied.copy) && super::standby::is_ours(&copied.gone);
            if !ours || !is_word(&copied.charset) || !is_word(&copied.collation) {
                return Err(broken(
                    &path,
                    format!(
                        "{}: the copy's schemas, character set or collation are not names",
                        database.key
                    ),
                ));
            }
        }
        let Some(dump) = &database.saved else { continue };
        if let Some(odd) = dump.pieces.iter().find(|piece| !is_inside(&piece.file)) {
            return Err(broken(&path, format!("{:?} is not a file of this directory", odd.file)));
        }
        if dump.pieces.iter().filter(|piece| piece.table.is_none()).count() != 1 {
            return Err(broken(&path, format!("{}: its dump is not whole", database.key)));
        }
        if !is_word(&dump.charset) || !is_word(&dump.collation) {
            return Err(broken(
                &path,
                format!("{}: character set or collation is not a name", database.key),
            ));
        }
    }
    for file in &manifest.files {
        let normal = file.path.is_absolute()
            && !file.path.as_str().contains('\0')
            && !file
                .path
                .components()
                .any(|part| matches!(part, camino::Utf8Component::ParentDir));
        if !normal || file.saved.as_ref().is_some_and(|saved| !is_inside(&saved.copy)) {
            return Err(broken(&path, format!("{:?} or its copy is not a safe path", file.path)));
        }
    }
    Ok(manifest)
}

/// Makes of a dump's one file, as format 1 had it, its only piece.
fn pieces(manifest: &mut Value) {
    let databases = manifest.get_mut("databases").and_then(Value::as_array_mut);
    let dumps = databases
        .into_iter()
        .flatten()
        .filter_map(|database| database.get_mut("saved")?.as_object_mut());
    for dump in dumps {
        let fields = ["file", "sha256", "bytes", "raw_bytes"];
        let piece: Map<String, Value> = fields
            .into_iter()
            .filter_map(|name| Some((name.to_owned(), dump.remove(name)?)))
            .collect();
        dump.insert("pieces".to_owned(), Value::Array(vec![Value::Object(piece)]));
    }
}

/// A connection as it is kept in the checkpoint.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Connection {
    url: String,
    admin: Option<Utf8PathBuf>,
}

pub(super) fn write_connections(dir: &Utf8Path, targets: &[Target]) -> Result<(), DbError> {
    crate::files::write_private(&dir.join(CONNECTIONS), &connections_text(dir, targets)?)
}

/// The text of a list of connections.
pub(super) fn connections_text(dir: &Utf8Path, targets: &[Target]) -> Result<Vec<u8>, DbError> {
    let connections: BTreeMap<String, Connection> = targets
        .iter()
        .map(|target| {
            let url = target.access.service.to_url().expose().to_owned();
            (
                target.key.to_string(),
                Connection {
                    url,
                    admin: target.access.admin.clone(),
                },
            )
        })
        .collect();
    serde_json::to_vec_pretty(&connections).map_err(|e| broken(dir, e.to_string()))
}

/// The connections of a checkpoint's databases.
pub(super) fn connections(dir: &Utf8Path) -> Result<BTreeMap<DatabaseKey, Access>, DbError> {
    connections_in(&dir.join(CONNECTIONS))
}

/// The databases of a checkpoint, each with its connection.
pub(super) fn reached<'a>(dir: &Utf8Path, manifest: &'a Manifest) -> Result<Vec<(&'a SavedDatabase, Access)>, DbError> {
    let mut accesses = connections(dir)?;
    let with_access = |database: &'a SavedDatabase| {
        let access = accesses.remove(&database.key);
        let missing = || broken(dir, format!("the connection of {} is missing", database.key));
        Ok((database, access.ok_or_else(missing)?))
    };
    manifest.databases.iter().map(with_access).collect()
}

/// The connections in a file.
pub(super) fn connections_in(path: &Utf8Path) -> Result<BTreeMap<DatabaseKey, Access>, DbError> {
    let bytes = fs::read(path).map_err(|e| DbError::io("cannot read", path, e))?;
    // The parser's message could quote the file.
    let stored: BTreeMap<String, Connection> =
        serde_json::from_slice(&bytes).map_err(|e| broken(path, format!("line {} cannot be read", e.line())))?;
    let mut accesses = BTreeMap::new();
    for (key, connection) in stored {
        let key: DatabaseKey = key.parse().map_err(|_| broken(path, "a key is not project/role"))?;
        let service = ConnectionUrl::parse(&connection.url)?;
        // An administrator's file that is gone by now must not stand in the way: the service's own account may do.
        let admin = connection.admin.filter(|file| file.exists());
        accesses.insert(key, Access { service, admin });
    }
    Ok(accesses)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_become_file_names_without_clashes() {
        assert_eq!(dump_name(&DatabaseKey::new("nova", "cell0")), "nova-cell0");
        let slash = dump_name(&DatabaseKey::new("nova", "cell:a/../b"));
        let under = dump_name(&DatabaseKey::new("nova", "cell:a____b"));
        assert!(
            is_inside(&slash) && is_inside(&under) && slash != under,
            "{slash} {under}"
        );
    }

    #[test]
    fn hostile_manifests_are_refused() {
        let scratch = tempfile::tempdir().unwrap();
        let dir = Utf8Path::from_path(scratch.path()).unwrap();
        let file = |path: &str, copy: &str| {
            format!(
                r#"{{"format":2,"created":"2026-01-01T00:00:00Z","databases":[],"files":[{{"path":{path:?},"saved":{{"copy":{copy:?},"sha256":"","mode":420,"uid":0,"gid":0}}}}]}}"#
            )
        };
        for (text, expected) in [
            ("{}".to_owned(), "missing field"),
            (
                r#"{"format":3,"created":"2026-01-01T00:00:00Z","databases":[],"files":[]}"#.to_owned(),
                "format 3",
            ),
            (
                r#"{"format":1,"created":"2026-01-01T00:00:00Z","databases":[{"saved":{"file":"x"}}],"files":[]}"#
                    .to_owned(),
                "missing field",
            ),
            (file("/etc/../root/x", "files/0"), "not a safe path"),
            (file("etc/x", "files/0"), "not a safe path"),
            (file("/etc/x", "../../x"), "not a safe path"),
            (file("/etc/x", "files/../x"), "not a safe path"),
            (file("/etc/x", "/etc/shadow"), "not a safe path"),
            (file("/etc/x", "files/.."), "not a safe path"),
        ] {
            fs::write(dir.join(FILE), &text).unwrap();
            let error = load(dir).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
        fs::write(dir.join(FILE), file("/etc/x", "files/0001")).unwrap();
        assert_eq!(load(dir).unwrap().files.len(), 1);
        // What format 1 says of copies and files is the same.
        let before = file("/etc/x", "files/0001").replace(r#""format":2"#, r#""format":1"#);
        fs::write(dir.join(FILE), before).unwrap();
        assert_eq!(load(dir).unwrap().files.len(), 1);
        fs::remove_file(dir.join(FILE)).unwrap();
        assert!(load(dir).unwrap_err().to_string().contains("no whole checkpoint"));
    }

    #[test]
    fn a_broken_list_of_connections_does_not_show_its_content() {
        let scratch = tempfile::tempdir().unwrap();
        let dir = Utf8Path::from_path(scratch.path()).unwrap();
        fs::write(dir.join(CONNECTIONS), r#"{"nova/api": "mysql://nova:s3cretpw@h/nova"}"#).unwrap();
        let error = connections(dir).unwrap_err().to_string();
        assert!(!error.contains("s3cretpw"), "{error}");
    }
}
