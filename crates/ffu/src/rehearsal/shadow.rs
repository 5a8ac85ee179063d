//! The plan that is rehearsed: the same steps, with every connection, configuration file and service of the cloud replaced.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;

use camino::{Utf8Path, Utf8PathBuf};
use ffu_config::era::Era;
use ffu_db::{ConnectionUrl, resolve};
use ffu_model::cloud::{ConnectionRef, ServiceManagerKind};
use ffu_model::rehearsal::NotRehearsed;
use ffu_model::step::{Action, CommandAction, ConfigStyle, Step};
use ffu_model::{Phase, Plan};

use super::conf;
use super::copy::Copies;
use super::place::write_private;

/// The plan for the copy, and what commands of it read.
pub struct Shadow {
    /// It has an id of its own and is never written where a run would find it.
    pub plan: Plan,
    /// The steps that are left out.
    pub not_rehearsed: Vec<NotRehearsed>,
    /// Where connections and configuration are.
    pub ground: Ground,
}

/// The private directory of a rehearsal, and what in it commands are given.
pub struct Ground {
    /// The directory.
    pub private: Utf8PathBuf,
    /// Address of the private server.
    pub address: String,
    /// How configuration is read.
    pub era: Era,
    /// Its copies, by the staged file they are made from.
    pub staged: BTreeMap<Utf8PathBuf, Utf8PathBuf>,
    /// The copies' URLs by address and schema of the cloud.
    urls: BTreeMap<(String, String), ConnectionUrl>,
}

impl Ground {
    /// The file with every connection of the rehearsal, one section each.
    pub fn connections(&self) -> Utf8PathBuf {
        self.private.join("connections.conf")
    }

    /// An empty directory, given as `--config-dir`: without one, programs also read `/etc/PROJECT/PROJECT.conf.d` of this
    /// host, after every `--config-file` (oslo_config/cfg.py, `_parse_config_files`).
    pub fn nothing(&self) -> Utf8PathBuf {
        self.private.join("no.conf.d")
    }

    /// The argument that does it. In one word: the option takes a list, and would take the command for a part of it.
    pub fn without_directories(&self) -> String {
        format!("--config-dir={}", self.nothing())
    }

    fn url_of_copy(&self, url: &ConnectionUrl) -> Option<String> {
        let schema = url.schema()?.to_owned();
        let copy = self.urls.get(&(url.address(), schema))?;
        Some(copy.to_url().expose().to_owned())
    }

    /// Writes the form of a configuration file that leads nowhere but to the copy.
    ///
    /// # Errors
    /// In words, with the file.
    pub fn isolate(&self, from: &Utf8Path, to: &Utf8Path) -> Result<(), String> {
        let named = |error: String| format!("{from}: {error}");
        let bytes = fs::read(from).map_err(|error| named(error.to_string()))?;
        let isolated = conf::isolated(&bytes, from, self.era, &|url| self.url_of_copy(url)).map_err(named)?;
        write_private(to, &isolated)
    }

    /// Whether a file that a command is given leads out of the rehearsal, or lies outside it.
    ///
    /// # Errors
    /// The option that does.
    pub fn check_file(&self, file: &Utf8Path) -> Result<(), String> {
        if !file.starts_with(&self.private) {
            return Err(format!("{file} is the cloud's own, not the rehearsal's"));
        }
        let bytes = fs::read(file).map_err(|error| format!("{file}: {error}"))?;
        conf::check(&bytes, self.era, &self.address).map_err(|error| format!("{file}: {error}"))
    }

    /// Whether a reference leads to the private server.
    ///
    /// # Errors
    /// Where it leads instead; no secret.
    pub fn check_reference(&self, reference: &ConnectionRef) -> Result<(), String> {
        match reference {
            ConnectionRef::Config { file, .. } if *file == self.connections() => {}
            other => return Err(format!("{} is not the rehearsal's", place_of(other))),
        }
        let url = resolve(reference).map_err(|error| error.to_string())?;
        if url.address() == self.address {
            return Ok(());
        }
        Err(format!(
            "it would reach {}, not the copy at {}",
            url.address(),
            self.address
        ))
    }
}

fn place_of(reference: &ConnectionRef) -> String {
    match reference {
        ConnectionRef::Config { file, section, option }
        | ConnectionRef::SameServer {
            file, section, option, ..
        } => {
            format!("[{section}] {option} of {file}")
        }
        ConnectionRef::CellMapping { file, uuid } => format!("the mapping of cell {uuid} ({file})"),
    }
}

