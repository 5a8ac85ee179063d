//! What schema heads mean that fit no series: newer than known, older than known, foreign, or half-way between two; and
//! the one state that fits a series and is wrong all the same.

use ffu_catalog::Catalog;
use ffu_db::Heads;
use ffu_model::{CloudDatabase, DatabaseKey, Finding, Series, Severity};

use crate::finding;

/// Alembic's rows, of whatever version table.
fn revisions(heads: &Heads) -> Vec<&str> {
    heads
        .iter()
        .filter(|(name, _)| !name.starts_with("migrate:"))
        .flat_map(|(_, versions)| versions)
        .map(String::as_str)
        .collect()
}

/// The numbers of sqlalchemy-migrate that a repository has had, series by series.
fn legacy_numbers(catalog: &Catalog, project: &str, role: &str, repository: &str) -> Vec<(Series, u64)> {
    let number = |series: &Series| -> Option<u64> {
        let heads = catalog.heads(project, role, series)?;
        heads.get(repository)?.first()?.parse().ok()
    };
    catalog
        .series
        .iter()
        .filter_map(|entry| Some((entry.id.clone(), number(&entry.id)?)))
        .collect()
}

/// What is wrong with one database's heads, if anything is.
pub(crate) fn diagnose(catalog: &Catalog, project: &str, database: &CloudDatabase) -> Option<Finding> {
    let key = DatabaseKey::new(project, &database.role);
    if let Some(finding) = legacy_remainder(catalog, project, database, &key) {
        return Some(finding);
    }
    // An empty database has a finding of its own.
    if !database.candidates.is_empty() || database.tables == 0 {
        return None;
    }
    let known: Vec<&str> = database.heads.values().flatten().map(String::as_str).collect();
    if known.is_empty() {
        return Some(unknown(
            &key,
            "it has no schema version at all (no alembic_version, no migrate_version)",
        ));
    }
    let revisions = revisions(&database.heads);
    if !revisions.is_empty() {
        alembic(catalog, &key, &revisions)
    } else {
        migrate(catalog, &key, &database.heads)
    }
}

/// Heat 21 stamps any database whose tables exist as its first alembic revision, whatever is left of the old migrations
/// (hops.md, 2023.2): the schema then claims to be what it is not.
fn legacy_remainder(catalog: &Catalog, project: &str, database: &CloudDatabase, key: &DatabaseKey) -> Option<Finding> {
    if revisions(&database.heads).is_empty() {
        return None;
    }
    database.heads.iter().filter(|(name, _)| name.starts_with("migrate:")).find_map(|(name, versions)| {
        let last = legacy_numbers(catalog, project, &database.role, name).into_iter().map(|(_, n)| n).max()?;
        let here: u64 = versions.first()?.parse().ok()?;
        if here >= last {
            return None;
        }
        let message = format!(
            "{key} was stamped as migrated by alembic while the older migrations stopped at {here} of {last}: migrations {} to {last} never ran, and what is written now may be lost",
            here + 1
        );
        let remedy = format!(
            "restore {} from the backup made before {project} was upgraded, then type `ffu discover` again",
            database.schema
        );
        let mut found = finding("legacy-remainder-skipped", Severity::Blocker, Some(project), message, remedy);
        found.source = "heat 21 (2023.2) heat/db/migration.py stamps any legacy database".to_owned();
        Some(found)
    })
}

fn unknown(key: &DatabaseKey, why: &str) -> Finding {
    let message = format!("{key} is at no series this program knows: {why}");
    let remedy = "check that the connection leads to the right database; a newer catalog (`--catalog DIR`) may know it; otherwise restore the database from a backup";
    finding(
        "unknown-schema-heads",
        Severity::Blocker,
        Some(&key.project),
        message,
        remedy,
    )
}

fn between(key: &DatabaseKey, before: Option<&Series>, after: &Series, parts: &str) -> Finding {
    let message = match before {
        Some(before) => format!("{key} is between {before} and {after}: {parts}"),
        None => format!("{key} is on the way to {after}: {parts}"),
    };
    let project = &key.project;
    let remedy = format!(
        "a migration to {after} was interrupted: restore the backup made before it, or finish it with {project}'s own db sync of {after} (`ffu env build {after}` provides it), then type `ffu discover` again"
    );
    finding("half-migrated", Severity::Blocker, Some(project), message, remedy)
}

