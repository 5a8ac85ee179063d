//! The wall clock is stepped while the watch measures: its own and its agent's alone, by libfaketime (Debian's `faketime`). Boot-time and
//! monotonic clocks stay what they are, as they do when somebody sets a clock.

use super::*;

/// The library that `faketime` puts before a program.
fn library() -> Option<PathBuf> {
    let places = std::fs::read_dir("/usr/lib").ok()?.flatten().map(|place| place.path());
    let mut found = places
        .map(|place| place.join("faketime/libfaketimeMT.so.1"))
        .filter(|file| file.exists());
    found.next()
}

/// A network namespace that is gone with the test, also if that fails.
struct Space(String);

impl Drop for Space {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.0]).output();
    }
}

#[test]
fn a_stepped_wall_clock_moves_no_outage() {
    let library = library().expect("libfaketime: scripts/setup installs it");
    let space = format!("ffut-wc{}", std::process::id());
    let ip = |arguments: &[&str]| Command::new("ip").args(arguments).output().unwrap().status.success();
    if !ip(&["netns", "add", &space]) {
        eprintln!("SKIPPED: the kernel does not allow network namespaces here (needs root)");
        return;
    }
    let _gone = Space(space.clone());
    let address =
        |action: &str, last: &str| ip(&["-n", &space, "addr", action, &format!("10.79.1.{last}/32"), "dev", "lo"]);
    assert!(ip(&["-n", &space, "link", "set", "lo", "up"]) && address("add", "1") && address("add", "2"));
    let scratch = Scratch::new();
    let path = scratch.path("targets.toml");
    let toml = format!(
        "interval_ms = 50\ntimeout_ms = 500\n[budgets]\nbaseline_s = 1\non_breach = \"continue\"\n[vantages.space]\ntype = \"netns\"\nname = \"{space}\"\n\
         [[targets]]\nname = \"stays\"\naddress = \"10.79.1.1\"\nvantage = \"space\"\n[[targets]]\nname = \"goes\"\naddress = \"10.79.1.2\"\nvantage = \"space\"\n"
    );
    std::fs::write(&path, toml).unwrap();
    let clock = scratch.path("clock");
    let set = |seconds: i32| {
        // Replaced whole: it is read with every look at the clock.
        let new = scratch.path("clock.new");
        std::fs::write(&new, format!("{seconds:+}\n")).unwrap();
        std::fs::rename(new, &clock).unwrap();
    };
    set(0);
    let mut command = scratch.command(&[]);
    command
        .env("LD_PRELOAD", &library)
        .env("FAKETIME_TIMESTAMP_FILE", &clock)
        .env("FAKETIME_NO_CACHE", "1")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    let watch = Watch::start_by(command, &scratch, Some(&path), &[]);
    let (mut truth, begun) = (Vec::new(), Instant::now());
    sleep(4000);
    // Before, in the middle of and after an outage, both ways; a second outage without a step in it.
    for steps in [[3600, -3600, 7], [-7, -7, 0]] {
        set(steps[0]);
        sleep(600);
        let begin = now();
        assert!(address("del", "2"));
        let gone = now();
        sleep(500);
        set(steps[1]);
        sleep(500);
        let end = now();
        assert!(address("add", "2"));
        truth.push((begin..gone, end..now()));
        sleep(600);
        set(steps[2]);
        // The clocks are compared every ten seconds.
        sleep(10_500);
    }
    let lasted = begun.elapsed();
    let (code, seen) = watch.end();
    let said = remarks(&seen);
    assert_eq!(code, 4, "a budget was exceeded: {said}");
    assert!(
        said.contains("the wall clock was set") && said.contains("no figure is touched"),
        "{said}"
    );
    let by_name = |name: &str| {
        let targets = seen["targets"].as_array().unwrap();
        targets.iter().find(|target| target["name"] == name).unwrap()
    };
    assert_eq!(by_name("stays")["totals"]["lost"], 0, "{said}");
    found_as_made(&by_name("goes")["outages"], truth, 50 * MS + 25 * MS);
    // An hour more or less of probes, of watching, or of a round trip would be seen.
    let (probes, length) = (seen["totals"]["probes"].as_u64().unwrap(), lasted.as_secs());
    assert!(
        (length * 20..(length + 15) * 40).contains(&probes),
        "{probes} in {length} s"
    );
    let watched = seen["now"].as_u64().unwrap() - seen["began"].as_u64().unwrap();
    assert!(watched / (1000 * MS) < length + 15, "{watched}");
    assert!(
        by_name("stays")["latency"]["max"].as_u64().unwrap_or(0) < 1000 * MS,
        "{}",
        by_name("stays")
    );
    // The record read again, by clocks that were never stepped, says the same.
    let record = scratch.path("record");
    let replayed = scratch
        .ffu(&["--json", "watch", "replay", text(&record)])
        .exits(4)
        .json();
    assert_eq!(replayed["figures"]["totals"], seen["totals"]);
}