/// Why a step is not rehearsed.
pub fn left_out(step: &Step) -> Option<&'static str> {
    if step.phase >= Phase::Release {
        return Some("it follows `ffu accept`");
    }
    match &step.action {
        Action::StopServices { .. } | Action::StartServices { .. } => Some("the cloud's services stay as they are"),
        Action::VerifyServices { .. } => Some("the target's services are not started"),
        Action::Drain { .. } => Some("what is in flight ends in the cloud, never in a copy"),
        Action::InstallConfig { .. } => Some("the cloud's files stay as they are"),
        Action::Pause { .. } => Some("it is the operator's own work"),
        Action::ReviewAgents { .. } | Action::DropCheckpoint { .. } => Some("it follows `ffu accept`"),
        Action::Command(command) if !command.needs_services.is_empty() => {
            Some("it asks running services, and a rehearsal starts none")
        }
        Action::Command(_)
        | Action::VerifyEnvironment { .. }
        | Action::ProbeDatabases { .. }
        | Action::Gate { .. }
        | Action::StageConfig { .. }
        | Action::MeasureInvariants { .. }
        | Action::CaptureInvariants { .. }
        | Action::CompareInvariants { .. }
        | Action::PrepareCheckpoint { .. }
        | Action::Checkpoint { .. }
        | Action::CreateDatabase { .. }
        | Action::CopyTables { .. } => None,
    }
}

/// Makes it. `admin` is the private server's option file, `address` its address; `private` must exist.
///
/// # Errors
/// A connection that is not among the copies, a file that cannot be read.
pub fn shadow(
    plan: &Plan,
    copies: &Copies,
    private: &Utf8Path,
    address: &str,
    admin: &Utf8Path,
    version: &str,
) -> Result<Shadow, String> {
    let mut maker = Maker {
        ground: Ground {
            private: private.to_owned(),
            address: address.to_owned(),
            era: Era::of(&plan.from),
            staged: BTreeMap::new(),
            urls: copies.by_place.clone(),
        },
        known: BTreeMap::new(),
        text: String::from("# Made by ffu: connections of a rehearsal.\n"),
        files: BTreeMap::new(),
    };
    let mut shadow = plan.clone();
    for server in &mut shadow.cloud.servers {
        server.address = address.to_owned();
        server.flavor = "mariadb".to_owned();
        server.version = version.to_owned();
        // As in the cloud: what needs an administrator there needs one here.
        server.admin_option_file = server.admin_option_file.as_ref().map(|_| admin.to_owned());
    }
    for project in &mut shadow.cloud.projects {
        for database in &mut project.databases {
            database.connection = maker.reference(&database.connection)?;
        }
    }
    // Nothing of the services can be reached, whatever a step says.
    shadow.cloud.services = Vec::new();
    shadow.cloud.service_manager = ServiceManagerKind::Process {
        directory: private.join("no-services"),
    };
    let mut not_rehearsed = Vec::new();
    for step in &plan.steps {
        if let Some(reason) = left_out(step) {
            not_rehearsed.push(NotRehearsed {
                id: step.id.clone(),
                reason: reason.to_owned(),
            });
        }
    }
    shadow.steps = without(&plan.steps, &not_rehearsed);
    for step in &mut shadow.steps {
        maker
            .action(&mut step.action)
            .map_err(|error| format!("{}: {error}", step.id))?;
    }
    let Maker {
        mut ground,
        text,
        files,
        ..
    } = maker;
    write_private(&ground.connections(), text.as_bytes())?;
    fs::create_dir_all(ground.nothing()).map_err(|error| format!("{}: {error}", ground.nothing()))?;
    for (from, to) in files {
        match from.strip_prefix("{staged}") {
            // They are there once they were staged.
            Ok(_) => {
                ground.staged.insert(from, to);
            }
            Err(_) => ground.isolate(&from, &to)?,
        }
    }
    shadow.id = shadow.compute_id().map_err(|error| error.to_string())?;
    Ok(Shadow {
        plan: shadow,
        not_rehearsed,
        ground,
    })
}

