//! What has changed since a cloud was discovered: what a plan was made for must still be so when it runs.

use std::collections::{BTreeMap, BTreeSet};

use ffu_model::cloud::DatabaseServer;
use ffu_model::{Cloud, CloudDatabase};

/// The differences that matter to a plan, as sentences: projects, configuration files, databases with their places and
/// schema heads, server versions, services. Sizes and row counts change all the time and do not count.
pub fn drift(expected: &Cloud, now: &Cloud) -> Vec<String> {
    let mut sentences = Vec::new();
    if expected.root != now.root {
        sentences.push(format!("the root is {} instead of {}", now.root, expected.root));
    }
    if expected.service_manager != now.service_manager {
        sentences.push("services are managed by something else".to_owned());
    }
    let names = |cloud: &Cloud| {
        cloud
            .projects
            .iter()
            .map(|p| p.project.clone())
            .collect::<BTreeSet<_>>()
    };
    let (before, after) = (names(expected), names(now));
    sentences.extend(before.difference(&after).map(|name| format!("{name} is gone")));
    sentences.extend(after.difference(&before).map(|name| format!("{name} is new")));
    files(expected, now, &mut sentences);
    databases(expected, now, &mut sentences);
    services(expected, now, &mut sentences);
    sentences
}

fn files(expected: &Cloud, now: &Cloud, sentences: &mut Vec<String>) {
    let all = |cloud: &Cloud| -> BTreeMap<String, String> {
        let files = cloud.projects.iter().flat_map(|p| &p.config_files);
        files.map(|file| (file.path.to_string(), file.sha256.clone())).collect()
    };
    changes(&all(expected), &all(now), sentences, |path, _, _| {
        format!("{path} was changed")
    });
}

/// Says what is gone, what is new, and, in the given words, what is different.
fn changes<T: PartialEq>(
    before: &BTreeMap<String, T>,
    after: &BTreeMap<String, T>,
    sentences: &mut Vec<String>,
    different: impl Fn(&str, &T, &T) -> String,
) {
    for (name, was) in before {
        match after.get(name) {
            None => sentences.push(format!("{name} is gone")),
            Some(is) if is != was => sentences.push(different(name, was, is)),
            Some(_) => {}
        }
    }
    sentences.extend(
        after
            .keys()
            .filter(|name| !before.contains_key(*name))
            .map(|name| format!("{name} is new")),
    );
}

fn databases(expected: &Cloud, now: &Cloud, sentences: &mut Vec<String>) {
    let all = |cloud: &Cloud| -> BTreeMap<String, String> {
        cloud
            .databases()
            .map(|(key, database)| (format!("database {key}"), place(cloud, database)))
            .collect()
    };
    changes(&all(expected), &all(now), sentences, |name, was, is| {
        format!("{name} is {is} instead of {was}")
    });
    for (key, was) in expected.databases() {
        let Some(is) = now.database(&key) else { continue };
        if was.heads != is.heads {
            sentences.push(format!(
                "the schema heads of {key} are {} instead of {}",
                heads(is),
                heads(was)
            ));
        }
    }
    let servers = |cloud: &Cloud| -> BTreeMap<String, String> {
        let version = |server: &DatabaseServer| format!("{} {}", server.flavor, server.version);
        cloud
            .servers
            .iter()
            .map(|server| (format!("server {}", server.address), version(server)))
            .collect()
    };
    changes(&servers(expected), &servers(now), sentences, |name, was, is| {
        format!("{name} is {is} instead of {was}")
    });
}

fn place(cloud: &Cloud, database: &CloudDatabase) -> String {
    let address = cloud
        .server(&database.server)
        .map_or("an unknown server", |server| server.address.as_str());
    format!("{} on {address}", database.schema)
}

fn heads(database: &CloudDatabase) -> String {
    let parts: Vec<String> = database
        .heads
        .iter()
        .map(|(name, versions)| format!("{name} {}", versions.join("+")))
        .collect();
    if parts.is_empty() {
        "none".to_owned()
    } else {
        parts.join(", ")
    }
}

fn services(expected: &Cloud, now: &Cloud, sentences: &mut Vec<String>) {
    let all = |cloud: &Cloud| -> BTreeMap<String, (String, String, _)> {
        let services = cloud.services.iter();
        services
            .map(|s| {
                (
                    format!("unit {}", s.unit),
                    (s.service.clone(), s.project.clone(), s.role),
                )
            })
            .collect()
    };
    changes(&all(expected), &all(now), sentences, |name, was, is| {
        format!("{name} is {} ({:?}) instead of {} ({:?})", is.0, is.2, was.0, was.2)
    });
}
