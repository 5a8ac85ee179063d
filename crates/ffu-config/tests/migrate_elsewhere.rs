//! Options that go to the file of another service: nova's placement, on the real catalogs.

use std::collections::BTreeMap;

use ffu_catalog::Catalog;
use ffu_catalog::rules::{Change, Rule};
use ffu_config::finding::Severity;
use ffu_config::migrate::{InputFile, LEFT, Outcome, Reception, Request, migrate, receive};
use ffu_model::Series;

fn path(catalog: &Catalog, from: &str, to: &str) -> Vec<Series> {
    let all = catalog.series.iter().map(|entry| entry.id.clone());
    let mut path: Vec<Series> = all.skip_while(|series| series.as_str() != from).collect();
    let end = path.iter().position(|series| series.as_str() == to).unwrap();
    path.truncate(end + 1);
    path
}

fn file(label: &str, text: &str) -> InputFile {
    InputFile {
        label: label.to_owned(),
        bytes: text.as_bytes().to_vec(),
    }
}

fn leave(catalog: &Catalog, path: &[Series], text: &str) -> Outcome {
    migrate(&Request {
        options: catalog.options("nova").unwrap().unwrap(),
        rules: catalog.config_rules(),
        path,
        files: &[file("nova.conf", text)],
        environment: &BTreeMap::new(),
        pin_defaults: false,
    })
    .unwrap()
}

fn arrive(catalog: &Catalog, path: &[Series], text: &str, outcome: &Outcome) -> Reception {
    let options = catalog.options("placement").unwrap().unwrap();
    let files = [file("placement.conf", text)];
    receive(options, catalog.config_rules(), path, &files, &outcome.departures).unwrap()
}

const NOVA: &str = "\
[DEFAULT]
my_ip = 10.0.0.1
[placement_database]
# The third server.
connection = mysql+pymysql://placement:s3cret@$my_ip/placement
max_pool_size = 7
[placement]
randomize_allocation_candidates = true
policy_file = own.yaml
region_name = RegionOne
";

#[test]
fn placement_s_options_arrive_with_their_comments_and_their_values() {
    let catalog = Catalog::embedded().unwrap();
    for to in ["train", "wallaby", "2026.1"] {
        let path = path(&catalog, "stein", to);
        let outcome = leave(&catalog, &path, NOVA);
        let text = String::from_utf8_lossy(&outcome.files[0].bytes).into_owned();
        assert!(text.contains("\nregion_name = RegionOne"), "{text}");
        assert!(!text.contains("\nconnection = "), "{text}");
        let left: Vec<_> = outcome.findings.iter().filter(|finding| finding.id == LEFT).collect();
        assert_eq!(left.len(), 4, "{:#?}", outcome.findings);
        assert!(
            left.iter()
                .all(|finding| finding.severity == Severity::LostUnlessYouAct)
        );
        assert!(left.iter().any(|finding| {
            finding
                .remedy
                .contains("[placement] randomize_allocation_candidates = true")
        }));
        let all = format!("{outcome:?} {:?}", outcome.departures);
        assert!(!all.contains("s3cret"), "no secret in what is shown");

        let reception = arrive(&catalog, &path, "[api]\nauth_strategy = keystone\n", &outcome);
        assert!(
            reception.arrived.iter().all(|one| one.equal),
            "{to}: {:#?}",
            reception.arrived
        );
        assert!(
            reception
                .arrived
                .iter()
                .all(|one| one.finding.severity == Severity::Moved)
        );
        let text = String::from_utf8_lossy(&reception.files[0].bytes).into_owned();
        for wanted in [
            "auth_strategy = keystone\n",
            "# The third server.\nconnection = mysql+pymysql://placement:s3cret@10.0.0.1/placement\n",
            "max_pool_size = 7\n",
            "randomize_allocation_candidates = true\n",
            "[oslo_policy]\npolicy_file = own.yaml\n",
        ] {
            assert!(text.contains(wanted), "{to}: {wanted:?} in\n{text}");
        }
        // Received once, there is nothing to do.
        let again = arrive(&catalog, &path, &text, &outcome);
        assert!(
            !again.files[0].changed && again.arrived.iter().all(|one| one.equal),
            "{:#?}",
            again.arrived
        );
    }
}

