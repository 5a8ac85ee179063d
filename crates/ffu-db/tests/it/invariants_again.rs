//! Invariants that are measured twice: what was not written since is not read, and whatever was is. What is compared is the
//! plain measure of the same moment.

use std::collections::BTreeMap;

use ffu_db::invariants::{Measure, Taken, Wanted, Witness, measure, take};
use ffu_db::testing::{TestDatabase, TestServer};
use ffu_db::{Options, Server};

use crate::standby_evidence::{SETTLED, connection, make, roomy, run};

fn wanted(observer: &Server, db: &TestDatabase, tables: &[&str]) -> Vec<Wanted> {
    let server = Server::connect(&db.url).unwrap();
    let one = |table: &&str| Wanted {
        id: format!("test.{table}"),
        server: server.clone(),
        observer: observer.clone(),
        schema: db.schema.clone(),
        table: (*table).to_owned(),
        filter: "id < 90".to_owned(),
        key: vec!["id".to_owned()],
    };
    tables.iter().map(one).collect()
}

fn again(wanted: &[Wanted], earlier: &BTreeMap<String, Measure>, witness: Witness) -> Taken {
    let taken = take(wanted, earlier, witness, &Options::default()).unwrap();
    assert_eq!(taken.measures.len(), wanted.len());
    for one in wanted {
        let now = measure(&one.server, &one.schema, &one.table, &one.filter, &one.key).unwrap();
        let measure = &taken.measures[&one.id];
        assert_eq!((measure.rows, &measure.columns), (now.rows, &now.columns), "{}", one.id);
    }
    taken
}

fn known(taken: &Taken) -> Vec<&str> {
    taken.known.iter().filter_map(|id| id.strip_prefix("test.")).collect()
}

/// Measures of which all of these need not be taken again. A busy machine may need a few attempts to see that no transaction is
/// open.
fn settled(all: &[Wanted], need: &[&str]) -> BTreeMap<String, Measure> {
    for _ in 0..4 {
        std::thread::sleep(SETTLED);
        let first = again(all, &BTreeMap::new(), Witness::Kept);
        assert_eq!(known(&first), [""; 0]);
        if known(&again(all, &first.measures, Witness::Kept)) == need {
            return first.measures;
        }
    }
    panic!("{need:?} are never known");
}

const TABLES: [&str; 11] = [
    "added_to",
    "altered",
    "beyond",
    "dropped",
    "emptied",
    "late",
    "new_column",
    "still",
    "swapped_a",
    "swapped_b",
    "updated",
];

#[test]
fn what_is_written_is_read_again_and_nothing_else() {
    let server = roomy();
    let admin = server.admin().unwrap();
    let db = server.database("again").unwrap();
    make(&db, &TABLES);
    let all = wanted(&admin, &db, &TABLES);
    std::thread::sleep(SETTLED);
    let mut late = connection(&db);
    run(&mut late, &["BEGIN", "UPDATE late SET v = -1 WHERE id = 1"]);
    let first = settled(&all, &TABLES);
    // As it is kept between the two.
    let kept: BTreeMap<String, Measure> = serde_json::from_str(&serde_json::to_string(&first).unwrap()).unwrap();
    assert_eq!(kept, first);
    let second = again(&all, &kept, Witness::Kept);
    assert_eq!((known(&second), &second.measures), (TABLES.to_vec(), &kept));

    run(&mut late, &["COMMIT"]);
    db.run(&[
        "INSERT INTO added_to VALUES (-1, 1, 'x')",
        "ALTER TABLE altered MODIFY txt VARCHAR(8)",
        // Not in what is measured; the server cannot tell.
        "UPDATE beyond SET v = 0 WHERE id = 95",
        "DROP TABLE dropped",
        "CREATE TABLE dropped LIKE still",
        "TRUNCATE TABLE emptied",
        "ALTER TABLE new_column ADD COLUMN more INT DEFAULT 7, ALGORITHM=INSTANT",
        "UPDATE swapped_a SET v = v + 1 WHERE id = 2",
        "RENAME TABLE swapped_a TO s, swapped_b TO swapped_a, s TO swapped_b",
        "UPDATE updated SET v = 0 WHERE id = 50",
    ])
    .unwrap_or_else(|error| panic!("{error}"));
    let third = again(&all, &second.measures, Witness::Spared);
    assert_eq!(known(&third), ["still"]);

    // What was read too soon after a write has to be read once more; ahead of the freeze it is left alone.
    let ahead = take(&all, &BTreeMap::new(), Witness::Ahead, &Options::default()).unwrap();
    assert!(
        !ahead.measures.contains_key("test.updated"),
        "{:?}",
        ahead.measures.keys()
    );
    let fourth = again(&all, &second.measures, Witness::Kept);
    let fifth = again(&all, &fourth.measures, Witness::Kept);
    assert!(!known(&fifth).contains(&"updated"), "{:?}", fifth.known);
    // Those that were made anew have no time of a write, which is no evidence here.
    let need: Vec<&str> = TABLES
        .into_iter()
        .filter(|name| !["altered", "dropped"].contains(name))
        .collect();
    settled(&all, &need);
    let ahead = take(&all, &BTreeMap::new(), Witness::Ahead, &Options::default()).unwrap();
    assert!(
        ahead.measures.keys().all(|id| need.contains(&&id[5..])),
        "{:?}",
        ahead.measures.keys()
    );
    // Measures without evidence are those of an earlier version, or of a run without PROCESS.
    let spared = again(&all, &BTreeMap::new(), Witness::Spared);
    assert_eq!(known(&again(&all, &spared.measures, Witness::Spared)), [""; 0]);
}

