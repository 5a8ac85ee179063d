//! `ffu config` and `ffu policy` on real files: what is shown, written and refused.

mod common;

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use common::Scratch;

/// A Train nova.conf with something of every kind.
const NOVA: &str = "\
[DEFAULT]
# our broker
transport_url = rabbit://openstack:s3cr3t-rabbit@10.0.0.1:5672/
vif_plugging_timeout = 30
my_own_option = 1
[keystone_authtoken]
auth_url = http://k.example/
auth_type = password
password = s3cr3t-keystone
[database]
connection = mysql+pymysql://nova:s3cr3t-db@db/nova
# shorter than the load balancer's
idle_timeout = 10
";

const FROM_TRAIN: [&str; 6] = ["config", "migrate", "--from", "train", "--to", "2026.1"];

fn migrate<'a>(more: &[&'a str]) -> Vec<&'a str> {
    FROM_TRAIN.iter().copied().chain(more.iter().copied()).collect()
}

#[test]
fn a_diff_shows_moves_with_their_comments_and_no_secret() {
    let scratch = Scratch::with("nova/nova.conf", NOVA.as_bytes());
    let ran = scratch.ffu(&migrate(&["nova/nova.conf"]));
    let all = format!("{}{}", ran.out, ran.err);
    assert!(!all.contains("s3cr3t"), "{all}");
    let ran = ran
        .says("-idle_timeout = 10")
        .says("+connection_recycle_time = 10")
        .says("my_own_option")
        .says("changed default")
        .says("proven equal");
    assert!([8, 9].contains(&ran.code), "{}", ran.code);
    assert_eq!(
        fs::read_to_string(scratch.path("nova/nova.conf")).unwrap(),
        NOVA,
        "a diff writes nothing"
    );
    let json = scratch
        .ffu(&[
            "--json",
            "config",
            "migrate",
            "--from",
            "train",
            "--to",
            "2026.1",
            "nova/nova.conf",
        ])
        .json();
    assert!(!json.to_string().contains("s3cr3t"));
    assert_eq!(
        json["proof"]["options_set"].as_u64().unwrap(),
        json["proof"]["proven_equal"].as_u64().unwrap() + json["proof"]["named"].as_u64().unwrap()
    );
}

#[test]
fn in_place_keeps_mode_and_backup_and_a_second_call_changes_nothing() {
    let scratch = Scratch::with("nova/nova.conf", NOVA.as_bytes());
    let file = scratch.path("nova/nova.conf");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    let ran = scratch
        .ffu(&migrate(&["--in-place", "nova/nova.conf"]))
        .says("before: ");
    assert!([8, 9].contains(&ran.code));
    let once = fs::read_to_string(&file).unwrap();
    assert!(
        once.contains("s3cr3t-keystone")
            && once.contains("# shorter than the load balancer's\nconnection_recycle_time = 10"),
        "{once}"
    );
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
    assert_eq!(
        fs::read_to_string(scratch.path("nova/nova.conf.ffu-backup-2026.1")).unwrap(),
        NOVA
    );
    scratch.ffu(&[
        "config",
        "migrate",
        "--from",
        "2026.1",
        "--to",
        "2026.1",
        "--in-place",
        "nova/nova.conf",
    ]);
    assert_eq!(
        fs::read_to_string(&file).unwrap(),
        once,
        "migrating what was migrated changes nothing"
    );
    // A link stays a link.
    std::os::unix::fs::symlink("nova.conf", scratch.path("nova/link.conf")).unwrap();
    fs::write(&file, NOVA).unwrap();
    scratch.ffu(&migrate(&["--in-place", "--service", "nova", "nova/link.conf"]));
    assert!(
        fs::symlink_metadata(scratch.path("nova/link.conf"))
            .unwrap()
            .is_symlink()
    );
    assert_eq!(fs::read_to_string(&file).unwrap(), once);
}

