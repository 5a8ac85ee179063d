//! A service's configuration as strictly as one series reads it: what it does not know, refuses, or calls otherwise now.

use std::collections::{BTreeMap, BTreeSet};

use ffu_catalog::options::ServiceOptions;
use ffu_model::Series;
use ffu_model::secret::mask;

use crate::era::Era;
use crate::fate::not_dumped;
use crate::finding::{self, Finding, Limit, Severity};
use crate::migrate::{InputFile, MigrateError, Origin, Place, Side, Uses, read_documents};
use crate::reading::{FileSet, ReadError, Reading, Schema, Source};
use crate::values::Value;

/// What to check.
#[derive(Clone, Debug)]
pub struct CheckRequest<'a> {
    /// The option catalog of the service.
    pub options: &'a ServiceOptions,
    /// The series whose rules hold.
    pub series: &'a Series,
    /// The files in the order in which the service is given them.
    pub files: &'a [InputFile],
    /// The environment of the service; only `OS_<GROUP>__<OPTION>` matters.
    pub environment: &'a BTreeMap<String, String>,
}

/// Checks a set of files; each finding has its file and line, as far as it has one.
///
/// `unknown-option`, `bad-value` and `required-missing` are errors to a service or to its operator; `old-spelling`,
/// `removal-announced` and `overridden` will be; groups that nothing is known of are `unverifiable-group`.
///
/// # Errors
/// [`MigrateError`] where a file cannot be read as oslo.config would read it, or the series has no catalog.
pub fn check(request: &CheckRequest<'_>) -> Result<Vec<Finding>, MigrateError> {
    let set = request
        .options
        .at(request.series)
        .ok_or_else(|| not_dumped(request.options, request.series))?;
    let files = read_documents(request.files, Era::of(request.series))?;
    let schema = Schema::new(set.iter(), Era::of(request.series));
    let side = Side::new(&set, schema, &files, request.environment, None);
    let reading = Reading::new(&side.schema, &files, request.environment);
    let mut check = Check {
        service: &request.options.service,
        series: request.series,
        files: &files,
        findings: Vec::new(),
        limit: Limit::default(),
    };
    let uses = Uses::of(&side, &files);
    check.names(&side, &uses);
    check.values(&uses, &reading);
    check.required(&side, &reading);
    let mut findings = check.findings;
    findings.extend(check.limit.rest());
    finding::sort(&mut findings);
    Ok(findings)
}

struct Check<'c> {
    service: &'c str,
    series: &'c Series,
    files: &'c FileSet,
    findings: Vec<Finding>,
    limit: Limit,
}

