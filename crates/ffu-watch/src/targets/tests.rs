use super::*;

fn said(text: &str) -> String {
    parse(text, "t.toml".into()).unwrap_err().to_string()
}

const ONE: &str = "[[targets]]\nname = \"a\"\naddress = \"192.0.2.1\"\n";

#[test]
fn a_file_is_read_and_written_back() {
    let text = r#"
interval_ms = 50
[vantages.far]
type = "ssh"
host = "root@gw"
[budgets]
on_breach = "stop"
baseline_s = 60
[[budgets.budget]]
name = "tenants"
where = { network = "n" }
longest_gap_ms = 500
targets_out = 0.05
[[targets]]
name = "a"
address = "192.0.2.1"
probe = { type = "http", port = 80 }
vantage = "far"
workload = { type = "process", pid_file = "/run/a.pid" }
groups = { network = "n", az = "one" }
[[targets]]
name = "b"
address = "2001:db8::1"
"#;
    let targets = parse(text, "t.toml".into()).unwrap();
    assert_eq!(
        (targets.targets.len(), targets.timeout_ms, targets.budgets.baseline_s),
        (2, 1000, 60)
    );
    let again = write(&targets).unwrap();
    assert_eq!(parse(&again, "t.toml".into()).unwrap(), targets, "{again}");
    let dir = tempfile::tempdir().unwrap();
    let path = Utf8PathBuf::from_path_buf(dir.path().join("t.toml")).unwrap();
    assert!(
        read(&path)
            .unwrap_err()
            .to_string()
            .contains("next: `ffu watch targets --help`")
    );
    std::fs::write(&path, again).unwrap();
    assert_eq!(read(&path).unwrap(), targets);
}

#[test]
fn what_is_no_targets_file_is_said_with_its_line() {
    let text = said(&format!("{ONE}colour = \"red\"\n"));
    assert!(
        text.starts_with("t.toml:4: ") && text.contains("colour") && text.contains("\n  next: correct this line"),
        "{text}"
    );
    assert!(said("interval_ms = = 3").starts_with("t.toml:1: "));
    let text = said("[[targets]]\nname = \"a\"\naddress = \"here\"\n");
    assert!(text.starts_with("t.toml:3: ") && text.contains("IP"), "{text}");
}

#[test]
fn what_cannot_be_meant_is_said() {
    let budget =
        |rest: &str| format!("[[budgets.budget]]\nname = \"b\"\n{rest}\n{ONE}groups = {{ network = \"n\" }}\n");
    for (text, what, next) in [
        (String::new(), "t.toml: there is no target in it", "[[targets]]"),
        (
            format!("interval_ms = 19\n{ONE}"),
            "interval_ms is 19, outside 20 to 60000",
            "set it to 20 or more",
        ),
        (
            format!("{ONE}interval_ms = 5\n"),
            "t.toml:2: interval_ms of target \"a\" is 5",
            "20 or more",
        ),
        (format!("timeout_ms = 0\n{ONE}"), "timeout_ms is 0", "leave it out"),
        (
            format!("[budgets]\nbaseline_s = 100000\n{ONE}"),
            "baseline_s is 100000",
            "30 seconds",
        ),
        (
            format!("{ONE}{ONE}"),
            "t.toml:5: targets 1 and 2 are both called \"a\"",
            "another name",
        ),
        (
            format!("{ONE}vantage = \"far\"\n"),
            "t.toml:2: target \"a\" is probed from \"far\"",
            "[vantages.far]",
        ),
        (
            format!("[vantages.here]\ntype = \"netns\"\nname = \"x\"\n{ONE}"),
            "[vantages.here] is not this host",
            "another name",
        ),
        (
            format!("{ONE}probe = {{ type = \"tcp-connect\", port = 0 }}\n"),
            "has port 0",
            "port of the service",
        ),
        (
            ONE.replace("192.0.2.1", "::1") + "probe = { type = \"arp\", interface = \"e\" }\n",
            "IPv6",
            "icmp",
        ),
        (
            format!("{ONE}workload = {{ type = \"http\", address = \"10.0.0.1\", path = \"x\" }}\n"),
            "the workload of target \"a\": \"x\" is no path of HTTP",
            "a path begins with /",
        ),
        (
            format!("{ONE}workload = {{ type = \"http\", address = \"10.0.0.1\", namespace = \"../a\" }}\n"),
            "\"../a\" is not the name of a network namespace",
            "ip netns list",
        ),
        (ONE.replace("\"a\"", "\"\""), "the name \"\" is empty", "1 to 255"),
        (budget(""), "t.toml:2: budget \"b\" limits nothing", "longest_gap_ms"),
        (budget("targets_out = 5.0"), "is not a share", "0.05"),
        (budget("targets_out = nan"), "is not a share", "0.05"),
        (
            budget("longest_gap_ms = 5\nwhere = { network = \"x\" }"),
            "`where` of budget \"b\" (network = \"x\") is true of no target",
            "(here: network)",
        ),
        (
            budget("longest_gap_ms = 5\n[[budgets.budget]]\nname = \"b\"\nlongest_gap_ms = 5"),
            "two budgets are called \"b\"",
            "another",
        ),
    ] {
        let said = said(&text);
        let (first, second) = said.split_once("\n  next: ").unwrap_or_default();
        assert!(
            first.contains(what) && second.contains(next),
            "{said}\nwanted {what} / {next}"
        );
    }
}

