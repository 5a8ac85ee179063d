//! Seven projects' databases and configuration on a MariaDB of the test's own, several equal ones beside each other, and
//! the commands of a hop run on them either way.
#![allow(dead_code)] // Each test binary uses its part.

#[path = "../support/action.rs"]
mod action;

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use camino::Utf8PathBuf;
use ffu_db::testing::{TestServer, shared_server};
use ffu_hopenv::{EnvStore, HopEnv, Programs, ProjectCommand, Ran, RunError, SeriesWarmth, WarmPool};
use ffu_hosts::StopFlag;
use ffu_model::Series;
use ffu_model::secret::Secret;

use action::action;

pub const SCHEMATA: [&str; 8] = [
    "keystone",
    "glance",
    "placement",
    "nova_api",
    "nova",
    "nova_cell0",
    "neutron",
    "cinder",
];
const HEAT: &str = "heat";
const PASSWORD: &str = "s3cret-of-the-test";

pub fn store() -> EnvStore {
    let cache = std::env::var("XDG_CACHE_HOME").map_or_else(
        |_| Utf8PathBuf::from(std::env::var("HOME").unwrap()).join(".cache"),
        Utf8PathBuf::from,
    );
    EnvStore::new(cache.join("ffu"))
}

pub fn open(series: &str) -> HopEnv {
    store()
        .open(&series.parse().unwrap())
        .unwrap_or_else(|error| panic!("`make test` builds the environments it needs: {error}"))
}

/// The commands of a hop to a series, in the order of the procedure: project, program, arguments.
pub fn hop(environment: &HopEnv) -> Vec<(&'static str, &'static str, &'static [&'static str])> {
    const ALL: &[(&str, &str, &[&str])] = &[
        ("keystone", "keystone-manage", &["db_sync"]),
        ("keystone", "keystone-manage", &["db_sync", "--check"]),
        ("keystone", "keystone-status", &["upgrade", "check"]),
        ("glance", "glance-manage", &["db", "expand"]),
        ("glance", "glance-manage", &["db", "migrate"]),
        ("glance", "glance-manage", &["db", "contract"]),
        ("glance", "glance-status", &["upgrade", "check"]),
        ("placement", "placement-manage", &["db", "sync"]),
        ("placement", "placement-manage", &["db", "online_data_migrations"]),
        ("placement", "placement-status", &["upgrade", "check"]),
        ("nova", "nova-manage", &["api_db", "sync"]),
        ("nova", "nova-manage", &["db", "sync"]),
        ("nova", "nova-manage", &["db", "online_data_migrations"]),
        ("nova", "nova-status", &["upgrade", "check"]),
        ("neutron", "neutron-db-manage", &["upgrade", "heads"]),
        ("neutron", "neutron-db-manage", &["current"]),
        ("neutron", "neutron-status", &["upgrade", "check"]),
        ("cinder", "cinder-manage", &["db", "sync"]),
        ("cinder", "cinder-manage", &["db", "online_data_migrations"]),
        ("cinder", "cinder-status", &["upgrade", "check"]),
        ("heat", "heat-manage", &["db_sync"]),
        ("heat", "heat-status", &["upgrade", "check"]),
    ];
    ALL.iter()
        .copied()
        .filter(|(_, program, _)| environment.program(program).is_ok())
        .collect()
}

/// What a pool is asked to warm for these commands.
pub fn programs(environment: &HopEnv) -> Vec<Programs> {
    let mut wanted = Vec::<Programs>::new();
    for (project, program, _) in hop(environment) {
        match wanted.iter_mut().find(|one| one.project == project) {
            Some(one) if one.programs.iter().any(|known| known == program) => {}
            Some(one) => one.programs.push(program.to_owned()),
            None => wanted.push(Programs {
                project: project.to_owned(),
                programs: vec![program.to_owned()],
            }),
        }
    }
    wanted
}

/// One cloud's databases and files.
pub struct Cloud {
    tag: &'static str,
    pub root: Utf8PathBuf,
    _held: tempfile::TempDir,
}

