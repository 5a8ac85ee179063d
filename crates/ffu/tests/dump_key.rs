//! Encrypted dumps end to end: the key is asked for before anything is stopped, in the run as on the way back.

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use camino::Utf8PathBuf;
use common::{Lab, Scratch, files_below, text};
use ffu_db::checkpoint::{self, Means, Target};
use ffu_db::{Access, Fingerprint, Options};
use ffu_model::Plan;
use ffu_model::plan::CheckpointProof;

/// The databases of a plan.
fn databases(plan: &Path) -> Vec<Target> {
    let plan: Plan = serde_json::from_slice(&fs::read(plan).unwrap()).unwrap();
    let each = plan.cloud.databases().map(|(key, database)| Target {
        key: key.clone(),
        access: Access {
            service: ffu_db::resolve(&database.connection).unwrap(),
            admin: plan.server_of(&key).unwrap().admin_option_file.clone(),
        },
    });
    each.collect()
}

fn fingerprints(databases: &[Target]) -> Vec<Fingerprint> {
    let each = databases.iter().map(|target| {
        let server = target.access.strongest().unwrap();
        server.fingerprint(target.access.schema().unwrap()).unwrap().unwrap()
    });
    each.collect()
}

#[test]
fn a_key_is_made_once_and_a_plan_wants_one_that_is_there() {
    let scratch = Scratch::with("cloud.toml", b"");
    let key = scratch.path("key");
    let made = scratch.ffu(&["--json", "dump-key", text(&key)]).exits(0).json();
    assert!(made["recipients"][0].as_str().unwrap().starts_with("age1"), "{made}");
    let content = fs::read_to_string(&key).unwrap();
    scratch.ffu(&["dump-key", text(&key)]).exits(3).says("next:");
    assert_eq!(fs::read_to_string(&key).unwrap(), content, "never overwritten");
    scratch
        .ffu(&["dump-key", "no/such/directory/key"])
        .exits(3)
        .says("next:");
}

#[test]
fn the_key_is_asked_for_before_anything_is_stopped() {
    let lab = Lab::up("2024.1", 4);
    let scratch = &lab.scratch;
    let (key, away, other) = (scratch.path("key"), scratch.path("away"), scratch.path("other"));
    let (cloud, plan) = (scratch.path("cloud.toml"), scratch.path("plan.json"));
    for made in [&key, &other] {
        scratch.ffu(&["dump-key", text(made)]).exits(0).says("age1");
    }
    lab.discover("cloud.toml");
    let planning = |key: &Path| {
        let arguments = [
            "plan",
            "--cloud",
            text(&cloud),
            "--to",
            "2024.2",
            "-o",
            text(&plan),
            "--checkpoint",
            "dump",
        ];
        scratch.ffu(&[&arguments[..], &["--dump-key", text(key)]].concat())
    };
    planning(&away).exits(3).says("it is not there").says("ffu dump-key");
    let copies = [
        "plan",
        "--cloud",
        text(&cloud),
        "--to",
        "2024.2",
        "--checkpoint",
        "copy",
        "--dump-key",
        text(&key),
    ];
    scratch.ffu(&copies).exits(2).says("there is no dump to encrypt");
    assert!(!plan.exists());
    planning(&key).exits(0).says("dumps are encrypted for age1");
    scratch.ffu(&["lint", text(&plan)]).exits(0);
    scratch
        .ffu(&["plan", "--explain", "checkpoint", "-o", text(&plan)])
        .exits(0)
        .says("dump key:")
        .says(text(&key));
    let databases = databases(&plan);
    let before = fingerprints(&databases);
    every_table_by_itself(&databases, &scratch.path("pieces"));

    // Gone, of somebody else, readable by others: no run is begun, nor gone on with, while the cloud is up.
    let private = fs::read(&key).unwrap();
    let recipient = |key: &Path| {
        let text = fs::read_to_string(key).unwrap();
        text.split_whitespace()
            .find(|word| word.starts_with("age1"))
            .unwrap()
            .to_owned()
    };
    let (own, others) = (recipient(&key), recipient(&other));
    fs::rename(&key, &away).unwrap();
    for command in ["run", "rehearse"] {
        let ran = scratch.ffu(
            &[
                &[command, text(&plan)][..],
                if command == "run" { &["--yes"] } else { &[] },
            ]
            .concat(),
        );
        ran.exits(4)
            .says("it is not there")
            .says(&own)
            .says("nothing was begun")
            .says(command);
    }
    assert!(scratch.run_directory().is_none());
    fs::rename(&away, &key).unwrap();
    let killed = scratch
        .command(&["run", text(&plan), "--yes", "--cold"])
        .env("FFU_FAULT", "before-intent@freeze.apis")
        .output()
        .unwrap();
    assert_eq!(killed.status.code(), None, "{killed:?}");
    let journal = scratch.journal();
    fs::copy(&other, &key).unwrap();
    scratch
        .ffu(&["resume"])
        .exits(4)
        .says(&others)
        .says(&own)
        .says("ffu resume");
    fs::write(&key, &private).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    scratch.ffu(&["resume"]).exits(4).says("chmod 600");
    assert_eq!(scratch.journal(), journal, "nothing of it is in the journal");
    lab.token();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    scratch.ffu(&["resume"]).exits(0);
    let said = scratch.outcome("checkpoint")["detail"].to_string();
    assert!(
        said.contains("of encrypted dumps, loaded into scratch schemas: fingerprints equal"),
        "{said}"
    );
    nothing_is_readable(&lab, &private, databases.len());

    // The way back, with a dump that is cut off: that is seen before anything is stopped.
    let dump = scratch
        .run_directory()
        .unwrap()
        .join("checkpoint/neutron-main.sql.zst.age");
    let (bytes, journal) = (fs::read(&dump).unwrap(), scratch.journal());
    fs::write(&dump, &bytes[..bytes.len() - 1]).unwrap();
    let refused = scratch.ffu(&["rollback", "--yes"]).exits(4);
    refused.says("neutron-main.sql.zst.age").says("nothing was stopped");
    assert_eq!(scratch.journal(), journal);
    fs::write(&dump, &bytes).unwrap();

    // The way back, without the key, with another, with it from another place. A refusal leaves the run what it was.
    fs::rename(&key, &away).unwrap();
    scratch
        .ffu(&["rollback", "--yes"])
        .exits(4)
        .says("it is not there")
        .says(&own)
        .says("--dump-key");
    let wrong = scratch.ffu(&["rollback", "--yes", "--dump-key", text(&other)]);
    wrong.exits(4).says(&others).says(&own).says("nothing was stopped");
    assert_eq!(scratch.journal(), journal);
    scratch
        .ffu(&["resume"])
        .exits(4)
        .says("everything before acceptance is done");
    lab.token();
    assert_ne!(fingerprints(&databases), before);
    scratch.ffu(&["rollback", "--yes", "--dump-key", text(&away)]).exits(0);
    assert_eq!(fingerprints(&databases), before);
    lab.token();
}

