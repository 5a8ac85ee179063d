//! A project's command run in its environment: with its configuration, a clean environment, and nothing of the caller's.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::DirBuilderExt as _;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use ffu_hosts::process::DEFAULT_GRACE;
use ffu_hosts::{Finished, ProcessError, Spec, StopFlag, run};
use ffu_model::Series;
use ffu_model::secret::Secret;
use ffu_model::step::{CommandAction, ConfigStyle, is_step_id};

use crate::check;
use crate::error::EnvError;
use crate::manifest::Manifest;
use crate::masking::mask_file;
use crate::store::EnvInfo;

/// An environment in use; it is not removed as long as this lives.
#[derive(Debug)]
pub struct HopEnv {
    directory: Utf8PathBuf,
    manifest: Manifest,
    /// Holds the shared lock.
    _in_use: File,
}

/// One run of a project's command.
#[derive(Clone, Copy, Debug)]
pub struct ProjectCommand<'a> {
    /// What the plan says.
    pub action: &'a CommandAction,
    /// Its configuration files: absolute, `{staged}` resolved.
    pub config_files: &'a [Utf8PathBuf],
    /// A private file with one more option, read after the others.
    pub overlay_file: Option<&'a Utf8Path>,
    /// Where the output goes: `NAME.out`, both streams in order.
    pub output_dir: &'a Utf8Path,
    /// The step's id and attempt, or anything else that is a step id.
    pub name: &'a str,
    /// After so long it has failed.
    pub timeout: Duration,
    /// Locked for as long as the command lives.
    pub lock_file: Option<&'a Utf8Path>,
    /// What must not be read in the output.
    pub secrets: &'a [Secret],
}

impl ProjectCommand<'_> {
    /// Where the output goes.
    pub fn output(&self) -> Utf8PathBuf {
        self.output_dir.join(format!("{}.out", self.name))
    }
}

/// Why a project's command could not be run; how it ended is no error here.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The name would not be a safe file name.
    #[error("{name:?} cannot name an output: a step id has lower-case letters, digits and -_. only")]
    BadName {
        /// What was given, cut.
        name: String,
    },
    /// The environment has no such program.
    #[error(
        "the hop environment of {series} has no program {program}: `ffu env verify {series}` tells whether it is whole"
    )]
    NoProgram {
        /// The series.
        series: String,
        /// The program, cut.
        program: String,
    },
    /// A configuration file is not there.
    #[error("the configuration file {path} of {program} is missing: was it removed after `ffu plan`?")]
    NoConfig {
        /// The file.
        path: Utf8PathBuf,
        /// The program.
        program: String,
    },
    /// The command has no way to be given these files.
    #[error("{program} of {series} reads its configuration from the directory that {variable} names: {why}")]
    ConfigDirectory {
        /// The program.
        program: String,
        /// The series.
        series: String,
        /// The variable.
        variable: String,
        /// What does not fit.
        why: &'static str,
    },
    /// A file of the run could not be written.
    #[error("cannot {action} {path}: {source}; free some space or correct the permissions, then `ffu resume`")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The path.
        path: Utf8PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It ran, and the process that would know how it ended was killed meanwhile.
    #[error(
        "nobody saw how {program} ended, because its warm process was killed meanwhile: read its output, then `ffu resume`"
    )]
    EndUnknown {
        /// The program.
        program: String,
    },
    /// It could not be started.
    #[error(transparent)]
    Process(#[from] ProcessError),
}

impl HopEnv {
    pub(crate) fn new(directory: Utf8PathBuf, manifest: Manifest, in_use: File) -> HopEnv {
        HopEnv {
            directory,
            manifest,
            _in_use: in_use,
        }
    }

    /// Its series.
    pub fn series(&self) -> &Series {
        &self.manifest.series
    }

    /// The venv.
    pub fn directory(&self) -> &Utf8Path {
        &self.directory
    }

    /// Its site-packages directory.
    pub fn site_packages(&self) -> Utf8PathBuf {
        self.directory.join(&self.manifest.site_packages)
    }

    /// What is known of it.
    pub fn info(&self) -> EnvInfo {
        EnvInfo::of(&self.manifest, &self.directory)
    }

    pub(crate) fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Whether its files have the sizes and times they were built with.
    ///
    /// # Errors
    /// [`EnvError::Tampered`], [`EnvError::Stale`].
    pub fn verify_quick(&self) -> Result<(), EnvError> {
        check::interpreter(&self.directory, &self.manifest)?;
        check::files(&self.directory, &self.manifest, true)
    }

    /// A program of the environment's `bin`.
    ///
    /// # Errors
    /// [`RunError::NoProgram`].
    pub fn program(&self, name: &str) -> Result<Utf8PathBuf, RunError> {
        let path = self.directory.join("bin").join(name);
        let plain = !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\0']);
        if plain && path.is_file() {
            return Ok(path);
        }
        Err(RunError::NoProgram {
            series: self.series().to_string(),
            program: name.chars().filter(|c| !c.is_control()).take(80).collect(),
        })
    }

