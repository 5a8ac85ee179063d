//! How each file of a project gets to the target: as options, as policy, by a merge with upstream's files; and why one stays
//! as it is.

use camino::{Utf8Path, Utf8PathBuf};
use ffu_catalog::options::ServiceOptions;
use ffu_catalog::types::{CommandEntry, Project};
use ffu_config::policy::{Engine, Settings};
use ffu_model::cloud::{CloudProject, ConfigFile, FileKind, ServiceRole};
use ffu_model::plan::ConfigurationPolicy;
use ffu_model::step::{Carriage, ConfigStyle, FileMigration, SetOption, StagedFile};
use ffu_model::{Cloud, Series};

use crate::context::{Context, staged_path};

/// The id of discovery's finding about files that no service of the catalog reads.
const NOT_CARRIED: &str = "config-not-carried";

/// What is decided about one file.
#[derive(Debug, PartialEq)]
pub(crate) struct Way {
    /// Where it is installed.
    pub destination: Utf8PathBuf,
    /// How its content is carried; else it stays as it is.
    pub migration: Option<FileMigration>,
    /// Why it stays as it is.
    pub kept: String,
}

impl Way {
    fn kept(file: &ConfigFile, why: impl Into<String>) -> Self {
        Way {
            destination: file.path.clone(),
            migration: None,
            kept: why.into(),
        }
    }
}

/// A project on its way.
pub(crate) struct Carrier<'a> {
    context: &'a Context<'a>,
    project: &'a CloudProject,
}

impl<'a> Carrier<'a> {
    pub fn new(context: &'a Context<'a>, project: &'a CloudProject) -> Self {
        Carrier { context, project }
    }

    /// What becomes of one of its files.
    pub fn way(&self, file: &ConfigFile) -> Way {
        let target = self.context.target;
        if self.context.policy.configuration == ConfigurationPolicy::Keep {
            return Way::kept(file, "the plan was made with --configuration keep");
        }
        let Some(from) = &self.project.series else {
            return Way::kept(file, "the series it was written for is not known");
        };
        let name = &self.project.project;
        let options = match self.context.catalog.options(name) {
            Some(Ok(options)) => options,
            Some(Err(error)) => {
                return Way::kept(file, format!("the catalog of the options of {name} is broken: {error}"));
            }
            None => return Way::kept(file, format!("there is no catalog of the options of {name}")),
        };
        match file.kind {
            FileKind::Options => {
                for series in [from, target] {
                    if options.position(series).is_none() {
                        return Way::kept(file, format!("the catalog has no options of {name} at {series}"));
                    }
                }
                self.carried(file, Carriage::Options, file.path.clone())
            }
            // Old agents need the commands that their own series lists.
            FileKind::Rootwrap if self.has_agents() => Way::kept(
                file,
                format!(
                    "agents of {name} read it, and they stay at {from} until the release phase; carry it with `ffu config migrate` \
                     when they follow"
                ),
            ),
            FileKind::Paste | FileKind::Rootwrap => self.carried(file, Carriage::Merge, file.path.clone()),
            FileKind::Policy | FileKind::PolicyNamed | FileKind::PolicyDirectory => {
                for series in [from, target] {
                    if options.policy_at(series).is_none() {
                        return Way::kept(file, format!("the catalog has no policy rules of {name} at {series}"));
                    }
                }
                self.policy(file, options, from)
            }
        }
    }

    fn has_agents(&self) -> bool {
        let mut services = self.context.cloud.services.iter();
        services.any(|service| service.project == self.project.project && service.role == ServiceRole::Agent)
    }

    fn policy(&self, file: &ConfigFile, options: &ServiceOptions, from: &Series) -> Way {
        let mut destination = file.path.clone();
        if file.kind == FileKind::Policy {
            if self.read_by_name(options, from) != Some(&file.path) {
                let reads = Settings::of_defaults(options, from).policy_file;
                let target = self.context.target;
                let then = match self.read_by_name(options, target) == Some(&file.path) {
                    true => format!("; {target} does: take it away, or its rules take effect there"),
                    false => String::new(),
                };
                return Way::kept(file, format!("{from} does not read it, but {reads}{then}"));
            }
            // A name of the operator's own stays; where none is set, the target looks for its own.
            let wanted = Settings::of_defaults(options, self.context.target).policy_file;
            if let Some(name) = Utf8Path::new(&wanted).file_name() {
                destination = file.path.with_file_name(name);
            }
        }
        self.carried(file, Carriage::Policy, destination)
    }

