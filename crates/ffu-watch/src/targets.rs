//! The targets file: read, checked, written. What is wrong is said with the line where it stands, and with what to do.

pub mod neutron;
mod sample;

use std::collections::{BTreeSet, HashMap};

use camino::{Utf8Path, Utf8PathBuf};
use ffu_model::watch::{Budget, Probe, Target, Targets, Vantage, Workload};

use crate::judge::MOST_BUDGETS;
use crate::ssh;

pub use sample::sample;

/// The shortest interval, in milliseconds: 50 probes a second.
pub const SHORTEST_INTERVAL_MS: u32 = 20;
/// The longest interval and timeout: a minute.
const LONGEST_MS: u32 = 60_000;
/// The longest baseline: a day.
const LONGEST_BASELINE_S: u32 = 86_400;
const LONGEST_NAME: usize = 255;

/// Why a targets file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TargetsError {
    /// The file.
    #[error("cannot read the targets file {path}: {source}\n  next: `ffu watch targets --help` says how one is made")]
    Io {
        /// The file.
        path: Utf8PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// It is not TOML, or has keys or values that a targets file does not have.
    #[error("{path}:{line}: {why}\n  next: correct this line of {path}")]
    Toml {
        /// The file.
        path: Utf8PathBuf,
        /// The line, from 1; 0 if it is not known.
        line: usize,
        /// What the reader says.
        why: String,
    },
    /// It is TOML, and cannot be meant.
    #[error("{path}{}: {what}\n  next: {next}", if *line > 0 { format!(":{line}") } else { String::new() })]
    Wrong {
        /// The file.
        path: Utf8PathBuf,
        /// The line, from 1; 0 if it is not known.
        line: usize,
        /// What is wrong with which thing.
        what: String,
        /// What to do.
        next: String,
    },
    /// Targets that cannot be written as TOML.
    #[error(
        "the targets cannot be written as TOML: {why}\n  next: look for values beyond what TOML can hold (2^63) in the budgets"
    )]
    Write {
        /// Why not.
        why: String,
    },
}

/// Reads and checks a targets file.
///
/// # Errors
/// The file cannot be read, is not TOML, or says what cannot be meant.
pub fn read(path: &Utf8Path) -> Result<Targets, TargetsError> {
    let text = std::fs::read_to_string(path).map_err(|source| TargetsError::Io {
        path: path.to_owned(),
        source,
    })?;
    parse(&text, path)
}

/// Reads and checks the text of a targets file; `path` is what errors call it.
///
/// # Errors
/// It is not TOML, or says what cannot be meant.
pub fn parse(text: &str, path: &Utf8Path) -> Result<Targets, TargetsError> {
    let targets: Targets = toml::from_str(text).map_err(|error| TargetsError::Toml {
        path: path.to_owned(),
        line: error.span().map_or(0, |span| line_at(text, span.start)),
        why: error.message().to_owned(),
    })?;
    check(&targets).map_err(|wrong| TargetsError::Wrong {
        path: path.to_owned(),
        line: wrong.at.map_or(0, |name| line_of(text, &name)),
        what: wrong.what,
        next: wrong.next,
    })?;
    Ok(targets)
}

/// The text of a targets file.
///
/// # Errors
/// A number is beyond what TOML can hold.
pub fn write(targets: &Targets) -> Result<String, TargetsError> {
    toml::to_string(targets).map_err(|error| TargetsError::Write { why: error.to_string() })
}

/// What cannot be meant.
struct Wrong {
    /// The name of the target or budget that it stands in.
    at: Option<String>,
    what: String,
    next: String,
}

fn wrong(at: Option<&str>, what: String, next: impl Into<String>) -> Result<(), Wrong> {
    Err(Wrong {
        at: at.map(str::to_owned),
        what,
        next: next.into(),
    })
}