#[test]
fn a_tree_is_written_elsewhere_whole() {
    let scratch = Scratch::with("etc/nova/nova.conf", NOVA.as_bytes());
    for (name, text) in [
        ("etc/neutron/neutron.conf", "[DEFAULT]\ncore_plugin = ml2\n"),
        ("etc/neutron/plugins/ml2/ml2_conf.ini", "[ml2]\ntype_drivers = vxlan\n"),
        ("etc/other/app.conf", "[x]\ny = 1\n"),
    ] {
        let path = scratch.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let json = scratch
        .ffu(&[
            "--json", "config", "migrate", "--from", "train", "--to", "2026.1", "-o", "out", "etc",
        ])
        .json();
    assert_eq!(json["files"].as_array().unwrap().len(), 3);
    let left = json["findings"].as_array().unwrap();
    assert!(
        left.iter()
            .any(|finding| finding["id"] == "file-not-looked-at" && finding["subject"] == "etc/other/app.conf")
    );
    for name in [
        "nova/nova.conf",
        "neutron/neutron.conf",
        "neutron/plugins/ml2/ml2_conf.ini",
    ] {
        assert!(scratch.path("out").join(name).is_file(), "{name}");
    }
    assert!(!scratch.path("out/other").exists());
    assert_eq!(fs::read_to_string(scratch.path("etc/nova/nova.conf")).unwrap(), NOVA);
}

#[test]
fn a_check_names_places_and_writes_sarif() {
    let text = "[DEFAULT]\nvif_plugging_timeout = soon\nno_such_option = 1\n";
    let scratch = Scratch::with("nova.conf", text.as_bytes());
    scratch
        .ffu(&[
            "config",
            "check",
            "--series",
            "2024.1",
            "--sarif",
            "out.sarif",
            "nova.conf",
        ])
        .exits(9)
        .says("nova.conf:2")
        .says("nova.conf:3")
        .says("no_such_option");
    let sarif: serde_json::Value = serde_json::from_slice(&fs::read(scratch.path("out.sarif")).unwrap()).unwrap();
    assert_eq!(sarif["version"], "2.1.0");
    let results = sarif["runs"][0]["results"].as_array().unwrap();
    assert!(
        results
            .iter()
            .any(|r| r["locations"][0]["physicalLocation"]["region"]["startLine"] == 2)
    );
    fs::write(scratch.path("nova.conf"), "[DEFAULT]\nvif_plugging_timeout = 5\n").unwrap();
    scratch
        .ffu(&["config", "check", "--series", "2024.1", "nova.conf"])
        .exits(0);
}

#[test]
fn the_life_of_an_option_and_of_a_rule_is_told() {
    let scratch = Scratch::new();
    scratch
        .ffu(&["config", "explain", "nova", "DEFAULT.vif_plugging_timeout"])
        .exits(0)
        .says("pike to 2026.2")
        .says("300");
    scratch
        .ffu(&["config", "explain", "nova", "database.idle_timeout"])
        .exits(0)
        .says("connection_recycle_time");
    scratch
        .ffu(&["config", "explain", "nova", "DEFAULT.nonsense"])
        .exits(3)
        .says("ffu config options nova");
    let options = scratch
        .ffu(&["--json", "config", "options", "nova", "2024.1"])
        .exits(0)
        .json();
    assert!(options["options"].as_array().unwrap().len() > 700);
    scratch.ffu(&["config", "options", "nova", "mitaka"]).exits(3);
    scratch
        .ffu(&["config", "options", "placement", "pike"])
        .exits(3)
        .says("next:");
    scratch
        .ffu(&["policy", "explain", "nova", "os_compute_api:servers:create"])
        .exits(0)
        .says("2026.2");
    scratch
        .ffu(&["policy", "explain", "nova", "no:such"])
        .exits(3)
        .says("ffu policy options nova");
    let rules = scratch
        .ffu(&["--json", "policy", "options", "nova", "2026.1"])
        .exits(0)
        .json();
    assert!(rules["rules"].as_array().unwrap().len() > 150);
}

#[test]
fn a_policy_file_becomes_yaml_with_its_override() {
    let scratch = Scratch::with(
        "nova/policy.json",
        b"{\n  \"os_compute_api:servers:create\": \"role:builder\"\n}\n",
    );
    let ran = scratch.ffu(&[
        "policy",
        "migrate",
        "--from",
        "train",
        "--to",
        "2026.1",
        "--in-place",
        "nova/policy.json",
    ]);
    assert!([8, 9].contains(&ran.code), "{}\n{}", ran.out, ran.err);
    let written = fs::read_to_string(scratch.path("nova/policy.yaml")).unwrap();
    assert!(
        written.contains("\"os_compute_api:servers:create\": \"role:builder\""),
        "{written}"
    );
    scratch
        .ffu(&[
            "policy",
            "check",
            "--series",
            "2026.1",
            "--service",
            "nova",
            "nova/policy.yaml",
        ])
        .says("checked against 2026.1");
}

#[test]
fn bad_input_is_named_with_its_place_and_nothing_is_written() {
    let scratch = Scratch::new();
    let many_sections: Vec<u8> = (0..200_000)
        .flat_map(|n| format!("[s{n}]\nx=1\n").into_bytes())
        .collect();
    for (name, bytes, said) in [
        ("not-utf8.conf", &b"[DEFAULT]\nx = \xff\xfe\n"[..], "line 2"),
        ("nul.conf", b"[DEFAULT]\ndebug = a\0b\n", ":2:"),
        ("bom.conf", b"\xef\xbb\xbf[DEFAULT]\ndebug = true\n", "line 1"),
        ("indented.conf", b"[DEFAULT]\n\n  debug = true\n", "line 3"),
        ("bracket.conf", b"[DEFAULT\ndebug = true\n", "line 1"),
        ("word.conf", b"[DEFAULT]\ndebug\n", "line 2"),
        ("nothing.conf", b"debug = true\n", "line 1"),
    ] {
        fs::write(scratch.path(name), bytes).unwrap();
        scratch
            .ffu(&migrate(&["--service", "nova", "--in-place", name]))
            .exits(3)
            .says(name)
            .says(said);
        assert_eq!(fs::read(scratch.path(name)).unwrap(), bytes, "{name}");
    }
    fs::write(scratch.path("many.conf"), many_sections).unwrap();
    let ran = scratch.ffu(&migrate(&["--service", "nova", "many.conf"]));
    assert!([0, 8, 9].contains(&ran.code), "{}", ran.err);
    for (text, said) in [
        ("[DEFAULT]\nlog_dir = $log_dir\n", "log_dir"),
        ("[DEFAULT]\nlog_dir = $state_path\nstate_path = $log_dir\n", "log_dir"),
        ("[DEFAULT]\nlog_dir = $nobody_knows_this\n", "log_dir"),
    ] {
        fs::write(scratch.path("nova.conf"), text).unwrap();
        let ran = scratch.ffu(&migrate(&["nova.conf"])).says(said);
        assert_eq!(ran.code, 9, "{text}\n{}{}", ran.out, ran.err);
    }
    fs::create_dir(scratch.path("empty")).unwrap();
    scratch
        .ffu(&migrate(&["empty"]))
        .exits(3)
        .says("no file for this command");
    scratch.ffu(&migrate(&["gone.conf"])).exits(3).says("gone.conf");
    scratch
        .ffu(&migrate(&["--service", "nvoa", "nova.conf"]))
        .exits(3)
        .says("no such service");
    scratch.ffu(&migrate(&["--in-place", "-o", "x", "nova.conf"])).exits(2);
    scratch
        .ffu(&["config", "migrate", "--from", "2026.1", "--to", "train", "nova.conf"])
        .exits(3);
    scratch
        .ffu(&["config", "migrate", "--to", "train", "nova.conf"])
        .exits(2)
        .says("--from");
    scratch
        .ffu(&[
            "config",
            "migrate",
            "--from",
            "pike",
            "--to",
            "train",
            "--service",
            "placement",
            "nova.conf",
        ])
        .exits(3)
        .says("placement");
}

#[test]
fn options_of_another_service_are_marked_and_kept() {
    let scratch = Scratch::with(
        "nova.conf",
        b"[DEFAULT]\nenabled_backends = rbd\n[rbd]\nvolume_driver = x\n",
    );
    let ran = scratch
        .ffu(&migrate(&["--in-place", "nova.conf"]))
        .says("enabled_backends");
    assert_ne!(ran.code, 0);
    let text = fs::read_to_string(scratch.path("nova.conf")).unwrap();
    assert!(
        text.contains("enabled_backends = rbd") && text.contains("volume_driver = x"),
        "{text}"
    );
}

/// Needs the hop environments of Train and 2025.1, which `make test` builds.
#[test]
fn the_real_oslo_config_of_both_series_agrees() {
    let scratch = Scratch::with("nova/nova.conf", NOVA.as_bytes());
    let ran = scratch.ffu(&[
        "config",
        "migrate",
        "--from",
        "train",
        "--to",
        "2025.1",
        "--verify",
        "nova/nova.conf",
    ]);
    let ran = ran
        .says("verified with the real oslo.config of both series")
        .says(" 0 different");
    let line = ran
        .err
        .lines()
        .find(|line| line.starts_with("verified"))
        .unwrap_or_default();
    assert!(!line.contains(" 0 equal"), "{line}");
    assert!(!format!("{}{}", ran.out, ran.err).contains("s3cr3t"));
    scratch
        .ffu(&[
            "--cache-dir",
            "empty",
            "config",
            "migrate",
            "--from",
            "train",
            "--to",
            "2025.1",
            "--verify",
            "nova/nova.conf",
        ])
        .exits(1)
        .says("ffu env build train");
}

#[test]
fn variables_of_the_environment_count_and_get_their_new_names() {
    let scratch = Scratch::with("nova.conf", b"[database]\nmax_pool_size = 4\n");
    let variables = "# service\nOS_DATABASE__IDLE_TIMEOUT=10\nexport OS_DATABASE__MAX_POOL_SIZE=\"7\"\nLANG=C\n";
    fs::write(scratch.path("nova.env"), variables).unwrap();
    scratch
        .ffu(&migrate(&["--env-file", "nova.env", "nova.conf"]))
        .says("OS_DATABASE__");
    scratch
        .ffu(&[
            "config",
            "check",
            "--series",
            "2024.1",
            "--env-file",
            "nova.env",
            "nova.conf",
        ])
        .says("checked against 2024.1");
    fs::write(scratch.path("nova.env"), "OS_DATABASE__MAX_POOL_SIZE\n").unwrap();
    scratch
        .ffu(&migrate(&["--env-file", "nova.env", "nova.conf"]))
        .exits(3)
        .says("line 1");
}

/// `ffu` as somebody without rights on what root owns; as an ordinary user the tests are somebody like that already.
fn as_nobody(scratch: &Scratch, arguments: &[&str]) -> common::Ran {
    use std::os::unix::process::CommandExt as _;
    let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
    if !is_root {
        return scratch.ffu(arguments);
    }
    // The build directory may be closed to others.
    let program = scratch.path("ffu");
    if !program.exists() {
        fs::copy(env!("CARGO_BIN_EXE_ffu"), &program).unwrap();
    }
    let command = scratch.command(arguments);
    let mut other = std::process::Command::new(program);
    other.args(command.get_args()).current_dir(scratch.path(""));
    other
        .env("HOME", scratch.path(""))
        .env("XDG_STATE_HOME", scratch.path("state"));
    other.uid(65534).gid(65534);
    common::Ran::of(&other.output().unwrap())
}

#[test]
fn what_may_not_be_read_or_written_is_said_and_nothing_is_touched() {
    let scratch = Scratch::with("nova/nova.conf", NOVA.as_bytes());
    let mode = |path: &str, mode| fs::set_permissions(scratch.path(path), fs::Permissions::from_mode(mode)).unwrap();
    let listed = || {
        let entries = fs::read_dir(scratch.path("nova")).unwrap();
        entries.map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>()
    };
    mode("", 0o755);

    mode("nova/nova.conf", 0o000);
    for arguments in [
        migrate(&["--in-place", "nova/nova.conf"]),
        migrate(&["-o", "out", "nova/nova.conf"]),
        vec!["config", "check", "--series", "train", "nova/nova.conf"],
        migrate(&["nova"]),
    ] {
        let ran = as_nobody(&scratch, &arguments).exits(3);
        ran.says("nova/nova.conf").says("Permission denied");
    }
    assert!(!scratch.path("out").exists());

    // It may be read, but its directory takes no new file.
    mode("nova/nova.conf", 0o444);
    mode("nova", 0o555);
    let ran = as_nobody(&scratch, &migrate(&["--in-place", "nova/nova.conf"]));
    assert_ne!(ran.code, 0);
    ran.says("Permission denied").says("nova");
    mode("nova", 0o755);
    assert_eq!(fs::read(scratch.path("nova/nova.conf")).unwrap(), NOVA.as_bytes());
    assert_eq!(listed(), ["nova.conf"], "no backup and no half a file is left");
}