    /// The policy file that a series finds where none is set.
    fn read_by_name(&self, options: &ServiceOptions, series: &Series) -> Option<&'a Utf8PathBuf> {
        let named = |name: &str| {
            let mut files = self.project.config_files.iter();
            let found = files.find(|file| file.kind == FileKind::Policy && file.path.file_name() == Some(name));
            found.map(|file| &file.path)
        };
        let looks_for = Settings::of_defaults(options, series).policy_file;
        let falls_back = Engine::of(series).falls_back_to_json && looks_for != "policy.json";
        named(&looks_for).or_else(|| named("policy.json").filter(|_| falls_back))
    }

    fn carried(&self, file: &ConfigFile, carriage: Carriage, destination: Utf8PathBuf) -> Way {
        let catalog = self.context.catalog;
        let path = || {
            let first = catalog.position(self.project.series.as_ref()?)?;
            let last = catalog.position(self.context.target)?;
            let entries = catalog.series.get(first..=last)?;
            Some(entries.iter().map(|entry| entry.id.clone()).collect())
        };
        let Some(path) = path() else {
            return Way::kept(file, "the catalog has no way from its series to the target");
        };
        let (read_with, read_after) = match carriage {
            Carriage::Options => (self.before(file, FileKind::is_options), Vec::new()),
            Carriage::Policy => self.policies(file),
            Carriage::Merge => (Vec::new(), Vec::new()),
        };
        Way {
            destination,
            migration: Some(FileMigration {
                service: self.project.project.clone(),
                carriage,
                path,
                read_with,
                read_after,
                settings: match carriage {
                    Carriage::Policy => self.of(FileKind::is_options).map(|other| other.path.clone()).collect(),
                    Carriage::Options | Carriage::Merge => Vec::new(),
                },
                accept_loss: self.context.policy.configuration == ConfigurationPolicy::AcceptLoss,
            }),
            kept: String::new(),
        }
    }

    fn of(&self, kind: fn(&FileKind) -> bool) -> impl Iterator<Item = &'a ConfigFile> {
        self.project.config_files.iter().filter(move |other| kind(&other.kind))
    }

    fn before(&self, file: &ConfigFile, kind: fn(&FileKind) -> bool) -> Vec<Utf8PathBuf> {
        self.of(kind)
            .map(|other| other.path.clone())
            .take_while(|other| *other != file.path)
            .collect()
    }

    /// The policy files that are read before and after one: the policy file first, then those of directories.
    fn policies(&self, file: &ConfigFile) -> (Vec<Utf8PathBuf>, Vec<Utf8PathBuf>) {
        let by_name = match (
            &self.project.series,
            self.context.catalog.options(&self.project.project),
        ) {
            (Some(series), Some(Ok(options))) => self.read_by_name(options, series),
            _ => None,
        };
        let read: Vec<Utf8PathBuf> = self
            .of(|kind| kind.is_policy())
            .filter(|other| other.kind != FileKind::Policy || by_name == Some(&other.path))
            .map(|other| other.path.clone())
            .collect();
        let at = read.iter().position(|other| *other == file.path).unwrap_or(read.len());
        let after = read.iter().skip(at + 1).cloned().collect();
        (read.into_iter().take(at).collect(), after)
    }
}

/// From Wallaby on upgrade checks refuse a policy file in JSON (oslo_upgradecheck/common_checks.py `check_policy_json`): the
/// commands of those series are shown the staged one, which is YAML.
pub(crate) fn policy_for_commands(context: &Context<'_>, project: &Project, series: &Series) -> Option<SetOption> {
    let engine = Engine::of(series);
    let by_arguments = |command: &CommandEntry| command.config_style == ConfigStyle::Arguments;
    if engine.reads_json && !engine.falls_back_to_json || !project.command.iter().all(by_arguments) {
        return None;
    }
    let found = context.cloud.project(&project.name)?;
    let carrier = Carrier::new(context, found);
    let in_json = found
        .config_files
        .iter()
        .filter(|file| matches!(file.kind, FileKind::Policy | FileKind::PolicyNamed))
        .filter(|file| file.path.extension() == Some("json"));
    let way = in_json
        .map(|file| carrier.way(file))
        .find(|way| way.migration.is_some())?;
    Some(SetOption {
        section: "oslo_policy".to_owned(),
        option: "policy_file".to_owned(),
        value: staged_path(&way.destination).into_string(),
        reason: "upgrade checks refuse a policy file in JSON; this is the one for the target".to_owned(),
    })
}

/// Sentences about what is carried how, for the plan's report.
pub(crate) fn decisions(cloud: &Cloud, files: &[StagedFile], from: &Series, target: &Series) -> Vec<String> {
    let mut said = Vec::new();
    let count = |wanted: Carriage| {
        let of = |file: &&StagedFile| file.migration.as_ref().is_some_and(|m| m.carriage == wanted);
        files.iter().filter(of).count()
    };
    let (options, policies, merged) = (
        count(Carriage::Options),
        count(Carriage::Policy),
        count(Carriage::Merge),
    );
    if options + policies + merged > 0 {
        said.push(format!(
            "configuration is carried to {target}: {options} files of options, {policies} of policy rules, {merged} of pipelines \
             and rootwrap filters; what would be lost stops the run in prepare"
        ));
    }
    if merged > 0 {
        said.push(format!(
            "pipelines and rootwrap filters are merged with upstream's of {from} and {target}, from the hop environments: \
             `ffu env build {from}` is needed, too"
        ));
    }
    let mut kept: Vec<(&str, Vec<&str>)> = Vec::new();
    for file in files {
        let Some(source) = &file.source else { continue };
        if !file.kept.is_empty() {
            match kept.iter_mut().find(|(why, _)| *why == file.kept) {
                Some((_, names)) => names.push(source.as_str()),
                None => kept.push((&file.kept, vec![source.as_str()])),
            }
        } else if *source != file.destination {
            let there = cloud.projects.iter().flat_map(|project| &project.config_files);
            let way_back = match there.into_iter().any(|other| other.path == file.destination) {
                true => {
                    format!("; the one that lies there, unread by {from}, is replaced, and a rollback brings it back")
                }
                false => ", and a rollback takes the new one away".to_owned(),
            };
            said.push(format!(
                "{source} becomes {}, which {target} reads; the old file stays beside it, unread{way_back}",
                file.destination
            ));
        }
    }
    for (why, names) in kept {
        let stay = if names.len() == 1 {
            "stays as it is"
        } else {
            "stay as they are"
        };
        said.push(format!("{} {stay}: {why}", names.join(", ")));
    }
    let left = cloud.findings.iter().filter(|finding| finding.id == NOT_CARRIED);
    said.extend(left.map(|finding| format!("{}; {}", finding.message, finding.remedy)));
    said
}

#[cfg(test)]
mod tests;
