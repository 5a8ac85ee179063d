//! `ffu config migrate`: options that belong into another service's file now.

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use common::Scratch;

const PLACEMENT: [&str; 6] = ["config", "migrate", "--from", "stein", "--to", "2026.1"];
const NOVA_WITH_PLACEMENT: &str = "\
[placement_database]
# The third server.
connection = mysql+pymysql://placement:s3cr3t-db@db/placement
[placement]
randomize_allocation_candidates = true
";

fn call<'a>(more: &[&'a str]) -> Vec<&'a str> {
    PLACEMENT.iter().copied().chain(more.iter().copied()).collect()
}

#[test]
fn options_of_another_service_are_carried_into_its_file() {
    let scratch = Scratch::with("etc/nova/nova.conf", NOVA_WITH_PLACEMENT.as_bytes());
    // Nobody receives them, and the call writes nothing: the text is named, the secret is not.
    let ran = scratch.ffu(&call(&["etc"]));
    assert!(!format!("{}{}", ran.out, ran.err).contains("s3cr3t"), "{}", ran.out);
    ran.exits(9)
        .says("lost unless you act")
        .says("[placement] randomize_allocation_candidates = true");

    // With the other file in the call they are moved.
    fs::create_dir(scratch.path("etc/placement")).unwrap();
    let own = "[api]\nauth_strategy = keystone\n";
    fs::write(scratch.path("etc/placement/placement.conf"), own).unwrap();
    let ran = scratch.ffu(&call(&["etc"]));
    assert!(!format!("{}{}", ran.out, ran.err).contains("s3cr3t"), "{}", ran.out);
    ran.says("+# The third server.")
        .says("+randomize_allocation_candidates = true")
        .says("is there now");
    let json = scratch.ffu(&[&["--json"], &call(&["etc"])[..]].concat()).json();
    assert!(!json.to_string().contains("s3cr3t"));
    assert_eq!(json["proof"]["named"], 0, "{json}");
    let lost = json["findings"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["severity"] == "lost-unless-you-act");
    assert!(lost.is_none(), "{json}");

    // It lies there, but not in this call: it is not touched, and the next call is told.
    scratch
        .ffu(&call(&["--in-place", "etc/nova"]))
        .exits(9)
        .says("in the same call");
    assert_eq!(
        fs::read_to_string(scratch.path("etc/placement/placement.conf")).unwrap(),
        own
    );
}

#[test]
fn a_file_for_options_of_another_service_is_made_where_the_call_writes() {
    let scratch = Scratch::with("etc/nova/nova.conf", NOVA_WITH_PLACEMENT.as_bytes());
    let nova = scratch.path("etc/nova/nova.conf");
    fs::set_permissions(&nova, fs::Permissions::from_mode(0o640)).unwrap();
    scratch
        .ffu(&call(&["-o", "out", "etc"]))
        .exits(8)
        .says("out/placement/placement.conf written");
    scratch
        .ffu(&call(&["--in-place", "etc/nova"]))
        .exits(8)
        .says("placement.conf written");
    for made in ["out/placement/placement.conf", "etc/placement/placement.conf"] {
        let path = scratch.path(made);
        let text = fs::read_to_string(&path).unwrap();
        assert!(
            text.contains("# The third server.\nconnection = mysql+pymysql://placement:s3cr3t-db@db/placement\n"),
            "{made}: {text}"
        );
        let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o640, "{made} holds a password");
    }
    // What was carried once is not carried again.
    scratch
        .ffu(&["config", "migrate", "--from", "2026.1", "--to", "2026.1", "etc"])
        .exits(0);
}
