//! What the machine does to a run: the clock goes back, the disk fills up, the journal cannot be written.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::cloud::Cloud;
use crate::common::{Ran, text};
use crate::kills::said;
use crate::outside::{PART, RESUME, ROLLBACK, back, resumed};
use crate::table::Table;

fn faketime() -> Option<PathBuf> {
    let libraries = std::fs::read_dir("/usr/lib").ok()?.flatten();
    libraries
        .map(|entry| entry.path().join("faketime/libfaketimeMT.so.1"))
        .find(|path| path.exists())
}

/// The clock of `ffu` is set back while a run works and between its processes (libfaketime; the monotonic clock stays).
pub fn the_clock_goes_back(cloud: &Cloud, table: &mut Table) {
    let fault = "the clock set back by three days while a run works";
    let Some(library) = faketime() else {
        table.skip(PART, fault, "libfaketime is not installed (Debian: libfaketime)");
        return;
    };
    let now = cloud.lab.scratch.path("now");
    std::fs::write(&now, "+0d\n").unwrap();
    let at = |command: &mut Command| {
        command
            .env("LD_PRELOAD", &library)
            .env("FAKETIME_TIMESTAMP_FILE", &now)
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    };
    let begun = Instant::now();
    let mut command = cloud.command(&["run", &cloud.path("one.json"), "--yes", "--cold"], None);
    at(&mut command);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    cloud.lab.scratch.wait_for_intent("checkpoint", &mut child);
    std::fs::write(&now, "-3d\n").unwrap();
    let code = child.wait().unwrap().code();
    let days = |journal: &str| -> usize {
        let days = journal
            .lines()
            .filter_map(|line| line.split("\"at\":\"").nth(1)?.get(..10).map(str::to_owned));
        days.collect::<std::collections::BTreeSet<_>>().len()
    };
    let result = match code {
        Some(0) if days(&cloud.lab.scratch.journal()) < 2 => Err("the clock did not go back".to_owned()),
        Some(0) => cloud.is_at_target(),
        _ => Err(format!("{code:?}: {}", cloud.lab.scratch.journal())),
    };
    table.add(PART, fault, "the run ends", begun, result);
    let shown = cloud
        .command(&["status"], None)
        .output()
        .map(|output| Ran::of(&output).code)
        .unwrap();
    let begun = Instant::now();
    std::fs::write(&now, "-10d\n").unwrap();
    let mut command = cloud.command(&["rollback", "--yes"], None);
    at(&mut command);
    let ran = Ran::of(&command.output().unwrap());
    let result = if ran.code == 0 && shown == 0 {
        cloud.is_at_source()
    } else {
        Err(said(&ran))
    };
    table.add(PART, fault, "a week further back, `ffu rollback`", begun, result);
    // A run that is older than those before it by its clock is still the latest.
    let fault = "a run begun with the clock twenty days back, killed after the checkpoint";
    std::fs::write(&now, "-20d\n").unwrap();
    let begun = Instant::now();
    let mut command = cloud.command(
        &["run", &cloud.path("one.json"), "--yes", "--cold"],
        Some("after-outcome@checkpoint"),
    );
    at(&mut command);
    let _ = command.output().unwrap();
    let result = resumed(cloud);
    table.add(
        PART,
        fault,
        "`ffu resume` with the right time, without naming the run",
        begun,
        result,
    );
    back(cloud, table, fault);
}

/// Runs a script with a small file system of its own for the state directory; what it says, or why that is not possible.
fn in_small_space(cloud: &Cloud, script: &str) -> Result<String, String> {
    let state = cloud.lab.scratch.path("small");
    std::fs::create_dir_all(&state).unwrap();
    let ffu = format!(
        "'{}' --catalog '{}' --state-dir '{}'",
        env!("CARGO_BIN_EXE_ffu"),
        cloud.path("catalog"),
        text(&state)
    );
    let whole = format!(
        "mount -t tmpfs -o size=48m none '{state}' || {{ echo no-mount; exit; }}\nS='{state}'; F() {{ {ffu} \"$@\"; }}\none='{one}'; dump='{dump}'; \
         lab='{lab}'\n{script}",
        state = text(&state),
        ffu = ffu,
        one = cloud.path("one.json"),
        dump = cloud.path("dump.json"),
        lab = text(&cloud.lab.dir()),
    );
    let output = Command::new("unshare")
        .args(["--mount", "--map-root-user", "bash", "-c", &whole])
        .current_dir(cloud.lab.scratch.path(""))
        .output()
        .map_err(|error| error.to_string())?;
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    if said.contains("no-mount") || said.contains("unshare failed") {
        return Err(said);
    }
    Ok(said)
}