impl Cloud {
    /// Empty databases, and configuration files that name them.
    pub fn new(tag: &'static str) -> Cloud {
        let held = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::from_path_buf(held.path().to_owned()).unwrap();
        let cloud = Cloud { tag, root, _held: held };
        for schema in SCHEMATA.into_iter().chain([HEAT]) {
            let name = cloud.schema(schema);
            server()
                .private()
                .create_account(&format!("u{tag}"), &Secret::new(PASSWORD), &name, "utf8")
                .unwrap();
        }
        for (project, text) in cloud.files() {
            fs::write(cloud.config(project), text).unwrap();
        }
        cloud
    }

    pub fn schema(&self, schema: &str) -> String {
        format!("{schema}_{}", self.tag)
    }

    pub fn config(&self, project: &str) -> Utf8PathBuf {
        self.root.join(format!("{project}.conf"))
    }

    pub fn url(&self, schema: &str) -> String {
        format!(
            "mysql+pymysql://u{}:{PASSWORD}@127.0.0.1:{}/{}?charset=utf8",
            self.tag,
            server().private().port(),
            self.schema(schema)
        )
    }

    fn files(&self) -> Vec<(&'static str, String)> {
        let main = |schema: &str| format!("[database]\nconnection = {}\n", self.url(schema));
        let fake = "[DEFAULT]\ntransport_url = fake:/\n";
        let root = &self.root;
        vec![
            ("keystone", format!("{}[token]\nprovider = fernet\n", main("keystone"))),
            (
                "glance",
                format!(
                    "[DEFAULT]\nenabled_backends = file:file\n{}[glance_store]\ndefault_backend = file\n",
                    main("glance")
                ),
            ),
            (
                "placement",
                format!("[placement_database]\nconnection = {}\n", self.url("placement")),
            ),
            (
                "nova",
                format!(
                    "{fake}[api_database]\nconnection = {}\n{}[oslo_concurrency]\nlock_path = {root}\n\
                     [placement]\nauth_type = password\nauth_url = http://127.0.0.1:9/v3\nusername = x\npassword = x\nproject_name = x\n\
                     user_domain_name = Default\nproject_domain_name = Default\n",
                    self.url("nova_api"),
                    main("nova")
                ),
            ),
            (
                "neutron",
                format!("{fake}core_plugin = ml2\nservice_plugins = router\n{}", main("neutron")),
            ),
            (
                "cinder",
                format!("{fake}{}[oslo_concurrency]\nlock_path = {root}\n", main("cinder")),
            ),
            ("heat", format!("{fake}{}", main("heat"))),
        ]
    }

    /// Runs a command; with a pool as that decides, without as a plain process.
    pub fn run(
        &self,
        environment: &HopEnv,
        pool: Option<&WarmPool>,
        name: &str,
        (project, program, arguments): (&str, &str, &[&str]),
    ) -> Result<(Ran, String), RunError> {
        let action = action(environment.series(), project, program, arguments);
        let files = [self.config(project)];
        let lock = self.root.join(format!("{name}.lock"));
        let command = ProjectCommand {
            action: &action,
            config_files: &files,
            overlay_file: None,
            output_dir: &self.root,
            name,
            timeout: Duration::from_secs(300),
            lock_file: Some(&lock),
            secrets: &[],
        };
        let stop = StopFlag::new();
        let ran = match pool {
            Some(pool) => pool.run(environment, &command, &stop)?,
            None => Ran {
                finished: environment.run(&command, &stop)?,
                cold: None,
            },
        };
        assert!(!ffu_hosts::still_running(&lock).unwrap(), "{name}");
        Ok((
            ran,
            String::from_utf8_lossy(&fs::read(command.output()).unwrap()).into_owned(),
        ))
    }

    /// The databases of a series, made by its own commands.
    pub fn fill(&self, environment: &HopEnv, pool: Option<&WarmPool>) {
        let cell0 = self.url("nova_cell0");
        let map: &[&str] = &["cell_v2", "map_cell0", "--database_connection", &cell0];
        let cell: &[&str] = &["cell_v2", "create_cell", "--name", "cell1"];
        let mut name = 0;
        for step in hop(environment) {
            if step.1.ends_with("-status") || step.2.contains(&"--check") {
                continue;
            }
            let more = if step.2 == ["api_db", "sync"] {
                vec![step, ("nova", "nova-manage", map), ("nova", "nova-manage", cell)]
            } else {
                vec![step]
            };
            for step in more {
                name += 1;
                let (ran, output) = self.run(environment, pool, &format!("fill{name}"), step).unwrap();
                assert_eq!(ran.finished.exit, ffu_hosts::Exit::Code(0), "{step:?}: {output}");
            }
        }
    }