fn check(targets: &Targets) -> Result<(), Wrong> {
    if targets.targets.is_empty() {
        return wrong(
            None,
            "there is no target in it".to_owned(),
            "add a [[targets]] section with `name` and `address`",
        );
    }
    check_interval(None, "interval_ms", targets.interval_ms)?;
    if !(1..=LONGEST_MS).contains(&targets.timeout_ms) {
        let what = format!("timeout_ms is {}, outside 1 to {LONGEST_MS}", targets.timeout_ms);
        return wrong(None, what, "leave it out for 1000");
    }
    if targets.budgets.baseline_s > LONGEST_BASELINE_S {
        let what = format!("baseline_s is {}, more than a day", targets.budgets.baseline_s);
        return wrong(None, what, "leave it out for 30 seconds");
    }
    if let Some(vantage) = targets.vantages.get(Targets::HERE)
        && *vantage != Vantage::Here
    {
        let what = "[vantages.here] is not this host".to_owned();
        return wrong(
            None,
            what,
            "give this vantage point another name: `here` is always this host",
        );
    }
    for (name, vantage) in &targets.vantages {
        if let Vantage::Ssh { host, config, .. } = vantage
            && let Some((what, next)) = ssh::wrong(host, config.as_deref())
        {
            return wrong(None, format!("[vantages.{name}]: {what}"), next);
        }
    }
    let mut names: HashMap<&str, usize> = HashMap::new();
    for (place, target) in targets.targets.iter().enumerate() {
        check_target(targets, target)?;
        if let Some(other) = names.insert(&target.name, place) {
            let what = format!(
                "targets {} and {} are both called {:?}",
                other + 1,
                place + 1,
                target.name
            );
            return wrong(Some(&target.name), what, "give one of them another name");
        }
    }
    let count = targets.budgets.budget.len();
    if count > MOST_BUDGETS {
        let what = format!("there are {count} budgets, more than {MOST_BUDGETS}");
        return wrong(None, what, "join those that allow the same");
    }
    let mut budgets = BTreeSet::new();
    for budget in &targets.budgets.budget {
        check_budget(targets, budget)?;
        if !budgets.insert(&budget.name) {
            let what = format!("two budgets are called {:?}", budget.name);
            return wrong(Some(&budget.name), what, "give one of them another name");
        }
    }
    Ok(())
}

fn check_interval(at: Option<&str>, key: &str, ms: u32) -> Result<(), Wrong> {
    if (SHORTEST_INTERVAL_MS..=LONGEST_MS).contains(&ms) {
        return Ok(());
    }
    let of = at.map_or(String::new(), |name| format!(" of target {name:?}"));
    let what = format!("{key}{of} is {ms}, outside {SHORTEST_INTERVAL_MS} to {LONGEST_MS}");
    wrong(at, what, format!("set it to {SHORTEST_INTERVAL_MS} or more"))
}