/// The steps that are left, each needing what those that it needed needed.
fn without(steps: &[Step], out: &[NotRehearsed]) -> Vec<Step> {
    let gone: BTreeSet<&str> = out.iter().map(|not| not.id.as_str()).collect();
    let needs: BTreeMap<&str, &[String]> = steps
        .iter()
        .map(|step| (step.id.as_str(), step.needs.as_slice()))
        .collect();
    let mut kept = Vec::new();
    for step in steps.iter().filter(|step| !gone.contains(step.id.as_str())) {
        let mut open: Vec<&str> = step.needs.iter().map(String::as_str).collect();
        let mut seen = BTreeSet::new();
        let mut wanted = BTreeSet::new();
        while let Some(need) = open.pop() {
            if !seen.insert(need) {
                continue;
            }
            if gone.contains(need) {
                open.extend(
                    needs
                        .get(need)
                        .into_iter()
                        .flat_map(|more| more.iter().map(String::as_str)),
                );
            } else {
                wanted.insert(need.to_owned());
            }
        }
        let mut step = step.clone();
        step.needs = wanted.into_iter().collect();
        kept.push(step);
    }
    kept
}

struct Maker {
    ground: Ground,
    /// By the reference as JSON.
    known: BTreeMap<String, ConnectionRef>,
    text: String,
    /// What commands are given, by what the plan gives them.
    files: BTreeMap<Utf8PathBuf, Utf8PathBuf>,
}

impl Maker {
    fn reference(&mut self, reference: &ConnectionRef) -> Result<ConnectionRef, String> {
        let key = serde_json::to_string(reference).map_err(|error| error.to_string())?;
        if let Some(known) = self.known.get(&key) {
            return Ok(known.clone());
        }
        let url = self.copy_of(reference)?;
        let section = format!("copy{}", self.known.len() + 1);
        let _ = write!(self.text, "\n[{section}]\nconnection = {}\n", url.to_url().expose());
        let new = ConnectionRef::Config {
            file: self.ground.connections(),
            section,
            option: "connection".to_owned(),
        };
        self.known.insert(key, new.clone());
        Ok(new)
    }

    /// The copy's URL; what has none is an error, because it would lead to the cloud.
    fn copy_of(&self, reference: &ConnectionRef) -> Result<ConnectionUrl, String> {
        let real = resolve(reference).map_err(|error| error.to_string())?;
        let schema = real.schema().unwrap_or_default().to_owned();
        let place = (real.address(), schema);
        if let Some(copy) = self.ground.urls.get(&place) {
            return Ok(copy.clone());
        }
        // A database that does not exist yet comes to be beside the one whose account it shares.
        if let ConnectionRef::SameServer {
            file,
            section,
            option,
            schema,
        } = reference
        {
            let base = ConnectionRef::Config {
                file: file.clone(),
                section: section.clone(),
                option: option.clone(),
            };
            return Ok(self.copy_of(&base)?.with_schema(schema));
        }
        Err(format!(
            "{} leads to database {} at {}, which is not among the copied ones: it is not rehearsed on the cloud itself",
            place_of(reference),
            place.1,
            place.0
        ))
    }

    fn action(&mut self, action: &mut Action) -> Result<(), String> {
        match action {
            Action::CreateDatabase { connection, .. } => *connection = self.reference(connection)?,
            Action::StageConfig { files } => {
                for option in files.iter_mut().flat_map(|file| file.connections.iter_mut()) {
                    option.connection = self.reference(&option.connection)?;
                }
            }
            Action::Command(command) => self.command(command)?,
            _ => {}
        }
        Ok(())
    }

    fn command(&mut self, command: &mut CommandAction) -> Result<(), String> {
        if let Some(overlay) = &mut command.overlay {
            overlay.connection = self.reference(&overlay.connection)?;
        }
        for file in &mut command.config_files {
            let to = match file.strip_prefix("{staged}") {
                Ok(inside) => self.ground.private.join("staged").join(inside),
                Err(_) => self
                    .ground
                    .private
                    .join("etc")
                    .join(file.as_str().trim_start_matches('/')),
            };
            self.files.insert(file.clone(), to.clone());
            *file = to;
        }
        match command.config_style {
            ConfigStyle::Arguments => {
                command.arguments.insert(0, self.ground.without_directories());
            }
            ConfigStyle::Environment => not_configured_by_this_host(command)?,
        }
        Ok(())
    }
}

/// A program that takes no argument before its command cannot be kept from this host's directories of configuration.
fn not_configured_by_this_host(command: &CommandAction) -> Result<(), String> {
    let project = &command.project;
    for directory in [
        format!("/etc/{project}/{project}.conf.d"),
        format!("/etc/{project}/{}.conf.d", command.program),
        format!("/etc/{project}.conf.d"),
        format!("/etc/{}.conf.d", command.program),
    ] {
        if Utf8Path::new(&directory).exists() {
            return Err(format!(
                "{} would also read {directory} of this host, and could reach the cloud through it\n  next: rehearse on a host without \
                 it",
                command.program
            ));
        }
    }
    Ok(())
}
