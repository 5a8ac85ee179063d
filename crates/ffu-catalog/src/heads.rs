//! Schema heads: which versions a database has at a series, and which series a database is at.

use std::collections::{BTreeMap, BTreeSet};

use ffu_model::Series;

use crate::Catalog;
use crate::types::HeadEntry;

/// The catalog keeps one entry for all cells.
pub(crate) fn catalog_role(role: &str) -> &str {
    if role == "cell0" || role.starts_with("cell:") {
        "cell"
    } else {
        role
    }
}

fn names(entry: &HeadEntry) -> BTreeMap<String, Vec<String>> {
    let mut heads = BTreeMap::new();
    if !entry.alembic.is_empty() {
        let mut revisions = entry.alembic.clone();
        revisions.sort();
        heads.insert(entry.version_table.clone(), revisions);
    }
    if entry.alembic.is_empty() {
        for (repository, version) in &entry.migrate {
            heads.insert(format!("migrate:{repository}"), vec![version.to_string()]);
        }
    }
    heads
}

impl Catalog {
    fn head_entries<'a>(&'a self, project: &str, role: &'a str) -> impl Iterator<Item = &'a HeadEntry> {
        let entries = self.heads.get(project).map(Vec::as_slice).unwrap_or_default();
        entries.iter().filter(move |entry| entry.database == catalog_role(role))
    }

    fn same_heads(&self, project: &str, entry: &HeadEntry) -> impl Iterator<Item = BTreeMap<String, Vec<String>>> {
        let same = self
            .project(project)
            .map(|found| found.same_heads.as_slice())
            .unwrap_or_default();
        same.iter()
            .filter(|same| same.series == entry.series && same.database == entry.database)
            .map(|same| BTreeMap::from([(entry.version_table.clone(), same.alembic.clone())]))
    }

    /// The heads of a database at a series, named as in [`ffu_model::CloudDatabase::heads`]: alembic's version table by
    /// its name, sqlalchemy-migrate's repositories as `migrate:ID` (only while there is no alembic: afterwards the row is
    /// a leftover that younger databases lack). `cell0` and `cell:NAME` stand for `cell`.
    pub fn heads(&self, project: &str, role: &str, series: &Series) -> Option<BTreeMap<String, Vec<String>>> {
        self.head_entries(project, role)
            .find(|entry| entry.series == *series)
            .map(names)
    }

    /// Every series, in order, at which a database with these heads can be.
    ///
    /// All heads of the series must be there. What else is there is judged by name: a leftover sqlalchemy-migrate row
    /// is fine beside alembic (the tables were never dropped), an alembic head in a series that had none is not, and
    /// version tables the catalog knows nothing of (plugins') do not count.
    pub fn candidates(&self, project: &str, role: &str, found: &BTreeMap<String, Vec<String>>) -> Vec<Series> {
        let as_sets = |heads: &BTreeMap<String, Vec<String>>| -> BTreeMap<String, BTreeSet<String>> {
            heads
                .iter()
                .filter(|(_, versions)| !versions.is_empty())
                .map(|(name, versions)| (name.clone(), versions.iter().cloned().collect()))
                .collect()
        };
        let found = as_sets(found);
        let known: BTreeSet<String> = self
            .head_entries(project, role)
            .flat_map(|entry| names(entry).into_keys())
            .collect();
        let fits = |expected: &BTreeMap<String, Vec<String>>, has_alembic: bool| {
            let expected = as_sets(expected);
            let mut others = found
                .keys()
                .filter(|name| known.contains(*name) && !expected.contains_key(*name));
            !expected.is_empty()
                && expected
                    .iter()
                    .all(|(name, versions)| found.get(name) == Some(versions))
                && others.all(|name| has_alembic && name.starts_with("migrate:"))
        };
        let mut fitting: Vec<Series> = self
            .head_entries(project, role)
            .filter(|entry| {
                fits(&names(entry), !entry.alembic.is_empty())
                    || self.same_heads(project, entry).any(|heads| fits(&heads, true))
            })
            .map(|entry| entry.series.clone())
            .collect();
        fitting.sort_by_key(|series| self.position(series));
        fitting
    }

    /// The series in which an alembic revision is new: tells where a half-migrated database stands.
    pub fn revision_series(&self, project: &str, role: &str, alembic_revision: &str) -> Option<Series> {
        self.head_entries(project, role)
            .find(|entry| entry.new_revisions.iter().any(|revision| revision == alembic_revision))
            .map(|entry| entry.series.clone())
    }
}
