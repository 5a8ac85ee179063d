//! The commands that make a lab, in the order that works, and how one is run.

use std::collections::BTreeMap;
use std::time::Duration;

use camino::Utf8PathBuf;
use ffu_hosts::{Exit, Spec};
use ffu_model::Series;
use ffu_model::secret::{Secret, mask};

use crate::error::{CommandFailure, LabError};
use crate::graph::Step;
use crate::layout::Lab;
use crate::options::LabOptions;
use crate::secrets::Secrets;
use crate::{seeds, unit};

/// After so long any of the commands has failed; a large lab's seeds take minutes.
const TIMEOUT: Duration = Duration::from_secs(3600);

/// Releases on no index, and what makes their part of a lab instead: the next release carries the missing one's
/// migrations unchanged (see `[[missing]]` in the catalog), and a release whose models fit that schema puts the rows in.
struct StandIn {
    project: &'static str,
    series: &'static str,
    schema_by: &'static str,
    rows_by: &'static str,
    arguments: &'static [&'static str],
}

const STAND_INS: [StandIn; 3] = [
    StandIn {
        project: "heat",
        series: "pike",
        schema_by: "rocky",
        rows_by: "rocky",
        arguments: &["db_sync", "80"],
    },
    StandIn {
        project: "heat",
        series: "queens",
        schema_by: "rocky",
        rows_by: "rocky",
        arguments: &["db_sync", "85"],
    },
    // Rocky's models want columns that Queens' schema lacks; Queens changed nothing, so Pike's fit.
    StandIn {
        project: "glance",
        series: "queens",
        schema_by: "rocky",
        rows_by: "pike",
        arguments: &["db", "upgrade", "--version", "queens_contract01"],
    },
];

/// What the steps of one lab share.
pub(crate) struct Builder<'a> {
    pub(crate) options: &'a LabOptions<'a>,
    pub(crate) lab: &'a Lab,
    pub(crate) secrets: &'a Secrets,
    pub(crate) placement_apart: bool,
    /// The venvs that are used, by series.
    pub(crate) environments: BTreeMap<Series, Utf8PathBuf>,
}

/// The series whose venvs a lab needs.
pub(crate) fn needed(series: &Series) -> Vec<Series> {
    let others = STAND_INS
        .iter()
        .filter(|stand_in| stand_in.series == series.as_str())
        .flat_map(|stand_in| [stand_in.schema_by, stand_in.rows_by])
        .filter_map(|text| text.parse().ok());
    let mut all: Vec<Series> = std::iter::once(series.clone()).chain(others).collect();
    all.sort();
    all.dedup();
    all
}