#[test]
fn large_numbers_survive_and_what_toml_cannot_hold_is_said() {
    let mut targets = parse(
        &format!("[[budgets.budget]]\nname = \"b\"\nlongest_gap_ms = 5\n{ONE}"),
        "t.toml".into(),
    )
    .unwrap();
    targets.budgets.budget[0].longest_gap_ms = Some(u64::MAX);
    match write(&targets) {
        Ok(text) => assert_eq!(parse(&text, "t.toml".into()).unwrap(), targets),
        Err(error) => assert!(error.to_string().contains("next: look for values")),
    }
    let error = TargetsError::Write { why: "x".to_owned() };
    assert!(
        error
            .to_string()
            .starts_with("the targets cannot be written as TOML: x\n  next: ")
    );
}

#[test]
fn too_many_budgets_are_refused() {
    let many: String = (0..1001)
        .map(|n| format!("[[budgets.budget]]\nname = \"{n}\"\nlongest_gap_ms = 5\n"))
        .collect();
    let said = said(&format!("{many}{ONE}"));
    assert!(
        said.contains("there are 1001 budgets, more than 1000\n  next: join"),
        "{said}"
    );
}

#[test]
fn what_a_file_does_not_say_is_the_default() {
    let targets = parse(ONE, "t.toml".into()).unwrap();
    assert_eq!(
        (targets.interval_ms, targets.timeout_ms, targets.budgets.baseline_s),
        (100, 1000, 30)
    );
    assert_eq!(
        Targets {
            targets: Vec::new(),
            ..targets
        },
        Targets::default()
    );
}

#[test]
fn hosts_that_ssh_would_misread_are_refused_where_they_stand() {
    let vantage = |host: &str, more: &str| format!("[vantages.far]\ntype = \"ssh\"\nhost = \"{host}\"\n{more}\n{ONE}");
    let workload = |host: &str, more: &str| format!("{ONE}workload = {{ type = \"ssh\", host = \"{host}\"{more} }}\n");
    for (text, what, next) in [
        (
            vantage("-oProxyCommand=x", ""),
            "[vantages.far]: \"-oProxyCommand=x\" is not a host",
            "user@host",
        ),
        (
            vantage("a", "config = \"ssh_config\""),
            "`config` of host a is ssh_config",
            "its whole path",
        ),
        (
            workload("", ""),
            "t.toml:2: the workload of target \"a\": \"\" is not a host",
            "user@host",
        ),
        (
            workload("b", ", config = \"c\""),
            "t.toml:2: the workload of target \"a\": `config` of host b is c",
            "its whole path",
        ),
        (
            workload("b", ", pid_file = \"d.pid\""),
            "t.toml:2: `pid_file` of target \"a\" is d.pid",
            "its whole path",
        ),
    ] {
        let said = said(&text);
        assert!(said.contains(what) && said.contains(next), "{said}");
    }
    for text in [
        vantage("root@a", "config = \"/c\""),
        workload("b", ", config = \"/c\", pid_file = \"/d.pid\""),
    ] {
        let targets = parse(&text, "t.toml".into()).expect("it can be meant");
        assert_eq!(
            parse(&write(&targets).expect("TOML"), "t.toml".into()).expect("it is read back"),
            targets
        );
    }
}
