//! Policies of the embedded catalogs: every service, over its whole path, and what is known of single ones.

use ffu_catalog::Catalog;
use ffu_config::finding::Severity;
use ffu_config::policy::{Format, History, Input, Outcome, Request, Settings, explain, migrate};
use ffu_model::Series;

fn carry(service: &str, from: &str, to: &str, text: &str) -> Outcome {
    let catalog = Catalog::embedded().unwrap();
    let options = catalog.options(service).unwrap().unwrap();
    let history = History::of(options);
    let (from, to): (Series, Series) = (from.parse().unwrap(), to.parse().unwrap());
    let (before, after) = (
        Settings::of_defaults(options, &from),
        Settings::of_defaults(options, &to),
    );
    let files = [Input {
        name: &before.policy_file.clone(),
        bytes: text.as_bytes(),
        format: Format::Auto,
    }];
    let request = Request {
        history: &history,
        from: &from,
        to: &to,
        files: &files,
        before: &before,
        after: &after,
        pin_defaults: false,
    };
    migrate(&request).unwrap()
}

#[test]
fn novas_splits_from_train_to_2026_1() {
    let text =
        "{\"os_compute_api:os-hypervisors\": \"role:operator\",\n\t\"os_compute_api:os-hosts\": [[\"role:operator\"]]}";
    let done = carry("nova", "train", "2026.1", text);
    let out = String::from_utf8(done.files[0].text.clone()).unwrap();
    for part in [
        "list",
        "list-detail",
        "search",
        "servers",
        "show",
        "statistics",
        "uptime",
    ] {
        assert!(
            out.contains(&format!(
                "\"os_compute_api:os-hypervisors:{part}\": \"role:operator\"\n"
            )),
            "{out}"
        );
    }
    assert!(
        out.contains("\"os_compute_api:os-hosts:reboot\": \"role:operator\"\n"),
        "{out}"
    );
    assert_eq!(done.files[0].suggested_name, "policy.yaml");
    let lost = done
        .findings
        .iter()
        .filter(|finding| finding.severity == Severity::LostUnlessYouAct);
    assert_eq!(lost.count(), 0);
    assert!(
        done.findings
            .iter()
            .any(|finding| finding.id == "policy-scope-enforced")
            || done.findings.len() > 10
    );
}

#[test]
fn switches_by_series() {
    let catalog = Catalog::embedded().unwrap();
    let nova = catalog.options("nova").unwrap().unwrap();
    let at = |series: &str| Settings::of_defaults(nova, &series.parse().unwrap());
    assert_eq!(
        (at("pike").enforce_scope, at("train").policy_file.as_str()),
        (false, "policy.json")
    );
    assert_eq!(
        (at("2023.1").enforce_scope, at("2023.1").enforce_new_defaults),
        (true, true)
    );
    assert_eq!(
        (at("2026.2").enforce_scope, at("2026.2").policy_file.as_str()),
        (true, "policy.yaml")
    );
}

#[test]
fn a_file_of_each_service_keeps_its_account() {
    let catalog = Catalog::embedded().unwrap();
    for service in catalog.option_services() {
        let options = catalog.options(service).unwrap().unwrap();
        let history = History::of(options);
        let filled: Vec<_> = history.stages.iter().filter(|stage| !stage.rules.is_empty()).collect();
        let (Some(first), Some(last)) = (filled.first(), filled.last()) else {
            continue;
        };
        let text: String = first
            .rules
            .keys()
            .map(|name| format!("\"{name}\": \"role:operator\"\n"))
            .collect();
        let done = carry(service, first.series.as_str(), last.series.as_str(), &text);
        assert_eq!(
            done.proof.rules,
            done.proof.equal + done.proof.named + done.proof.new,
            "{service}"
        );
        for name in first.rules.keys() {
            let kept = done.rules.contains_key(*name) || done.findings.iter().any(|finding| finding.subject == *name);
            assert!(kept, "{service}: {name} vanished");
        }
        let name = first.rules.keys().next().unwrap();
        assert_eq!(explain(&history, name).unwrap().chapters[0].since, first.series);
    }
}
