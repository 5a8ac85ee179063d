//! Migrations over the real catalogs: configurations made of a series' own options, under current names and old spellings,
//! carried to a later one. What was set is proven or named; a second run changes nothing; two steps end where one does.

#[path = "migrate/sample.rs"]
mod sample;

use std::collections::{BTreeMap, BTreeSet};

use ffu_catalog::Catalog;
use ffu_catalog::options::ServiceOptions;
use ffu_config::carry::carry_table;
use ffu_config::check::{CheckRequest, check};
use ffu_config::explain::explain;
use ffu_config::fate::Fate;
use ffu_config::finding::Severity;
use ffu_config::migrate::{InputFile, Migrator, Outcome, Verdict};
use ffu_model::Series;

fn order(catalog: &Catalog) -> Vec<Series> {
    catalog.series.iter().map(|entry| entry.id.clone()).collect()
}

fn again(outcome: &Outcome) -> Vec<InputFile> {
    let file = |file: &ffu_config::migrate::MigratedFile| InputFile {
        label: file.label.clone(),
        bytes: file.bytes.clone(),
    };
    outcome.files.iter().map(file).collect()
}

/// The effective value of every option of the target, as the proof read it.
fn values(outcome: &Outcome) -> BTreeMap<String, String> {
    let expectations = outcome
        .expectations
        .iter()
        .filter_map(|one| Some((one.after.as_ref()?, one.after_value.as_ref()?)));
    expectations
        .map(|(name, value)| (name.to_string(), format!("{value:?}")))
        .collect()
}

struct Case<'a> {
    catalog: &'a Catalog,
    service: &'a ServiceOptions,
    order: Vec<Series>,
}

impl Case<'_> {
    fn run(&self, from: usize, to: usize, files: &[InputFile]) -> Outcome {
        let path = &self.order[from..=to];
        let migrator = Migrator::new(self.service, self.catalog.config_rules(), path).unwrap();
        migrator.migrate(files, &BTreeMap::new(), false).unwrap()
    }

    fn check(&self, numbers: &mut sample::Numbers, count: usize) {
        let dumped: Vec<usize> = (0..self.order.len())
            .filter(|at| self.service.position(&self.order[*at]).is_some())
            .collect();
        let mut stops = BTreeSet::new();
        while stops.len() < 3 {
            stops.insert(dumped[numbers.below(dumped.len())]);
        }
        let stops: Vec<usize> = stops.into_iter().collect();
        let (from, middle, to) = (stops[0], stops[1], stops[2]);
        let what = format!(
            "{} {} → {} → {}",
            self.service.service, self.order[from], self.order[middle], self.order[to]
        );
        let texts = sample::files(&self.service.at(&self.order[from]).unwrap(), count, numbers);
        let files: Vec<InputFile> = texts
            .into_iter()
            .enumerate()
            .map(|(at, text)| InputFile {
                label: format!("{at}.conf"),
                bytes: text.into_bytes(),
            })
            .collect();
        let direct = self.run(from, to, &files);

        assert_eq!(
            direct.proof.options_set,
            direct.proof.proven_equal + direct.proof.named,
            "{what}"
        );
        let unproven: Vec<_> = direct
            .findings
            .iter()
            .filter(|finding| finding.id == "unproven")
            .collect();
        assert!(unproven.is_empty(), "{what}: {unproven:#?}");
        for one in direct.expectations.iter().filter(|one| one.verdict == Verdict::Named) {
            let name = &one.before;
            let told = direct.findings.iter().any(|finding| {
                let strong = !matches!(finding.severity, Severity::Moved | Severity::Info);
                strong
                    && (finding.subject.contains(&name.name)
                        || finding.message.contains(&name.name)
                        || finding.line.is_some())
            });
            assert!(told, "{what}: nothing tells of {name}");
        }

        let second = self.run(to, to, &again(&direct));
        assert!(
            second.files.iter().all(|file| !file.changed),
            "{what}: the target's own file was changed"
        );
        let repeated = self.run(from, to, &again(&direct));
        assert!(
            repeated.files.iter().all(|file| !file.changed),
            "{what}: the second run changed something"
        );

        let half = self.run(from, middle, &files);
        let full = self.run(middle, to, &again(&half));
        let (one, two) = (
            values(&self.run(to, to, &again(&direct))),
            values(&self.run(to, to, &again(&full))),
        );
        for name in one.keys().chain(two.keys()) {
            if one.get(name) == two.get(name) {
                continue;
            }
            let bare = name.rsplit('.').next().unwrap();
            let why = half
                .findings
                .iter()
                .chain(&full.findings)
                .chain(&direct.findings)
                .any(|finding| {
                    let strong =
                        finding.severity <= Severity::Decide || finding.severity == Severity::RemovedWithoutEffect;
                    strong && (finding.subject.contains(bare) || finding.message.contains(bare))
                });
            assert!(
                why,
                "{what}: {name} is {:?} directly and {:?} in two steps",
                one.get(name),
                two.get(name)
            );
        }
    }
}