#[test]
fn a_value_that_the_other_file_sets_stays_and_a_different_one_is_a_decision() {
    let catalog = Catalog::embedded().unwrap();
    let path = path(&catalog, "stein", "2024.1");
    let outcome = leave(
        &catalog,
        &path,
        "[placement_database]\nmax_pool_size = 7\nmax_retries = 3\n",
    );
    let own = "[placement_database]\nmax_pool_size = 9\nmax_retries = 3\n";
    let reception = arrive(&catalog, &path, own, &outcome);
    assert!(!reception.files[0].changed);
    let of = |name: &str| {
        let found = reception.arrived.iter().find(|one| one.finding.subject.ends_with(name));
        found.unwrap().clone()
    };
    assert_eq!(of("max_pool_size").finding.severity, Severity::Decide);
    assert!(!of("max_pool_size").equal);
    assert!(of("max_retries").equal && of("max_retries").finding.message.contains("is there already"));
}

#[test]
fn what_the_other_service_does_not_have_any_more_stays_lost() {
    let catalog = Catalog::embedded().unwrap();
    let path = path(&catalog, "stein", "2026.1");
    let mut rules: Vec<Rule> = catalog.config_rules().to_vec();
    let rule = rules
        .iter_mut()
        .find(|rule| rule.id == "nova-placement-service")
        .unwrap();
    let Change::AnotherFile { names, .. } = &mut rule.change else {
        panic!("{rule:?}")
    };
    names.insert(
        "placement_database.max_retries".to_owned(),
        "placement_database.nobody_has_this".to_owned(),
    );
    let outcome = migrate(&Request {
        options: catalog.options("nova").unwrap().unwrap(),
        rules: &rules,
        path: &path,
        files: &[file("nova.conf", "[placement_database]\nmax_retries = 3\n")],
        environment: &BTreeMap::new(),
        pin_defaults: false,
    })
    .unwrap();
    let reception = arrive(&catalog, &path, "", &outcome);
    let [one] = &reception.arrived[..] else { panic!() };
    assert!(!one.equal && !reception.files[0].changed);
    assert_eq!(one.finding.severity, Severity::LostUnlessYouAct);
    assert!(
        one.finding.message.contains("has no such option any more"),
        "{}",
        one.finding
    );
    // A file that cannot be read is an error with its name.
    let files = [file("placement.conf", "[broken\n")];
    let options = catalog.options("placement").unwrap().unwrap();
    let error = receive(options, catalog.config_rules(), &path, &files, &outcome.departures).unwrap_err();
    assert!(error.to_string().contains("placement.conf"), "{error}");
}

#[test]
fn what_cannot_be_proven_is_told_as_the_text_to_write() {
    let catalog = Catalog::embedded().unwrap();
    let remedy = |text: &str| {
        let outcome = migrate(&Request {
            options: catalog.options("cinder").unwrap().unwrap(),
            rules: catalog.config_rules(),
            path: &path(&catalog, "train", "2026.2"),
            files: &[file("cinder.conf", text)],
            environment: &BTreeMap::new(),
            pin_defaults: false,
        })
        .unwrap();
        assert!(!format!("{:?}", outcome.findings).contains("s3cret"));
        let found = outcome
            .findings
            .iter()
            .find(|one| one.subject == "keystone_authtoken.admin_user");
        found.unwrap().remedy.clone()
    };
    let user = "[keystone_authtoken]\nadmin_user = cinder\nadmin_password = s3cret\nadmin_tenant_name = service\n";
    let told = remedy(&format!("{user}identity_uri = https://k.example:35357\n"));
    for wanted in [
        "auth_type = password; auth_url = https://k.example:35357; username = cinder",
        "password = (the value that admin_password has); project_name = service",
        "user_domain_id = default; project_domain_id = default",
    ] {
        assert!(told.contains(wanted), "{wanted} in {told}");
    }
    let told = remedy(&format!(
        "{user}auth_host = k.example\nauth_protocol = http\nauth_port = 5000\n"
    ));
    assert!(told.contains("auth_url = http://k.example:5000; username"), "{told}");
}

#[test]
fn what_refers_to_a_secret_is_not_shown() {
    let catalog = Catalog::embedded().unwrap();
    let path = path(&catalog, "stein", "2026.1");
    let nova = "\
[neutron]
metadata_proxy_shared_secret = s3cret
[DEFAULT]
host = ${neutron.metadata_proxy_shared_secret}
[placement]
policy_file = $host
";
    let outcome = leave(&catalog, &path, nova);
    assert!(outcome.departures[0].text.contains("s3cret") && outcome.departures[0].secret);
    let all = format!("{:?} {:?}", outcome.findings, outcome.departures);
    assert!(!all.contains("s3cret"), "{all}");
}
