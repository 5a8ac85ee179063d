//! The curated rules against the real option catalogs: each is about options that exist, says what is so, and does what it
//! should to a file.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use ffu_catalog::Catalog;
use ffu_catalog::options::{OptType, OptionSet, ServiceOptions};
use ffu_catalog::rules::{Change, Rule, split_name};
use ffu_config::migrate::{InputFile, Outcome, Request, migrate};
use ffu_model::Series;

fn catalog() -> Catalog {
    Catalog::embedded().unwrap()
}

fn order(catalog: &Catalog) -> Vec<Series> {
    catalog.series.iter().map(|entry| entry.id.clone()).collect()
}

fn services(catalog: &Catalog) -> Vec<&ServiceOptions> {
    catalog
        .option_services()
        .map(|service| catalog.options(service).unwrap().unwrap())
        .collect()
}

/// The last dumped series before a rule, and the first from it on.
fn around<'a>(service: &'a ServiceOptions, rule: &Rule, order: &[Series]) -> Option<(&'a Series, &'a Series)> {
    let since = order.iter().position(|series| *series == rule.since)?;
    let at = |series: &&Series| order.iter().position(|one| one == *series);
    let before = service.series.iter().rfind(|series| at(series) < Some(since))?;
    let after = service.series.iter().find(|series| at(series) >= Some(since))?;
    Some((before, after))
}

/// The options of a series that a rule is about.
fn met<'a>(set: &OptionSet<'a>, rule: &Rule) -> Vec<&'a ffu_catalog::options::Opt> {
    set.iter()
        .filter(|option| rule.matches(&option.group, &option.name))
        .collect()
}

#[test]
fn every_rule_is_about_options_that_exist_and_are_gone() {
    let catalog = catalog();
    let order = order(&catalog);
    let mut wrong = String::new();
    for rule in catalog.config_rules() {
        let mut found = 0;
        for service in services(&catalog)
            .into_iter()
            .filter(|service| rule.is_about(&service.service))
        {
            let Some((before, after)) = around(service, rule, &order) else {
                continue;
            };
            let (set, then) = (service.at(before).unwrap(), service.at(after).unwrap());
            for pattern in rule.options() {
                let (group, name) = split_name(pattern).unwrap();
                let one = Rule {
                    change: Change::NeverEffective {
                        options: vec![pattern.clone()],
                    },
                    ..rule.clone()
                };
                let options = met(&set, &one);
                found += options.len();
                if options.is_empty() && !rule.services.is_empty() {
                    writeln!(wrong, "{}: {} {before} has no {group}.{name}", rule.id, service.service).unwrap();
                }
            }
            let is_gone = matches!(
                rule.change,
                Change::FeatureRemoved { .. }
                    | Change::NeverEffective { .. }
                    | Change::Template { .. }
                    | Change::AnotherFile { .. }
            );
            for option in met(&set, rule) {
                let lives = then.get(&option.group, &option.name).is_some()
                    || !then.by_alias(&option.group, &option.name).is_empty();
                if is_gone && lives {
                    let (group, name) = (&option.group, &option.name);
                    writeln!(
                        wrong,
                        "{}: {} {after} still has {group}.{name}",
                        rule.id, service.service
                    )
                    .unwrap();
                }
            }
            let ends: Vec<&String> = match &rule.change {
                Change::Move { to, .. } | Change::Template { to, .. } => vec![to],
                Change::Split { to, .. } => to.iter().collect(),
                _ => Vec::new(),
            };
            for to in ends.into_iter().filter(|_| !met(&set, rule).is_empty()) {
                let (group, name) = split_name(to).unwrap();
                if then.get(group, name).is_none() {
                    writeln!(wrong, "{}: {} {after} has no {to}", rule.id, service.service).unwrap();
                }
            }
        }
        if found == 0 {
            writeln!(wrong, "{}: no service has such an option", rule.id).unwrap();
        }
    }
    assert_eq!(wrong, "");
}

/// A value that makes a rule speak.
fn value(rule: &Rule, kind: &OptType) -> String {
    match &rule.change {
        Change::Values { map, .. } => map.keys().cloned().collect::<Vec<_>>().join(","),
        Change::Decide { values, .. } if !values.is_empty() => values[0].replace('*', "x"),
        _ => match kind {
            OptType::Boolean => "true".to_owned(),
            OptType::Integer { .. } | OptType::Port { .. } => "17".to_owned(),
            OptType::Float { .. } => "0.5".to_owned(),
            OptType::Uri { .. } => "http://192.0.2.1:9696/x".to_owned(),
            OptType::String {
                choices: Some(choices), ..
            } => choices.iter().flatten().next_back().cloned().unwrap_or_default(),
            _ => "some".to_owned(),
        },
    }
}