#[test]
fn a_transaction_that_began_with_the_last_write_is_not_overlooked() {
    let server = roomy();
    let admin = server.admin().unwrap();
    let db = server.database("overlooked").unwrap();
    make(&db, &["shared", "other"]);
    let mut late = connection(&db);
    std::thread::sleep(SETTLED);
    // Its stamp will be the time that it began, before the measure; what it commits comes after.
    run(&mut late, &["BEGIN", "UPDATE shared SET v = -1 WHERE id = 1"]);
    db.run(&["UPDATE shared SET v = -2 WHERE id = 2"]).unwrap();
    std::thread::sleep(SETTLED);
    let all = wanted(&admin, &db, &["shared", "other"]);
    let first = again(&all, &BTreeMap::new(), Witness::Kept);
    run(&mut late, &["COMMIT"]);
    let second = again(&all, &first.measures, Witness::Spared);
    assert!(!known(&second).contains(&"shared"), "{:?}", second.known);
}

#[test]
fn a_restart_or_an_account_that_may_not_see_transactions_leaves_nothing_known() {
    let mut server: TestServer = roomy();
    let db = server.database("restarted").unwrap();
    make(&db, &["a", "b"]);
    let service = Server::connect(&db.url).unwrap();
    let humble = wanted(&service, &db, &["a", "b"]);
    std::thread::sleep(SETTLED);
    let first = again(&humble, &BTreeMap::new(), Witness::Kept);
    assert_eq!(known(&again(&humble, &first.measures, Witness::Kept)), [""; 0]);

    let all = wanted(&server.admin().unwrap(), &db, &["a", "b"]);
    let first = settled(&all, &["a", "b"]);
    db.run(&["UPDATE a SET v = 0"]).unwrap();
    server.private_mut().stop().unwrap();
    server.private_mut().start().unwrap();
    let all = wanted(&server.admin().unwrap(), &db, &["a", "b"]);
    let second = again(&all, &first, Witness::Kept);
    assert_eq!(known(&second), [""; 0]);
    // The server knows no time of either, which may be as old as one that it forgot.
    std::thread::sleep(SETTLED);
    let third = again(&all, &second.measures, Witness::Kept);
    assert_eq!(known(&again(&all, &third.measures, Witness::Kept)), [""; 0]);
}

#[test]
fn what_cannot_be_measured_is_named() {
    let server = roomy();
    let admin = server.admin().unwrap();
    let db = server.database("named").unwrap();
    make(&db, &["there"]);
    let tables = wanted(&admin, &db, &["there", "gone"]);
    let error = take(&tables, &BTreeMap::new(), Witness::Kept, &Options::default()).unwrap_err();
    assert_eq!(error.what, "test.gone");
    assert!(error.to_string().starts_with("test.gone: "), "{error}");
    let mut elsewhere = wanted(&admin, &db, &["there"]);
    elsewhere[0].schema = "nowhere".to_owned();
    let error = take(&elsewhere, &BTreeMap::new(), Witness::Kept, &Options::default()).unwrap_err();
    assert_eq!(error.what, "test.there");
    let stop = || true;
    let options = Options {
        stop: Some(&stop),
        ..Options::default()
    };
    let error = take(&tables, &BTreeMap::new(), Witness::Kept, &options).unwrap_err();
    assert!(error.to_string().contains("stopped"), "{error}");
}

#[test]
fn what_another_server_knows_counts_for_nothing() {
    let (server, other) = (roomy(), roomy());
    let (db, there) = (server.database("ours").unwrap(), other.database("theirs").unwrap());
    make(&db, &["a"]);
    let name = &db.schema;
    let admin = other.admin().unwrap();
    for sql in [
        format!("CREATE DATABASE {name}"),
        format!("CREATE TABLE {name}.a (id INT PRIMARY KEY, v INT, txt VARCHAR(40))"),
        format!("INSERT INTO {name}.a VALUES (1, 1, 'x')"),
    ] {
        admin.execute(Some(&there.schema), &sql).unwrap();
    }
    std::thread::sleep(SETTLED);
    let all = wanted(&admin, &db, &["a"]);
    let first = again(&all, &BTreeMap::new(), Witness::Kept);
    let second = again(&all, &first.measures, Witness::Kept);
    assert_eq!(known(&second), [""; 0]);
}
