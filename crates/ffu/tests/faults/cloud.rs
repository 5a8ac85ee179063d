//! A real lab cloud cut down to three projects, so that a run is short and still has every kind of action; and what is known
//! of it before, with which it is compared after a way back.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use camino::Utf8Path;
use ffu_db::{Fingerprint, Server};
use serde_json::Value;

use crate::common::{Lab, Ran, text};

/// What is left of a lab, and where it goes.
pub struct Shape {
    from: &'static str,
    to: &'static str,
    /// Projects that stay.
    projects: &'static [&'static str],
    /// Their databases.
    schemas: &'static [&'static str],
    /// The database whose resource providers are left to an online migration. Rocky's placement, which writes them itself
    /// whenever it is started, leaves none.
    unmigrated: Option<&'static str>,
    /// The project whose agent stays.
    agents: &'static str,
    /// The project that keeps its upgrade check: one is enough.
    checked: &'static str,
}

/// Every kind of action but those that make a database.
pub const MODERN: Shape = Shape {
    from: "2024.1",
    to: "2024.2",
    projects: &["keystone", "placement", "neutron"],
    schemas: &["keystone", "placement", "neutron"],
    unmigrated: Some("placement"),
    agents: "neutron",
    checked: "placement",
};

/// Placement's tables leave nova for a database of their own.
pub const EXTRACTION: Shape = Shape {
    from: "rocky",
    to: "train",
    projects: &["keystone", "nova"],
    schemas: &["keystone", "nova_api", "nova", "nova_cell0"],
    unmigrated: None,
    agents: "nova",
    checked: "",
};

const SERVICES: [&str; 2] = ["keystone-api", "placement-api"];
const CATALOG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../catalog");
/// No release between these two asks anything of the projects that stay, so a gate and something in flight are added.
const GATE: &str = r#"
[[gate]]
id = "faults-providers"
project = "placement"
database = "main"
entering = "2024.2"
in_prepare = true
query = "SELECT COUNT(*) FROM resource_providers WHERE name = ''"
severity = "blocker"
message = "resource providers without a name"
remedy = "name them"
source = "the fault tests"
"#;
const DRAIN: &str = r#"
[[drain]]
database = "main"
what = "providers that are being made"
query = "SELECT COUNT(*) FROM resource_providers WHERE name = 'in the making'"
"#;

/// The lab, with a plan of it, and what it was at the source.
pub struct Cloud {
    pub lab: Lab,
    shape: Shape,
    pub plan: Value,
    source: Seen,
}

/// What a cloud is.
#[derive(Debug, PartialEq)]
struct Seen {
    schemas: BTreeSet<String>,
    databases: BTreeMap<String, Fingerprint>,
    files: BTreeMap<PathBuf, Vec<u8>>,
    agent: Option<String>,
}

impl Cloud {
    /// Brings it up and makes plans.
    pub fn up(shape: Shape) -> Cloud {
        let lab = Lab::up(shape.from, 3);
        cut(&lab, &shape);
        lab.lose_databases_quickly();
        let mut cloud = Cloud {
            lab,
            shape,
            plan: Value::Null,
            source: Seen {
                schemas: BTreeSet::new(),
                databases: BTreeMap::new(),
                files: BTreeMap::new(),
                agent: None,
            },
        };
        // So that an online migration has something to do, and a file something to be carried.
        if let Some(schema) = cloud.shape.unmigrated {
            cloud
                .admin()
                .execute(Some(schema), "UPDATE resource_providers SET root_provider_id = NULL")
                .unwrap();
        }
        let keystone = cloud.lab.dir().join("etc/keystone/keystone.conf");
        let mut content = std::fs::read_to_string(&keystone).unwrap();
        content.push_str("\n[DEFAULT]\nnotification_driver = noop\n");
        std::fs::write(&keystone, content).unwrap();
        cloud.overlay();
        cloud.plan_as("one.json", &["--parallel", "1"]);
        cloud.plan_as("two.json", &["--parallel", "2"]);
        cloud.plan_as("dump.json", &["--checkpoint", "dump"]);
        let bytes = std::fs::read(cloud.lab.scratch.path("one.json")).unwrap();
        cloud.plan = serde_json::from_slice(&bytes).unwrap();
        cloud.source = cloud.see();
        cloud
    }

    fn overlay(&self) {
        let to = self.lab.scratch.path("catalog");
        for directory in ["projects", "gates"] {
            std::fs::create_dir_all(to.join(directory)).unwrap();
        }
        std::fs::write(to.join("gates/faults.toml"), GATE).unwrap();
        for project in ["keystone", "placement", "nova", "neutron"] {
            let name = format!("projects/{project}.toml");
            let mut toml = std::fs::read_to_string(Path::new(CATALOG).join(&name)).unwrap();
            if project == "placement" {
                toml.push_str(DRAIN);
            }
            if project != self.shape.checked {
                toml = toml
                    .split_inclusive("\n\n")
                    .filter(|part| !part.contains(" = \"upgrade-check\""))
                    .collect();
            }
            std::fs::write(to.join(name), toml).unwrap();
        }
    }

