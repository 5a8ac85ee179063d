//! Every kind of mistake in a catalog has its message, with the file and line it is in.

use std::collections::BTreeMap;

use ffu_catalog::Catalog;

fn overlay(path: &str, bytes: impl Into<Vec<u8>>) -> BTreeMap<String, Vec<u8>> {
    BTreeMap::from([(path.to_owned(), bytes.into())])
}

/// The messages of a catalog with one file replaced or added.
fn mistakes(path: &str, text: &str) -> Vec<String> {
    match Catalog::with_overlay(&overlay(path, text)) {
        Ok(_) => Vec::new(),
        Err(errors) => errors.errors().iter().map(ToString::to_string).collect(),
    }
}

#[track_caller]
fn expect(path: &str, text: &str, wanted: &str) {
    let found = mistakes(path, text);
    assert!(
        found.iter().any(|message| message.starts_with(wanted)),
        "wanted {wanted:?}, found {found:#?}"
    );
}

fn embedded(path: &str) -> String {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../catalog");
    std::fs::read_to_string(format!("{root}/{path}")).unwrap()
}

/// A file of the embedded catalog with one text replaced.
#[track_caller]
fn changed(path: &str, from: &str, to: &str) -> String {
    let text = embedded(path);
    assert!(text.contains(from), "{from:?} is not in {path}");
    text.replacen(from, to, 1)
}

/// Replaces one text of an embedded file and wants a message about the line on which the new text ends.
#[track_caller]
fn broken(path: &str, from: &str, to: &str, wanted: &str) {
    let text = changed(path, from, to);
    let end = embedded(path).find(from).unwrap() + to.len();
    let place = format!("{path}:{}:", text[..end].matches('\n').count() + 1);
    let found = mistakes(path, &text);
    let hit = found
        .iter()
        .any(|message| message.starts_with(&place) && message.contains(wanted));
    assert!(hit, "wanted {place} … {wanted:?}, found {found:#?}");
}

const GATE: &str = r#"[[gate]]
id = "site-gate"
project = "nova"
database = "cell"
entering = "train"
query = "SELECT COUNT(*) FROM instances"
severity = "warning"
message = "m"
remedy = "r"
source = "s"
"#;

#[track_caller]
fn gate(from: &str, to: &str, wanted: &str) {
    assert!(GATE.contains(from), "{from:?}");
    expect("gates/site.toml", &GATE.replacen(from, to, 1), wanted);
}

#[test]
fn a_good_overlay_adds_to_the_catalog() {
    let catalog = Catalog::with_overlay(&overlay("gates/site.toml", GATE)).unwrap();
    assert!(catalog.gates.iter().any(|gate| gate.id == "site-gate"));
    assert_ne!(catalog.digest(), Catalog::embedded().unwrap().digest());
}

#[test]
fn the_digest_depends_on_the_bytes_alone() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../catalog/series.toml");
    let same = Catalog::with_overlay(&overlay("series.toml", std::fs::read(root).unwrap())).unwrap();
    assert_eq!(same.digest(), Catalog::embedded().unwrap().digest());
}

#[test]
fn syntax_and_types_have_their_line() {
    expect("gates/site.toml", "[[gate]]\nid = \n", "gates/site.toml:2:");
    gate(
        "severity = \"warning\"",
        "severity = \"fatal\"",
        "gates/site.toml:7:12: unknown variant `fatal`",
    );
    gate(
        "remedy = \"r\"\n",
        "remdy = \"r\"\n",
        "gates/site.toml:9:1: unknown field `remdy`",
    );
    gate("source = \"s\"\n", "", "gates/site.toml:1:1: missing field `source`");
    gate(
        "id = \"site-gate\"",
        "id = 7",
        "gates/site.toml:2:6: invalid type: integer `7`",
    );
    gate(
        "entering = \"train\"",
        "entering = \"../x\"",
        "gates/site.toml:5:12: \"../x\" cannot be a series",
    );
}

