//! Finding a Python of the right minor version: the one that was asked for, uv's, pyenv's, the system's.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};

use crate::error::EnvError;

/// How long an interpreter may take to say its version.
const PATIENCE: Duration = Duration::from_secs(30);

/// A Python that can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interpreter {
    /// Its path.
    pub path: Utf8PathBuf,
    /// Its full version, e.g. `3.11.7`.
    pub version: String,
}

impl Interpreter {
    /// The minor version, e.g. `3.11`.
    pub(crate) fn minor(&self) -> String {
        minor_of(&self.version)
    }
}

/// `3.11` of `3.11.7`.
pub(crate) fn minor_of(version: &str) -> String {
    version.split('.').take(2).collect::<Vec<_>>().join(".")
}

/// The interpreter for a series. With `given`, only that one; else the first that answers with the wanted minor version
/// of uv's managed ones, pyenv's and those on `PATH` (pyenv's shims aside, which answer with whatever is selected).
///
/// # Errors
/// [`EnvError::NoInterpreter`] and [`EnvError::WrongInterpreter`], with the command that gets one.
pub(crate) fn find(
    series: &str,
    wanted: &str,
    given: Option<&Utf8Path>,
    variables: &BTreeMap<String, String>,
) -> Result<Interpreter, EnvError> {
    if let Some(path) = given {
        let found = ask(path);
        return match found {
            Some(interpreter) if interpreter.minor() == wanted => Ok(interpreter),
            other => Err(EnvError::WrongInterpreter {
                series: series.to_owned(),
                path: path.to_owned(),
                found: other.map_or_else(
                    || "no Python that answers".to_owned(),
                    |i| format!("Python {}", i.version),
                ),
                wanted: wanted.to_owned(),
                advice: advice(wanted),
            }),
        };
    }
    candidates(wanted, variables)
        .iter()
        .filter_map(|path| ask(path))
        .find(|interpreter| interpreter.minor() == wanted)
        .ok_or_else(|| EnvError::NoInterpreter {
            series: series.to_owned(),
            version: wanted.to_owned(),
            advice: advice(wanted),
        })
}

/// The command that gets an interpreter. uv offers CPython from 3.7 on and PyPy below, so older ones come from pyenv.
fn advice(wanted: &str) -> String {
    match wanted {
        "2.7" => "`pyenv install 2.7.18` gets it".to_owned(),
        "3.6" => "`pyenv install 3.6.15` gets it".to_owned(),
        _ => format!("`uv python install {wanted}` or `pyenv install {wanted}` gets it"),
    }
}

fn candidates(wanted: &str, variables: &BTreeMap<String, String>) -> Vec<Utf8PathBuf> {
    let program = format!("python{wanted}");
    let home = variables.get("HOME").map(Utf8PathBuf::from);
    let directory = |variable: &str| variables.get(variable).filter(|v| !v.is_empty()).map(Utf8PathBuf::from);
    let below_home = |path: &str| home.as_ref().map(|home| home.join(path));
    let mut found = Vec::new();
    let managed = directory("UV_PYTHON_INSTALL_DIR")
        .or_else(|| directory("XDG_DATA_HOME").map(|data| data.join("uv/python")))
        .or_else(|| below_home(".local/share/uv/python"));
    if let Some(managed) = managed {
        found.extend(versions_in(&managed, &format!("cpython-{wanted}."), &program));
    }
    if let Some(pyenv) = directory("PYENV_ROOT").or_else(|| below_home(".pyenv")) {
        found.extend(versions_in(&pyenv.join("versions"), &format!("{wanted}."), &program));
    }
    let path = variables.get("PATH").map_or("", String::as_str);
    let on_path = path
        .split(':')
        .filter(|directory| directory.starts_with('/') && !directory.trim_end_matches('/').ends_with("/shims"))
        .map(|directory| Utf8Path::new(directory).join(&program));
    found.extend(on_path);
    found.retain(|path| is_executable(path));
    found
}

