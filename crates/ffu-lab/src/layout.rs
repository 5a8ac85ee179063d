//! The directory of a lab: what is where, and `lab.toml`, which makes a directory a lab.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;

use camino::{Utf8Path, Utf8PathBuf};
use ffu_db::PrivateServer;
use ffu_hosts::Supervisor;
use ffu_model::Series;
use serde::{Deserialize, Serialize};

use crate::dataplane::DataPlane;
use crate::error::LabError;
use crate::secrets::Secrets;

/// The format of `lab.toml`.
pub const FORMAT: u32 = 1;

/// `lab.toml`: written before anything else, so that whatever a crash leaves can be removed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabFile {
    /// [`FORMAT`].
    pub format: u32,
    /// Whether it is whole.
    pub state: LabState,
    /// The series it was made at.
    pub series: Series,
    /// How many instances it was asked to have.
    pub size: u32,
    /// When it was made.
    pub created: jiff::Timestamp,
    /// Where its services listen on 127.0.0.1.
    pub ports: Ports,
}

/// How far a lab is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LabState {
    /// `up` began and did not end, or has not yet.
    Building,
    /// It is there.
    Ready,
}

/// TCP ports on 127.0.0.1; the database's is 0 until it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ports {
    /// Keystone.
    pub keystone: u16,
    /// Placement.
    pub placement: u16,
    /// MariaDB.
    pub database: u16,
}

/// A lab that exists.
#[derive(Clone, Debug)]
pub struct Lab {
    dir: Utf8PathBuf,
    file: LabFile,
}

impl Lab {
    /// Opens the lab in a directory, finished or not.
    ///
    /// # Errors
    /// [`LabError::NotALab`].
    pub fn open(dir: &Utf8Path) -> Result<Lab, LabError> {
        let not_a_lab = |why: String| LabError::NotALab {
            dir: dir.to_owned(),
            why,
        };
        let real = dir.canonicalize_utf8().map_err(|error| not_a_lab(error.to_string()))?;
        let text =
            fs::read_to_string(real.join("lab.toml")).map_err(|error| not_a_lab(format!("lab.toml: {error}")))?;
        let file: LabFile =
            toml::from_str(&text).map_err(|error| not_a_lab(format!("lab.toml: {}", error.message())))?;
        if file.format != FORMAT {
            return Err(not_a_lab(format!(
                "lab.toml has format {}, this program knows {FORMAT}",
                file.format
            )));
        }
        Ok(Lab { dir: real, file })
    }

