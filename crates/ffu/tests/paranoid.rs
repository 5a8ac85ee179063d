//! What a run leaves out as proven changes nothing: with every command run (`--paranoid`) the databases come out the same.

mod common;

use std::collections::BTreeMap;

use common::{Lab, text};
use serde_json::Value;

/// A schema: its definitions as the server tells them, and its rows in sorted order.
type Schemas = BTreeMap<String, (Vec<String>, Vec<String>)>;

/// Every schema of the cloud. Three things may differ, and are blanked out: points in time that were written since `since` (UTC),
/// as two runs are not at the same time; a table's next number (`AUTO_INCREMENT=`), as an INSERT … SELECT that finds no row
/// reserves numbers all the same (placement's online migrations do such); and the numbers of new traits, which placement's API
/// adds when the target is started, in the order of a Python set.
fn schemas(lab: &Lab, since: &str) -> Schemas {
    let own = "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME NOT IN ('mysql', 'sys', 'performance_schema', \
               'information_schema') AND SCHEMA_NAME NOT LIKE 'ffu\\_%'";
    lab.mariadb("mariadb", &["-N", "-e", own])
        .lines()
        .map(|schema| {
            let how = [
                "--skip-comments",
                "--skip-extended-insert",
                "--hex-blob",
                "--routines",
                "--events",
                schema,
            ];
            let dump = lab.mariadb("mariadb-dump", &how);
            let (rows, definitions): (Vec<&str>, Vec<&str>) =
                dump.lines().partition(|line| line.starts_with("INSERT INTO "));
            let mut rows: Vec<String> = rows
                .into_iter()
                .map(|row| without_number(without_times(row, since)))
                .collect();
            rows.sort();
            let definitions = definitions.into_iter().map(without_counter).collect();
            (schema.to_owned(), (definitions, rows))
        })
        .collect()
}

/// A row with every `'2026-11-28 16:00:00'` (a fraction may follow) that is not before `since` blanked out.
fn without_times(row: &str, since: &str) -> String {
    let mut kept = String::new();
    for (at, part) in row.split('\'').enumerate() {
        let is_time = part.len() >= since.len()
            && part.is_ascii()
            && part
                .bytes()
                .zip("0000-00-00 00:00:00".bytes().chain(std::iter::repeat(b'0')))
                .all(|(byte, form)| {
                    if form == b'0' {
                        byte.is_ascii_digit() || byte == b'.'
                    } else {
                        byte == form
                    }
                });
        kept.push_str(if at > 0 { "'" } else { "" });
        kept.push_str(if is_time && part >= since { "since" } else { part });
    }
    kept
}

/// A new trait, its times blanked out, without its number.
fn without_number(row: String) -> String {
    let start = "INSERT INTO `traits` VALUES ('since',NULL,";
    match row.strip_prefix(start).and_then(|rest| rest.split_once(',')) {
        Some((_, name)) => format!("{start}number,{name}"),
        None => row,
    }
}

/// The last line of a table's definition without its next number.
fn without_counter(line: &str) -> String {
    let words = line
        .split(' ')
        .filter(|word| !(line.starts_with(") ENGINE=") && word.starts_with("AUTO_INCREMENT=")));
    words.collect::<Vec<_>>().join(" ")
}

/// Lines that one list has and the other has not.
fn only(here: &[String], there: &[String]) -> String {
    let lines: Vec<&str> = here
        .iter()
        .filter(|line| !there.contains(line))
        .map(String::as_str)
        .collect();
    lines.join("\n")
}

/// Runs a plan to its end; gives the steps that were proven and not run.
#[track_caller]
fn run(lab: &Lab, plan: &str, options: &[&str]) -> Vec<String> {
    lab.scratch.ffu(&[&["run", plan, "--yes"], options].concat()).exits(0);
    let outcomes = lab.scratch.journal();
    let outcomes = outcomes
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    outcomes
        .filter(|event| event["result"] == "proven")
        .map(|event| event["step"].as_str().unwrap().to_owned())
        .collect()
}

/// One cloud, brought back in between: both runs begin with the same databases.
#[test]
fn a_paranoid_run_gives_the_same_databases() {
    let lab = Lab::up("2024.1", 4);
    let plan = lab.plan("2024.2");
    let since = lab.mariadb(
        "mariadb",
        &["-N", "-e", "SELECT DATE_FORMAT(UTC_TIMESTAMP(), '%Y-%m-%d %H:%i:%s')"],
    );
    let since = since.trim();
    let before = schemas(&lab, since);

    let proven = run(&lab, text(&plan), &[]);
    let left_out = |step: &str| proven.iter().any(|id| id == &format!("hops.2024.2.{step}"));
    assert!(
        left_out("nova.db-sync") && left_out("heat.db-sync"),
        "nothing is compared: {proven:?}"
    );
    // It makes a project and a user of its own where there are none yet, whatever there is to migrate.
    assert!(!left_out("placement.online-data-migrations"), "{proven:?}");
    let plain = schemas(&lab, since);
    assert!(before != plain, "a hop that changes nothing compares nothing");

    lab.scratch
        .ffu(&["rollback", "--yes"])
        .exits(0)
        .says("databases (proven)");
    let none = run(&lab, text(&plan), &["--paranoid"]);
    assert!(none.is_empty(), "left out all the same: {none:?}");
    let paranoid = schemas(&lab, since);

    let names = |schemas: &Schemas| schemas.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&plain), names(&paranoid));
    for (schema, (definitions, rows)) in &plain {
        let (other_definitions, other_rows) = &paranoid[schema];
        for (here, there) in [(definitions, other_definitions), (rows, other_rows)] {
            assert!(
                here == there,
                "{schema}: only the plain run has\n{}\nonly the paranoid one\n{}",
                only(here, there),
                only(there, here)
            );
        }
    }
}

#[test]
fn only_points_in_time_since_then_and_next_numbers_are_blanked_out() {
    assert_eq!(
        without_counter(") ENGINE=InnoDB AUTO_INCREMENT=4 CHARSET=utf8"),
        ") ENGINE=InnoDB CHARSET=utf8"
    );
    let column = "  `a` int COMMENT 'x AUTO_INCREMENT=4 y',";
    assert_eq!(without_counter(column), column);
    let since = "2026-11-28 16:00:00";
    for (row, kept) in [
        (
            "INSERT INTO `t` VALUES ('2026-11-28 16:00:00',1);",
            "INSERT INTO `t` VALUES ('since',1);",
        ),
        ("VALUES (1,'2026-11-28 17:00:00.123456')", "VALUES (1,'since')"),
        ("VALUES ('2026-11-28 15:59:59')", "VALUES ('2026-11-28 15:59:59')"),
        (
            "VALUES ('2026-11-28 17:00:00 or so','2026-11-29')",
            "VALUES ('2026-11-28 17:00:00 or so','2026-11-29')",
        ),
        ("VALUES ('9999')", "VALUES ('9999')"),
    ] {
        assert_eq!(without_times(row, since), kept);
    }
}
