//! Cloud files that somebody edited, or that are meant to do harm.

use ffu_discover::{CloudFileError, from_toml};
use proptest::prelude::*;

const GOOD: &str = r#"format = 1
name = "c"
deployment = "plain"
root = "/srv/c"

[service_manager]
kind = "process"
directory = "/srv/c/services"

[[servers]]
id = "db1"
address = "127.0.0.1:3306"
flavor = "mariadb"
version = "10.11.6-MariaDB"

[[projects]]
project = "nova"
series = "train"

[[projects.config_files]]
path = "/srv/c/etc/nova/nova.conf"
sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

[[projects.databases]]
role = "cell:az two"
server = "db1"
schema = "nova"
charset = "utf8"
collation = "utf8_general_ci"
tables = 1
bytes = 2
rows = 3
connection = { kind = "config", file = "/srv/c/etc/nova/nova.conf", section = "database", option = "connection" }

[[services]]
unit = "nova-api.service"
service = "nova-api"
project = "nova"
role = "control-plane"
"#;

#[test]
fn every_mistake_has_its_line() {
    assert!(from_toml("cloud.toml", GOOD).is_ok());
    for (find, replace, line, expected) in [
        ("name = \"c\"", "nmae = \"c\"", 2, "unknown field"),
        ("format = 1", "format = 9", 1, "not a format"),
        ("format = 1", "format = \"1\"", 1, "invalid type"),
        ("\"plain\"", "\"juju\"", 3, "deployment \"juju\" is unknown"),
        ("root = \"/srv/c\"", "root = \"srv/c\"", 4, "not an absolute path"),
        ("root = \"/srv/c\"", "root = \"/srv/../c\"", 4, "has `..` in it"),
        ("root = \"/srv/c\"", "root = \"/srv/\\u0000c\"", 4, "control characters"),
        ("/srv/c/services", "services", 8, "not an absolute path"),
        ("series = \"train\"", "series = \"../../x\"", 18, "cannot be a series"),
        (
            "project = \"nova\"\nseries",
            "project = \"../x\"\nseries",
            17,
            "is not a name",
        ),
        ("ba7816bf", "zzzzzzzz", 22, "hexadecimal"),
        ("cell:az two", "cell:", 25, "neither a name nor cell:NAME"),
        ("server = \"db1\"", "server = \"db7\"", 26, "no server of this file"),
        ("schema = \"nova\"", "schema = \"\"", 0, "1 to 64"),
        ("charset = \"utf8\"", "charset = \"utf8; DROP\"", 28, "letters, digits"),
        ("tables = 1", "tables = -1", 30, "invalid value"),
        (
            "file = \"/srv/c/etc/nova/nova.conf\"",
            "file = \"etc/../x\"",
            33,
            "not an absolute path",
        ),
        ("kind = \"config\"", "kind = \"shell\"", 33, "unknown variant"),
        ("nova-api.service", "../nova-api", 36, "not the name of a unit"),
        ("nova-api.service", "a;reboot", 36, "not the name of a unit"),
        ("role = \"control-plane\"", "role = \"boss\"", 39, "unknown variant"),
        ("127.0.0.1:3306", "mysql://u:hushhush@h", 0, "holds a password"),
        ("name = \"c\"", "name = ", 2, ""),
    ] {
        let text = GOOD.replacen(find, replace, 1);
        assert_ne!(text, GOOD, "{find}");
        let error = from_toml("cloud.toml", &text).unwrap_err();
        let shown = error.to_string();
        assert!(shown.contains(expected), "{replace}: {shown}");
        assert!(!shown.contains("hushhush"), "{shown}");
        let at = match error {
            CloudFileError::Syntax { line, .. } | CloudFileError::BadValue { line, .. } => line,
            other => panic!("{other}"),
        };
        // Inside an inline table or an internally tagged one the parser knows its beginning only.
        assert!(
            line == 0 || at == line || (at > 0 && at < line && matches!(expected, "unknown variant")),
            "{replace}: line {at}"
        );
    }
}

#[test]
fn doubled_things_and_huge_files_are_refused() {
    let doubled = format!(
        "{GOOD}\n[[services]]\nunit = \"nova-api.service\"\nservice = \"x\"\nproject = \"nova\"\nrole = \"agent\"\n"
    );
    assert!(
        from_toml("c", &doubled)
            .unwrap_err()
            .to_string()
            .contains("is there twice")
    );
    let huge = format!("{GOOD}#{}\n", "x".repeat(9 << 20));
    assert!(matches!(from_toml("c", &huge), Err(CloudFileError::TooLarge { .. })));
}

proptest! {
    #[test]
    fn no_file_makes_it_panic(at in 0_usize..1200, with in "\\PC{0,4}|[\0-\u{1f}]") {
        let mut at = at.min(GOOD.len());
        while !GOOD.is_char_boundary(at) {
            at -= 1;
        }
        let (head, tail) = GOOD.split_at(at);
        let _ = from_toml("c", &format!("{head}{with}{tail}"));
        let _ = from_toml("c", &format!("{head}{with}"));
    }
}
