//! The lab's passwords: random, in one file that only its owner can read.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;

use camino::Utf8Path;
use ffu_model::secret::Secret;
use serde::{Deserialize, Serialize};

use crate::error::LabError;
use crate::layout::write_file;

/// Users of the demo projects, as the seeds know them.
const USERS: [&str; 3] = ["alice", "bob", "carol"];
/// Projects whose services have a user and a database account of their own.
pub(crate) const PROJECTS: [&str; 7] = ["keystone", "glance", "placement", "nova", "neutron", "cinder", "heat"];

/// Every password of a lab.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secrets {
    users: BTreeMap<String, Secret>,
    databases: BTreeMap<String, Secret>,
    heat_key: Secret,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    heat_auth_encryption_key: String,
    databases: BTreeMap<String, String>,
    users: BTreeMap<String, String>,
}

impl Secrets {
    /// New ones.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub(crate) fn generate() -> Result<Secrets, LabError> {
        let draw = |names: &mut dyn Iterator<Item = &str>| -> Result<BTreeMap<String, Secret>, LabError> {
            names.map(|name| Ok((name.to_owned(), random()?))).collect()
        };
        let services = PROJECTS.into_iter().filter(|name| *name != "keystone");
        Ok(Secrets {
            users: draw(&mut ["admin"].into_iter().chain(USERS).chain(services))?,
            databases: draw(&mut PROJECTS.into_iter())?,
            heat_key: random()?,
        })
    }

    /// Reads them.
    pub(crate) fn read(path: &Utf8Path) -> Result<Secrets, LabError> {
        let text = fs::read_to_string(path).map_err(LabError::io("read", path))?;
        let file: File = toml::from_str(&text).map_err(|error| LabError::Io {
            action: "read",
            path: path.to_owned(),
            // The message of the parser alone: its rendering would quote the line, and with it a password.
            source: std::io::Error::new(std::io::ErrorKind::InvalidData, error.message().to_owned()),
        })?;
        let wrap = |values: BTreeMap<String, String>| values.into_iter().map(|(k, v)| (k, Secret::new(v))).collect();
        Ok(Secrets {
            users: wrap(file.users),
            databases: wrap(file.databases),
            heat_key: Secret::new(file.heat_auth_encryption_key),
        })
    }

    /// Writes them, for the owner only.
    pub(crate) fn write(&self, path: &Utf8Path) -> Result<(), LabError> {
        let open = |values: &BTreeMap<String, Secret>| -> BTreeMap<String, String> {
            values.iter().map(|(k, v)| (k.clone(), v.expose().to_owned())).collect()
        };
        let file = File {
            heat_auth_encryption_key: self.heat_key.expose().to_owned(),
            databases: open(&self.databases),
            users: open(&self.users),
        };
        let text = toml::to_string(&file).map_err(|_| LabError::Io {
            action: "write",
            path: path.to_owned(),
            source: std::io::Error::other("the passwords cannot be written as TOML"),
        })?;
        write_file(path, text.as_bytes(), 0o600)
    }

    /// The password of a user: `admin`, `alice`, `bob`, `carol`, or a service's, such as `nova`.
    pub fn user(&self, name: &str) -> Option<&Secret> {
        self.users.get(name)
    }

    /// The password of a project's database account, which has the project's name.
    pub fn database(&self, project: &str) -> Option<&Secret> {
        self.databases.get(project)
    }

    pub(crate) fn users(&self) -> &BTreeMap<String, Secret> {
        &self.users
    }

    pub(crate) fn heat_key(&self) -> &Secret {
        &self.heat_key
    }

    /// All of them, for masking.
    pub fn all(&self) -> Vec<Secret> {
        let both = self.users.values().chain(self.databases.values());
        both.chain([&self.heat_key]).cloned().collect()
    }
}

/// 128 bits as 32 hexadecimal digits: long enough for heat's key, and safe in a URL, an INI file and TOML.
fn random() -> Result<Secret, LabError> {
    let mut bytes = [0_u8; 16];
    fs::File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut bytes))
        .map_err(LabError::io("read", "/dev/urandom"))?;
    Ok(Secret::new(ffu_model::digest::hex(&bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn passwords_differ_come_back_and_are_private() {
        let scratch = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(scratch.path()).unwrap().join("secrets.toml");
        let secrets = Secrets::generate().unwrap();
        secrets.write(&path).unwrap();
        assert_eq!(Secrets::read(&path).unwrap(), secrets);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let mut all: Vec<String> = secrets.all().iter().map(|s| s.expose().to_owned()).collect();
        assert_eq!(all.len(), 18);
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 18);
        assert!(!format!("{secrets:?}").contains(all[0].as_str()));
    }

    #[test]
    fn a_damaged_file_is_reported_without_its_content() {
        let scratch = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(scratch.path()).unwrap().join("secrets.toml");
        fs::write(&path, "heat_auth_encryption_key = \"hunter22\n").unwrap();
        let message = Secrets::read(&path).unwrap_err().to_string();
        assert!(!message.contains("hunter22"), "{message}");
    }
}
