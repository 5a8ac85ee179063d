//! Discovery on a real server: small schemas with real version tables and real configuration files.

mod clouds;
mod files;
mod obstacles;
mod states;

use std::collections::BTreeMap;
use std::fs;

use camino::Utf8PathBuf;
use ffu_catalog::Catalog;
use ffu_db::testing::{TestDatabase, shared_server};
use ffu_discover::{DiscoverError, Options, discover_plain};
use ffu_model::{Cloud, Finding, Series};

pub(crate) fn series(text: &str) -> Series {
    text.parse().unwrap()
}

/// A deployment in a directory, with databases of its own.
pub(crate) struct Deployment {
    pub(crate) catalog: Catalog,
    pub(crate) root: Utf8PathBuf,
    pub(crate) databases: BTreeMap<String, TestDatabase>,
    _guard: tempfile::TempDir,
}

impl Deployment {
    pub(crate) fn empty() -> Self {
        let guard = tempfile::Builder::new().prefix("ffu-discover-").tempdir().unwrap();
        let root = Utf8PathBuf::from_path_buf(guard.path().join("region one")).unwrap();
        fs::create_dir_all(root.join("etc")).unwrap();
        // Without it the test would list the services of the machine it runs on.
        fs::create_dir_all(root.join("services")).unwrap();
        Deployment {
            catalog: Catalog::embedded().unwrap(),
            root,
            databases: BTreeMap::new(),
            _guard: guard,
        }
    }

    /// Every project of a series, with the heads it has there.
    pub(crate) fn at(text: &str) -> Self {
        let mut deployment = Self::empty();
        let names: Vec<String> = deployment
            .catalog
            .projects_at(&series(text))
            .map(|p| p.name.clone())
            .collect();
        for name in names {
            deployment.add(&name, text);
        }
        deployment
    }

    /// A project with the heads of a series.
    pub(crate) fn add(&mut self, project: &str, at: &str) {
        let entry = self.catalog.project(project).unwrap().clone();
        let mut config = String::from("[DEFAULT]\nlog_dir = /var/log\n");
        for database in entry
            .database
            .iter()
            .filter(|d| self.catalog.holds(&d.since, &d.until, &series(at)))
        {
            let key = format!("{project}/{}", database.role);
            let made = shared_server()
                .database(&format!("{project}_{}", database.role))
                .unwrap();
            config.push_str(&format!(
                "[{}]\n{} = {}\n",
                database.section,
                database.option,
                made.url.to_url().expose().replace('$', "$$")
            ));
            made.run(&["CREATE TABLE things (id INT PRIMARY KEY)"]).unwrap();
            self.databases.insert(key.clone(), made);
            self.stamp(&key, at);
        }
        let path = self.root.join("etc").join(&entry.config[0].path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, config).unwrap();
    }

    /// Gives a database the heads of a series; what was there stays where upstream leaves it.
    pub(crate) fn stamp(&self, key: &str, at: &str) {
        let (project, role) = key.split_once('/').unwrap();
        let heads = self.catalog.heads(project, role, &series(at)).unwrap();
        for (name, versions) in &heads {
            match name.strip_prefix("migrate:") {
                Some(repository) => self.migrate(key, repository, &versions[0]),
                None => self.alembic(key, versions),
            }
        }
    }

    pub(crate) fn alembic(&self, key: &str, versions: &[String]) {
        let database = &self.databases[key];
        database
            .run(&[
                "CREATE TABLE IF NOT EXISTS alembic_version (version_num VARCHAR(32) NOT NULL)",
                "DELETE FROM alembic_version",
            ])
            .unwrap();
        for version in versions {
            database
                .run(&[&format!("INSERT INTO alembic_version VALUES ('{version}')")])
                .unwrap();
        }
    }

    pub(crate) fn migrate(&self, key: &str, repository: &str, version: &str) {
        self.databases[key]
            .run(&[
                "CREATE TABLE IF NOT EXISTS migrate_version (repository_id VARCHAR(250) PRIMARY KEY, repository_path TEXT, version INT)",
                &format!("REPLACE INTO migrate_version VALUES ('{repository}', '/x', {version})"),
            ])
            .unwrap();
    }

    pub(crate) fn unit(&self, service: &str, project: &str, role: &str, at: &str) {
        let text = format!(
            "name = \"{service}\"\nservice = \"{service}\"\nproject = \"{project}\"\nrole = \"{role}\"\nseries = \"{at}\"\ncommand = [\"/bin/true\"]\nworking_directory = \"/\"\nlog = \"/dev/null\"\n"
        );
        fs::write(self.root.join("services").join(format!("{service}.toml")), text).unwrap();
    }

    pub(crate) fn config(&self, project: &str) -> Utf8PathBuf {
        self.root
            .join("etc")
            .join(&self.catalog.project(project).unwrap().config[0].path)
    }

    pub(crate) fn try_discover(&self, options: &Options) -> Result<Cloud, DiscoverError> {
        discover_plain(&self.root, &self.catalog, options)
    }

    pub(crate) fn discover(&self) -> Cloud {
        self.try_discover(&Options::default()).unwrap()
    }
}

pub(crate) fn ids(cloud: &Cloud) -> Vec<&str> {
    cloud.findings.iter().map(|f| f.id.as_str()).collect()
}

pub(crate) fn only<'a>(cloud: &'a Cloud, id: &str) -> &'a Finding {
    let mut found = cloud.findings.iter().filter(|f| f.id == id);
    let first = found
        .next()
        .unwrap_or_else(|| panic!("no {id} in {:?}", cloud.findings));
    assert!(found.next().is_none(), "{:?}", cloud.findings);
    first
}

pub(crate) fn decided(cloud: &Cloud) -> Vec<String> {
    cloud
        .projects
        .iter()
        .map(|p| format!("{} {}", p.project, p.series.as_ref().map_or("?", Series::as_str)))
        .collect()
}
