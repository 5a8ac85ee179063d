//! More targets than can be probed, fewer files than are needed, a full disk, an address that goes away.

use super::*;

#[test]
fn too_many_targets_are_refused_with_an_interval_that_works() {
    let scratch = Scratch::new();
    let many = targets(&scratch, 100_000, 100);
    let refused = scratch
        .ffu(&["watch", "--plain", "--targets", text(&many), "--for", "3s"])
        .exits(3);
    let interval: u32 = refused
        .err
        .split("interval_ms to ")
        .nth(1)
        .and_then(|rest| rest.split(' ').next())
        .and_then(|number| number.parse().ok())
        .unwrap_or_else(|| panic!("{}", refused.err));
    assert!(
        refused.err.contains("100000 targets need 1000000 packets a second"),
        "{}",
        refused.err
    );
    // What it names is taken. (What a shared machine can really send in time is no matter of this test: a longer interval runs.)
    let works = targets(&scratch, 100_000, interval);
    let ran = scratch.ffu(&["--json", "watch", "--targets", text(&works), "--for", "2s"]);
    assert!(!ran.err.contains("packets a second"), "{}", ran.err);
    let easy = targets(&scratch, 100_000, 10_000);
    let ran = scratch
        .ffu(&["--json", "watch", "--targets", text(&easy), "--for", "14s"])
        .exits(0);
    let totals = &ran.json()["figures"]["totals"];
    assert_eq!(
        (&totals["targets"], &totals["outages"]),
        (&100_000.into(), &0.into()),
        "{totals}"
    );
    assert!(totals["probes"].as_u64().unwrap() > 100_000, "{totals}");
}

#[test]
fn too_few_open_files_are_said_with_the_number() {
    let scratch = Scratch::new();
    let path = scratch.path("streams.toml");
    let stream = |number| {
        format!(
            "[[targets]]\nname = \"s{number}\"\naddress = \"127.0.0.1\"\nprobe = {{ type = \"tcp-stream\", port = 9 }}\n"
        )
    };
    std::fs::write(&path, (0..300).map(stream).collect::<String>()).unwrap();
    let mut command = Command::new("sh");
    command
        .args(["-c", "ulimit -n 128; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_ffu")])
        .args(["watch", "--plain", "--targets", text(&path), "--for", "3s"])
        .current_dir(scratch.path(""))
        .env("XDG_STATE_HOME", scratch.path("state"));
    let ran = Ran::of(&command.output().unwrap());
    assert!(
        ran.err
            .contains("300 TCP and HTTP targets need up to 364 open files, the limit is 128")
            || ran
                .out
                .contains("300 TCP and HTTP targets need up to 364 open files, the limit is 128"),
        "{ran:?}"
    );
}

#[test]
fn a_full_disk_ends_the_record_and_not_the_watch() {
    let scratch = Scratch::new();
    let disk = scratch.path("disk");
    std::fs::create_dir(&disk).unwrap();
    let path = targets(&scratch, 200, 20);
    // A disk of its own, in a mount namespace that ends with the watch.
    let script = "mount -t tmpfs -o size=160k none \"$1\" && shift && exec \"$0\" \"$@\"";
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "sh", "-c", script, env!("CARGO_BIN_EXE_ffu"), text(&disk)])
        .args(["--json", "watch", "--record"])
        .arg(disk.join("record"))
        .args(["--targets", text(&path), "--for", "8s"])
        .env("XDG_STATE_HOME", scratch.path("state"))
        .stdin(Stdio::null())
        .process_group(0);
    let ran = Ran::of(&command.output().unwrap());
    if ran.err.contains("unshare failed") || ran.err.contains("permission denied") {
        eprintln!("SKIPPED: mounting is not allowed here (needs root)");
        return;
    }
    let ran = ran.exits(0);
    let figures = &ran.json()["figures"];
    assert!(
        remarks(figures).contains("nothing is recorded any more") && remarks(figures).contains("No space left"),
        "{}",
        remarks(figures)
    );
    // Eight seconds of 10,000 probes a second do not fit, and were measured all the same.
    assert!(
        figures["totals"]["probes"].as_u64().unwrap() > 20_000,
        "{}",
        figures["totals"]
    );
    assert_eq!(figures["totals"]["outages"], 0, "{}", figures["totals"]);
}

#[test]
fn an_address_that_vanishes_is_one_outage_without_end() {
    let space = format!("ffut-wa{}", std::process::id());
    let ip = |arguments: &[&str]| Command::new("ip").args(arguments).output().unwrap().status.success();
    if !ip(&["netns", "add", &space]) {
        eprintln!("SKIPPED: the kernel does not allow network namespaces here (needs root)");
        return;
    }
    let scratch = Scratch::new();
    let path = scratch.path("targets.toml");
    let toml = format!(
        "interval_ms = 50\ntimeout_ms = 500\n[budgets]\nbaseline_s = 1\non_breach = \"continue\"\n[vantages.space]\ntype = \"netns\"\nname = \"{space}\"\n\
         [[targets]]\nname = \"stays\"\naddress = \"10.79.0.1\"\nvantage = \"space\"\n[[targets]]\nname = \"goes\"\naddress = \"10.79.0.2\"\nvantage = \"space\"\n"
    );
    std::fs::write(&path, toml).unwrap();
    assert!(ip(&["-n", &space, "link", "set", "lo", "up"]));
    assert!(ip(&["-n", &space, "addr", "add", "10.79.0.1/32", "dev", "lo"]));
    assert!(ip(&["-n", &space, "addr", "add", "10.79.0.2/32", "dev", "lo"]));
    let watch = Watch::start(&scratch, Some(&path), &[]);
    sleep(3000);
    let before = now();
    assert!(ip(&["-n", &space, "addr", "del", "10.79.0.2/32", "dev", "lo"]));
    let after = now();
    sleep(3000);
    let (code, seen) = watch.end();
    assert!(ip(&["netns", "del", &space]));
    assert_eq!(code, 4, "a budget was exceeded");
    let worst = &seen["targets"][0];
    assert_eq!(
        (&worst["name"], &worst["out"]),
        (&"goes".into(), &true.into()),
        "{worst}"
    );
    let outages = worst["outages"].as_array().unwrap();
    assert!(outages.len() == 1 && outages[0]["end"].is_null(), "{worst}");
    let begin = outages[0]["begin"].as_u64().unwrap();
    assert!((before..after + 90 * MS).contains(&begin), "{before} {after} {begin}");
    assert_eq!(seen["targets"][1]["totals"]["lost"], 0, "{seen}");
}
