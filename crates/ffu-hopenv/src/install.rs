//! The commands that make a venv and fill it: uv for Python 3.6 and up, virtualenv and pip for 2.7.

use std::collections::BTreeMap;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use ffu_catalog::types::Installer;
use ffu_hosts::{Exit, Spec, StopFlag, run};
use ffu_model::Series;
use ffu_model::secret::mask;

use crate::error::EnvError;
use crate::event::{BuildEvent, BuildEventKind};
use crate::interpreter::Interpreter;
use crate::report::tail;

/// How long one command of a build may take; the slowest real one, Rocky's pip on a busy machine, took 260 s.
const TIMEOUT: Duration = Duration::from_secs(2 * 3600);
/// How much of a failed command's output an error shows, in bytes.
const EXCERPT: usize = 2048;

/// One build, as its commands need to know it.
pub(crate) struct Job<'a> {
    pub series: &'a Series,
    pub installer: Installer,
    pub python: &'a Interpreter,
    /// The venv.
    pub directory: &'a Utf8Path,
    pub tools: &'a Utf8Path,
    pub variables: &'a BTreeMap<String, String>,
    /// Where outputs are kept.
    pub logs: &'a Utf8Path,
    /// Locked by the running command, see `ffu_hosts::process`.
    pub command_lock: &'a Utf8Path,
    pub offline: bool,
    pub find_links: Option<&'a Utf8Path>,
    pub compile_jobs: usize,
    pub stop: &'a StopFlag,
    pub progress: &'a (dyn Fn(BuildEvent) + Sync),
}

/// The file names of lock and build constraints in the environment, kept there so that it can be made again without `ffu`.
const LOCK: &str = "ffu-lock.txt";
const BUILD: &str = "ffu-build-constraints.txt";

impl Job<'_> {
    /// Makes the venv.
    pub(crate) fn create(&self) -> Result<(), EnvError> {
        let (tool, mut arguments) = match self.installer {
            Installer::Uv => ("uv", vec!["venv", "--no-project", "--python"]),
            Installer::Pip => ("virtualenv", vec!["--no-download", "--python"]),
        };
        arguments.extend([self.python.path.as_str(), self.directory.as_str()]);
        self.command(
            "making the venv",
            &self.tool(tool)?,
            &arguments,
            self.variables,
            "create",
        )
    }

    /// Installs the lock.
    pub(crate) fn install(&self, lock: &str, build_constraints: Option<&str>) -> Result<(), EnvError> {
        let write = |name: &str, text: &str| {
            let path = self.directory.join(name);
            std::fs::write(&path, text).map_err(EnvError::io("write", &path))?;
            Ok::<_, EnvError>(path)
        };
        let lock = write(LOCK, lock)?;
        // pip's last version for Python 2.7 stumbles over a constraints file, even one with nothing but comments in it.
        let constraints = build_constraints.filter(|text| {
            text.lines()
                .any(|line| !line.trim().is_empty() && !line.starts_with('#'))
        });
        let constraints = constraints.map(|text| write(BUILD, text)).transpose()?;
        let python = self.directory.join("bin/python");
        let mut arguments = Vec::new();
        let mut variables = self.variables.clone();
        let program = match self.installer {
            Installer::Uv => {
                arguments.extend(["pip", "sync", "--python", python.as_str(), "--require-hashes"]);
                if let Some(constraints) = &constraints {
                    arguments.extend(["--build-constraints", constraints.as_str()]);
                }
                if self.offline {
                    arguments.push("--offline");
                }
                self.tool("uv")?
            }
            Installer::Pip => {
                arguments.extend(["-m", "pip", "install", "--require-hashes", "--no-deps", "--no-compile"]);
                arguments.extend(["--no-warn-script-location", "-r"]);
                if let Some(constraints) = &constraints {
                    variables.insert("PIP_CONSTRAINT".to_owned(), constraints.to_string());
                }
                if self.offline && self.find_links.is_none() && !variables.contains_key("PIP_FIND_LINKS") {
                    return Err(EnvError::OfflineNeedsPackages {
                        series: self.series.to_string(),
                    });
                }
                python.clone()
            }
        };
        arguments.push(lock.as_str());
        if let Some(directory) = self.find_links {
            arguments.extend(["--find-links", directory.as_str()]);
        }
        if self.offline && (self.find_links.is_some() || self.installer == Installer::Pip) {
            arguments.push("--no-index");
        }
        self.command(
            "installing the packages of the lock",
            &program,
            &arguments,
            &variables,
            "install",
        )
    }

    /// Takes packages out of uv's or pip's cache.
    pub(crate) fn clean_cache(&self, packages: &[String]) -> Result<(), EnvError> {
        let what = "cleaning the package cache";
        match self.installer {
            Installer::Uv => {
                let mut arguments = vec!["cache", "clean"];
                arguments.extend(packages.iter().map(String::as_str));
                self.command(what, &self.tool("uv")?, &arguments, self.variables, "clean")
            }
            // This old pip can only empty its cache of wheels as a whole.
            Installer::Pip => {
                let python = self.directory.join("bin/python");
                self.command(what, &python, &["-m", "pip", "cache", "purge"], self.variables, "clean")
            }
        }
    }

    /// Compiles byte code. Files that are no Python of this version (templates, tests of other versions) fail; which
    /// files have byte code is recorded in the manifest.
    pub(crate) fn compile(&self, site_packages: &Utf8Path) -> Result<(), EnvError> {
        let jobs = self.compile_jobs.to_string();
        let mut arguments = vec!["-m", "compileall", "-q"];
        if self.python.minor() != "2.7" {
            arguments.extend(["-j", &jobs]);
        }
        arguments.push(site_packages.as_str());
        let python = self.directory.join("bin/python");
        self.command("compiling byte code", &python, &arguments, self.variables, "compile")
    }

    fn tool(&self, name: &'static str) -> Result<Utf8PathBuf, EnvError> {
        find_tool(name, self.tools, self.variables)
    }

    fn command(
        &self,
        what: &'static str,
        program: &Utf8Path,
        arguments: &[&str],
        variables: &BTreeMap<String, String>,
        log: &str,
    ) -> Result<(), EnvError> {
        let output = self.logs.join(format!("{}.{log}.log", self.series));
        let mut spec = Spec::new(program, &output, TIMEOUT).args(arguments.iter().copied());
        spec.environment = variables.clone();
        // A project file of the directory `ffu` was called in must not have a say.
        spec.current_dir = self.directory.parent().unwrap_or(self.directory).to_owned();
        spec.lock_file = Some(self.command_lock.to_owned());
        let ended = AtomicBool::new(false);
        let finished = std::thread::scope(|scope| {
            scope.spawn(|| self.follow(&output, &ended));
            let finished = run(&spec, self.stop);
            ended.store(true, Ordering::Release);
            finished
        })?;
        let tolerated = log == "compile" && finished.exit == Exit::Code(1);
        match finished.exit {
            Exit::Code(0) => Ok(()),
            Exit::Stopped => Err(EnvError::Stopped {
                series: self.series.to_string(),
            }),
            _ if tolerated => Ok(()),
            exit => Err(EnvError::Install {
                series: self.series.to_string(),
                what,
                how: exit.to_string(),
                excerpt: tail(&output, EXCERPT, &[]),
                log: output,
            }),
        }
    }

    /// Reports the last line of a growing output, a few times a second at most.
    fn follow(&self, output: &Utf8Path, ended: &AtomicBool) {
        let (mut last, mut length, mut rounds) = (String::new(), 0, 0_u32);
        while !ended.load(Ordering::Acquire) {
            std::thread::sleep(Duration::from_millis(20));
            rounds += 1;
            if !rounds.is_multiple_of(15) {
                continue;
            }
            let Some((now, line)) = last_line(output).filter(|(now, _)| *now != length) else {
                continue;
            };
            length = now;
            if line != last && !line.is_empty() {
                (self.progress)(BuildEvent {
                    series: self.series.clone(),
                    kind: BuildEventKind::Progress { line: line.clone() },
                });
                last = line;
            }
        }
    }
}

