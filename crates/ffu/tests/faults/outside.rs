//! What happens to a run from outside: others interfere, the server dies, commands are killed, disks fill up, clocks go back.

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::cloud::{Cloud, KILLED};
use crate::kills::said;
use crate::table::Table;
use crate::{machine, working};

pub const PART: &str = "From outside";
pub const RESUME: &str = "`ffu resume`";
pub const ROLLBACK: &str = "`ffu rollback`";

/// Brings one about and looks at what it left.
type Fault = fn(&Cloud, &mut Table);

/// All of them, by name.
pub const ALL: [(&str, Fault); 9] = [
    ("operators", two_operators),
    ("tables", a_table_appears),
    ("database", working::the_database_dies_in_mid_ddl),
    ("half", working::the_database_dies_in_half_a_revision),
    ("command", working::the_command_dies),
    ("worker", working::the_warm_processes_die),
    ("clock", machine::the_clock_goes_back),
    ("disk", machine::the_disk_fills_up_in_a_dump),
    ("journal", machine::the_journal_cannot_be_written),
];

pub fn kill_nine(pid: i32) {
    kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
}

/// Waits for something; `false` if it did not come.
pub fn comes(seconds: u64, mut test: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < deadline {
        if test() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}

pub fn resumed(cloud: &Cloud) -> Result<String, String> {
    let ran = cloud.ffu(&["resume", "--cold"], None);
    if ran.code == 0 {
        cloud.is_at_target()
    } else {
        Err(said(&ran))
    }
}

pub fn back(cloud: &Cloud, table: &mut Table, fault: &str) {
    let begun = Instant::now();
    let ran = cloud.ffu(&["rollback", "--yes"], None);
    let result = if ran.code == 0 {
        cloud.is_at_source()
    } else {
        Err(said(&ran))
    };
    table.add(PART, fault, ROLLBACK, begun, result);
}

/// Begins a run and has it killed at a point.
pub fn run_to(cloud: &Cloud, point: &str) -> Result<(), String> {
    let ran = cloud.ffu(&["run", &cloud.path("one.json"), "--yes", "--cold"], Some(point));
    if ran.code == KILLED {
        Ok(())
    } else {
        Err(format!("it did not come to {point}: {}", said(&ran)))
    }
}

fn two_operators(cloud: &Cloud, table: &mut Table) {
    let plan = cloud.path("one.json");
    let mut first = cloud.start(&["run", &plan, "--yes", "--cold"]);
    cloud.lab.scratch.wait_for_intent("prepare.", &mut first);
    let refused = |arguments: &[&str]| {
        let ran = cloud.ffu(arguments, None);
        let named = ran.err.contains("another ffu works on this cloud");
        if ran.code == 7 && named {
            Ok(())
        } else {
            Err(format!("{arguments:?}: {}", said(&ran)))
        }
    };
    let begun = Instant::now();
    let result = refused(&["run", &plan, "--yes"])
        .and_then(|()| refused(&["resume"]))
        .and_then(|()| refused(&["rollback", "--yes"]))
        .and_then(|()| refused(&["accept", "--yes"]));
    let status = first.wait().unwrap();
    let result = match (result, status.code()) {
        (Ok(()), Some(0)) => cloud
            .is_at_target()
            .map(|said| format!("each exits 7; the first ends: {said}")),
        (Ok(()), code) => Err(format!("the first one ended with {code:?}")),
        (Err(why), _) => Err(why),
    };
    let fault = "a second operator while a run works";
    table.add(PART, fault, "`ffu run`, `resume`, `rollback`, `accept`", begun, result);
    let begun = Instant::now();
    let ran = cloud.ffu(&["run", &plan, "--yes"], None);
    let result = if ran.code == 7 || ran.err.contains("two runs would undo each other") {
        Ok(format!("refused with exit {}: the other run is not over", ran.code))
    } else {
        Err(said(&ran))
    };
    table.add(
        PART,
        "a second run before the first is accepted",
        "`ffu run`",
        begun,
        result,
    );
    back(cloud, table, fault);
}

/// Tables of somebody else in a database of the cloud: made before the checkpoint, and after it.
fn a_table_appears(cloud: &Cloud, table: &mut Table) {
    let make = |name: &str| {
        let admin = cloud.admin();
        let run = |sql: String| admin.execute(Some("neutron"), &sql).unwrap();
        run(format!("CREATE TABLE {name} (id INT PRIMARY KEY, txt VARCHAR(20))"));
        run(format!("INSERT INTO {name} VALUES (1, 'mine'), (2, 'too')"));
    };
    let fault = "a table appears between the copy and the checkpoint";
    let begun = Instant::now();
    let result = run_to(cloud, "after-outcome@prepare.checkpoint").and_then(|()| {
        make("somebodys");
        resumed(cloud)
    });
    table.add(PART, fault, RESUME, begun, result);
    let begun = Instant::now();
    let ran = cloud.ffu(&["rollback", "--yes"], None);
    let rows = cloud.count("neutron", "SELECT COUNT(*) FROM somebodys");
    cloud.admin().execute(Some("neutron"), "DROP TABLE somebodys").unwrap();
    let result = match (ran.code, rows) {
        (0, 2) => cloud
            .is_at_source()
            .map(|said| format!("it is in the checkpoint and back with its rows; {said}")),
        _ => Err(format!("{rows} rows are left of it; {}", said(&ran))),
    };
    table.add(PART, fault, ROLLBACK, begun, result);
    for (plan, how) in [("one.json", "a copy"), ("dump.json", "a dump")] {
        let fault = format!("a table appears after the checkpoint, which is {how}");
        let begun = Instant::now();
        let ran = cloud.ffu(
            &["run", &cloud.path(plan), "--yes", "--cold"],
            Some("after-outcome@checkpoint"),
        );
        make("somebodys");
        let result = if ran.code == KILLED {
            resumed(cloud)
        } else {
            Err(said(&ran))
        };
        table.add(PART, &fault, RESUME, begun, result);
        let begun = Instant::now();
        let ran = cloud.ffu(&["rollback", "--yes"], None);
        let kept: Vec<String> = cloud
            .schemas()
            .into_iter()
            .filter(|name| name.starts_with("ffu_"))
            .collect();
        let result = match kept.as_slice() {
            [schema] if ran.code == 0 => {
                let rows = cloud.count(schema, "SELECT COUNT(*) FROM somebodys");
                cloud.admin().execute(None, &format!("DROP DATABASE {schema}")).unwrap();
                let named = format!("{}{}", ran.out, ran.err).contains(&format!("{schema}.somebodys"));
                match (rows, named) {
                    (2, true) => cloud
                        .is_at_source()
                        .map(|said| format!("kept with its rows, and named; {said}")),
                    _ => Err(format!("{rows} rows are left of it; {}", crate::kills::said(&ran))),
                }
            }
            other => Err(format!("schemas {other:?}; {}", said(&ran))),
        };
        table.add(PART, &fault, ROLLBACK, begun, result);
    }
}
