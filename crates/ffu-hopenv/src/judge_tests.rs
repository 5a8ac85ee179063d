//! Verdicts on outputs of the real packages.

use super::*;
use camino::Utf8PathBuf;
use ffu_model::step::{ExitMeaning, Leftover};

#[path = "../tests/support/action.rs"]
mod action;

fn action(purpose: Purpose, program: &str, codes: &[(i32, Meaning)]) -> CommandAction {
    let series = "train".parse().unwrap();
    CommandAction {
        purpose,
        exit_codes: codes
            .iter()
            .map(|(code, meaning)| ExitMeaning {
                code: *code,
                meaning: *meaning,
                note: format!("note of {code}"),
            })
            .collect(),
        failure_texts: vec!["Error attempting to run".into()],
        leftovers: vec![Leftover {
            migration: "looks_at_all".into(),
            at_most: Some(4),
            reason: "it counts what it looked at".into(),
        }],
        ..action::action(&series, "nova", program, &["upgrade", "check"])
    }
}

fn online() -> CommandAction {
    let codes = [(0, Meaning::Success), (1, Meaning::Again), (2, Meaning::Failure)];
    action(Purpose::OnlineData, "nova-manage", &codes)
}

fn status() -> CommandAction {
    let codes = [(0, Meaning::Success), (1, Meaning::Warning), (2, Meaning::Failure)];
    action(Purpose::UpgradeCheck, "nova-status", &codes)
}

fn judged(action: &CommandAction, exit: Exit, output: &[u8]) -> Verdict {
    let directory = tempfile::tempdir().unwrap();
    let path = Utf8PathBuf::from_path_buf(directory.path().join("out")).unwrap();
    std::fs::write(&path, output).unwrap();
    judge(action, &exit, &path)
}

/// A line of nova-manage db online_data_migrations, Rocky.
fn migrations(found: u32, moved: u32) -> String {
    format!(
        "Running batches of 50 until complete\n\
         +---------------------------------------------+--------------+-----------+\n\
         |                  Migration                  | Total Needed | Completed |\n\
         +---------------------------------------------+--------------+-----------+\n\
         |         create_incomplete_consumers         |      0       |     0     |\n\
         |          populate_queued_for_delete         |      {found}       |     {moved}     |\n\
         +---------------------------------------------+--------------+-----------+\n"
    )
}

#[test]
fn a_finished_online_migration_has_its_figures() {
    let verdict = judged(&online(), Exit::Code(0), migrations(4, 4).as_bytes());
    assert_eq!(verdict.meaning, Meaning::Success);
    assert_eq!(verdict.note, "exit code 0: note of 0");
    let figures = &verdict.figures;
    assert_eq!(
        (figures["rows-found"], figures["rows-moved"], figures["rows-left"]),
        (4, 4, 0)
    );
    assert_eq!(figures["moved.populate_queued_for_delete"], 4);
    assert!(!figures.contains_key("moved.create_incomplete_consumers"));
    assert!(verdict.findings.is_empty());
}

#[test]
fn rows_that_are_left_mean_again_only_while_something_moves() {
    let verdict = judged(&online(), Exit::Code(0), migrations(4, 3).as_bytes());
    assert_eq!(verdict.meaning, Meaning::Again);
    assert!(
        verdict.note.contains("populate_queued_for_delete (1 rows)"),
        "{}",
        verdict.note
    );
    let verdict = judged(&online(), Exit::Code(0), migrations(4, 0).as_bytes());
    assert_eq!(verdict.meaning, Meaning::Failure);
    assert_eq!(verdict.findings[0].id, "online-migration-rows-left");
    assert_eq!(verdict.findings[0].severity, Severity::Blocker);
}

#[test]
fn a_known_exception_leaves_the_judgement_to_the_exit_code() {
    // Rocky's cinder-manage, as it logs that no cinder-volume answered.
    let output = "2026-11-24 19:55:40.447 1 ERROR cinder.cmd.manage Traceback (most recent call last):\n\
                  2026-11-24 19:55:40.447 1 ERROR cinder.cmd.manage   File \"manage.py\", line 351, in _run_migration\n\
                  2026-11-24 19:55:40.447 1 ERROR cinder.cmd.manage MessagingTimeout: No reply on topic cinder-volume\n";
    let mut action = online();
    action.exit_codes[2].meaning = Meaning::Warning;
    assert_eq!(
        judged(&action, Exit::Code(2), output.as_bytes()).meaning,
        Meaning::Failure
    );
    action.known_exceptions.push("MessagingTimeout".into());
    assert_eq!(
        judged(&action, Exit::Code(2), output.as_bytes()).meaning,
        Meaning::Warning
    );
    let other = output.replace("MessagingTimeout:", "OperationalError: MessagingTimeout:");
    assert_eq!(
        judged(&action, Exit::Code(2), other.as_bytes()).meaning,
        Meaning::Failure
    );
    let with_module = output.replace("MessagingTimeout:", "oslo_messaging.exceptions.MessagingTimeout:");
    assert_eq!(
        judged(&action, Exit::Code(2), with_module.as_bytes()).meaning,
        Meaning::Warning
    );
}

