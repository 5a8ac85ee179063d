//! Options that moved to the file of another service: they leave one set of files, and are received by another.
//!
//! The service that loses them knows their values, the one that receives them knows what it calls them today and whether
//! its files set them already. So a migration hands out what leaves ([`Departure`]), and [`receive`] puts it into the files
//! of the other service once these are at the target themselves. Equal before and after is judged there, by the target's
//! own reading.

use std::collections::BTreeMap;
use std::fmt;

use ffu_catalog::options::{OptionSet, ServiceOptions};
use ffu_catalog::rules::{Change, Rule, split_name};
use ffu_model::Series;
use ffu_model::secret::mask;

use super::findings::at;
use super::side::Side;
use super::uses::{Place, Uses};
use super::value::{Likeness, compare};
use super::work::{Work, read_documents};
use super::{InputFile, MigrateError, MigratedFile};
use crate::era::Era;
use crate::fate::{Lineage, Name};
use crate::finding::{Finding, Severity};
use crate::ini::Document;
use crate::reading::{FileSet, Reading, Schema};
use crate::values::Value;

/// The id of the finding about an option that nobody has received yet.
pub const LEFT: &str = "left-for-another-file";

/// An option on its way to the file of another service.
#[derive(Clone, PartialEq)]
pub struct Departure {
    /// The service that reads it from now on.
    pub service: String,
    /// Its file, below `/etc`.
    pub file: String,
    /// What that service called it when it took it over.
    pub name: Name,
    /// The first series in which it is there.
    pub since: Series,
    /// The value as it is written into a file.
    pub text: String,
    /// The effective value before; `None` where it had none.
    pub value: Option<Value>,
    /// The comments above it.
    pub comments: Vec<String>,
    /// Whether the value must not be shown.
    pub secret: bool,
    /// The finding that says it is lost unless somebody receives it.
    pub finding: Finding,
}

impl fmt::Debug for Departure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values may be secret.
        write!(f, "Departure({} to {} of {})", self.name, self.file, self.service)
    }
}

/// What became of a departure.
#[derive(Clone, Debug, PartialEq)]
pub struct Arrived {
    /// What there is to say now, in the place of [`Departure::finding`].
    pub finding: Finding,
    /// Whether the option has the value that it had.
    pub equal: bool,
}

/// Files that have received options.
#[derive(Clone, Debug)]
pub struct Reception {
    /// The files, in the order in which they were handed in.
    pub files: Vec<MigratedFile>,
    /// One for each departure, in order.
    pub arrived: Vec<Arrived>,
}

/// Whether a rule sends an option away; then what is to be said, and where it goes.
pub(super) fn depart(work: &mut Work<'_, '_>, place: Place, option: usize, counted: &[usize], rule: &Rule) -> bool {
    let Change::AnotherFile {
        service, file, names, ..
    } = &rule.change
    else {
        return false;
    };
    let Some(entry) = work.entry(place) else { return false };
    let last = match &work.destinies[option].end {
        Some(ended) => ended.name.clone(),
        None => return false,
    };
    let name = names
        .get(&last.to_string())
        .and_then(|new| split_name(new))
        .map_or(last, |(group, name)| Name::new(group, name));
    let effective = work.effective(option);
    let (group, key) = work.uses.options[option].key();
    let secret = work.is_secret(group, key);
    let raw = entry.value().into_owned();
    let value = effective.as_ref().and_then(|effective| effective.value.clone().ok());
    // What a reference stands for is in a file that the other service does not read.
    let refers = effective
        .as_ref()
        .is_some_and(|effective| !effective.references.is_empty());
    let text = match &value {
        Some(Value::Text(text)) if refers => text.replace('$', "$$"),
        _ => raw,
    };
    let shown = match secret {
        true => "the value that stood here".to_owned(),
        // A URL may hold a password though its option is none that is secret.
        false => mask(&text, &[]),
    };
    let reasons = vec![
        format!("not in {} since {}: {}", work.service(), rule.since, rule.why),
        format!("it is [{}] {} in {file} now", name.group, name.name),
    ];
    let subject = format!("{}.{}", entry.group(), entry.key);
    let finding = at(
        LEFT,
        Severity::LostUnlessYouAct,
        &subject,
        rule.why.clone(),
        work.spot(place),
    )
    .remedy(format!(
        "write it into {file}: [{}] {} = {shown}; in a call with that file, or one that writes, it is carried there",
        name.group, name.name
    ))
    .source(&rule.source)
    .since(&rule.since);
    let departure = Departure {
        service: service.clone(),
        file: file.clone(),
        name,
        since: rule.since.clone(),
        text,
        value,
        comments: entry.comments().iter().map(|line| (*line).to_owned()).collect(),
        secret,
        finding: finding.clone(),
    };
    work.name(counted, finding);
    work.step(place).comment_out = Some(reasons);
    work.departures.push(departure);
    true
}