/// Dumps are encrypted, and the secret key is in no file of the run, nor anything of its own in the plan.
fn nothing_is_readable(lab: &Lab, private: &[u8], databases: usize) {
    let secret = String::from_utf8_lossy(private);
    let secret = secret
        .lines()
        .find(|line| line.starts_with("AGE-SECRET-KEY-1"))
        .unwrap();
    let run = lab.scratch.run_directory().unwrap();
    let mut dumps = 0;
    for file in files_below(&run).into_iter().chain([lab.scratch.path("plan.json")]) {
        let bytes = fs::read(&file).unwrap();
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        if name.contains(".sql") {
            dumps += 1;
            assert!(
                name.ends_with(".sql.zst.age") && bytes.starts_with(b"age-encryption.org/v1\n"),
                "{name}"
            );
        }
        let content = String::from_utf8_lossy(&bytes);
        assert!(!content.contains(secret), "the key is in {}", file.display());
    }
    assert_eq!(dumps, databases);
}

/// Real schemas, with all that their foreign keys tie together, in a file a table, loaded four at a time.
fn every_table_by_itself(databases: &[Target], dir: &Path) {
    let tangled = |target: &&Target| ["keystone", "neutron"].contains(&target.key.project.as_str());
    let targets: Vec<Target> = databases.iter().filter(tangled).cloned().collect();
    let dir = Utf8PathBuf::from_path_buf(dir.to_owned()).unwrap();
    let options = Options {
        lanes: 4,
        ..Options::default()
    };
    let means = Means {
        own_file: 1,
        ..Means::default()
    };
    let made = checkpoint::make_with(&dir, &targets, &[], means, &options).unwrap();
    let pieces: usize = made
        .databases
        .iter()
        .filter_map(|d| d.saved.as_ref())
        .map(|d| d.pieces.len())
        .sum();
    assert!(pieces > 150, "{pieces}");
    let proven = checkpoint::prove(&dir, CheckpointProof::Restore, &options).unwrap();
    assert_eq!(proven.findings, []);
    assert!(
        proven.databases.iter().all(|d| d.sentence.contains("scratch schema")),
        "{proven:?}"
    );
    checkpoint::drop_checkpoint(&dir).unwrap();
}

#[test]
fn a_way_back_that_was_done_needs_no_key_any_more() {
    let lab = Lab::up("2024.1", 2);
    let scratch = &lab.scratch;
    let key = scratch.path("key");
    scratch.ffu(&["dump-key", text(&key)]).exits(0);
    let plan = lab.plan_with("2024.2", &["--checkpoint", "dump", "--dump-key", text(&key)]);
    scratch.ffu(&["run", text(&plan), "--yes"]).exits(0);
    let killed = scratch
        .command(&["rollback", "--yes"])
        .env("FFU_FAULT", "before-intent@rollback.services")
        .output()
        .unwrap();
    assert_eq!(killed.status.code(), None, "{killed:?}");
    fs::remove_file(&key).unwrap();
    scratch.ffu(&["rollback", "--yes"]).exits(0);
    lab.token();
}