/// `DIR/PREFIX*/bin/PROGRAM`, newest patch version first.
fn versions_in(directory: &Utf8Path, prefix: &str, program: &str) -> Vec<Utf8PathBuf> {
    let Ok(entries) = directory.read_dir_utf8() else {
        return Vec::new();
    };
    let mut found: Vec<(u32, String)> = entries
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name();
            let patch = name.strip_prefix(prefix)?;
            let digits: String = patch.chars().take_while(char::is_ascii_digit).collect();
            Some((digits.parse().ok()?, name.to_owned()))
        })
        .collect();
    found.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    found
        .into_iter()
        .map(|(_, name)| directory.join(name).join("bin").join(program))
        .collect()
}

fn is_executable(path: &Utf8Path) -> bool {
    std::fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// What a program says when asked for its Python version; `None` if it is none, or does not answer.
pub(crate) fn ask(path: &Utf8Path) -> Option<Interpreter> {
    let question = "import sys; sys.stdout.write('%d.%d.%d' % sys.version_info[:3])";
    let mut child = Command::new(path)
        .args(["-E", "-s", "-S", "-c", question])
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    // The answer is shorter than a pipe's buffer, so waiting before reading cannot block it.
    let deadline = Instant::now() + PATIENCE;
    while matches!(child.try_wait(), Ok(None)) {
        if Instant::now() >= deadline {
            let _ = child.kill();
            break;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let output = child.wait_with_output().ok().filter(|output| output.status.success())?;
    let version = String::from_utf8(output.stdout).ok()?;
    let sound = version.split('.').count() == 3 && version.split('.').all(|part| part.parse::<u32>().is_ok());
    sound.then(|| Interpreter {
        path: path.to_owned(),
        version,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(path: &Utf8Path, answer: &str) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, format!("#!/bin/sh\nprintf '{answer}'\n")).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn home() -> (tempfile::TempDir, Utf8PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(directory.path().to_owned()).unwrap();
        (directory, path)
    }

    fn variables(home: &Utf8Path, path: &str) -> BTreeMap<String, String> {
        [("HOME", home.as_str()), ("PATH", path)]
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .into()
    }

    #[test]
    fn uv_comes_before_pyenv_before_path_and_newer_before_older() {
        let (_keep, home) = home();
        let system = home.join("usr/bin");
        script(&system.join("python3.11"), "3.11.2");
        let vars = variables(&home, &format!("{home}/.pyenv/shims:{system}"));
        script(&home.join(".pyenv/shims/python3.11"), "3.11.99");
        assert_eq!(find("2024.1", "3.11", None, &vars).unwrap().version, "3.11.2");
        script(&home.join(".pyenv/versions/3.11.9/bin/python3.11"), "3.11.9");
        script(&home.join(".pyenv/versions/3.11.10/bin/python3.11"), "3.11.10");
        script(&home.join(".pyenv/versions/3.1.1/bin/python3.11"), "3.1.1");
        assert_eq!(find("2024.1", "3.11", None, &vars).unwrap().version, "3.11.10");
        script(
            &home.join(".local/share/uv/python/cpython-3.11.4-linux/bin/python3.11"),
            "3.11.4",
        );
        assert_eq!(find("2024.1", "3.11", None, &vars).unwrap().version, "3.11.4");
    }

    #[test]
    fn a_missing_one_gives_the_command_that_gets_it() {
        let (_keep, home) = home();
        let vars = variables(&home, "");
        let error = find("2024.1", "3.11", None, &vars).unwrap_err().to_string();
        assert!(
            error.contains("`uv python install 3.11`") && error.contains("2024.1"),
            "{error}"
        );
        let error = find("rocky", "2.7", None, &vars).unwrap_err().to_string();
        assert!(error.contains("`pyenv install 2.7.18`"), "{error}");
    }

    #[test]
    fn a_given_one_must_be_a_python_of_that_version() {
        let (_keep, home) = home();
        let vars = variables(&home, "");
        let other = home.join("python");
        script(&other, "3.9.18");
        let error = find("2024.1", "3.11", Some(&other), &vars).unwrap_err().to_string();
        assert!(
            error.contains("is Python 3.9.18") && error.contains("needs Python 3.11"),
            "{error}"
        );
        script(&other, "hello");
        let error = find("2024.1", "3.11", Some(&other), &vars).unwrap_err().to_string();
        assert!(error.contains("no Python that answers"), "{error}");
        script(&other, "3.11.1");
        assert_eq!(find("2024.1", "3.11", Some(&other), &vars).unwrap().path, other);
    }
}