impl Check<'_> {
    fn add(&mut self, id: &str, severity: Severity, place: Place, message: String, remedy: String) {
        let Some(file) = self.files.files().get(place.0) else {
            return;
        };
        let Some(entry) = file.document.entry(place.1) else {
            return;
        };
        let subject = format!("{}.{}", entry.group(), entry.key);
        let finding = Finding::new(id, severity, subject, message).remedy(remedy);
        let finding = finding.at(Some(&file.label), entry.line.unwrap_or(1), 1);
        if self.limit.admits(&finding) {
            self.findings.push(finding);
        }
    }

    fn names(&mut self, side: &Side<'_>, uses: &Uses<'_>) {
        let (service, series) = (self.service, self.series);
        let mut groups: BTreeSet<(usize, String)> = BTreeSet::new();
        for place in uses.unknown.iter().copied() {
            let entry = self
                .files
                .files()
                .get(place.0)
                .and_then(|file| file.document.entry(place.1));
            let Some(group) = entry.map(|entry| entry.group().into_owned()) else {
                continue;
            };
            if side.knows_group(&group) {
                let message = format!("{service} {series} has no such option: it is read by nobody");
                let remedy = "correct the name, or take it out (`ffu config explain` shows its life)".to_owned();
                self.add("unknown-option", Severity::LostUnlessYouAct, place, message, remedy);
            } else if groups.insert((place.0, group)) {
                let message =
                    format!("{service} {series} has no such group, and no value names it: it cannot be checked");
                self.add("unverifiable-group", Severity::Info, place, message, String::new());
            }
        }
        for (option, entries) in uses.options.iter().zip(&uses.entries) {
            let (group, name) = option.key();
            for one in entries {
                let others = uses.meanings.get(&one.place).map(Vec::as_slice).unwrap_or_default();
                let has_own_name = || {
                    others
                        .iter()
                        .any(|at| uses.entry(*at, one.place).is_some_and(|other| other.rank == 0))
                };
                if one.rank > 0 && !has_own_name() {
                    let message = format!("an old spelling of [{group}] {name}");
                    let remedy = format!("call it [{group}] {name}");
                    self.add("old-spelling", Severity::Moved, one.place, message, remedy);
                }
                if !one.counts {
                    let message =
                        format!("without effect: the same file sets [{group}] {name} once more, and that counts");
                    self.add(
                        "overridden",
                        Severity::RemovedWithoutEffect,
                        one.place,
                        message,
                        "take it out".to_owned(),
                    );
                }
                if let (Some(removal), true) = (&option.option.removal, one.rank == 0 && one.counts) {
                    let since = removal
                        .since
                        .as_ref()
                        .map(|since| format!(" since {since}"))
                        .unwrap_or_default();
                    let message = format!("its removal is announced{since}");
                    self.add("removal-announced", Severity::Info, one.place, message, String::new());
                }
            }
        }
    }

    fn values(&mut self, uses: &Uses<'_>, reading: &Reading<'_, '_>) {
        for option in &uses.options {
            let (group, name) = option.key();
            let Some(effective) = reading.effective(group, name) else {
                continue;
            };
            let Err(error) = &effective.value else { continue };
            let message = match error {
                _ if option.option.secret => "its value is refused".to_owned(),
                ReadError::Value { reason, .. } => format!("its value is refused: {}", mask(reason, &[])),
                other => other.to_string(),
            };
            let remedy = "give it a value that it takes (`ffu config explain` shows which)".to_owned();
            let place = effective.sources.iter().rev().find_map(|source| match source {
                Source::File { file, entry, .. } => Some((*file, *entry)),
                _ => None,
            });
            match place {
                Some(place) => self.add("bad-value", Severity::LostUnlessYouAct, place, message, remedy),
                None => {
                    let finding = Finding::new(
                        "bad-value",
                        Severity::LostUnlessYouAct,
                        format!("{group}.{name}"),
                        message,
                    );
                    self.findings.push(finding.remedy(remedy));
                }
            }
        }
    }

    fn required(&mut self, side: &Side<'_>, reading: &Reading<'_, '_>) {
        // A group that no file has belongs to a feature that is not used: its options are registered when it is (keystoneauth's
        // `auth_url`, castellan's sources), and only then oslo.config asks for them.
        let used: BTreeSet<String> = self
            .files
            .files()
            .iter()
            .flat_map(|file| {
                file.document
                    .entries()
                    .map(|entry| entry.group().into_owned())
                    .collect::<Vec<_>>()
            })
            .collect();
        let mut missing = Vec::new();
        for (group, option) in side.schema.iter().filter(|(_, option)| option.required) {
            // Of a plugin only what all its ways of use need is registered as required; the catalog cannot tell them apart.
            let of_plugin = side
                .get(group, &option.name)
                .is_some_and(|inst| matches!(inst.origin, Origin::Plugin(_)));
            let unset = reading
                .effective(group, &option.name)
                .is_some_and(|e| e.value == Ok(Value::None));
            if unset && !of_plugin && (group == "DEFAULT" || used.contains(group)) {
                missing.push(format!("{group}.{}", option.name));
            }
        }
        for subject in missing {
            let message = format!("{} {} must have it, and no file sets it", self.service, self.series);
            let finding = Finding::new("required-missing", Severity::LostUnlessYouAct, subject, message);
            self.findings.push(finding.remedy("set it"));
        }
    }
}