#[test]
fn unknown_series_projects_and_roles_name_the_choices() {
    gate(
        "\"train\"",
        "\"mitaka\"",
        "gates/site.toml:5:1: unknown series \"mitaka\"; the catalog has pike, queens",
    );
    gate(
        "\"nova\"",
        "\"swift\"",
        "gates/site.toml:3:1: unknown project \"swift\"; there is cinder, glance",
    );
    gate(
        "\"cell\"",
        "\"main\"",
        "gates/site.toml:4:1: unknown database role \"main\"; there is api, cell",
    );
}

#[test]
fn spans_must_not_be_reversed() {
    let span = "source = \"s\"\nsince = \"train\"\nuntil = \"pike\"";
    gate(
        "source = \"s\"",
        span,
        "gates/site.toml:12:1: the span ends before it begins: since train is later than until pike",
    );
}

#[test]
fn names_are_safe_and_unique() {
    gate(
        "site-gate",
        "../gate",
        "gates/site.toml:2:1: \"../gate\" cannot be a gate",
    );
    gate(
        "site-gate",
        "heat-legacy-remainder",
        "gates/site.toml:2:1: gate \"heat-legacy-remainder\" is there twice",
    );
}

#[test]
fn knowledge_needs_a_source_and_a_gate_its_texts() {
    gate(
        "source = \"s\"",
        "source = \" \"",
        "gates/site.toml:10:1: gate \"site-gate\" needs a `source`",
    );
    gate(
        "remedy = \"r\"",
        "remedy = \"\"",
        "gates/site.toml:9:1: gate \"site-gate\" needs a remedy",
    );
    gate(
        "source = \"s\"",
        "source = \"s\"\non_hop = false",
        "gates/site.toml:1:1: gate \"site-gate\" is never asked",
    );
}

#[test]
fn queries_only_read() {
    for query in [
        "DROP TABLE x",
        "SELECT 1; SELECT 2",
        "SELECT 1 -- x",
        "SELECT 1 INTO OUTFILE '/x'",
    ] {
        gate(
            "SELECT COUNT(*) FROM instances",
            query,
            "gates/site.toml:6:1: the query is refused",
        );
    }
}

#[test]
fn commands_are_checked() {
    let path = "projects/heat.toml";
    let try_it = |from: &str, to: &str, wanted: &str| broken(path, from, to, wanted);
    try_it(
        "program = \"heat-manage\"",
        "program = \"/bin/sh\"",
        "program \"/bin/sh\" is not",
    );
    try_it(
        "databases = [\"main\"]",
        "databases = [\"api\"]",
        "unknown database role \"api\"",
    );
    try_it(
        "{ code = 1, meaning = \"warning\"",
        "{ code = 0, meaning = \"warning\"",
        "exit code 0 has two meanings in pike",
    );
    try_it("timeout_seconds = 14400", "timeout_seconds = 0", "timeout \"0\" is not");
    try_it(
        "id = \"upgrade-check\"",
        "id = \"db-sync\"",
        "command \"db-sync\" is there twice",
    );
    try_it("id = \"upgrade-check\"", "id = \"b c\"", "\"b c\" cannot be a command");
    let needs = "repeatable = true\nneeds_services = [\"swift-proxy\"]";
    try_it("repeatable = true", needs, "unknown service \"swift-proxy\"");
    let style = "repeatable = true\nconfig_style = \"environment\"";
    try_it(
        "repeatable = true",
        style,
        "command \"db-sync\" needs a config_variable",
    );
    let style = "repeatable = true\nconfig_style = \"environment\"\nconfig_variable = \"LD_PRELOAD\"";
    try_it(
        "repeatable = true",
        style,
        "environment variable \"LD_PRELOAD\" is not allowed",
    );
}