/// Length of a file and its last whole line, masked and cut.
fn last_line(path: &Utf8Path) -> Option<(u64, String)> {
    let mut file = std::fs::File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(4096))).ok()?;
    let mut bytes = Vec::new();
    file.take(4096).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let whole = text.get(..text.rfind('\n')?)?;
    let line = whole.rsplit('\n').next()?.trim();
    let plain: String = mask(line, &[]).chars().filter(|c| !c.is_control()).take(160).collect();
    Some((length, plain))
}

/// A tool of the tools venv, or on `PATH`.
pub(crate) fn find_tool(
    name: &'static str,
    tools: &Utf8Path,
    variables: &BTreeMap<String, String>,
) -> Result<Utf8PathBuf, EnvError> {
    let path = variables.get("PATH").map_or("", String::as_str);
    let on_path = path.split(':').filter(|d| d.starts_with('/')).map(Utf8PathBuf::from);
    std::iter::once(tools.join("bin"))
        .chain(on_path)
        .map(|directory| directory.join(name))
        .find(|candidate| candidate.is_file())
        .ok_or_else(|| EnvError::NoTool {
            tool: name,
            directory: tools.to_owned(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_tool_names_the_script_that_installs_it() {
        let error = find_tool("uv", Utf8Path::new("/nonexistent/tools"), &BTreeMap::new()).unwrap_err();
        assert!(error.to_string().contains("`scripts/setup-tools`"), "{error}");
    }

    #[test]
    fn the_last_line_is_whole_and_masked() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = Utf8Path::from_path(file.path()).unwrap();
        std::fs::write(path, "first\nIndex https://me:hunter22@host/simple\nhalf a li").unwrap();
        assert_eq!(last_line(path).unwrap().1, "Index https://me:***@host/simple");
        std::fs::write(path, "no line end").unwrap();
        assert_eq!(last_line(path), None);
    }
}