    fn plan_as(&self, name: &str, more: &[&str]) {
        self.lab.discover("cloud.toml");
        let (from, to) = (self.lab.scratch.path("cloud.toml"), self.lab.scratch.path(name));
        let mut arguments = vec!["plan", "--cloud", text(&from), "--to", self.shape.to, "-o", text(&to)];
        arguments.extend(more);
        self.ffu(&arguments, None).exits(0);
    }

    /// Runs `ffu` to its end, with a fault or without.
    pub fn ffu(&self, arguments: &[&str], fault: Option<&str>) -> Ran {
        let output = self.command(arguments, fault).output().unwrap();
        let mut ran = Ran::of(&output);
        if output.status.signal() == Some(9) {
            ran.code = KILLED;
        }
        ran
    }

    pub fn command(&self, arguments: &[&str], fault: Option<&str>) -> std::process::Command {
        let mut command = self.lab.scratch.command(arguments);
        command.arg("--catalog").arg(self.lab.scratch.path("catalog"));
        command.env_remove("FFU_FAULT");
        if let Some(fault) = fault {
            command.env("FFU_FAULT", fault);
        }
        command
    }

    pub fn start(&self, arguments: &[&str]) -> std::process::Child {
        let mut command = self.command(arguments, None);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    pub fn path(&self, name: &str) -> String {
        text(&self.lab.scratch.path(name)).to_owned()
    }

    pub fn admin(&self) -> Server {
        let file = self.lab.dir().join("mariadb/client.cnf");
        Server::admin(Utf8Path::from_path(&file).unwrap()).unwrap()
    }

    pub fn count(&self, schema: &str, sql: &str) -> u64 {
        self.admin().query_count(schema, sql, Duration::from_secs(20)).unwrap()
    }

    fn see(&self) -> Seen {
        let admin = self.admin();
        let mut seen = Seen {
            schemas: self.schemas(),
            databases: BTreeMap::new(),
            files: BTreeMap::new(),
            agent: self.record(
                AGENTS
                    .iter()
                    .find(|(_, project)| *project == self.shape.agents)
                    .unwrap()
                    .0,
            ),
        };
        for name in self.shape.schemas {
            seen.databases
                .insert((*name).to_owned(), admin.fingerprint(name).unwrap().unwrap());
        }
        let mut open = vec![self.lab.dir().join("etc"), self.lab.dir().join("services")];
        while let Some(directory) = open.pop() {
            for entry in std::fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() && !path.ends_with("services/run") {
                    open.push(path);
                } else if path.is_file() {
                    let content = std::fs::read(&path).unwrap();
                    seen.files.insert(path, content);
                }
            }
        }
        seen
    }

    /// Every schema of the server.
    pub fn schemas(&self) -> BTreeSet<String> {
        // The server says one number at a time; names come as the files they are.
        let data = self.lab.dir().join("mariadb/data");
        let entries = std::fs::read_dir(data).unwrap().map(|entry| entry.unwrap());
        entries
            .filter(|entry| entry.path().is_dir())
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect()
    }

    fn record(&self, unit: &str) -> Option<String> {
        std::fs::read_to_string(self.lab.dir().join(format!("services/run/{unit}.pid"))).ok()
    }

    /// Both services run from the environment of this series and answer, and a token is issued.
    fn serves(&self, series: &str) -> Result<(), String> {
        for unit in SERVICES {
            let record = self.record(unit).ok_or(format!("{unit} does not run"))?;
            let pid = record
                .split_whitespace()
                .find_map(|word| {
                    let line = std::fs::read(format!("/proc/{word}/cmdline")).ok()?;
                    Some(String::from_utf8_lossy(&line).into_owned())
                })
                .unwrap_or_default();
            if !pid.contains(&format!("/{series}")) {
                return Err(format!("{unit} is not one of {series}: {pid:?}"));
            }
            let file = std::fs::read_to_string(self.lab.dir().join(format!("services/{unit}.toml"))).unwrap();
            let unit_file: toml::Table = file.parse().unwrap();
            let url = unit_file["probe"]["url"].as_str().unwrap();
            let status =
                ffu_hosts::get_status(url, Duration::from_secs(30)).map_err(|error| format!("{unit}: {error}"))?;
            if !matches!(status, 200..=499) {
                return Err(format!("{unit} answers with status {status}"));
            }
        }
        let ran = self.ffu(&["lab", "token", "--dir", text(&self.lab.dir())], None);
        (ran.code == 0)
            .then_some(())
            .ok_or(format!("no token: {}{}", ran.out, ran.err))
    }