impl<'a> Builder<'a> {
    fn stand_in(&self, project: &str) -> Option<&'static StandIn> {
        let at = self.lab.file().series.as_str();
        STAND_INS.iter().find(|s| s.project == project && s.series == at)
    }

    fn since(&self, series: &str) -> bool {
        let position = |id: &str| {
            self.options
                .catalog
                .series
                .iter()
                .position(|entry| entry.id.as_str() == id)
        };
        position(self.lab.file().series.as_str()) >= position(series)
    }

    fn bin(&self, series: &str) -> Result<Utf8PathBuf, LabError> {
        let found = self.environments.iter().find(|(known, _)| known.as_str() == series);
        found
            .map(|(_, directory)| directory.join("bin"))
            .ok_or_else(|| LabError::Environment {
                series: self.lab.file().series.clone(),
                why: format!("{series}'s was not opened"),
            })
    }

    /// All steps; list order is the order in which lanes prefer them, so the longest way through comes first.
    pub(crate) fn steps(&'a self) -> Vec<Step<'a>> {
        let etc = self.lab.etc();
        let config = |files: &[&str]| -> Vec<String> {
            files
                .iter()
                .flat_map(|file| ["--config-file".to_owned(), etc.join(file).into_string()])
                .collect()
        };
        let keystone = config(&["keystone/keystone.conf"]);
        let nova = config(&["nova/nova.conf"]);
        let mut steps = vec![
            self.command("keystone.db-sync", &[], "keystone-manage", &keystone, &["db_sync"]),
            self.command("nova.api-db-sync", &[], "nova-manage", &nova, &["api_db", "sync"]),
            self.keys("keystone.fernet-setup", &keystone, "fernet_setup"),
            self.keys("keystone.credential-setup", &keystone, "credential_setup"),
            self.bootstrap(&keystone),
            self.service("keystone-api", &["keystone.bootstrap"]),
            self.seed("keystone", &["keystone-api"]),
            self.command(
                "nova.map-cell0",
                &["nova.api-db-sync"],
                "nova-manage",
                &nova,
                &["cell_v2", "map_cell0"],
            ),
            self.command(
                "nova.db-sync",
                &["nova.map-cell0"],
                "nova-manage",
                &nova,
                &["db", "sync"],
            ),
            self.command(
                "nova.create-cell",
                &["nova.map-cell0"],
                "nova-manage",
                &nova,
                &["cell_v2", "create_cell", "--name", "cell1"],
            ),
            self.command(
                "neutron.db-sync",
                &[],
                "neutron-db-manage",
                &config(&["neutron/neutron.conf", "neutron/plugins/ml2/ml2_conf.ini"]),
                &["upgrade", "heads"],
            ),
        ];
        steps.push(self.seed("neutron", &["neutron.db-sync", "keystone.seed"]));
        if self.placement_apart {
            let placement = config(&["placement/placement.conf"]);
            steps.push(self.command(
                "placement.db-sync",
                &[],
                "placement-manage",
                &placement,
                &["db", "sync"],
            ));
        }
        steps.push(self.service("placement-api", &["placement.db-sync", "nova.db-sync", "keystone-api"]));
        steps.push(self.seed("nova", &["nova.db-sync", "nova.create-cell", "keystone.seed"]));
        steps.push(self.seed("placement", &["placement-api", "keystone.seed"]));
        for (project, program, arguments, file) in [
            ("cinder", "cinder-manage", &["db", "sync"][..], "cinder/cinder.conf"),
            ("glance", "glance-manage", &["db", "sync"], "glance/glance-api.conf"),
            ("heat", "heat-manage", &["db_sync"], "heat/heat.conf"),
        ] {
            let name = format!("{project}.db-sync");
            let stand_in = self.stand_in(project);
            let by = stand_in.map(|s| s.schema_by).unwrap_or(self.lab.file().series.as_str());
            let arguments = stand_in.map(|s| s.arguments).unwrap_or(arguments);
            steps.push(self.command_by(by, &name, &[], program, &config(&[file]), arguments, BTreeMap::new()));
            steps.push(self.seed(project, &[&name, "keystone.seed"]));
        }
        steps
    }

    fn command(&'a self, name: &str, needs: &[&str], program: &str, config: &[String], rest: &[&str]) -> Step<'a> {
        let series = self.lab.file().series.as_str();
        self.command_by(series, name, needs, program, config, rest, BTreeMap::new())
    }

    #[allow(clippy::too_many_arguments)]
    fn command_by(
        &'a self,
        series: &'a str,
        name: &str,
        needs: &[&str],
        program: &str,
        config: &[String],
        rest: &[&str],
        variables: BTreeMap<String, Secret>,
    ) -> Step<'a> {
        let arguments: Vec<String> = config
            .iter()
            .cloned()
            .chain(rest.iter().map(|text| (*text).to_owned()))
            .collect();
        let (step, program) = (name.to_owned(), program.to_owned());
        Step {
            name: step.clone(),
            needs: needs.iter().map(|need| (*need).to_owned()).collect(),
            work: Box::new(move || self.run(series, &step, &program, &arguments, &variables)),
        }
    }

    /// Keys belong to whoever runs keystone, which is whoever makes the lab.
    fn keys(&'a self, name: &str, config: &[String], what: &str) -> Step<'a> {
        let (user, group) = (nix::unistd::geteuid().to_string(), nix::unistd::getegid().to_string());
        let user = nix::unistd::User::from_uid(nix::unistd::geteuid())
            .ok()
            .flatten()
            .map_or(user, |found| found.name);
        let group = nix::unistd::Group::from_gid(nix::unistd::getegid())
            .ok()
            .flatten()
            .map_or(group, |found| found.name);
        let rest = [what, "--keystone-user", &user, "--keystone-group", &group];
        self.command(name, &[], "keystone-manage", config, &rest)
    }

    /// The password goes through the environment, never through the command line.
    fn bootstrap(&'a self, config: &[String]) -> Step<'a> {
        let mut variables = BTreeMap::new();
        if let Some(password) = self.secrets.user("admin") {
            variables.insert("OS_BOOTSTRAP_PASSWORD".to_owned(), password.clone());
        }
        variables.insert("OS_BOOTSTRAP_REGION_ID".to_owned(), Secret::new("RegionOne"));
        let url = format!("{}/v3", self.lab.keystone_url());
        for kind in ["PUBLIC", "INTERNAL", "ADMIN"] {
            variables.insert(format!("OS_BOOTSTRAP_{kind}_URL"), Secret::new(url.clone()));
        }
        // Without immutable roles keystone-status warns in every later series; the option came with Train.
        let rest: &[&str] = if self.since("train") {
            &["bootstrap", "--immutable-roles"]
        } else {
            &["bootstrap"]
        };
        let needs = ["keystone.db-sync", "keystone.fernet-setup", "keystone.credential-setup"];
        let series = self.lab.file().series.as_str();
        self.command_by(
            series,
            "keystone.bootstrap",
            &needs,
            "keystone-manage",
            config,
            rest,
            variables,
        )
    }

    fn seed(&'a self, project: &'static str, needs: &[&str]) -> Step<'a> {
        let series = self
            .stand_in(project)
            .map(|s| s.rows_by)
            .unwrap_or(self.lab.file().series.as_str());
        let program = seeds::program(self.lab.dir(), project).into_string();
        let arguments = [
            program,
            "--context".to_owned(),
            seeds::context_path(self.lab).into_string(),
        ];
        let name = format!("{project}.seed");
        self.command_by(series, &name, needs, "python", &arguments, &[], BTreeMap::new())
    }

    fn service(&'a self, service: &'static str, needs: &[&str]) -> Step<'a> {
        Step {
            name: service.to_owned(),
            needs: needs.iter().map(|need| (*need).to_owned()).collect(),
            work: Box::new(move || self.start(service)),
        }
    }

    fn start(&self, service: &str) -> Result<(), LabError> {
        use ffu_hosts::ServiceManager as _;
        let file = self.lab.file();
        let port = if service == "keystone-api" {
            file.ports.keystone
        } else {
            file.ports.placement
        };
        let bin = self.bin(file.series.as_str())?;
        let made = unit::unit_for(self.options.catalog, service, &file.series, &bin, self.lab.dir(), port)?;
        let supervisor = self.lab.services();
        supervisor.install(&made)?;
        Ok(supervisor.start(&made.name)?)
    }

    fn run(
        &self,
        series: &str,
        step: &str,
        program: &str,
        arguments: &[String],
        variables: &BTreeMap<String, Secret>,
    ) -> Result<(), LabError> {
        if self.options.stop.level() > ffu_hosts::StopLevel::Run {
            return Err(LabError::Stopped {
                dir: self.lab.dir().to_owned(),
            });
        }
        let bin = self.bin(series)?;
        let log = self.lab.dir().join("log").join(format!("{step}.log"));
        let mut spec = Spec::new(bin.join(program), log.clone(), TIMEOUT).args(arguments.iter().cloned());
        spec.environment = unit::base_environment(&bin, self.lab.dir());
        spec.environment.extend(
            variables
                .iter()
                .map(|(key, value)| (key.clone(), value.expose().to_owned())),
        );
        spec.current_dir = self.lab.dir().to_owned();
        // `down` ends what a killed `up` has left running, by these locks.
        spec.lock_file = Some(self.lab.dir().join("run/locks").join(step));
        let failed = |how: String, excerpt: String| {
            LabError::Command(Box::new(CommandFailure {
                step: step.to_owned(),
                how,
                command: format!("{} {}", spec.program, spec.arguments.join(" ")),
                log: log.clone(),
                excerpt,
                dir: self.lab.dir().to_owned(),
            }))
        };
        let finished =
            ffu_hosts::run(&spec, &self.options.stop).map_err(|error| failed(error.to_string(), String::new()))?;
        match finished.exit {
            Exit::Code(0) => Ok(()),
            Exit::Stopped => Err(LabError::Stopped {
                dir: self.lab.dir().to_owned(),
            }),
            other => Err(failed(other.to_string(), self.last_lines(&log))),
        }
    }

    fn last_lines(&self, log: &camino::Utf8Path) -> String {
        let bytes = std::fs::read(log).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().collect();
        let tail = lines
            .get(lines.len().saturating_sub(20)..)
            .unwrap_or_default()
            .join("\n");
        // A line can be a whole SQL statement.
        let start = tail.char_indices().rev().nth(4000).map_or(0, |(at, _)| at);
        mask(tail.get(start..).unwrap_or_default(), &self.secrets.all())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stand_ins_are_for_what_the_catalog_calls_missing() {
        let catalog = ffu_catalog::Catalog::embedded().unwrap();
        for missing in &catalog.missing {
            let found = STAND_INS
                .iter()
                .find(|s| s.project == missing.project && s.series == missing.series.as_str());
            let stand_in = found.unwrap_or_else(|| panic!("{} at {}", missing.project, missing.series));
            let heads = catalog.heads(&missing.project, "main", &missing.series).unwrap();
            let wanted = heads.values().next().unwrap();
            assert_eq!(
                stand_in.arguments.last().copied(),
                wanted.first().map(String::as_str),
                "{heads:?}"
            );
        }
        assert_eq!(catalog.missing.len(), STAND_INS.len());
    }

    #[test]
    fn a_lab_at_pike_needs_rocky_too() {
        let names =
            |at: &str| -> Vec<String> { needed(&at.parse().unwrap()).iter().map(ToString::to_string).collect() };
        assert_eq!(names("pike"), ["pike", "rocky"]);
        assert_eq!(names("queens"), ["pike", "queens", "rocky"]);
        assert_eq!(names("2024.1"), ["2024.1"]);
    }
}
