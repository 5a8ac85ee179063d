//! A command killed while it works, and the server killed under it. A lock on a table of neutron makes a statement of its
//! migration wait: a place to kill at that is always the same.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::cloud::Cloud;
use crate::common::text;
use crate::kills::said;
use crate::outside::{PART, RESUME, back, comes, kill_nine, resumed, run_to};
use crate::table::Table;

const SYNC: &str = "hops.2024.2.neutron.db-sync";

/// Holds a lock on a table of neutron, so that a statement of its migration waits: a place to kill at.
struct Blocker(Child);

impl Blocker {
    fn on(cloud: &Cloud, lock: &str) -> Blocker {
        let options = format!("--defaults-file={}", text(&cloud.lab.dir().join("mariadb/client.cnf")));
        let child = Command::new("mariadb")
            .args([
                &options,
                "neutron",
                "-e",
                &format!("LOCK TABLES {lock}; SELECT SLEEP(900)"),
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let blocker = Blocker(child);
        assert!(comes(30, || waiting(cloud, "SELECT SLEEP(900)%")), "no lock");
        blocker
    }
}

impl Drop for Blocker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whether neutron's database has a statement like this.
fn waiting(cloud: &Cloud, like: &str) -> bool {
    let sql = format!(
        "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE DB = 'neutron' AND ID <> CONNECTION_ID() AND INFO LIKE '{like}'"
    );
    cloud
        .admin()
        .query_count("information_schema", &sql, Duration::from_secs(5))
        .is_ok_and(|count| count > 0)
}

/// A run whose neutron migration waits in a statement.
fn blocked(cloud: &Cloud, lock: &str, like: &str, arguments: &[&str]) -> Result<(Blocker, Child), String> {
    run_to(cloud, &format!("before-intent@{SYNC}"))?;
    let blocker = Blocker::on(cloud, lock);
    let mut child = cloud.start(arguments);
    if comes(120, || waiting(cloud, like)) {
        return Ok((blocker, child));
    }
    let _ = child.kill();
    let _ = child.wait();
    Err(format!(
        "the migration never came to {like}: {}",
        cloud.lab.scratch.journal()
    ))
}

/// The server killed while a migration waits in a statement, and started again.
fn server_dies(cloud: &Cloud, lock: &str, like: &str) -> Result<(), String> {
    let (_blocker, mut child) = blocked(cloud, lock, like, &["resume", "--cold"])?;
    let pid = std::fs::read_to_string(cloud.lab.dir().join("mariadb/pid")).unwrap();
    kill_nine(pid.trim().parse().unwrap());
    let status = child.wait().unwrap();
    let again = cloud.ffu(&["resume", "--cold"], None);
    let start = cloud.ffu(&["lab", "start", "--dir", text(&cloud.lab.dir())], None);
    match (status.code(), again.code, start.code) {
        (Some(5), 5, 0) => Ok(()),
        other => Err(format!(
            "run, resume without a server and start ended with {other:?}: {}",
            said(&start)
        )),
    }
}

pub fn the_database_dies_in_mid_ddl(cloud: &Cloud, table: &mut Table) {
    let fault = "mariadbd killed while an ALTER TABLE of a migration runs, and started again";
    let begun = Instant::now();
    let result = server_dies(cloud, "portnumaaffinitypolicies READ", "ALTER TABLE%").and_then(|()| resumed(cloud));
    table.add(
        PART,
        fault,
        &format!("exit 5 without a server; {RESUME} with one"),
        begun,
        result,
    );
    back(cloud, table, fault);
}

pub fn the_database_dies_in_half_a_revision(cloud: &Cloud, table: &mut Table) {
    let fault =
        "mariadbd killed between the statements of one revision (its table exists, its version is not recorded)";
    let begun = Instant::now();
    let result = server_dies(cloud, "ml2_port_bindings WRITE", "SELECT ml2_port_bindings%").and_then(|()| {
        let ran = cloud.ffu(&["resume", "--cold"], None);
        let all = format!("{}{}", ran.out, ran.err);
        match ran.code {
            0 => cloud.is_at_target(),
            5 if all.contains("already exists") && all.contains("ffu rollback") => Ok(
                "exit 5: the revision itself cannot be repeated, which is said with the table and the way back"
                    .to_owned(),
            ),
            _ => Err(said(&ran)),
        }
    });
    table.add(PART, fault, RESUME, begun, result);
    back(cloud, table, fault);
}

/// The process that holds a command's lock.
fn holder(cloud: &Cloud) -> Option<i32> {
    let lock = cloud.lab.scratch.run_directory()?.join(format!("private/{SYNC}.lock"));
    let lock = std::fs::canonicalize(lock).ok()?;
    let opens = |directory: &Path| {
        let files = std::fs::read_dir(directory.join("fd")).into_iter().flatten().flatten();
        files
            .filter_map(|file| std::fs::read_link(file.path()).ok())
            .any(|open| open == lock)
    };
    std::fs::read_dir("/proc")
        .ok()?
        .flatten()
        .map(|entry| entry.path())
        .find_map(|path| {
            let pid: i32 = path.file_name()?.to_str()?.parse().ok()?;
            let program = std::fs::read_to_string(path.join("comm")).ok()?;
            (!program.starts_with("ffu") && opens(&path)).then_some(pid)
        })
}

fn parent(pid: i32) -> Option<i32> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status
        .lines()
        .find_map(|line| line.strip_prefix("PPid:"))?
        .trim()
        .parse()
        .ok()
}

fn in_mid_command(cloud: &Cloud, table: &mut Table, fault: &str, how: &[&str], victims: impl Fn(i32) -> Vec<i32>) {
    let begun = Instant::now();
    let result =
        blocked(cloud, "portnumaaffinitypolicies READ", "ALTER TABLE%", how).and_then(|(blocker, mut child)| {
            let victims = holder(cloud).map(victims).unwrap_or_default();
            for victim in &victims {
                kill_nine(*victim);
            }
            // A warm process may be gone and the command go on; then it ends now.
            std::thread::sleep(Duration::from_millis(300));
            drop(blocker);
            let first = child.wait().unwrap().code();
            if victims.is_empty() {
                return Err("there was nobody to kill: the command is not what it should be".to_owned());
            }
            if first == Some(0) {
                return cloud
                    .is_at_target()
                    .map(|said| format!("the run itself goes on: {said}"));
            }
            if first != Some(5) {
                return Err(format!("the run ended with {first:?}"));
            }
            resumed(cloud).map(|said| format!("the run stops with exit 5; then {said}"))
        });
    table.add(PART, fault, RESUME, begun, result);
    back(cloud, table, fault);
}

pub fn the_command_dies(cloud: &Cloud, table: &mut Table) {
    let fault = "a command (plain process) killed in its ALTER TABLE";
    in_mid_command(cloud, table, fault, &["resume", "--cold"], |command| vec![command]);
}

pub fn the_warm_processes_die(cloud: &Cloud, table: &mut Table) {
    let fault = "a command forked from a warm environment killed in its ALTER TABLE";
    in_mid_command(cloud, table, fault, &["resume"], |command| {
        warm(command).map(|_| command).into_iter().collect()
    });
    let fault = "the warm process that a command was forked from killed while the command works";
    in_mid_command(cloud, table, fault, &["resume"], |command| {
        warm(command).into_iter().collect()
    });
    let fault = "all warm processes of a series killed while a command works";
    in_mid_command(cloud, table, fault, &["resume"], |command| {
        std::iter::successors(warm(command), |&process| warm(process)).collect()
    });
}

/// The warm process that a process was forked from; none if that was `ffu` itself.
fn warm(pid: i32) -> Option<i32> {
    let above = parent(pid).filter(|&above| above > 1)?;
    let name = std::fs::read_to_string(format!("/proc/{above}/comm")).ok()?;
    (!name.starts_with("ffu")).then_some(above)
}
