//! Real services under the supervisor: python's own HTTP server, and shell scripts that misbehave.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use ffu_hosts::{ServiceError, ServiceManager as _, Supervisor, UnitFile, UnitProbe, UnitStatus};
use ffu_model::cloud::ServiceRole;

/// A supervisor in a directory of its own; units that still run when it goes are stopped, also when a test panics.
struct Place {
    directory: tempfile::TempDir,
    supervisor: Supervisor,
}

impl Place {
    fn new() -> Place {
        let directory = tempfile::tempdir().unwrap();
        let units = Utf8Path::from_path(directory.path()).unwrap().join("units");
        let supervisor = Supervisor::new(units).with_timeouts(Duration::from_secs(60), Duration::from_millis(500));
        Place { directory, supervisor }
    }

    fn path(&self, name: &str) -> Utf8PathBuf {
        Utf8Path::from_path(self.directory.path()).unwrap().join(name)
    }

    fn unit(&self, name: &str, script: &str, port: Option<u16>) -> UnitFile {
        UnitFile {
            name: name.into(),
            service: "keystone-api".into(),
            project: "keystone".into(),
            role: ServiceRole::ControlPlane,
            series: "train".parse().unwrap(),
            command: vec!["/bin/sh".into(), "-c".into(), script.into()],
            working_directory: self.path(""),
            log: self.path(&format!("{name}.log")),
            environment: [("PATH".to_owned(), std::env::var("PATH").unwrap_or_default())].into(),
            probe: port.map(|port| UnitProbe {
                url: format!("http://127.0.0.1:{port}/"),
            }),
        }
    }