fn holds(said: &str, marks: &[&str]) -> Result<(), String> {
    match marks.iter().find(|mark| !said.contains(**mark)) {
        None => Ok(()),
        Some(missing) => Err(format!("{missing:?} is not in {said}")),
    }
}

pub fn the_disk_fills_up_in_a_dump(cloud: &Cloud, table: &mut Table) {
    let fault = "the disk fills up while databases are dumped";
    let begun = Instant::now();
    let script = "FFU_FAULT=before-intent@checkpoint F run \"$dump\" --yes --cold >/dev/null 2>&1; echo run $?\n\
        ( while [ $SECONDS -lt 180 ] && ! find $S -path '*/checkpoint/*' -type f | grep -q .; do :; done; dd if=/dev/zero of=$S/filler bs=64k 2>/dev/null ) &\n\
        F resume --cold; echo full $?; wait; rm $S/filler\n\
        F resume --cold >/dev/null; echo resume $?; grep -c . $lab/services/keystone-api.toml; grep ^series $lab/services/keystone-api.toml\n\
        F rollback --yes; echo rollback $?";
    let said = match in_small_space(cloud, script) {
        Ok(said) => said,
        Err(why) => return table.skip(PART, fault, &why),
    };
    let result = holds(
        &said,
        &["run 137", "full 5", "space", "resume 0", "series = \"2024.2\""],
    );
    let result = result.map(|()| "exit 5 and the reason; with room again the target is reached".to_owned());
    table.add(PART, fault, RESUME, begun, result);
    let result = holds(&said, &["rollback 0"]).and_then(|()| cloud.is_at_source());
    table.add(PART, fault, ROLLBACK, begun, result);
}

pub fn the_journal_cannot_be_written(cloud: &Cloud, table: &mut Table) {
    let fault = "no room for the journal, then its file system read-only";
    let begun = Instant::now();
    let script = "FFU_FAULT=before-intent@freeze.apis F run \"$one\" --yes --cold >/dev/null 2>&1; echo run $?\n\
        before=$(cat $lab/services/run/keystone-api.pid); J=$(ls $S/runs/*/journal.jsonl)\n\
        dd if=/dev/zero of=$S/filler bs=64k 2>/dev/null; while printf x >>$S/more 2>/dev/null; do :; done\n\
        F resume --cold; echo full $?; intents=$(tail -c +1 $J | grep -c '\"event\":\"intent\"')\n\
        rm $S/filler $S/more; mount -o remount,ro $S; F resume --cold; echo read-only $?\n\
        [ $intents = $(grep -c '\"event\":\"intent\"' $J) ] && echo nothing-begun; mount -o remount,rw $S\n\
        [ \"$before\" = \"$(cat $lab/services/run/keystone-api.pid)\" ] && echo same-service\n\
        F resume --cold >/dev/null; echo resume $?; grep ^series $lab/services/keystone-api.toml\n\
        F rollback --yes; echo rollback $?";
    let said = match in_small_space(cloud, script) {
        Ok(said) => said,
        Err(why) => return table.skip(PART, fault, &why),
    };
    let never = ["full 0", "full 5\nread-only 0"].iter().any(|mark| said.contains(mark));
    let marks = [
        "run 137",
        "No space left",
        "Read-only file system",
        "nothing-begun",
        "resume 0",
        "series = \"2024.2\"",
    ];
    let result = match (holds(&said, &marks), never) {
        (Ok(()), false) => {
            Ok("nothing further is begun, and why is said; writable again the target is reached".to_owned())
        }
        (Ok(()), true) => Err(said.clone()),
        (Err(why), _) => Err(why),
    };
    table.add(PART, fault, RESUME, begun, result);
    let result = holds(&said, &["rollback 0"]).and_then(|()| cloud.is_at_source());
    table.add(PART, fault, ROLLBACK, begun, result);
}