#[test]
fn what_stands_for_a_command_on_the_way_is_checked() {
    let path = "projects/nova.toml";
    let try_it = |from: &str, to: &str, wanted: &str| broken(path, from, to, wanted);
    let entry = "[[on_the_way]]\ncommand = \"upgrade-check\"";
    let of = |command: &str| format!("[[on_the_way]]\ncommand = \"{command}\"");
    try_it(entry, &of("check"), "unknown command \"check\"");
    try_it(
        entry,
        &of("db-sync"),
        "command \"db-sync\" is no upgrade check that needs services",
    );
    try_it(
        "id = \"upgrade-check-alone\"",
        "id = \"db-sync\"",
        "command \"db-sync\" is there twice",
    );
    try_it(
        "excused_texts = [\"No credentials",
        "excused_texts = [\"No password",
        "text \"No password specified for placement API\" is none of the command's failure_texts",
    );
    try_it(
        "option = \"auth_section\", value = \"\"",
        "option = \"auth_section\", value = \"\\u0000\"",
        "option \"auth_section\" must be printable",
    );
}

#[test]
fn projects_are_checked() {
    let path = "projects/heat.toml";
    let try_it = |from: &str, to: &str, wanted: &str| broken(path, from, to, wanted);
    try_it(
        "name = \"heat\"",
        "name = \"hot\"",
        "project \"hot\" is in the file of \"heat\"",
    );
    try_it("rocky = {", "mitaka = {", "unknown series \"mitaka\"");
    let found = mistakes(path, &changed(path, "rocky = {", "mitaka = {"));
    assert!(
        found.iter().any(|m| m.contains("no versions of heat in rocky")),
        "{found:#?}"
    );
    try_it("\"11.0.0\"", "\"11;0\"", "version \"11;0\" is not like 20.6.1");
    try_it(
        "path = \"heat/heat.conf\"",
        "path = \"../shadow\"",
        "path \"../shadow\" is not",
    );
    try_it(
        "schema = \"heat\"",
        "schema = \"he`at\"",
        "schema \"he`at\" is not an SQL name",
    );
    try_it(
        "table = \"stack\"",
        "table = \"a b\"",
        "table \"a b\" is not an SQL name",
    );
    let bad = "key = [\"id\"]\nfilter = \"1 = 1; DROP TABLE x\"";
    try_it("key = [\"id\"]", bad, "the query is refused: it has a semicolon");
}

#[test]
fn services_are_checked() {
    let service = |body: &str| {
        let tail = "[[service]]\nname = \"heat-extra\"\nrole = \"agent\"\n\n[[service.run]]\n";
        format!("{}\n{tail}{body}\n", embedded("projects/heat.toml"))
    };
    let wanted = |body: &str, message: &str| {
        let found = mistakes("projects/heat.toml", &service(body));
        assert!(found.iter().any(|m| m.contains(message)), "{found:#?}");
    };
    assert_eq!(
        mistakes("projects/heat.toml", &service("wsgi = \"heat.wsgi.api:application\"")),
        Vec::<String>::new()
    );
    wanted("wsgi = \"os; rm:x\"", "has not the form module:callable");
    wanted(
        "program = \"x\"\nwsgi = \"a:b\"",
        "runs by exactly one of program and wsgi",
    );
    wanted(
        "program = \"x\"\nenvironment = { PATH = \"y\" }",
        "environment variable \"PATH\" is not allowed",
    );
}

#[test]
fn settings_extractions_and_orders_are_checked() {
    let nova = |from: &str, to: &str, wanted: &str| broken("projects/nova.toml", from, to, wanted);
    nova(
        "value = \"True\"",
        "value = \"a\\nb\"",
        "cannot be written to a configuration file",
    );
    nova(
        "section = \"workarounds\"",
        "section = \"a]\"",
        "cannot be written to a configuration file",
    );
    nova(
        "file = \"nova/nova.conf\"",
        "file = \"x.conf\"",
        "unknown configuration file \"x.conf\"",
    );
    nova(
        "project = \"placement\"",
        "project = \"nova\"",
        "unknown project \"nova\"",
    );
    let placement = |from: &str, to: &str, wanted: &str| {
        let found = mistakes("projects/placement.toml", &changed("projects/placement.toml", from, to));
        assert!(found.iter().any(|m| m.contains(wanted)), "{found:#?}");
    };
    placement(
        "from = \"nova/api\"",
        "from = \"nova\"",
        "has not the form project/role",
    );
    placement(
        "from = \"nova/api\"",
        "from = \"nova/x\"",
        "unknown database role \"x\"",
    );
    placement(
        "stamp = \"b4ed3a175331\"",
        "stamp = \"b4 ed\"",
        "is not an alembic revision",
    );
}