    /// The environment variables of anything that runs in this environment: its own `bin` first, nothing of the caller's.
    pub fn variables(&self, home: &Utf8Path) -> BTreeMap<String, String> {
        [
            ("PATH", format!("{}/bin:/usr/bin:/bin", self.directory)),
            ("HOME", home.to_string()),
            ("LANG", "C.UTF-8".to_owned()),
            // Output has to be in the file when a command is killed.
            ("PYTHONUNBUFFERED", "1".to_owned()),
            // Python 2 writes ASCII to files otherwise, and dies of the first other letter.
            ("PYTHONIOENCODING", "UTF-8".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }

    /// Runs a command and masks its output. What it means is for [`crate::judge`] to say.
    ///
    /// # Errors
    /// [`RunError`]: it was not run, or its output could not be masked.
    pub fn run(&self, command: &ProjectCommand<'_>, stop: &StopFlag) -> Result<Finished, RunError> {
        let prepared = self.prepare(command)?;
        let finished = run(&prepared.spec, stop)?;
        prepared.mask(command)?;
        Ok(finished)
    }

    /// What a command is, whichever way it is run.
    pub(crate) fn prepare(&self, command: &ProjectCommand<'_>) -> Result<Prepared, RunError> {
        if !is_step_id(command.name) {
            return Err(RunError::BadName {
                name: command.name.chars().take(80).collect(),
            });
        }
        let action = command.action;
        for path in command
            .config_files
            .iter()
            .map(Utf8PathBuf::as_path)
            .chain(command.overlay_file)
        {
            if !path.is_file() {
                return Err(RunError::NoConfig {
                    path: path.to_owned(),
                    program: action.program.clone(),
                });
            }
        }
        let home = Home::make(&command.output_dir.join(format!(".home-{}", command.name)))?;
        let mut environment = self.variables(&home.0);
        let mut arguments = Vec::new();
        match action.config_style {
            ConfigStyle::Arguments => {
                let files = command
                    .config_files
                    .iter()
                    .map(Utf8PathBuf::as_path)
                    .chain(command.overlay_file);
                arguments.extend(files.flat_map(|file| ["--config-file".to_owned(), file.to_string()]));
            }
            ConfigStyle::Environment => {
                let (variable, directory) = self.config_directory(command)?;
                environment.insert(variable, directory);
            }
        }
        arguments.extend(action.arguments.iter().cloned());
        let output = command.output();
        let spec = Spec {
            program: self.program(&action.program)?,
            arguments,
            environment,
            current_dir: home.0.clone(),
            stdout: output.clone(),
            stderr: output,
            timeout: command.timeout,
            grace: DEFAULT_GRACE,
            lock_file: command.lock_file.map(Utf8Path::to_owned),
        };
        Ok(Prepared { spec, _home: home })
    }

    fn config_directory(&self, command: &ProjectCommand<'_>) -> Result<(String, String), RunError> {
        let variable = command.action.config_variable.clone().unwrap_or_default();
        let unfit = |why| RunError::ConfigDirectory {
            program: command.action.program.clone(),
            series: self.series().to_string(),
            variable: variable.clone(),
            why,
        };
        if variable.is_empty() || variable.contains(['=', '\0']) {
            return Err(unfit("the plan does not name the variable"));
        }
        if command.overlay_file.is_some() {
            return Err(unfit("it cannot be given one more file"));
        }
        let mut directories = command.config_files.iter().map(|file| file.parent());
        let directory = directories
            .next()
            .flatten()
            .ok_or_else(|| unfit("there is no file to take the directory of"))?;
        if directories.any(|other| other != Some(directory)) {
            return Err(unfit("its files are in different directories"));
        }
        let text = directory.to_string();
        Ok((variable, text))
    }
}

/// A command that can be run, and the private home that it is given.
pub(crate) struct Prepared {
    pub spec: Spec,
    _home: Home,
}

impl Prepared {
    /// Masks what it has written.
    pub(crate) fn mask(&self, command: &ProjectCommand<'_>) -> Result<(), RunError> {
        mask_file(&self.spec.stdout, command.secrets).map_err(|source| RunError::Io {
            action: "mask the secrets in",
            path: self.spec.stdout.clone(),
            source,
        })
    }
}

/// A private home and working directory: some programs write caches and lock files where they are.
struct Home(Utf8PathBuf);

impl Home {
    fn make(path: &Utf8Path) -> Result<Home, RunError> {
        let home = Home(path.to_owned());
        let _ = std::fs::remove_dir_all(path);
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(|source| RunError::Io {
                action: "make the directory",
                path: path.to_owned(),
                source,
            })?;
        Ok(home)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
