//! `ffu config explain|options|table`: what the option catalogs know, shown.

use std::fmt::Write as _;

use ffu_catalog::options::{Opt, OptType, ServiceOptions};
use ffu_config::carry::carry_table;
use ffu_config::explain::{Stage, explain};
use ffu_config::fate::Fate;
use ffu_model::Series;
use serde_json::json;

use super::{carried, config};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::places::Places;

/// `ffu config explain`.
pub fn option(places: &Places, output: Output, service: &str, option: &str) -> Result<Exit, Failure> {
    let catalog = places.catalog_of_configuration()?;
    let options = config::service(catalog, service)?;
    // Names of options have no dots, names of groups may.
    let (group, name) = option.rsplit_once('.').unwrap_or(("DEFAULT", option));
    let order: Vec<Series> = catalog.series.iter().map(|entry| entry.id.clone()).collect();
    let Some(life) = explain(options, catalog.config_rules(), &order, group, &name.replace('-', "_")) else {
        return Err(Failure::new(
            Exit::BadInput,
            format!(
                "{service} has no option {group}.{name} in any series{}\n  next: `ffu config options {service} SERIES` lists them",
                elsewhere(options, name)
            ),
        ));
    };
    let mut text = format!("{service}: {}\n", life.asked);
    for stage in &life.stages {
        let _ = writeln!(text, "  {:<18} {}", span(&stage.first, &stage.last), words(stage));
    }
    for told in &life.rules {
        let _ = writeln!(text, "  {}: {}", told.since, told.why);
        if !told.instead.is_empty() {
            let _ = writeln!(text, "    next: {}", told.instead);
        }
        let _ = writeln!(text, "    source: {}", told.source);
    }
    let _ = writeln!(
        text,
        "  what {} of a file becomes at the newest series: {}",
        life.asked,
        fate(&life.at_newest)
    );
    output.result(text, &life);
    Ok(Exit::Success)
}

fn fate(fate: &Fate) -> String {
    match fate {
        Fate::Kept => "it stays".to_owned(),
        Fate::Renamed { to, .. } | Fate::Moved { to, .. } => format!("{to}"),
        Fate::Split { to } => {
            let names: Vec<String> = to.iter().map(ToString::to_string).collect();
            names.join(" and ")
        }
        Fate::Absorbed { into, since, .. } => format!("a part of {into} (since {since})"),
        Fate::Gone { since, announced, .. } => match announced {
            Some(announced) => format!("gone since {since}, announced in {announced}"),
            None => format!("gone since {since}, without a notice"),
        },
        Fate::Unknown => "nobody knows it".to_owned(),
    }
}

fn span(first: &Series, last: &Series) -> String {
    if first == last {
        first.to_string()
    } else {
        format!("{first} to {last}")
    }
}

fn words(stage: &Stage) -> String {
    let mut text = if stage.old_spelling {
        format!("an old spelling of {}", stage.name)
    } else {
        stage.name.to_string()
    };
    let _ = write!(text, ", {}", kind(&stage.kind));
    match &stage.default {
        Some(_) if stage.secret => text.push_str(", has a default"),
        Some(default) => {
            let _ = write!(text, ", default {default}");
        }
        None => text.push_str(", no default"),
    }
    if stage.multi {
        text.push_str(", may be given many times");
    }
    if stage.secret {
        text.push_str(", secret");
    }
    if !stage.old_spellings.is_empty() {
        let names: Vec<String> = stage.old_spellings.iter().map(ToString::to_string).collect();
        let _ = write!(text, ", also read as {}", names.join(", "));
    }
    if let Some(removal) = &stage.removal {
        text.push_str(", announced to go");
        if let Some(since) = &removal.since {
            let _ = write!(text, " since {since}");
        }
    }
    text
}