#[test]
fn what_is_set_is_proven_or_named_whatever_the_way() {
    let catalog = Catalog::embedded().unwrap();
    let services: Vec<&str> = catalog.option_services().collect();
    assert!(services.len() >= 7, "{services:?}");
    for (index, service) in services.into_iter().enumerate() {
        let case = Case {
            catalog: &catalog,
            service: catalog.options(service).unwrap().unwrap(),
            order: order(&catalog),
        };
        let mut numbers = sample::Numbers(0x9E37_79B9_7F4A_7C15 + index as u64);
        for _ in 0..3 {
            case.check(&mut numbers, 40);
        }
    }
}

#[test]
fn the_table_counts_every_name_once() {
    let catalog = Catalog::embedded().unwrap();
    let order = order(&catalog);
    let nova = catalog.options("nova").unwrap().unwrap();
    let table = carry_table(nova, catalog.config_rules(), &order).unwrap();
    let dumped = nova.series.len();
    assert_eq!(table.len(), dumped * (dumped - 1) / 2);
    for from in &nova.series {
        let totals: BTreeSet<usize> = table
            .iter()
            .filter(|carry| carry.from == *from)
            .map(|carry| carry.unchanged + carry.moved + carry.gone_with_notice + carry.gone_without_notice)
            .collect();
        assert!(totals.len() <= 1, "{from}: {totals:?}");
    }
    let far = table
        .iter()
        .find(|carry| carry.from.as_str() == "train" && carry.to.as_str() == "2026.1")
        .unwrap();
    assert!(
        far.unchanged > 500 && far.moved > 50 && far.gone_with_notice > 50,
        "{far:?}"
    );
}

#[test]
fn a_life_is_told_from_any_of_its_names() {
    let catalog = Catalog::embedded().unwrap();
    let order = order(&catalog);
    let nova = catalog.options("nova").unwrap().unwrap();
    let old = explain(
        nova,
        catalog.config_rules(),
        &order,
        "DEFAULT",
        "image_cache_manager_interval",
    )
    .unwrap();
    assert!(matches!(&old.at_newest, Fate::Moved { to, .. } if to.to_string() == "image_cache.manager_interval"));
    assert_eq!(old.stages.first().unwrap().first, order[0]);
    let new = explain(nova, catalog.config_rules(), &order, "image_cache", "manager_interval").unwrap();
    assert_eq!(
        new.stages.first().unwrap().name.to_string(),
        "DEFAULT.image_cache_manager_interval"
    );
    let gone = explain(nova, catalog.config_rules(), &order, "xenserver", "agent_timeout").unwrap();
    assert!(
        matches!(&gone.at_newest, Fate::Gone { rule: Some(rule), .. } if rule == "nova-xenapi"),
        "{gone:?}"
    );
    assert_eq!(gone.rules.len(), 1);
    assert!(explain(nova, catalog.config_rules(), &order, "DEFAULT", "no_such_option").is_none());
}

#[test]
fn a_check_is_as_strict_as_the_target() {
    let catalog = Catalog::embedded().unwrap();
    let text = "[DEFAULT]\nmy_ip = 192.0.2.1\nlogdir = /x\nnonsense = 1\nosapi_max_limit = 5\n[libvirt]\nimages_type = tape\n\
                virt_type = kvm\nvirt_type = qemu\n[what]\never = 1\n";
    let series: Series = "2026.1".parse().unwrap();
    let findings = check(&CheckRequest {
        options: catalog.options("nova").unwrap().unwrap(),
        series: &series,
        files: &[InputFile {
            label: "nova.conf".to_owned(),
            bytes: text.as_bytes().to_vec(),
        }],
        environment: &BTreeMap::new(),
    })
    .unwrap();
    let told: Vec<(String, Option<usize>)> = findings.iter().map(|one| (one.id.clone(), one.line)).collect();
    for (id, line) in [
        ("old-spelling", 3),
        ("unknown-option", 4),
        ("bad-value", 7),
        ("overridden", 8),
        ("unverifiable-group", 11),
    ] {
        assert!(
            told.contains(&(id.to_owned(), Some(line))),
            "{id} {line}: {findings:#?}"
        );
    }
}