    fn pid(&self, unit: &str) -> u32 {
        match self.supervisor.status(unit).unwrap() {
            UnitStatus::Running { pid, started } => {
                assert!(started.is_some());
                pid
            }
            other => panic!("{unit} is {other:?}"),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        for unit in self.supervisor.units().unwrap_or_default() {
            let _ = self.supervisor.stop(&unit.unit);
        }
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn server(port: u16) -> String {
    format!("exec python3 -m http.server --bind 127.0.0.1 {port}")
}

fn wait_for(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_service_is_started_answers_and_is_stopped() {
    let place = Place::new();
    let port = free_port();
    let unit = place.unit("keystone-api", &server(port), Some(port));
    let supervisor = &place.supervisor;
    supervisor.install(&unit).unwrap();
    assert_eq!(supervisor.unit_file("keystone-api").unwrap(), unit);
    assert_eq!(supervisor.status("keystone-api").unwrap(), UnitStatus::Stopped);
    assert!(!supervisor.probe("keystone-api").unwrap().answers);
    supervisor.stop("keystone-api").unwrap();
    supervisor.start("keystone-api").unwrap();
    let probe = supervisor.probe("keystone-api").unwrap();
    assert_eq!((probe.answers, probe.status), (true, Some(200)));
    let pid = place.pid("keystone-api");
    supervisor.start("keystone-api").unwrap();
    assert_eq!(place.pid("keystone-api"), pid);
    // Another unit file: another process.
    let mut newer = unit.clone();
    newer.series = "ussuri".parse().unwrap();
    supervisor.install(&newer).unwrap();
    supervisor.start("keystone-api").unwrap();
    assert_ne!(place.pid("keystone-api"), pid);
    assert_eq!(supervisor.units().unwrap()[0].series, Some(newer.series));
    // A pid file that was lost: the lock still tells.
    let pid = place.pid("keystone-api");
    std::fs::remove_file(supervisor.directory().join("run/keystone-api.pid")).unwrap();
    assert_eq!(place.pid("keystone-api"), pid);
    supervisor.stop("keystone-api").unwrap();
    assert_eq!(supervisor.status("keystone-api").unwrap(), UnitStatus::Stopped);
    TcpListener::bind(("127.0.0.1", port)).unwrap();
    supervisor.remove("keystone-api").unwrap();
    supervisor.remove("keystone-api").unwrap();
    assert!(supervisor.units().unwrap().is_empty());
}

#[test]
fn a_service_that_dies_at_once_shows_its_log_masked() {
    let place = Place::new();
    let port = free_port();
    // A unit file with the URL itself would be refused.
    let script = "echo 'cannot reach mysql:/'/nova:hunter22@db/nova; exit 1";
    place
        .supervisor
        .install(&place.unit("nova-api", script, Some(port)))
        .unwrap();
    let error = place.supervisor.start("nova-api").unwrap_err();
    assert!(matches!(error, ServiceError::Died { .. }), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("cannot reach mysql://nova:***@db/nova") && !text.contains("hunter22"),
        "{text}"
    );
}

#[test]
fn a_service_that_dies_later_has_failed() {
    let place = Place::new();
    place
        .supervisor
        .install(&place.unit("agent", "sleep 1.2", None))
        .unwrap();
    place.supervisor.start("agent").unwrap();
    place.pid("agent");
    wait_for("the agent never failed", || {
        matches!(place.supervisor.status("agent").unwrap(), UnitStatus::Failed { .. })
    });
    assert!(!place.supervisor.probe("agent").unwrap().answers);
    place.supervisor.stop("agent").unwrap();
    assert_eq!(place.supervisor.status("agent").unwrap(), UnitStatus::Stopped);
}

#[test]
fn workers_that_ignore_sigterm_are_killed_with_their_group() {
    let place = Place::new();
    let script = "trap '' TERM; sh -c 'trap \"\" TERM; echo $$ > worker; sleep 300; sleep 300' & sleep 300; sleep 300";
    place.supervisor.install(&place.unit("stubborn", script, None)).unwrap();
    place.supervisor.start("stubborn").unwrap();
    wait_for("no worker", || {
        std::fs::read_to_string(place.path("worker")).is_ok_and(|text| text.ends_with('\n'))
    });
    let worker = std::fs::read_to_string(place.path("worker")).unwrap();
    place.supervisor.stop("stubborn").unwrap();
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", worker.trim())).unwrap_or_default();
    assert!(stat.is_empty() || stat.contains(") Z "), "{stat}");
}

#[test]
fn a_recycled_pid_is_never_killed() {
    let place = Place::new();
    place.supervisor.install(&place.unit("old", "sleep 300", None)).unwrap();
    // This test's own process under another start time: killing it would end the test.
    let run = place.supervisor.directory().join("run");
    std::fs::create_dir_all(&run).unwrap();
    std::fs::write(run.join("old.pid"), format!("{} 1 x\n", std::process::id())).unwrap();
    assert!(matches!(
        place.supervisor.status("old").unwrap(),
        UnitStatus::Failed { .. }
    ));
    place.supervisor.stop("old").unwrap();
    assert_eq!(place.supervisor.status("old").unwrap(), UnitStatus::Stopped);
    std::fs::write(run.join("old.pid"), "garbage").unwrap();
    assert_eq!(place.supervisor.status("old").unwrap(), UnitStatus::Stopped);
}

#[test]
fn a_foreign_listener_is_not_taken_for_the_service() {
    let place = Place::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    place
        .supervisor
        .install(&place.unit("nova-api", &server(port), Some(port)))
        .unwrap();
    let error = place.supervisor.start("nova-api").unwrap_err();
    assert!(matches!(error, ServiceError::AddressTaken { .. }), "{error}");
    // Stopping what does not run does not wait for the stranger.
    place.supervisor.stop("nova-api").unwrap();
}

#[test]
fn a_service_that_never_answers_is_said_so() {
    let place = Place::new();
    let supervisor = place
        .supervisor
        .clone()
        .with_timeouts(Duration::from_millis(300), Duration::from_millis(300));
    supervisor
        .install(&place.unit("deaf", "echo starting; sleep 300", Some(free_port())))
        .unwrap();
    let error = supervisor.start("deaf").unwrap_err();
    assert!(matches!(error, ServiceError::NoAnswer { .. }), "{error}");
    assert!(error.to_string().contains("no answer from 127.0.0.1"), "{error}");
}

#[test]
fn unit_files_are_read_strictly() {
    let place = Place::new();
    let supervisor = &place.supervisor;
    supervisor.install(&place.unit("sound", "true", None)).unwrap();
    let sound = std::fs::read_to_string(supervisor.path("sound")).unwrap();
    for (text, word) in [
        (format!("{sound}\n[extra]\nx = 1\n"), "unknown field"),
        (sound.replace("\"sound\"", "\"other\""), "names another unit"),
        (sound.replace("[\"/bin/sh\"", "[\"sh\""), "not an absolute path"),
        (sound.replace("\"keystone\"", "\"../x\""), "is not a name"),
        (sound.replace("\"train\"", "\"../../x\""), "cannot be a series"),
        (
            sound.replace("\"true\"", "\"mysql://u:hunter22@h/x\""),
            "a URL with a password",
        ),
        (sound.replace("\"true\"", "\"a\\u0000b\""), "a NUL byte"),
        (sound.replace("command =", "command = 1 #"), "invalid type"),
        ("x".repeat(70_000), "larger than 64 KiB"),
        (format!("{sound}\n[probe]\nurl = \"ftp://x\"\n"), "cannot be probed"),
    ] {
        std::fs::write(supervisor.path("sound"), &text).unwrap();
        let error = supervisor.status("sound").unwrap_err();
        assert!(matches!(error, ServiceError::BadUnitFile { .. }), "{error}");
        assert!(error.to_string().contains(word), "{word}: {error}");
        assert!(!error.to_string().contains("hunter22"), "{error}");
    }
    std::fs::write(supervisor.path("sound"), b"\xff\xfe").unwrap();
    assert!(supervisor.units().unwrap_err().to_string().contains("not UTF-8"));
    std::fs::write(supervisor.path("sound"), &sound).unwrap();
    for bad in ["../sound", "a/b", "", "A", "a\0"] {
        assert!(
            matches!(supervisor.start(bad), Err(ServiceError::BadName { .. })),
            "{bad:?}"
        );
    }
    let error = supervisor.start("absent").unwrap_err().to_string();
    assert!(
        error.contains("there is no unit absent") && error.contains("known are sound"),
        "{error}"
    );
    let mut hostile = place.unit("sound", "true", None);
    hostile.name = "../escape".into();
    assert!(matches!(
        supervisor.install(&hostile),
        Err(ServiceError::BadUnitFile { .. })
    ));
}