fn check_target(targets: &Targets, target: &Target) -> Result<(), Wrong> {
    let name = &target.name;
    if name.is_empty() || name.len() > LONGEST_NAME || name.chars().any(char::is_control) {
        let what = format!(
            "the name {:?} is empty, too long or has control characters",
            shortened(name)
        );
        return wrong(
            Some(name),
            what,
            "give the target a name of 1 to 255 printable characters",
        );
    }
    if let Some(ms) = target.interval_ms {
        check_interval(Some(name), "interval_ms", ms)?;
    }
    if target.vantage != Targets::HERE && !targets.vantages.contains_key(&target.vantage) {
        let what = format!(
            "target {name:?} is probed from {:?}, which is not in the file",
            target.vantage
        );
        return wrong(
            Some(name),
            what,
            format!("add [vantages.{}] or leave `vantage` out for this host", target.vantage),
        );
    }
    if let Some(Workload::Ssh { host, config, pid_file }) = &target.workload {
        if let Some((what, next)) = ssh::wrong(host, config.as_deref()) {
            return wrong(Some(name), format!("the workload of target {name:?}: {what}"), next);
        }
        if let Some(file) = pid_file.as_ref().filter(|file| !file.is_absolute()) {
            let what = format!("`pid_file` of target {name:?} is {file}, which depends on the directory at {host}");
            return wrong(Some(name), what, "give its whole path, from / on");
        }
    }
    if let Some(Workload::Http { path, namespace, .. }) = &target.workload
        && let Some(what) = crate::workload::wrong_http(path, namespace.as_deref())
    {
        let what = format!("the workload of target {name:?}: {what}");
        return wrong(
            Some(name),
            what,
            "a path begins with /; `ip netns list` shows the names",
        );
    }
    if let Some(Workload::Instance { uuid }) = &target.workload
        && !crate::instances::is_uuid(uuid)
    {
        let what = format!(
            "the instance of target {name:?} is {:?}, which is no uuid",
            shortened(uuid)
        );
        return wrong(Some(name), what, "give it as `openstack server list` shows it");
    }
    let port = match target.probe {
        Probe::TcpConnect { port } | Probe::TcpStream { port } | Probe::UdpEcho { port } => Some(port),
        Probe::Http { port, .. } | Probe::Dns { port, .. } => Some(port),
        Probe::Icmp | Probe::Arp { .. } => None,
    };
    if port == Some(0) {
        return wrong(
            Some(name),
            format!("target {name:?} has port 0"),
            "give it the port of the service",
        );
    }
    if matches!(target.probe, Probe::Arp { .. }) && target.address.is_ipv6() {
        let what = format!("target {name:?} is probed by ARP and has an IPv6 address");
        return wrong(Some(name), what, "use probe type \"icmp\" for it");
    }
    Ok(())
}

fn check_budget(targets: &Targets, budget: &Budget) -> Result<(), Wrong> {
    let name = &budget.name;
    if name.trim().is_empty() {
        return wrong(
            Some(name),
            "a budget has no name".to_owned(),
            "give it a `name`: messages call it so",
        );
    }
    if budget.longest_gap_ms.is_none() && budget.total_loss_ms.is_none() && budget.targets_out.is_none() {
        let what = format!("budget {name:?} limits nothing");
        return wrong(Some(name), what, "give it longest_gap_ms, total_loss_ms or targets_out");
    }
    if budget.targets_out.is_some_and(|share| !(0.0..=1.0).contains(&share)) {
        let what = format!("targets_out of budget {name:?} is not a share from 0 to 1");
        return wrong(Some(name), what, "5 % is 0.05");
    }
    if !targets
        .targets
        .iter()
        .any(|target| crate::judge::is_for(budget, target))
    {
        let labels: Vec<String> = budget
            .filter
            .iter()
            .map(|(key, value)| format!("{key} = {value:?}"))
            .collect();
        let what = format!(
            "`where` of budget {name:?} ({}) is true of no target",
            labels.join(", ")
        );
        let known: BTreeSet<&str> = targets
            .targets
            .iter()
            .flat_map(|target| target.groups.keys())
            .map(String::as_str)
            .collect();
        let known = known.into_iter().collect::<Vec<_>>().join(", ");
        return wrong(
            Some(name),
            what,
            format!("use labels that targets have in `groups` (here: {known})"),
        );
    }
    Ok(())
}

fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}

fn line_at(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

/// The last line that gives this name, 0 if none is found (it may be written in another way).
fn line_of(text: &str, name: &str) -> usize {
    let gives = |line: &str| {
        let mut parts = line.trim().splitn(2, '=');
        let (key, value) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let value = value.trim();
        key.trim() == "name" && (value.starts_with(&format!("{name:?}")) || value.starts_with(&format!("'{name}'")))
    };
    text.lines()
        .enumerate()
        .filter(|(_, line)| gives(line))
        .last()
        .map_or(0, |(index, _)| index + 1)
}

#[cfg(test)]
#[path = "targets/tests.rs"]
mod tests;
