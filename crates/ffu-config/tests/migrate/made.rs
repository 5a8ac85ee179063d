//! Catalogs made by hand for tests: three series, `pike`, `queens` and `rocky` unless said otherwise.

use std::collections::BTreeMap;

use ffu_catalog::options::{DynamicGroup, OldName, Opt, OptType, Removal, SeriesSet, ServiceOptions};
use ffu_catalog::rules::Rule;
use ffu_config::migrate::{InputFile, Outcome, Request, migrate};
use ffu_model::Series;

pub fn series(names: &str) -> Vec<Series> {
    names.split(' ').map(|name| name.parse().unwrap()).collect()
}

/// `group.name` in the series of a mask, with old spellings `group.name` after it.
pub fn opt(spelling: &str, mask: u32, old: &[&str]) -> Opt {
    let split = |text: &str| {
        let (group, name) = text.split_once('.').unwrap();
        (group.to_owned(), name.to_owned())
    };
    let (group, name) = split(spelling);
    Opt {
        group,
        name,
        registered_name: None,
        series: SeriesSet(mask),
        kind: text(),
        default: None,
        machine_default: false,
        multi: false,
        secret: false,
        required: false,
        mutable: false,
        aliases: old
            .iter()
            .map(|one| split(one))
            .map(|(group, name)| OldName { group, name })
            .collect(),
        removal: None,
    }
}

pub fn text() -> OptType {
    OptType::String {
        choices: None,
        quotes: false,
        regex: None,
        ignore_case: false,
        max_length: None,
    }
}

pub fn announced(mut option: Opt) -> Opt {
    option.removal = Some(Removal { since: None });
    option
}

pub fn multi(mut option: Opt) -> Opt {
    option.multi = true;
    option
}

pub fn typed(mut option: Opt, kind: OptType, default: serde_json::Value) -> Opt {
    option.kind = kind;
    option.default = (!default.is_null()).then_some(default);
    option
}

pub fn service(names: &str, options: Vec<Opt>) -> ServiceOptions {
    let series = series(names);
    ServiceOptions {
        format: 1,
        service: "made".to_owned(),
        versions: series.iter().map(|one| (one.clone(), "1".to_owned())).collect(),
        series,
        options,
        ..ServiceOptions::default()
    }
}

pub fn backends(like: &str) -> DynamicGroup {
    DynamicGroup {
        group: "DEFAULT".to_owned(),
        option: "enabled_backends".to_owned(),
        pattern: "{name}".to_owned(),
        like: vec![like.to_owned()],
        falls_back_to: None,
        since: None,
        until: None,
        source: "a test".to_owned(),
    }
}

pub fn input(texts: &[&str]) -> Vec<InputFile> {
    let file = |(at, text): (usize, &&str)| InputFile {
        label: format!("{at}.conf"),
        bytes: text.as_bytes().to_vec(),
    };
    texts.iter().enumerate().map(file).collect()
}

pub struct Run<'a> {
    pub service: &'a ServiceOptions,
    pub rules: &'a [Rule],
    pub environment: BTreeMap<String, String>,
    pub pin_defaults: bool,
}

impl<'a> Run<'a> {
    pub fn of(service: &'a ServiceOptions) -> Self {
        Run {
            service,
            rules: &[],
            environment: BTreeMap::new(),
            pin_defaults: false,
        }
    }

    pub fn path(&self, path: &[Series], files: &[InputFile]) -> Outcome {
        migrate(&Request {
            options: self.service,
            rules: self.rules,
            path,
            files,
            environment: &self.environment,
            pin_defaults: self.pin_defaults,
        })
        .unwrap()
    }

    /// From the first series to the last.
    pub fn all(&self, texts: &[&str]) -> Outcome {
        self.path(&self.service.series.clone(), &input(texts))
    }
}

/// The files of an outcome as text.
pub fn texts(outcome: &Outcome) -> Vec<String> {
    outcome
        .files
        .iter()
        .map(|file| String::from_utf8(file.bytes.clone()).unwrap())
        .collect()
}

/// `severity subject id` of each finding.
pub fn told(outcome: &Outcome) -> Vec<String> {
    outcome
        .findings
        .iter()
        .map(|one| format!("{}: {} {}", one.severity, one.subject, one.id))
        .collect()
}