/// Puts options into the files of the service that reads them now.
///
/// `files` are that service's, at the target, in reading order; the first one gets what is new. Departures of other services
/// are an error of the caller and are left as they were found.
///
/// # Errors
/// [`MigrateError`] where a file cannot be read, or a series has no catalog.
pub fn receive(
    options: &ServiceOptions,
    rules: &[Rule],
    path: &[Series],
    files: &[InputFile],
    departures: &[Departure],
) -> Result<Reception, MigrateError> {
    let Some(target) = path.last().and_then(|target| options.at(target)) else {
        return Ok(unreceived(files, departures));
    };
    let era = Era::of(target.series());
    let set = read_documents(files, era)?;
    let mut documents: Vec<Document> = set.files().iter().map(|file| file.document.clone()).collect();
    let before = side(&target, &set);
    let uses = Uses::of(&before, &set);
    // What each is called, and whether that was set already.
    let mut bound: Vec<(Vec<Name>, bool)> = Vec::new();
    for departure in departures {
        let names = called(options, rules, path, departure);
        let is_set = |name: &Name| {
            let found = uses.find(&name.group, &name.name);
            found.is_some_and(|at| !uses.entries[at].is_empty())
        };
        let already = names.iter().any(is_set);
        if !already && let Some(document) = documents.first_mut() {
            let comments: Vec<&str> = departure.comments.iter().map(String::as_str).collect();
            for name in &names {
                document
                    .insert(&name.group, &name.name, &departure.text, &comments)
                    .map_err(|error| MigrateError::Edit {
                        label: files.first().map(|file| file.label.clone()).unwrap_or_default(),
                        subject: name.to_string(),
                        error,
                    })?;
            }
        }
        bound.push((names, already));
    }
    let mut migrated = Vec::new();
    let mut after = FileSet::new();
    for (file, document) in files.iter().zip(&documents) {
        let bytes = document.to_bytes();
        let again = Document::parse_as(&bytes, era).map_err(|error| MigrateError::Unreadable {
            label: file.label.clone(),
            error,
        })?;
        after.push(&file.label, again);
        migrated.push(MigratedFile {
            label: file.label.clone(),
            changed: bytes != file.bytes,
            bytes,
        });
    }
    let reader = side(&target, &after);
    let nothing = BTreeMap::new();
    let reading = Reading::new(&reader.schema, &after, &nothing);
    let label = files.first().map_or("", |file| file.label.as_str());
    let arrived = departures
        .iter()
        .zip(&bound)
        .map(|(departure, (names, already))| {
            let same = |name: &Name| {
                let now = reading
                    .effective(&name.group, &name.name)
                    .and_then(|now| now.value.ok());
                match (&departure.value, &now) {
                    (Some(before), Some(now)) => compare(before, now) != Likeness::Different,
                    _ => false,
                }
            };
            let equal = !names.is_empty() && names.iter().all(same);
            Arrived {
                finding: arrival(departure, names, *already, equal, label),
                equal,
            }
        })
        .collect();
    Ok(Reception {
        files: migrated,
        arrived,
    })
}

fn unreceived(files: &[InputFile], departures: &[Departure]) -> Reception {
    Reception {
        files: files
            .iter()
            .map(|file| MigratedFile {
                label: file.label.clone(),
                bytes: file.bytes.clone(),
                changed: false,
            })
            .collect(),
        arrived: departures
            .iter()
            .map(|departure| Arrived {
                finding: departure.finding.clone(),
                equal: false,
            })
            .collect(),
    }
}

/// What the target makes of the receiving files.
fn side<'a>(target: &OptionSet<'a>, files: &FileSet) -> Side<'a> {
    let schema = Schema::new(target.iter(), Era::of(target.series()));
    Side::new(target, schema, files, &BTreeMap::new(), None)
}

/// What the receiving service calls an option at the target: nothing where it is gone there, too.
fn called(options: &ServiceOptions, rules: &[Rule], path: &[Series], departure: &Departure) -> Vec<Name> {
    let from = path.iter().position(|series| *series == departure.since).unwrap_or(0);
    let known = path.get(from..).unwrap_or_default().iter();
    let path: Vec<Series> = known
        .skip_while(|series| options.position(series).is_none())
        .cloned()
        .collect();
    let Ok(lineage) = Lineage::new(options, &path, rules) else {
        return Vec::new();
    };
    let outcome = lineage.outcome(&departure.name.group, &departure.name.name);
    outcome.successors.iter().map(|branch| branch.name()).collect()
}

fn arrival(departure: &Departure, names: &[Name], already: bool, equal: bool, label: &str) -> Finding {
    let mut finding = departure.finding.clone();
    let listed: Vec<String> = names
        .iter()
        .map(|name| format!("[{}] {}", name.group, name.name))
        .collect();
    let listed = listed.join(" and ");
    let why = departure.finding.message.trim_end_matches('.');
    match (already, equal) {
        _ if names.is_empty() => {
            finding.message = format!("{why}; {} has no such option any more", departure.service);
            finding.remedy = format!("read the release notes of {} for what replaces it", departure.service);
        }
        (_, true) => {
            finding.id = "moved-to-another-file".to_owned();
            finding.severity = Severity::Moved;
            let how = if already { "is there already" } else { "is there now" };
            finding.message = format!("{why}; {listed} {how}, in {label}");
            finding.remedy = String::new();
        }
        (true, false) => {
            finding.id = "conflicting-files".to_owned();
            finding.severity = Severity::Decide;
            finding.message = format!("{why}; {label} sets {listed} to another value, which stays");
            finding.remedy = "choose the value that the one option is to have".to_owned();
        }
        (false, false) => {
            finding.message = format!("{why}; {listed} in {label} is not read with the value that it had");
            finding.remedy = "compare both by hand, and set what is wanted".to_owned();
        }
    }
    finding
}