    /// Makes the directory and its `lab.toml`.
    pub(crate) fn found(dir: &Utf8Path, file: LabFile) -> Result<Lab, LabError> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
        if !dir.is_absolute() || !dir.as_str().chars().all(plain) || dir.components().any(|part| part.as_str() == "..")
        {
            return Err(LabError::BadDirectory { dir: dir.to_owned() });
        }
        fs::create_dir_all(dir).map_err(LabError::io("create", dir))?;
        let mut entries = fs::read_dir(dir).map_err(LabError::io("read", dir))?;
        if entries.next().is_some() {
            return Err(LabError::NotEmpty { dir: dir.to_owned() });
        }
        let dir = dir.canonicalize_utf8().map_err(LabError::io("read", dir))?;
        if !dir.as_str().chars().all(plain) {
            return Err(LabError::BadDirectory { dir });
        }
        let lab = Lab { dir, file };
        lab.save()?;
        for part in ["etc", "log", "run", "run/locks", "seeds", "services"] {
            let path = lab.dir.join(part);
            fs::create_dir_all(&path).map_err(LabError::io("create", path))?;
        }
        Ok(lab)
    }

    pub(crate) fn save(&self) -> Result<(), LabError> {
        let path = self.dir.join("lab.toml");
        let text = toml::to_string(&self.file).map_err(|error| LabError::Io {
            action: "write",
            path: path.clone(),
            source: std::io::Error::other(error),
        })?;
        write_file(&path, text.as_bytes(), 0o644)
    }

    pub(crate) fn set(&mut self, change: impl FnOnce(&mut LabFile)) -> Result<(), LabError> {
        change(&mut self.file);
        self.save()
    }

    /// Refuses a lab that was never finished.
    ///
    /// # Errors
    /// [`LabError::Unfinished`].
    pub fn finished(self) -> Result<Lab, LabError> {
        match self.file.state {
            LabState::Ready => Ok(self),
            LabState::Building => Err(LabError::Unfinished { dir: self.dir }),
        }
    }

    /// Its directory, absolute and without symbolic links.
    pub fn dir(&self) -> &Utf8Path {
        &self.dir
    }

    /// What `lab.toml` says.
    pub fn file(&self) -> &LabFile {
        &self.file
    }

    /// The configuration files, as a plain deployment would have them.
    pub fn etc(&self) -> Utf8PathBuf {
        self.dir.join("etc")
    }

    /// Where the database server lives.
    pub fn server_dir(&self) -> Utf8PathBuf {
        self.dir.join("mariadb")
    }

    /// The database server.
    ///
    /// # Errors
    /// There is none yet.
    pub fn server(&self) -> Result<PrivateServer, LabError> {
        Ok(PrivateServer::open_existing(&self.server_dir())?)
    }

    /// What starts and stops its services.
    pub fn services(&self) -> Supervisor {
        Supervisor::new(self.dir.join("services"))
    }

    /// Its data plane, if it was made with one.
    ///
    /// # Errors
    /// The data plane was never finished, or its state file is damaged.
    pub fn data_plane(&self) -> Result<Option<DataPlane>, LabError> {
        match DataPlane::exists(&self.dir) {
            true => Ok(Some(DataPlane::open(&self.dir)?)),
            false => Ok(None),
        }
    }

    /// Its passwords.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn secrets(&self) -> Result<Secrets, LabError> {
        Secrets::read(&self.dir.join("secrets.toml"))
    }

    /// Where keystone listens.
    pub fn keystone_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.file.ports.keystone)
    }

    /// Where placement listens.
    pub fn placement_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.file.ports.placement)
    }
}

/// Replaces a file, with these permissions from its first byte on.
pub(crate) fn write_file(path: &Utf8Path, bytes: &[u8], mode: u32) -> Result<(), LabError> {
    let new = Utf8PathBuf::from(format!("{path}.new"));
    let write = || -> std::io::Result<()> {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        match fs::remove_file(&new) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&new, path)
    };
    write().map_err(LabError::io("write", path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn file() -> LabFile {
        LabFile {
            format: FORMAT,
            state: LabState::Building,
            series: "train".parse().unwrap(),
            size: 5,
            created: jiff::Timestamp::UNIX_EPOCH,
            ports: Ports {
                keystone: 1,
                placement: 2,
                database: 0,
            },
        }
    }

    #[test]
    fn a_lab_is_found_again_and_only_a_lab_is_one() {
        let scratch = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(scratch.path()).unwrap();
        let lab = Lab::found(&root.join("a"), file()).unwrap();
        let opened = Lab::open(lab.dir()).unwrap();
        assert_eq!(opened.file(), &file());
        assert!(matches!(opened.finished(), Err(LabError::Unfinished { .. })));
        assert!(matches!(
            Lab::found(&root.join("a"), file()),
            Err(LabError::NotEmpty { .. })
        ));
        assert!(matches!(Lab::open(root), Err(LabError::NotALab { .. })));
        fs::write(root.join("lab.toml"), "format = 1\nstate = \"ready\"\nremove = \"/\"\n").unwrap();
        assert!(matches!(Lab::open(root), Err(LabError::NotALab { .. })));
        for bad in ["relative", "/a b", "/a/../b", "/a\nb", "/a%b"] {
            assert!(
                matches!(
                    Lab::found(Utf8Path::new(bad), file()),
                    Err(LabError::BadDirectory { .. })
                ),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn files_have_their_permissions_and_replace_others() {
        let scratch = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(scratch.path()).unwrap().join("deep/secret");
        write_file(&path, b"a", 0o600).unwrap();
        write_file(&path, b"b", 0o600).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"b");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
