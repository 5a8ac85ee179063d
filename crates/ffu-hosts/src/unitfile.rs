//! Unit files of the [`crate::Supervisor`]: `DIR/NAME.toml`, read strictly, written atomically.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;

use camino::{Utf8Path, Utf8PathBuf};
use ffu_model::Series;
use ffu_model::cloud::{ServiceRole, is_name};
use ffu_model::secret::mask;
use serde::{Deserialize, Serialize};

use crate::http::HttpUrl;
use crate::services::ServiceError;

/// Largest unit file, in bytes.
const LARGEST: u64 = 64 << 10;

/// A service as a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnitFile {
    /// The unit's name; the file's name without `.toml`.
    pub name: String,
    /// The service's name in the catalog.
    pub service: String,
    /// Its project.
    pub project: String,
    /// Control plane or agent.
    pub role: ServiceRole,
    /// The series whose packages serve.
    pub series: Series,
    /// Program (absolute path) and arguments. No secret.
    pub command: Vec<String>,
    /// Its working directory (absolute).
    pub working_directory: Utf8PathBuf,
    /// Where its output is appended (absolute).
    pub log: Utf8PathBuf,
    /// Its whole environment. No secret: services read theirs from configuration files.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// How it is asked whether it is well; agents have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe: Option<UnitProbe>,
}

/// How a service is asked whether it is well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnitProbe {
    /// A plain HTTP URL.
    pub url: String,
}

impl UnitFile {
    /// Why it cannot be used, if so.
    pub fn refusal(&self) -> Option<String> {
        for (what, name) in [
            ("name", &self.name),
            ("service", &self.service),
            ("project", &self.project),
        ] {
            if !is_name(name) {
                let shown: String = name.chars().take(60).collect();
                return Some(format!(
                    "{what} {shown:?} is not a name (lower-case letters, digits, - and _)"
                ));
            }
        }
        match self.command.first() {
            None => return Some("command is empty".to_owned()),
            Some(program) if !Utf8Path::new(program).is_absolute() => {
                return Some(format!("the program {program:?} is not an absolute path"));
            }
            Some(_) => {}
        }
        for (what, path) in [("working_directory", &self.working_directory), ("log", &self.log)] {
            if !path.is_absolute() {
                return Some(format!("{what} {path:?} is not an absolute path"));
            }
        }
        let variables = self.environment.iter().flat_map(|(key, value)| [key, value]);
        let texts = || self.command.iter().chain(variables.clone());
        if texts().any(|text| text.contains('\0'))
            || self.environment.keys().any(|key| key.is_empty() || key.contains('='))
        {
            return Some("a NUL byte, or a variable name that is empty or has a =".to_owned());
        }
        if texts().any(|text| mask(text, &[]) != *text) {
            return Some(
                "a URL with a password in the command or the environment: put it into the service's configuration file"
                    .to_owned(),
            );
        }
        match &self.probe {
            Some(probe) => HttpUrl::parse(&probe.url).err().map(|error| error.to_string()),
            None => None,
        }
    }

    /// Reads and checks a unit file.
    pub(crate) fn read(path: &Utf8Path) -> Result<UnitFile, ServiceError> {
        let bad = |why: String| ServiceError::BadUnitFile {
            path: path.to_owned(),
            why,
        };
        let io = |source| ServiceError::Io {
            action: "read",
            path: path.to_owned(),
            source,
        };
        let mut bytes = Vec::new();
        let file = std::fs::File::open(path).map_err(io)?;
        file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(io)?;
        if bytes.len() as u64 > LARGEST {
            return Err(bad(format!("it is larger than {} KiB", LARGEST >> 10)));
        }
        let text = String::from_utf8(bytes).map_err(|_| bad("it is not UTF-8".to_owned()))?;
        let unit: UnitFile = toml::from_str(&text).map_err(|error| bad(error.to_string()))?;
        if path.file_stem() != Some(unit.name.as_str()) {
            return Err(bad(format!("it names another unit, {:?}", unit.name)));
        }
        match unit.refusal() {
            Some(why) => Err(bad(why)),
            None => Ok(unit),
        }
    }

    /// Writes it into a directory: whole or not at all.
    pub(crate) fn write(&self, directory: &Utf8Path) -> Result<(), ServiceError> {
        let path = directory.join(format!("{}.toml", self.name.chars().take(64).collect::<String>()));
        if let Some(why) = self.refusal() {
            return Err(ServiceError::BadUnitFile { path, why });
        }
        let text = toml::to_string(self).map_err(|error| ServiceError::BadUnitFile {
            path: path.clone(),
            why: error.to_string(),
        })?;
        write_atomically(&path, text.as_bytes())
    }
}

/// Replaces a file: synced before it gets its name, so that a crash leaves the old or the new one.
pub(crate) fn write_atomically(path: &Utf8Path, bytes: &[u8]) -> Result<(), ServiceError> {
    let mut temporary = path.as_str().to_owned();
    temporary.push_str(&format!(".{}.new", std::process::id()));
    let write = || {
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o644)
            .open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)
    };
    write().map_err(|source| {
        let _ = std::fs::remove_file(&temporary);
        ServiceError::Io {
            action: "write",
            path: path.to_owned(),
            source,
        }
    })
}