#[test]
fn an_error_with_exit_code_0_has_failed() {
    // Queens cinder shared_targets without a cinder-volume (fact P2).
    let output = format!(
        "Error attempting to run shared_targets_online_data_migration: MessagingTimeout\n{}",
        migrations(0, 0)
    );
    let verdict = judged(&online(), Exit::Code(0), output.as_bytes());
    assert_eq!(verdict.meaning, Meaning::Failure);
    assert!(
        verdict
            .note
            .contains("shared_targets_online_data_migration: MessagingTimeout"),
        "{}",
        verdict.note
    );
}

#[test]
fn silence_of_a_data_migration_is_a_warning() {
    let verdict = judged(&online(), Exit::Code(0), b"");
    assert_eq!(verdict.meaning, Meaning::Warning);
    assert_eq!(verdict.findings[0].id, "online-migration-silent");
}

#[test]
fn exit_codes_the_catalog_does_not_list_mean_failure() {
    let verdict = judged(&online(), Exit::Code(7), migrations(0, 0).as_bytes());
    assert_eq!(verdict.meaning, Meaning::Failure);
    assert!(
        verdict.note.starts_with("exit code 7, which the catalog does not know"),
        "{}",
        verdict.note
    );
    for (exit, word) in [
        (Exit::Signal(9), "SIGKILL"),
        (Exit::TimedOut, "in time"),
        (Exit::Stopped, "operator"),
    ] {
        let verdict = judged(&online(), exit, migrations(0, 0).as_bytes());
        assert_eq!(verdict.meaning, Meaning::Failure);
        assert!(verdict.note.contains(word), "{}", verdict.note);
    }
}