    /// Makes this one's databases as another's.
    pub fn copy_of(&self, other: &Cloud) {
        let option = format!("--defaults-extra-file={}", server().private().option_file());
        for schema in SCHEMATA.into_iter().chain([HEAT]) {
            let mut dump = Command::new("mariadb-dump")
                .args([option.as_str(), "--skip-comments", &other.schema(schema)])
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let loaded = Command::new("mariadb")
                .args([option.as_str(), &self.schema(schema)])
                .stdin(dump.stdout.take().unwrap())
                .status()
                .unwrap();
            assert!(dump.wait().unwrap().success() && loaded.success(), "{schema}");
        }
        let (api, from, to) = (self.schema("nova_api"), other.tag, self.tag);
        let sql = format!(
            "UPDATE {api}.cell_mappings SET database_connection = REPLACE(REPLACE(database_connection, '_{from}?', '_{to}?'), 'u{from}:', 'u{to}:')"
        );
        server().admin().unwrap().execute(None, &sql).unwrap();
    }

    /// Everything in a schema as statements, without what is different each time.
    pub fn dump(&self, schema: &str) -> String {
        let option = format!("--defaults-extra-file={}", server().private().option_file());
        let output = Command::new("mariadb-dump")
            .args([
                option.as_str(),
                "--skip-comments",
                "--skip-extended-insert",
                "--order-by-primary",
                &self.schema(schema),
            ])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        sorted_keys(&self.normal(&String::from_utf8_lossy(&output.stdout)))
    }

    /// Without what differs between two runs of the same command whichever way: times, pids, identifiers made up, names
    /// of this cloud.
    pub fn normal(&self, text: &str) -> String {
        let mut text = text
            .replace(self.root.as_str(), "ROOT")
            .replace(&format!("_{}", self.tag), "_TAG")
            .replace(&format!("u{}:", self.tag), "uTAG:");
        for (pattern, instead) in [
            (r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d([.,]\d+)?", "TIME"),
            (r"TIME \d+ ", "TIME PID "),
            (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "UUID"),
            (r"req-UUID", "REQ"),
            (r"0x[0-9a-f]{6,}", "ADDRESS"),
            (r"\b[0-9a-f]{32}\b", "HEX"),
        ] {
            text = regex::Regex::new(pattern)
                .unwrap()
                .replace_all(&text, instead)
                .into_owned();
        }
        text
    }
}

/// SQLAlchemy keeps a table's indexes in a set, so that two plain runs, too, make them in different order.
fn sorted_keys(dump: &str) -> String {
    let is_key = |line: &&str| {
        ["KEY `", "UNIQUE KEY `"]
            .iter()
            .any(|start| line.trim_start().starts_with(start))
    };
    let mut lines: Vec<&str> = dump.lines().collect();
    for run in lines.chunk_by_mut(|one, other| is_key(one) && is_key(other)) {
        run.iter_mut().for_each(|line| *line = line.trim_end_matches(','));
        run.sort_unstable();
    }
    lines.join("\n")
}

pub fn server() -> &'static TestServer {
    shared_server()
}

/// Where two texts begin to differ.
pub fn difference(one: &str, other: &str) -> Option<String> {
    let (mut left, mut right) = (one.lines(), other.lines());
    let mut at = 0;
    loop {
        at += 1;
        match (left.next(), right.next()) {
            (None, None) => return None,
            (a, b) if a == b => {}
            (a, b) => {
                return Some(format!(
                    "line {at}:\n- {}\n+ {}",
                    a.unwrap_or("(end)"),
                    b.unwrap_or("(end)")
                ));
            }
        }
    }
}

pub fn settle(pool: &WarmPool, series: &Series) -> SeriesWarmth {
    pool.settle(series, Duration::from_secs(150), &StopFlag::new()).unwrap()
}
