//! Wrong command lines and hostile files: an error that says what and what next, a stable exit code, nothing written.

mod common;

use common::{Scratch, text};

#[test]
fn series_that_cannot_be_are_answered_with_the_choices() {
    let scratch = Scratch::new();
    scratch
        .ffu(&["path", "--from", "pike", "--to", "2026.2"])
        .exits(0)
        .says("18. 2026.1 → 2026.2");
    scratch
        .ffu(&["path", "--from", "Antelope", "--to", "2024.1", "--slurp"])
        .exits(0)
        .says("1. 2023.1 → 2024.1");
    for (from, to) in [
        ("mitaka", "train"),
        ("train", "2031.1"),
        ("train", "train"),
        ("train", "rocky"),
        ("../x", "train"),
    ] {
        scratch
            .ffu(&["path", "--from", from, "--to", to])
            .exits(3)
            .says("2026.1");
    }
}

#[test]
fn usage_errors_exit_with_two() {
    let scratch = Scratch::new();
    scratch.ffu(&["fly"]).exits(2);
    scratch.ffu(&["path"]).exits(2).says("--from");
    scratch.ffu(&["plan"]).exits(2);
    scratch.ffu(&["--help"]).exits(0).says("Fast-forward upgrades");
    scratch.ffu(&["--version"]).exits(0);
    scratch
        .ffu(&["discover", "--from", "cobbler:/"])
        .exits(2)
        .says("plain:DIR");
}

#[test]
fn errors_are_json_where_json_is_wanted() {
    let scratch = Scratch::new();
    let error = scratch
        .ffu(&["--json", "path", "--from", "mitaka", "--to", "train"])
        .exits(3)
        .json();
    assert_eq!(error["event"], "error");
    assert_eq!(error["exit"], 3);
    assert!(error["message"].as_str().unwrap().contains("mitaka"));
}

#[test]
fn plans_that_are_none_are_refused_and_nothing_is_begun() {
    let scratch = Scratch::new();
    let file = scratch.path("plan.json");
    for bytes in [
        &b""[..],
        b"\0\0\0",
        b"{}",
        b"{\"format\":1}",
        b"[[[[",
        b"\xff\xfe",
        b"{\"format\":99}",
    ] {
        std::fs::write(&file, bytes).unwrap();
        scratch.ffu(&["run", text(&file), "--yes"]).exits(3).says("next:");
        scratch.ffu(&["lint", text(&file)]).exits(3);
    }
    scratch.ffu(&["run", "gone.json", "--yes"]).exits(3).says("gone.json");
    scratch.ffu(&["run", ".", "--yes"]).exits(3).says("directory");
    assert!(scratch.run_directory().is_none());
}

#[test]
fn a_huge_file_is_not_read() {
    let scratch = Scratch::new();
    let file = scratch.path("huge.json");
    std::fs::File::create(&file).unwrap().set_len(1 << 40).unwrap();
    scratch.ffu(&["lint", text(&file)]).exits(3).says("larger than");
    scratch
        .ffu(&["plan", "--cloud", text(&file), "--to", "2026.1"])
        .exits(3)
        .says("larger than");
}

#[test]
fn cloud_files_that_are_none_are_refused() {
    let scratch = Scratch::new();
    let file = scratch.path("cloud.toml");
    for bytes in [
        &b""[..],
        b"\xff\xff",
        b"format = 1\nname = 3",
        b"format = 99",
        b"format = 1\nhook = \"rm\"",
        b"a = \"\0\"",
        b"format = ",
    ] {
        std::fs::write(&file, bytes).unwrap();
        scratch
            .ffu(&["plan", "--cloud", text(&file), "--to", "2026.1"])
            .exits(3)
            .says("cloud.toml");
    }
    assert!(!scratch.path("plan.json").exists());
}

#[test]
fn overlays_are_checked_with_file_and_line() {
    let scratch = Scratch::new();
    let overlay = scratch.path("overlay");
    std::fs::create_dir_all(overlay.join("gates")).unwrap();
    let gate = overlay.join("gates/site.toml");
    std::fs::write(&gate, "[[gate]]\nid = \"mine\"\nproject = \"nova\"\ncolour = \"red\"\n").unwrap();
    scratch
        .ffu(&["--catalog", text(&overlay), "catalog", "check"])
        .exits(3)
        .says("gates/site.toml")
        .says("4");
    std::fs::write(&gate, b"\xff\0").unwrap();
    scratch
        .ffu(&["--catalog", text(&overlay), "catalog", "check"])
        .exits(3)
        .says("gates/site.toml");
    std::fs::remove_file(&gate).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", &gate).unwrap();
    scratch
        .ffu(&["--catalog", text(&overlay), "catalog", "check"])
        .exits(3)
        .says("neither a file");
    std::fs::remove_file(&gate).unwrap();
    scratch.ffu(&["--catalog", text(&overlay), "catalog", "check"]).exits(0);
    scratch
        .ffu(&["--catalog", "gone", "catalog", "check"])
        .exits(3)
        .says("gone");
}

#[test]
fn an_overlay_changes_the_digest_and_so_makes_plans_stale() {
    let scratch = Scratch::new();
    let plain = scratch.ffu(&["--json", "catalog", "check"]).exits(0).json();
    let overlay = scratch.path("overlay/gates");
    std::fs::create_dir_all(&overlay).unwrap();
    std::fs::write(
        overlay.join("site.toml"),
        "[[gate]]\nid = \"site-no-shelved\"\nproject = \"nova\"\ndatabase = \"cell\"\nentering = \"2024.2\"\n\
         query = \"SELECT COUNT(*) FROM instances WHERE deleted = 0 AND vm_state = 'shelved'\"\nseverity = \"warning\"\n\
         message = \"shelved instances\"\nremedy = \"unshelve them\"\nsource = \"this site's rule\"\n",
    )
    .unwrap();
    let with = scratch
        .ffu(&[
            "--json",
            "--catalog",
            text(&scratch.path("overlay")),
            "catalog",
            "check",
        ])
        .exits(0)
        .json();
    assert_ne!(plain["digest"], with["digest"]);
}

#[test]
fn runs_that_are_not_there_are_named() {
    let scratch = Scratch::new();
    for command in ["status", "report", "resume", "rollback", "accept"] {
        scratch.ffu(&[command]).exits(3).says("`ffu run PLAN`");
        scratch.ffu(&[command, "../../etc"]).exits(3).says("no run ../../etc");
    }
    scratch.ffu(&["status", "--all"]).exits(0).says("no runs");
}

#[test]
fn a_deployment_that_is_not_there_is_named() {
    let scratch = Scratch::new();
    scratch
        .ffu(&["discover", "--from", "plain:nowhere"])
        .exits(3)
        .says("nowhere");
    std::fs::create_dir_all(scratch.path("empty/etc")).unwrap();
    scratch
        .ffu(&["discover", "--from", "plain:empty"])
        .exits(3)
        .says("empty");
}

#[test]
fn the_reference_is_what_the_program_says() {
    let scratch = Scratch::new();
    let docs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference");
    for what in ["commands", "exit-codes"] {
        let written = std::fs::read_to_string(docs.join(format!("{what}.md"))).unwrap();
        let said = scratch.ffu(&["reference", what]).exits(0).out;
        assert_eq!(written, said, "run `make reference`");
    }
}