    /// The cloud is at the target: heads, invariants, services, files.
    pub fn is_at_target(&self) -> Result<String, String> {
        let mut heads = 0;
        for step in self.plan["steps"].as_array().unwrap() {
            for expected in step["action"]["expect_heads"].as_array().into_iter().flatten() {
                if expected["name"] != "alembic_version" {
                    continue;
                }
                let schema = expected["database"]
                    .as_str()
                    .unwrap()
                    .split('/')
                    .next()
                    .unwrap()
                    .to_owned();
                let versions: Vec<String> = expected["versions"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|v| format!("'{}'", v.as_str().unwrap()))
                    .collect();
                let sql = |test: &str| format!("SELECT COUNT(*) FROM alembic_version{test}");
                let there = self.count(
                    &schema,
                    &sql(&format!(" WHERE version_num IN ({})", versions.join(","))),
                );
                if there != versions.len() as u64 || self.count(&schema, &sql("")) != there {
                    return Err(format!("{schema} is not at {versions:?}"));
                }
                heads += versions.len();
            }
        }
        if heads == 0 {
            return Err("the plan expects no heads".to_owned());
        }
        let open = "SELECT COUNT(*) FROM resource_providers WHERE root_provider_id IS NULL";
        if self.count("placement", open) > 0 {
            return Err("the online migration is not done".to_owned());
        }
        let report = self.ffu(&["--json", "report"], None).json();
        let invariants = report["invariants"].as_array().cloned().unwrap_or_default();
        if invariants.is_empty() || invariants.iter().any(|row| row["equal"] != true) {
            return Err(format!("invariants: {invariants:?}"));
        }
        let keystone = std::fs::read_to_string(self.lab.dir().join("etc/keystone/keystone.conf")).unwrap();
        if !keystone.contains("[oslo_messaging_notifications]") {
            return Err("keystone.conf is not the target's".to_owned());
        }
        self.serves(self.shape.to)?;
        Ok(format!(
            "{heads} heads and {} invariants right, services of {} answer",
            invariants.len(),
            self.shape.to
        ))
    }

    /// The server has no other schemas than before.
    pub fn left_nothing(&self) -> Result<(), String> {
        let now = self.schemas();
        let left: Vec<_> = now.symmetric_difference(&self.source.schemas).collect();
        if left.is_empty() {
            Ok(())
        } else {
            Err(format!("schemas differ: {left:?}"))
        }
    }

    /// After a fault that did not end as it should: back to the source, so that the next one can be looked at.
    pub fn mend(&self) -> Result<(), String> {
        if self.is_at_source().is_ok() {
            return Ok(());
        }
        self.ffu(&["lab", "start", "--dir", text(&self.lab.dir())], None);
        self.ffu(&["rollback", "--yes"], None);
        self.is_at_source().map(|_| ())
    }

    /// The cloud is what it was before the run: every row, every file, the services, and nothing else on the server.
    pub fn is_at_source(&self) -> Result<String, String> {
        let now = self.see();
        for (name, was) in &self.source.databases {
            let differences = was.diff(&now.databases[name]);
            if !differences.is_empty() {
                return Err(format!("{name}: {}", differences.join("; ")));
            }
        }
        self.left_nothing()?;
        let paths = |seen: &Seen| seen.files.keys().cloned().collect::<BTreeSet<_>>();
        for path in paths(&now).union(&paths(&self.source)) {
            if now.files.get(path) != self.source.files.get(path) {
                return Err(format!("{} differs", path.display()));
            }
        }
        if now.agent != self.source.agent {
            return Err("the agent was restarted".to_owned());
        }
        self.serves(self.shape.from)?;
        let rows: u64 = now.databases.values().map(Fingerprint::rows).sum();
        Ok(format!(
            "fingerprints of {} databases ({rows} rows) and {} files equal, services of {} answer",
            now.databases.len(),
            now.files.len(),
            self.shape.from
        ))
    }
}

/// What [`Cloud::ffu`] gives as the exit code of a process that was killed.
pub const KILLED: i32 = 137;

/// The processes that stand in for agents, and their projects.
const AGENTS: [(&str, &str); 2] = [("mock-nova-compute", "nova"), ("mock-neutron-agent", "neutron")];

/// Takes the other projects out of a lab: their configuration, and the agents that stand in for theirs.
fn cut(lab: &Lab, shape: &Shape) {
    for entry in std::fs::read_dir(lab.dir().join("etc")).unwrap() {
        let path = entry.unwrap().path();
        if !shape.projects.iter().any(|kept| path.ends_with(kept)) {
            std::fs::remove_dir_all(path).unwrap();
        }
    }
    for (unit, _) in AGENTS.iter().filter(|(_, project)| *project != shape.agents) {
        let record = lab.dir().join(format!("services/run/{unit}.pid"));
        let pid = std::fs::read_to_string(&record).unwrap();
        let pid: i32 = pid.split_whitespace().next().unwrap().parse().unwrap();
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGTERM).unwrap();
        std::fs::remove_file(record).unwrap();
        std::fs::remove_file(lab.dir().join(format!("services/{unit}.toml"))).unwrap();
    }
}