fn run(catalog: &Catalog, service: &ServiceOptions, path: &[Series], text: &str) -> Outcome {
    migrate(&Request {
        options: service,
        rules: catalog.config_rules(),
        path,
        files: &[InputFile {
            label: "x.conf".to_owned(),
            bytes: text.as_bytes().to_vec(),
        }],
        environment: &BTreeMap::new(),
        pin_defaults: false,
    })
    .unwrap()
}

#[test]
fn every_rule_does_what_it_says() {
    let catalog = catalog();
    let order = order(&catalog);
    let mut told = String::new();
    for rule in catalog.config_rules() {
        let mut about: Vec<_> = services(&catalog)
            .into_iter()
            .filter(|service| rule.is_about(&service.service))
            .collect();
        about.sort_by_key(|service| service.service != "nova");
        let found = about.iter().find_map(|service| {
            let (before, after) = around(service, rule, &order)?;
            let option = *met(&service.at(before)?, rule).first()?;
            Some((*service, before, after, option))
        });
        let (service, before, after, option) = found.unwrap_or_else(|| panic!("{}: no option", rule.id));
        let values = match &rule.change {
            Change::Values { map, .. } if !matches!(option.kind, OptType::List { .. }) => map.keys().cloned().collect(),
            _ => vec![value(rule, &option.kind)],
        };
        for value in values {
            let text = format!("[{}]\n{} = {value}\n", option.group, option.name);
            let from = order.iter().position(|series| series == before).unwrap();
            let to = order.iter().position(|series| series == after).unwrap();
            let outcome = run(&catalog, service, &order[from..=to], &text);
            writeln!(
                told,
                "## {} ({} {before} → {after})\n{text}=>",
                rule.id, service.service
            )
            .unwrap();
            writeln!(told, "{}", String::from_utf8_lossy(&outcome.files[0].bytes)).unwrap();
            let about_rule = outcome
                .findings
                .iter()
                .filter(|finding| finding.id != "default-changed");
            for finding in about_rule {
                writeln!(told, "{}: {} ({})", finding.severity, finding.subject, finding.id).unwrap();
                assert!(
                    finding.id == "unverifiable-group" || finding.source == rule.source || finding.source.is_empty()
                );
            }
            assert!(
                outcome.findings.iter().any(|finding| finding.source == rule.source
                    || matches!(rule.change, Change::Move { .. }) && finding.id == "option-renamed"),
                "{}\n{told}",
                rule.id
            );
            told.push('\n');
        }
    }
    insta::assert_snapshot!(told);
}

#[test]
fn a_broker_of_pike_is_one_url_at_the_target_and_its_password_in_no_finding() {
    let catalog = catalog();
    let order = order(&catalog);
    let text = "[DEFAULT]\n# our brokers\nrabbit_userid = os\nrpc_backend = rabbit\n\n[oslo_messaging_rabbit]\n\
                rabbit_hosts = mq1:5671, mq2:5671\nrabbit_password = s3:cr/t$$\nrabbit_virtual_host = /os\n\
                rabbit_use_ssl = true\nkombu_ssl_ca_certs = /etc/ca.pem\n";
    for service in services(&catalog) {
        if service.at(&order[0]).is_none() {
            continue;
        }
        let outcome = run(&catalog, service, &order, text);
        let file = String::from_utf8(outcome.files[0].bytes.clone()).unwrap();
        let url = "transport_url = rabbit://os:s3%3Acr%2Ft%24@mq1:5671,os:s3%3Acr%2Ft%24@mq2:5671/%2Fos\n";
        assert!(file.contains(url), "{}: {file}", service.service);
        assert!(file.contains("\nssl = true\nssl_ca_file = /etc/ca.pem\n"), "{file}");
        let said = format!("{:?} {:?}", outcome.findings, outcome.expectations);
        assert!(!said.contains("s3:cr") && !said.contains("s3%3A"), "{said}");
        assert_eq!(
            outcome.proof.options_set, outcome.proof.proven_equal,
            "{:?}",
            outcome.findings
        );
        if service.service == "nova" {
            insta::assert_snapshot!("broker", file);
        }
    }
}