#[test]
fn series_are_checked() {
    let path = "series.toml";
    let try_it = |from: &str, to: &str, wanted: &str| {
        let found = mistakes(path, &changed(path, from, to));
        assert!(
            found
                .iter()
                .any(|m| m.starts_with("series.toml:") && m.contains(wanted)),
            "{found:#?}"
        );
    };
    try_it("name = \"Queens\"", "name = \"Pike\"", "series \"pike\" is there twice");
    try_it(
        "\"2018-02-28\"",
        "\"2016-02-28\"",
        "is not later than the series before",
    );
    try_it("[\"2.7\", \"3.5\"]", "[\"3.5\", \"2.7\"]", "is not oldest, then newest");
    try_it("[\"2.7\", \"3.5\"]", "[\"two\", \"3.5\"]", "has not the form 3.12");
    try_it("to = \"2024.1\"", "to = \"zed\"", "does not lead to a later series");
    assert!(
        mistakes(path, "series = []")
            .iter()
            .any(|m| m.contains("there is no series"))
    );
}

#[test]
fn a_series_needs_its_environment_its_heads_and_its_versions() {
    let more = changed(
        "series.toml",
        "[[skip]]",
        "[[series]]\nid = \"2027.1\"\nname = \"Indri\"\nfirst_release = \"2027-03-24\"\npython = [\"3.11\", \"3.13\"]\n\n[[skip]]",
    );
    let found = mistakes("series.toml", &more);
    for wanted in [
        "environments.toml: no hop environment for 2027.1",
        "heads/nova.toml: no schema heads of nova/cell in 2027.1",
        "projects/nova.toml:5:2: no versions of nova in 2027.1",
    ] {
        assert!(found.iter().any(|m| m.starts_with(wanted)), "{wanted}: {found:#?}");
    }
}

#[test]
fn environments_heads_and_patches_are_checked() {
    let contains = |path: &str, text: &str, wanted: &str| {
        let found = mistakes(path, text);
        assert!(found.iter().any(|m| m.contains(wanted)), "{wanted}: {found:#?}");
    };
    let environments = |from: &str, to: &str| changed("environments.toml", from, to);
    contains(
        "environments.toml",
        &environments("pike.lock", "../x.lock"),
        "is not there under locks/",
    );
    contains(
        "environments.toml",
        &environments("series = \"queens\"", "series = \"pike\""),
        "\"pike\" is there twice",
    );
    contains(
        "environments.toml",
        &environments("[\"keystone\", \"12.0.3\"]", "[\"swift\", \"1.0\"]"),
        "unknown project \"swift\"",
    );
    contains(
        "heads/swift.toml",
        "[[head]]\nseries = \"pike\"\ndatabase = \"main\"\n",
        "unknown project \"swift\"",
    );
    let twice = "[[head]]\nseries = \"pike\"\ndatabase = \"main\"\n".repeat(2);
    contains("heads/heat.toml", &twice, "heads for \"main of pike\" is there twice");
    contains("heads/heat.toml", &twice, "neither alembic nor migrate heads");
    let patch = "id = \"x\"\nseries = [\"pike\"]\npackage = \"nova\"\nfile = \"../../x\"\nfind = \"\"\nreplace = \"\"\nreason = \"\"\nbug = \"b\"\n";
    for wanted in [
        "is not a path inside site-packages",
        "is empty or equal",
        "patch \"x\" needs a reason",
    ] {
        contains("patches/x.toml", patch, wanted);
    }
    contains("patches/y.toml", patch, "patch \"x\" is in the file of \"y\"");
}
