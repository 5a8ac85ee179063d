//! From a database's key to the account and server that reach it, at the moment of use.

use std::time::Duration;

use ffu_db::url::Access;
use ffu_db::{DbError, resolve};
use ffu_model::cloud::DatabaseKey;

use super::World;

/// No question of a gate or drain may take longer.
pub(super) const QUESTION: Duration = Duration::from_secs(120);

/// A database that can be asked.
pub(super) struct Database {
    pub server: ffu_db::server::Server,
    pub schema: String,
}

impl World {
    /// The accounts for a database.
    ///
    /// # Errors
    /// In words, with the database's name.
    pub(super) fn access(&self, key: &DatabaseKey) -> Result<Access, String> {
        let reference = self
            .references
            .get(key)
            .ok_or_else(|| format!("{key}: the plan says nothing of its connection\n  next: make the plan anew"))?;
        let service = resolve(reference).map_err(|error| format!("{key}: {error}"))?;
        Ok(Access {
            service,
            admin: self.admin(key),
        })
    }

    /// The administrator's option file for the server of a database.
    pub(super) fn admin(&self, key: &DatabaseKey) -> Option<camino::Utf8PathBuf> {
        self.plan.server_of(key)?.admin_option_file.clone()
    }

    /// A connection with the service's own account.
    pub(super) fn open(&self, key: &DatabaseKey) -> Result<Database, String> {
        let access = self.access(key)?;
        let named = |error: DbError| format!("{key}: {error}");
        let server = access.server().map_err(named)?;
        let schema = access.schema().map_err(|error| format!("{key}: {error}"))?.to_owned();
        Ok(Database { server, schema })
    }

    /// The answer to a counting question.
    pub(super) fn count(&self, key: &DatabaseKey, query: &str) -> Result<u64, String> {
        let database = self.open(key)?;
        database
            .server
            .query_count(&database.schema, query, QUESTION)
            .map_err(|error| format!("{key}: {error}"))
    }
}