#[test]
fn a_traceback_with_log_headers_gives_its_exception() {
    // Queens keystone-manage db_sync on MariaDB 10.11 (fact P1), cut.
    let output = b"\
2026-11-24 17:02:44.174 4334 ERROR keystone Traceback (most recent call last):
2026-11-24 17:02:44.174 4334 ERROR keystone   File \"x/oslo_db/sqlalchemy/migration.py\", line 81, in db_sync
2026-11-24 17:02:44.174 4334 ERROR keystone     raise exception.DBMigrationError(ex)
2026-11-24 17:02:44.174 4334 ERROR keystone DBMigrationError: (pymysql.err.ProgrammingError) (1064, u\"syntax\")
2026-11-24 17:02:44.174 4334 ERROR keystone \n";
    let schema = action(Purpose::Schema, "keystone-manage", &[(0, Meaning::Success)]);
    for code in [0, 1] {
        let verdict = judged(&schema, Exit::Code(code), output);
        assert_eq!(verdict.meaning, Meaning::Failure);
        assert!(
            verdict
                .note
                .contains("DBMigrationError: (pymysql.err.ProgrammingError) (1064"),
            "{}",
            verdict.note
        );
        assert!(verdict.excerpt.contains("in db_sync"));
    }
}

/// glance-status upgrade check of Ussuri without enabled_backends.
const CRASH: &[u8] = b"Error:
Traceback (most recent call last):
  File \"lib/python3.7/site-packages/oslo_upgradecheck/upgradecheck.py\", line 102, in check
    result = func(self)
  File \"lib/python3.7/site-packages/glance/cmd/status.py\", line 36, in _check_sheepdog_store
    if 'sheepdog' in getattr(CONF, 'enabled_backends', {}):
TypeError: argument of type 'NoneType' is not iterable

";

#[test]
fn a_crash_of_a_check_is_named_even_behind_the_code_of_a_warning() {
    for code in [255, 1] {
        let verdict = judged(&status(), Exit::Code(code), CRASH);
        assert_eq!(verdict.meaning, Meaning::Failure, "{code}");
        assert!(
            verdict.note.contains("crashed") && verdict.note.contains("TypeError: argument"),
            "{}",
            verdict.note
        );
        assert_eq!(verdict.findings[0].id, "upgrade-check-crashed");
    }
    let mut known = status();
    known.exit_codes.push(ExitMeaning {
        code: 255,
        meaning: Meaning::KnownCrash,
        note: "known".into(),
    });
    let verdict = judged(&known, Exit::Code(255), CRASH);
    assert_eq!(verdict.meaning, Meaning::KnownCrash);
    assert_eq!(verdict.findings[0].severity, Severity::Warning);
}

/// nova-status upgrade check of Ussuri, two of its checks.
fn checks(second: &str) -> String {
    format!(
        "+------------------------------------------------------------+\n\
         | Upgrade Check Results                                      |\n\
         +------------------------------------------------------------+\n\
         | Check: Ironic Flavor Migration                             |\n\
         | Result: Success                                            |\n\
         | Details: None                                              |\n\
         +------------------------------------------------------------+\n\
         | Check: Older than N-1 computes                             |\n\
         | Result: {second}                                           |\n\
         | Details: Current Nova version does not support computes    |\n\
         |   older than Train but the minimum is 30.                  |\n\
         +------------------------------------------------------------+\n"
    )
}

#[test]
fn checks_become_findings() {
    let verdict = judged(&status(), Exit::Code(1), checks("Warning").as_bytes());
    assert_eq!(verdict.meaning, Meaning::Warning);
    assert_eq!(verdict.figures["checks"], 2);
    let [finding] = verdict.findings.as_slice() else {
        panic!("{:?}", verdict.findings)
    };
    assert_eq!(finding.id, "upgrade-check.older-than-n-1-computes");
    assert_eq!(finding.severity, Severity::Warning);
    assert!(
        finding.message.ends_with("older than Train but the minimum is 30."),
        "{}",
        finding.message
    );
    let verdict = judged(&status(), Exit::Code(2), checks("Failure").as_bytes());
    assert_eq!(
        (verdict.meaning, verdict.findings[0].severity),
        (Meaning::Failure, Severity::Blocker)
    );
    // Exit code and table at odds: the worse one counts.
    assert_eq!(
        judged(&status(), Exit::Code(0), checks("Failure").as_bytes()).meaning,
        Meaning::Failure
    );
    assert_eq!(
        judged(&status(), Exit::Code(0), checks("Warning").as_bytes()).meaning,
        Meaning::Warning
    );
    assert_eq!(
        judged(&status(), Exit::Code(0), checks("Success").as_bytes()).meaning,
        Meaning::Success
    );
    assert_eq!(
        judged(&status(), Exit::Code(0), b"").findings[0].id,
        "upgrade-check-silent"
    );
}

#[test]
fn a_check_that_printed_nothing_did_not_pass_whatever_its_code_means() {
    let mut tolerant = status();
    tolerant.exit_codes[2].meaning = Meaning::Warning;
    let usage = b"usage: nova-status [-h] command\nnova-status: error: the following arguments are required: command\n";
    let verdict = judged(&tolerant, Exit::Code(2), usage);
    assert_eq!(verdict.meaning, Meaning::Failure, "{}", verdict.note);
    assert!(verdict.note.contains("printed no results"), "{}", verdict.note);
}

#[test]
fn a_check_that_is_made_elsewhere_may_fail_and_no_other() {
    let mut excusing = status();
    excusing.excused_checks = vec!["Older than N-1 computes".to_owned()];
    let verdict = judged(&excusing, Exit::Code(2), checks("Failure").as_bytes());
    assert_eq!(verdict.meaning, Meaning::Success, "{}", verdict.note);
    assert!(verdict.findings.is_empty() && verdict.note.contains("Older than N-1 computes"));
    excusing.excused_checks = vec!["Ironic Flavor Migration".to_owned()];
    let verdict = judged(&excusing, Exit::Code(2), checks("Failure").as_bytes());
    assert_eq!(verdict.meaning, Meaning::Failure);
    assert_eq!(verdict.findings.len(), 1);
}

#[test]
fn a_failure_that_the_catalog_tolerates_is_shown_and_does_not_stop() {
    let mut tolerant = status();
    tolerant.exit_codes[2].meaning = Meaning::Warning;
    let verdict = judged(&tolerant, Exit::Code(2), checks("Failure").as_bytes());
    assert_eq!(
        (verdict.meaning, verdict.findings[0].severity),
        (Meaning::Warning, Severity::Warning)
    );
}

#[test]
fn a_missing_output_has_failed() {
    let verdict = judge(&online(), &Exit::Code(0), Utf8Path::new("/nonexistent/out"));
    assert_eq!(verdict.meaning, Meaning::Failure);
    assert!(verdict.note.contains("cannot be read"));
}

proptest::proptest! {
    #[test]
    fn no_output_makes_it_panic(output in proptest::collection::vec(proptest::num::u8::ANY, 0..400), code in -5..300) {
        let mut text = b"| Check: \xff\n| Migration | a | b |\n9 rows matched query , \n\xc3\x28 Traceback (most recent call last):\n".to_vec();
        text.extend(output);
        judged(&status(), Exit::Code(code), &text);
        judged(&online(), Exit::Code(code), &text);
    }
}

#[test]
fn rows_that_nothing_ever_moves_are_no_failure_up_to_their_number() {
    let table = |rows: u32| {
        format!(
            "Running batches of 50 until complete\n{rows} rows matched query looks_at_all, 0 migrated\n\
             +--------------+--------------+-----------+\n|  Migration   | Total Needed | Completed |\n\
             +--------------+--------------+-----------+\n| looks_at_all |      {rows}       |     0     |\n\
             +--------------+--------------+-----------+\n"
        )
    };
    let dir = tempfile::tempdir().unwrap();
    let path = Utf8Path::from_path(dir.path()).unwrap().join("x.out");
    std::fs::write(&path, table(4)).unwrap();
    assert_eq!(judge(&online(), &Exit::Code(0), &path).meaning, Meaning::Success);
    std::fs::write(&path, table(5)).unwrap();
    assert_eq!(judge(&online(), &Exit::Code(0), &path).meaning, Meaning::Failure);
}
