//! Real processes: exits, deadlines, groups with grandchildren, stops, locks that outlive the process that took them.

use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use ffu_hosts::{
    Exit, HolderError, ProcessError, Spec, StopFlag, end_holders, holders, run, still_running, wait_until_free,
};

struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    fn new() -> Place {
        Place {
            directory: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, name: &str) -> Utf8PathBuf {
        Utf8Path::from_path(self.directory.path()).unwrap().join(name)
    }

    fn shell(&self, script: &str, seconds: u64) -> Spec {
        let mut spec = Spec::new("/bin/sh", self.path("out"), Duration::from_secs(seconds)).args(["-c", script]);
        spec.current_dir = self.path("");
        spec.environment.insert("PATH".into(), "/usr/bin:/bin".into());
        spec.grace = Duration::from_millis(300);
        spec
    }

    fn read(&self, name: &str) -> String {
        String::from_utf8_lossy(&std::fs::read(self.path(name)).unwrap()).into_owned()
    }

    /// Waits until a file has content, and returns it as a number.
    fn number(&self, name: &str) -> i32 {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            if let Ok(Ok(number)) = std::fs::read_to_string(self.path(name)).map(|text| text.trim().parse()) {
                return number;
            }
            assert!(Instant::now() < deadline, "no number in {name}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

fn is_alive(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        !stat
            .rsplit(')')
            .next()
            .unwrap_or("")
            .trim_start()
            .starts_with(['Z', 'X'])
    })
}

fn wait_dead(pid: i32) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while is_alive(pid) {
        assert!(Instant::now() < deadline, "process {pid} is still alive");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn output_is_kept_in_order_and_the_environment_is_clean() {
    let place = Place::new();
    let spec = place.shell("echo one; echo two >&2; echo three; env | sort; cat; pwd; exit 3", 20);
    let finished = run(&spec, &StopFlag::new()).unwrap();
    assert_eq!(finished.exit, Exit::Code(3));
    let out = place.read("out");
    assert!(out.starts_with("one\ntwo\nthree\n"), "{out}");
    assert!(!out.contains("CARGO"), "{out}");
    assert!(out.contains("PATH=/usr/bin:/bin"), "{out}");
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(place.path("out")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn streams_can_be_kept_apart_and_an_old_output_is_replaced() {
    let place = Place::new();
    std::fs::write(place.path("out"), "old").unwrap();
    let mut spec = place.shell("echo one; echo two >&2", 20);
    spec.stderr = place.path("err");
    assert_eq!(run(&spec, &StopFlag::new()).unwrap().exit, Exit::Code(0));
    assert_eq!(
        (place.read("out").as_str(), place.read("err").as_str()),
        ("one\n", "two\n")
    );
}

#[test]
fn a_deadline_ends_the_whole_group() {
    let place = Place::new();
    // The grandchild ignores SIGTERM and would live on.
    let script = "(trap '' TERM; echo $$ >/dev/null; sh -c 'echo $PPID > inner; trap \"\" TERM; sleep 300' & echo $! > child; wait) & \
                  trap '' TERM; wait";
    let spec = place.shell(script, 1);
    let begun = Instant::now();
    let finished = run(&spec, &StopFlag::new()).unwrap();
    assert_eq!(finished.exit, Exit::TimedOut);
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    assert!(finished.duration >= Duration::from_secs(1));
    wait_dead(place.number("child"));
    wait_dead(place.number("inner"));
}

#[test]
fn a_command_that_ends_leaves_nothing_of_its_group() {
    let place = Place::new();
    let finished = run(&place.shell("sleep 300 & echo $! > child", 20), &StopFlag::new()).unwrap();
    assert_eq!(finished.exit, Exit::Code(0));
    wait_dead(place.number("child"));
}

#[test]
fn only_the_second_wish_to_stop_ends_a_command() {
    let place = Place::new();
    let stop = StopFlag::new();
    let raiser = {
        let stop = stop.clone();
        std::thread::spawn(move || {
            stop.raise();
            std::thread::sleep(Duration::from_millis(300));
            stop.raise();
        })
    };
    let finished = run(&place.shell("sleep 300", 60), &stop).unwrap();
    raiser.join().unwrap();
    assert_eq!(finished.exit, Exit::Stopped);
    assert!(
        finished.duration >= Duration::from_millis(250),
        "{:?}",
        finished.duration
    );
    let stop = StopFlag::new();
    stop.raise();
    assert_eq!(run(&place.shell("sleep 0.2", 60), &stop).unwrap().exit, Exit::Code(0));
}

#[test]
fn signals_and_cpu_time_are_reported() {
    let place = Place::new();
    let finished = run(&place.shell("kill -9 $$", 20), &StopFlag::new()).unwrap();
    assert_eq!(finished.exit, Exit::Signal(9));
    assert_eq!(finished.exit.to_string(), "killed by SIGKILL");
    let busy = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done";
    let finished = run(&place.shell(busy, 120), &StopFlag::new()).unwrap();
    assert!(finished.cpu >= Duration::from_millis(20), "{finished:?}");
}

#[test]
fn what_cannot_be_started_is_said() {
    let place = Place::new();
    let mut spec = place.shell("true", 20);
    spec.program = place.path("absent");
    let error = run(&spec, &StopFlag::new()).unwrap_err();
    assert!(matches!(error, ProcessError::NoProgram { .. }), "{error}");
    assert!(error.to_string().contains("absent does not exist"), "{error}");
    let mut spec = place.shell("true", 20);
    spec.current_dir = place.path("nowhere");
    let error = run(&spec, &StopFlag::new()).unwrap_err();
    assert!(matches!(error, ProcessError::Start { .. }), "{error}");
    let mut spec = place.shell("true", 20);
    spec.arguments.push("nul\0byte".into());
    assert!(matches!(run(&spec, &StopFlag::new()), Err(ProcessError::Start { .. })));
    let mut spec = place.shell("true", 20);
    spec.stdout = place.path("nowhere/out");
    let error = run(&spec, &StopFlag::new()).unwrap_err();
    assert!(matches!(error, ProcessError::Output { .. }), "{error}");
    let mut spec = place.shell("true", 20);
    spec.lock_file = Some(place.path("nowhere/lock"));
    let error = run(&spec, &StopFlag::new()).unwrap_err();
    assert!(matches!(error, ProcessError::Lock { .. }), "{error}");
}

#[test]
fn the_lock_lives_as_long_as_the_command() {
    let place = Place::new();
    let lock = place.path("lock");
    assert!(!still_running(&lock).unwrap());
    let mut spec = place.shell("echo $$ > pid; sleep 300", 60);
    spec.lock_file = Some(lock.clone());
    let stop = StopFlag::new();
    std::thread::scope(|scope| {
        let running = scope.spawn(|| run(&spec, &stop).unwrap());
        let pid = place.number("pid");
        assert!(still_running(&lock).unwrap());
        assert!(holders(&lock).contains(&pid));
        let mut second = place.shell("true", 20);
        second.stdout = place.path("out2");
        second.stderr = place.path("out2");
        second.lock_file = Some(lock.clone());
        let error = run(&second, &StopFlag::new()).unwrap_err();
        assert!(matches!(error, ProcessError::StillRunning { .. }), "{error}");
        let error = wait_until_free(&lock, Duration::from_millis(100), &StopFlag::new()).unwrap_err();
        assert!(matches!(error, HolderError::StillRunning { .. }), "{error}");
        assert!(
            error.to_string().contains(&format!("kill {pid}")) || error.to_string().contains(','),
            "{error}"
        );
        let error = wait_until_free(&lock, Duration::from_secs(60), &{
            let flag = StopFlag::new();
            flag.raise();
            flag
        })
        .unwrap_err();
        assert!(matches!(error, HolderError::Stopped { .. }), "{error}");
        stop.raise();
        stop.raise();
        assert_eq!(running.join().unwrap().exit, Exit::Stopped);
    });
    assert!(!still_running(&lock).unwrap());
    wait_until_free(&lock, Duration::ZERO, &StopFlag::new()).unwrap();
}

/// Run again as a child by the next test, which kills it with SIGKILL.
#[test]
#[ignore = "the child of the next test"]
fn helper_runs_a_command_under_a_lock() {
    let place = std::env::var("FFU_HOSTS_TEST_PLACE").unwrap();
    let place = Utf8PathBuf::from(place);
    let mut spec =
        Spec::new("/bin/sh", place.join("out"), Duration::from_secs(120)).args(["-c", "echo $$ > pid; sleep 100"]);
    spec.current_dir = place.clone();
    spec.environment.insert("PATH".into(), "/usr/bin:/bin".into());
    spec.lock_file = Some(place.join("lock"));
    run(&spec, &StopFlag::new()).unwrap();
}

#[test]
fn after_a_kill_of_the_parent_the_lock_still_tells() {
    let place = Place::new();
    let mut parent = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "helper_runs_a_command_under_a_lock"])
        .env("FFU_HOSTS_TEST_PLACE", place.path(""))
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let pid = place.number("pid");
    parent.kill().unwrap();
    parent.wait().unwrap();
    let lock = place.path("lock");
    assert!(is_alive(pid));
    assert!(still_running(&lock).unwrap());
    assert!(end_holders(&lock, Duration::from_secs(2)).unwrap() >= 1);
    assert!(!still_running(&lock).unwrap());
    wait_dead(pid);
    assert_eq!(end_holders(&lock, Duration::from_secs(2)).unwrap(), 0);
}
