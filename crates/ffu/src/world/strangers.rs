//! Which tables the run's own commands made, so that one of somebody else is told from them: found before the next schema
//! change and on the way back, named, and kept.
//!
//! Kept for each database in the run's directory: the tables that are accounted for (those of the checkpoint, and those that
//! were there when a schema command of the run had ended), those that are not, and whether a schema command is at work. What
//! appears while one is at work counts as made by it.

use std::fs;

use camino::{Utf8Path, Utf8PathBuf};
use ffu_db::checkpoint::{self, strangers};
use ffu_model::cloud::DatabaseKey;
use ffu_model::step::{CommandAction, Purpose};
use ffu_model::{Finding, Severity};
use serde::{Deserialize, Serialize};

use super::{World, services};

/// The tables of one database.
#[derive(Debug, Default, Deserialize, Serialize)]
struct Account {
    known: Vec<String>,
    strangers: Vec<String>,
    at_work: bool,
}

impl Account {
    /// What was kept; `None` if nothing was yet. One that cannot be read is an error: to begin anew would call the run's own
    /// tables somebody else's.
    fn read(path: &Utf8Path) -> Result<Option<Account>, String> {
        match fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|error| format!("{path}: {error}")),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(format!("{path}: {error}")),
        }
    }

    /// Tables that are there and that the run did not make.
    fn meet(&mut self, here: &[String]) {
        if self.at_work {
            return;
        }
        for name in here {
            if !self.known.contains(name) && !self.strangers.contains(name) {
                self.strangers.push(name.clone());
            }
        }
    }

    fn settle(&mut self, here: Vec<String>) {
        self.at_work = false;
        self.known = here.into_iter().filter(|name| !self.strangers.contains(name)).collect();
    }
}

impl World {
    fn account_file(&self, key: &DatabaseKey) -> Utf8PathBuf {
        self.run
            .private()
            .join(format!("{}.{}.tables.json", key.project, key.role))
    }

    /// `None` for a database that the checkpoint does not hold: the run makes it.
    fn account(&self, key: &DatabaseKey) -> Result<Option<Account>, String> {
        let path = self.account_file(key);
        if let Some(account) = Account::read(&path)? {
            return Ok(Some(account));
        }
        let manifest = checkpoint::load(&self.run.checkpoint()).map_err(|error| error.to_string())?;
        let Some(database) = manifest.databases.iter().find(|database| database.key == *key) else {
            return Ok(None);
        };
        let saved = database.saved.as_ref().map(|saved| &saved.fingerprint);
        let fingerprint = saved.or(database.copied.as_ref().map(|copied| &copied.fingerprint));
        Ok(fingerprint.map(|fingerprint| Account {
            known: fingerprint.tables.keys().cloned().collect(),
            ..Account::default()
        }))
    }

    fn write_account(&self, key: &DatabaseKey, account: &Account) -> Result<(), String> {
        let path = self.account_file(key);
        let bytes = serde_json::to_vec(account).map_err(|error| error.to_string())?;
        services::write(&path, &bytes).map_err(|error| format!("{path}: {error}"))
    }

    fn here(&self, key: &DatabaseKey) -> Result<Vec<String>, String> {
        strangers::tables(&self.access(key)?).map_err(|error| format!("{key}: {error}"))
    }

    /// Looks before a schema command whether there is a table that nobody of the run made.
    pub(super) fn before_schema_change(&self, action: &CommandAction) -> Result<Vec<Finding>, String> {
        let mut findings = Vec::new();
        for key in changed_by(action) {
            let Some(mut account) = self.account(key)? else {
                continue;
            };
            account.meet(&self.here(key)?);
            account.at_work = true;
            self.write_account(key, &account)?;
            if !account.strangers.is_empty() {
                findings.push(Finding {
                    id: "tables-of-somebody-else".to_owned(),
                    severity: Severity::Warning,
                    project: Some(key.project.clone()),
                    message: format!("{key} has tables that are neither the checkpoint's nor the run's: {}", account.strangers.join(", ")),
                    remedy: "find out who makes them while the control plane is stopped; a rollback keeps them beside the database".to_owned(),
                    source: String::new(),
                });
            }
        }
        Ok(findings)
    }

    /// What is there when a schema command has ended well is accounted for.
    pub(super) fn after_schema_change(&self, action: &CommandAction) -> Result<(), String> {
        for key in changed_by(action) {
            if let Some(mut account) = self.account(key)? {
                account.settle(self.here(key)?);
                self.write_account(key, &account)?;
            }
        }
        Ok(())
    }

    /// Puts aside, before databases are brought back, what nobody of the run made.
    pub(super) fn keep_strangers(&self) -> Result<Vec<Finding>, String> {
        let directory = self.run.checkpoint();
        let manifest = checkpoint::load(&directory).map_err(|error| error.to_string())?;
        let connections = strangers::connections(&directory).map_err(|error| error.to_string())?;
        let mut findings = Vec::new();
        for database in &manifest.databases {
            let key = &database.key;
            let (Some(mut account), Some(access)) = (self.account(key)?, connections.get(key)) else {
                continue;
            };
            let named = |error: ffu_db::DbError| format!("{key}: {error}");
            account.meet(&strangers::tables(access).map_err(named)?);
            let kept = strangers::set_aside(&directory, access, &account.strangers);
            if let Some(kept) = kept.map_err(named)? {
                let names: Vec<String> = kept
                    .tables
                    .iter()
                    .map(|name| format!("{}.{name}", kept.schema))
                    .collect();
                findings.push(Finding {
                    id: "tables-kept".to_owned(),
                    severity: Severity::Warning,
                    project: Some(key.project.clone()),
                    message: format!(
                        "somebody made tables in {key} during the run; they are kept with their rows: {}",
                        names.join(", ")
                    ),
                    remedy: format!(
                        "move back what is wanted with RENAME TABLE, then DROP DATABASE {}",
                        kept.schema
                    ),
                    source: String::new(),
                });
            }
        }
        Ok(findings)
    }
}

/// The databases whose tables a command may change.
fn changed_by(action: &CommandAction) -> Vec<&DatabaseKey> {
    let mut keys: Vec<&DatabaseKey> = Vec::new();
    if action.purpose == Purpose::Schema {
        for heads in &action.expect_heads {
            if !keys.contains(&&heads.database) {
                keys.push(&heads.database);
            }
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_that_cannot_be_read_is_not_begun_anew() {
        let scratch = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(scratch.path())
            .unwrap()
            .join("nova.main.tables.json");
        assert!(Account::read(&path).unwrap().is_none());
        fs::write(&path, r#"{"known": ["a"]"#).unwrap();
        assert!(Account::read(&path).unwrap_err().contains("nova.main.tables.json: "));
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(Account::read(&path).unwrap_err().contains("nova.main.tables.json: "));
    }

    #[test]
    fn what_appears_between_commands_is_somebody_elses_and_what_appears_in_one_is_the_runs() {
        let names = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let mut account = Account {
            known: names("a b"),
            ..Account::default()
        };
        account.meet(&names("a b theirs"));
        account.at_work = true;
        account.meet(&names("a b theirs made"));
        assert_eq!(account.strangers, ["theirs"]);
        account.settle(names("a made theirs"));
        assert_eq!(account.known, ["a", "made"]);
        account.meet(&names("a made theirs more"));
        assert_eq!(account.strangers, ["theirs", "more"]);
    }
}