fn previous<'a>(catalog: &'a Catalog, series: &Series) -> Option<&'a Series> {
    let at = catalog.position(series)?.checked_sub(1)?;
    catalog.series.get(at).map(|entry| &entry.id)
}

fn newest(catalog: &Catalog) -> &str {
    catalog.series.last().map_or("", |entry| entry.id.as_str())
}

fn alembic(catalog: &Catalog, key: &DatabaseKey, revisions: &[&str]) -> Option<Finding> {
    let placed: Vec<(&str, Option<Series>)> = revisions
        .iter()
        .map(|revision| (*revision, catalog.revision_series(&key.project, &key.role, revision)))
        .collect();
    let foreign: Vec<&str> = placed
        .iter()
        .filter(|(_, series)| series.is_none())
        .map(|(revision, _)| *revision)
        .collect();
    if !foreign.is_empty() {
        let why = format!(
            "revision {} is not {}'s of any series up to {}: it is newer, or not from upstream",
            foreign.join(", "),
            key.project,
            newest(catalog)
        );
        return Some(unknown(key, &why));
    }
    let last = placed
        .iter()
        .filter_map(|(_, series)| series.as_ref())
        .max_by_key(|series| catalog.position(series))?;
    let parts: Vec<String> = placed
        .iter()
        .filter_map(|(revision, series)| Some(format!("revision {revision} belongs to {}", series.as_ref()?)))
        .collect();
    let oldest = previous(catalog, last);
    if oldest.is_none() {
        let why = format!(
            "{}, but not to its end: it is older than {last} is when complete",
            parts.join(", ")
        );
        return Some(unknown(key, &why));
    }
    Some(between(
        key,
        oldest,
        last,
        &format!("{}, which has more", parts.join(", ")),
    ))
}

fn migrate(catalog: &Catalog, key: &DatabaseKey, heads: &Heads) -> Option<Finding> {
    let mut low: Option<Series> = None;
    let mut high: Option<Series> = None;
    let mut parts = Vec::new();
    for (name, versions) in heads {
        let repository = name.strip_prefix("migrate:").unwrap_or(name);
        let known = legacy_numbers(catalog, &key.project, &key.role, name);
        let Some((first, last)) = known.first().zip(known.last()) else {
            parts.push(format!("{repository} is a repository {} does not have", key.project));
            continue;
        };
        let Some(here) = versions.first().and_then(|text| text.parse::<u64>().ok()) else {
            continue;
        };
        if here < first.1 {
            let why = format!("{repository} is at {here}, older than {} ({})", first.0, first.1);
            return Some(unknown(key, &why));
        }
        if here > last.1 {
            let why = format!(
                "{repository} is at {here}, and its last version was {} ({})",
                last.1, last.0
            );
            return Some(unknown(key, &why));
        }
        // The last series whose number is reached, and the first one whose number is.
        let reached = known
            .iter()
            .rev()
            .find(|(_, number)| *number <= here)
            .map(|(series, _)| series.clone());
        let towards = known
            .iter()
            .find(|(_, number)| *number >= here)
            .map(|(series, _)| series.clone());
        let exact = known.iter().any(|(_, number)| *number == here);
        if let (Some(reached), Some(towards)) = (reached, towards) {
            parts.push(if exact {
                format!("{repository} {here} belongs to {towards}")
            } else {
                format!("{repository} {here} lies between {reached} and {towards}")
            });
            let at = |series: &Option<Series>| series.as_ref().and_then(|s| catalog.position(s));
            if low.is_none() || catalog.position(&reached) < at(&low) {
                low = Some(reached);
            }
            if high.is_none() || catalog.position(&towards) > at(&high) {
                high = Some(towards);
            }
        }
    }
    match high {
        Some(high) => Some(between(key, low.as_ref(), &high, &parts.join(", "))),
        None => Some(unknown(key, &parts.join(", "))),
    }
}
