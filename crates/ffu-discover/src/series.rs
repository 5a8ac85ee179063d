//! Which series a cloud is at. Schema heads rarely change with every series, so each project usually fits several; together
//! they fit few. A failed skip leaves projects that have none in common.

use std::collections::{BTreeMap, BTreeSet};

use ffu_catalog::Catalog;
use ffu_model::{CloudProject, Finding, Series, Severity};

use crate::error::DiscoverError;
use crate::{Options, finding, listed};

/// Sets the series of every project whose heads are known, and says what was decided and why.
pub(crate) fn decide(
    catalog: &Catalog,
    options: &Options,
    unit_series: &BTreeSet<Series>,
    projects: &mut [CloudProject],
) -> Result<Vec<Finding>, DiscoverError> {
    let mut findings: Vec<Finding> = projects.iter().filter_map(torn).collect();
    let fits: BTreeMap<String, Vec<Series>> = projects
        .iter()
        .map(|project| (project.project.clone(), candidates(project)))
        .filter(|(_, series)| !series.is_empty())
        .collect();
    if fits.is_empty() {
        return Ok(findings);
    }
    let groups = groups(catalog, projects, &fits);
    let unit_series = unit_series.iter().next().filter(|_| unit_series.len() == 1);
    let mut chosen: BTreeMap<&str, Series> = BTreeMap::new();
    for group in &groups {
        let hint = [options.series.as_ref(), unit_series]
            .into_iter()
            .flatten()
            .find(|hint| group.series.contains(hint));
        let Some(series) = hint.or(group.series.first()) else {
            continue;
        };
        for name in &group.projects {
            chosen.insert(name, series.clone());
        }
        if groups.len() == 1 && hint.is_none() && group.series.len() > 1 {
            let message = format!(
                "the schemas are the same in {}; {series} is assumed, so that nothing is left out",
                listed(&group.series)
            );
            let remedy = "if the packages are of a later one of these, name it with `--series`";
            findings.push(finding("series-ambiguous", Severity::Info, None, message, remedy));
        }
    }
    if let [group] = groups.as_slice() {
        if let Some(given) = options.series.as_ref().filter(|given| !group.series.contains(given)) {
            return Err(DiscoverError::SeriesDoesNotFit {
                given: given.to_string(),
                fitting: listed(&group.series),
            });
        }
        if let Some(units) = unit_series.filter(|units| !group.series.contains(units)) {
            let message = format!(
                "the services run packages of {units}, the schemas are at {}",
                listed(&group.series)
            );
            let remedy = "find out which of the two is meant to be: services on a schema of another series lose data";
            findings.push(finding("series-disagrees", Severity::Warning, None, message, remedy));
        }
    } else {
        findings.push(mixed(&groups, &chosen, projects));
    }
    for project in projects.iter_mut() {
        // What cannot be trusted has no series.
        project.series = chosen.get(project.project.as_str()).cloned();
    }
    Ok(findings)
}

/// The series that all databases of a project fit; none if one of them fits nothing.
fn candidates(project: &CloudProject) -> Vec<Series> {
    let mut databases = project.databases.iter();
    let Some(first) = databases.next() else {
        return Vec::new();
    };
    let mut common = first.candidates.clone();
    for database in databases {
        common.retain(|series| database.candidates.contains(series));
    }
    common
}

/// A project whose databases are each at some series, and at none together.
fn torn(project: &CloudProject) -> Option<Finding> {
    let all_known = project.databases.len() > 1 && project.databases.iter().all(|d| !d.candidates.is_empty());
    if !all_known || !candidates(project).is_empty() {
        return None;
    }
    let name = &project.project;
    let parts: Vec<String> = project
        .databases
        .iter()
        .map(|d| format!("{name}/{} at {}", d.role, listed(&d.candidates)))
        .collect();
    let message = format!("the databases of {name} are at different series: {}", parts.join("; "));
    let remedy = format!(
        "a migration of {name} ended after one of them: restore both from the backup made before it, or finish it with {name}'s own db sync of the later series (`ffu env build SERIES` provides it), then type `ffu discover` again"
    );
    Some(finding("half-migrated", Severity::Blocker, Some(name), message, remedy))
}

struct Group {
    /// In the catalog's order.
    projects: Vec<String>,
    /// What all of them fit, in order.
    series: Vec<Series>,
}

/// As few groups as possible, each with a series in common, oldest first: whoever could be older is taken to be.
fn groups(catalog: &Catalog, projects: &[CloudProject], fits: &BTreeMap<String, Vec<Series>>) -> Vec<Group> {
    let mut left: Vec<&String> = projects
        .iter()
        .map(|p| &p.project)
        .filter(|name| fits.contains_key(*name))
        .collect();
    let mut groups = Vec::new();
    let last = |name: &String| fits[name].last().and_then(|series| catalog.position(series));
    // Stabbing intervals at the end of the one that ends first leaves the fewest groups.
    while let Some(stab) = left.iter().filter_map(|name| last(name)).min() {
        let Some(entry) = catalog.series.get(stab) else { break };
        let (inside, outside): (Vec<&String>, Vec<&String>) =
            left.into_iter().partition(|name| fits[*name].contains(&entry.id));
        if inside.is_empty() {
            break;
        }
        let mut series = fits[inside[0]].clone();
        for name in &inside {
            series.retain(|s| fits[*name].contains(s));
        }
        groups.push(Group {
            projects: inside.into_iter().cloned().collect(),
            series,
        });
        left = outside;
    }
    groups
}

fn mixed(groups: &[Group], chosen: &BTreeMap<&str, Series>, projects: &[CloudProject]) -> Finding {
    let parts: Vec<String> = projects
        .iter()
        .filter_map(|project| {
            let series = chosen.get(project.project.as_str())?;
            let fits = candidates(project);
            let range = match fits.as_slice() {
                [first, .., last] => format!(" (its heads are those of {first} to {last})"),
                _ => String::new(),
            };
            Some(format!("{} at {series}{range}", project.project))
        })
        .collect();
    let message = format!(
        "the projects are at different series, as after a failed skip: {}",
        parts.join("; ")
    );
    let behind: Vec<&str> = groups
        .iter()
        .take(groups.len().saturating_sub(1))
        .flat_map(|group| group.projects.iter().map(String::as_str))
        .collect();
    let ahead = groups.last().map(|group| group.projects.join(", ")).unwrap_or_default();
    let remedy = format!(
        "{} behind: `ffu plan` takes {} through every series, hop by hop, until {ahead} joins; online data migrations that {ahead} skipped are made up for only if you restore the backup taken before the skip and plan from there",
        match behind.as_slice() {
            [one] => format!("{one} is"),
            many => format!("{} are", many.join(", ")),
        },
        if behind.len() == 1 { "it" } else { "them" },
    );
    finding("mixed-series", Severity::Warning, None, message, remedy)
}