/// A type in a few words.
fn kind(kind: &OptType) -> String {
    let limits = |min: &Option<i64>, max: &Option<i64>| match (min, max) {
        (None, None) => String::new(),
        (Some(min), None) => format!(" from {min}"),
        (None, Some(max)) => format!(" up to {max}"),
        (Some(min), Some(max)) => format!(" {min} to {max}"),
    };
    match kind {
        OptType::String {
            choices: Some(choices), ..
        } => {
            let all: Vec<&str> = choices
                .iter()
                .map(|choice| choice.as_deref().unwrap_or("(nothing)"))
                .collect();
            format!("one of {}", all.join(", "))
        }
        OptType::String { .. } => "text".to_owned(),
        OptType::Boolean => "boolean".to_owned(),
        OptType::Integer { min, max, .. } => format!("integer{}", limits(min, max)),
        OptType::Float { .. } => "number".to_owned(),
        OptType::Port { min, max, .. } => format!("port{}", limits(min, max)),
        OptType::List { item, .. } => format!("list of {}", self::kind(item)),
        OptType::Dict { value, .. } => format!("dict of {}", self::kind(value)),
        OptType::Range { .. } => "range".to_owned(),
        OptType::IpAddress { .. } => "IP address".to_owned(),
        OptType::Uri { .. } => "URI".to_owned(),
        OptType::Hostname => "host name".to_owned(),
        OptType::HostAddress { .. } | OptType::HostDomain { .. } => "host name or address".to_owned(),
        OptType::Other { class } => format!("a type of its own ({class})"),
    }
}

/// Groups in which an option of that name is known, as a hint.
fn elsewhere(options: &ServiceOptions, name: &str) -> String {
    let mut groups: Vec<&str> = options
        .options
        .iter()
        .filter(|option| option.name == name)
        .map(|option| option.group.as_str())
        .collect();
    groups.dedup();
    match groups.len() {
        0 => String::new(),
        _ => format!("; there is one in {}", groups.join(", ")),
    }
}

/// `ffu config options`.
pub fn options(places: &Places, output: Output, service: &str, series: &str) -> Result<Exit, Failure> {
    let catalog = places.catalog_of_configuration()?;
    let series = catalog.resolve(series)?;
    let options = config::service(catalog, service)?;
    let Some(set) = options.at(&series) else {
        return Err(Failure::new(Exit::BadInput, not_dumped(options, &series)));
    };
    let all: Vec<&Opt> = set.iter().collect();
    let mut text = String::new();
    for option in &all {
        let default = match &option.default {
            Some(_) if option.secret => " = ***".to_owned(),
            Some(default) => format!(" = {default}"),
            None => String::new(),
        };
        let _ = writeln!(
            text,
            "{}.{} ({}){default}",
            option.group,
            option.name,
            kind(&option.kind)
        );
    }
    let _ = writeln!(
        text,
        "{service} {} of {series}: {} options",
        set.version().unwrap_or("?"),
        all.len()
    );
    output.result(
        text,
        &json!({"service": service, "series": series, "version": set.version(), "options": all}),
    );
    Ok(Exit::Success)
}

/// Why a series of a service has no catalog.
pub fn not_dumped(options: &ServiceOptions, series: &Series) -> String {
    let reason = options
        .not_dumped
        .iter()
        .find(|one| one.series == *series)
        .map_or_else(|| "it did not exist then".to_owned(), |one| one.reason.clone());
    let known: Vec<&str> = options.series.iter().map(Series::as_str).collect();
    format!(
        "there is no option catalog of {} for {series}: {reason}\n  next: there are {}",
        options.service,
        known.join(", ")
    )
}

/// `ffu config table`: for every service and pair of series, how many names are carried.
pub fn table(places: &Places, output: Output, wanted: &[String]) -> Result<Exit, Failure> {
    let catalog = places.catalog_of_configuration()?;
    let order: Vec<Series> = catalog.series.iter().map(|entry| entry.id.clone()).collect();
    let services = if wanted.is_empty() {
        carried::services(catalog)
    } else {
        wanted.to_vec()
    };
    let mut text = String::new();
    let mut all = Vec::new();
    for name in &services {
        let options = config::service(catalog, name)?;
        let rows =
            carry_table(options, catalog.config_rules(), &order).map_err(|error| Failure::new(Exit::Failure, error))?;
        let _ = writeln!(
            text,
            "\n## {name}\n\n| from | to | names | unchanged | moved | gone, said | gone, silent |\n| --- | --- | ---: | ---: | ---: | ---: | ---: |"
        );
        for row in &rows {
            let names = row.unchanged + row.moved + row.gone_with_notice + row.gone_without_notice;
            let _ = writeln!(
                text,
                "| {} | {} | {names} | {} | {} | {} | {} |",
                row.from, row.to, row.unchanged, row.moved, row.gone_with_notice, row.gone_without_notice
            );
        }
        all.push(json!({"service": name, "pairs": rows}));
    }
    output.result(text.trim_start(), &json!({"services": all}));
    Ok(Exit::Success)
}
