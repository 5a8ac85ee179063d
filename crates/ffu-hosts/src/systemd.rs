//! systemd units of this host, through `systemctl`.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use ffu_model::secret::mask;
use jiff::Timestamp;

use crate::http::get_status;
use crate::process::{Exit, Spec, run};
use crate::proctable;
use crate::services::{Probe, ServiceError, ServiceManager, UnitInfo, UnitStatus};
use ffu_model::stop::StopFlag;

const ONE_PROBE: Duration = Duration::from_secs(5);
/// Properties that decide; all of them exist since systemd 208.
const PROPERTIES: &str = "LoadState,ActiveState,SubState,Result,MainPID,ExecMainStatus,ActiveEnterTimestampMonotonic";
/// Most of a command's output that is read, in bytes.
const MOST_OUTPUT: u64 = 4 << 20;

/// Services of systemd.
#[derive(Clone, Debug)]
pub struct Systemd {
    systemctl: Utf8PathBuf,
    scratch: Utf8PathBuf,
    probes: BTreeMap<String, String>,
    timeout: Duration,
}

impl Systemd {
    /// systemd of this host. `scratch` is a directory for the output of `systemctl`; it must exist. Every command has 180 s,
    /// twice systemd's own default for a start or stop.
    pub fn new(scratch: impl Into<Utf8PathBuf>) -> Systemd {
        let usual = ["/usr/bin/systemctl", "/bin/systemctl"];
        let found = usual
            .iter()
            .find(|path| Utf8Path::new(path).exists())
            .unwrap_or(&usual[0]);
        Systemd {
            systemctl: Utf8PathBuf::from(*found),
            scratch: scratch.into(),
            probes: BTreeMap::new(),
            timeout: Duration::from_secs(180),
        }
    }

    /// Whether systemd runs this host (sd_booted(3) asks the same).
    pub fn is_here() -> bool {
        Utf8Path::new("/run/systemd/system").is_dir()
    }

    /// With another `systemctl`.
    pub fn with_program(mut self, systemctl: impl Into<Utf8PathBuf>) -> Systemd {
        self.systemctl = systemctl.into();
        self
    }

    /// Where a unit answers; systemd does not know it.
    pub fn with_probe(mut self, unit: impl Into<String>, url: impl Into<String>) -> Systemd {
        self.probes.insert(unit.into(), url.into());
        self
    }

    fn systemctl(&self, arguments: &[&str]) -> Result<String, ServiceError> {
        static COUNT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let base = format!("systemctl-{}-{number}", std::process::id());
        let mut spec = Spec::new(&self.systemctl, self.scratch.join(format!("{base}.out")), self.timeout);
        spec.stderr = self.scratch.join(format!("{base}.err"));
        spec.arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        // Words in another language or colours would not be understood.
        spec.environment = [
            ("LC_ALL", "C"),
            ("PATH", "/usr/bin:/bin:/usr/sbin:/sbin"),
            ("SYSTEMD_COLORS", "0"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
        let finished = run(&spec, &StopFlag::new());
        let output = read_limited(&spec.stdout);
        let message = read_limited(&spec.stderr);
        for path in [&spec.stdout, &spec.stderr] {
            let _ = std::fs::remove_file(path);
        }
        let finished = finished?;
        if finished.exit == Exit::Code(0) {
            return Ok(output);
        }
        Err(ServiceError::Manager {
            command: format!("systemctl {}", arguments.join(" ")),
            how: finished.exit.to_string(),
            message: mask(message.trim(), &[]).chars().take(2000).collect(),
        })
    }

    fn show(&self, unit: &str) -> Result<Shown, ServiceError> {
        check_name(unit)?;
        let property = format!("--property={PROPERTIES}");
        let shown = parse_show(&self.systemctl(&["show", "--no-pager", &property, "--", unit])?);
        if shown.load == "not-found" {
            return Err(ServiceError::NoSuchUnit {
                unit: unit.to_owned(),
                place: "systemd".to_owned(),
                known: "what `systemctl list-unit-files --type=service` lists".to_owned(),
            });
        }
        Ok(shown)
    }
}

impl ServiceManager for Systemd {
    fn describe(&self) -> String {
        "systemd".to_owned()
    }

    fn units(&self) -> Result<Vec<UnitInfo>, ServiceError> {
        let list = self.systemctl(&[
            "list-unit-files",
            "--type=service",
            "--no-legend",
            "--no-pager",
            "--full",
        ])?;
        Ok(parse_unit_files(&list))
    }

    fn status(&self, unit: &str) -> Result<UnitStatus, ServiceError> {
        Ok(self.show(unit)?.status())
    }

    fn start(&self, unit: &str) -> Result<(), ServiceError> {
        self.show(unit)?;
        self.systemctl(&["start", "--", unit])?;
        // A simple unit counts as started as soon as it is forked: look whether it stayed.
        std::thread::sleep(Duration::from_millis(500));
        match self.status(unit)? {
            UnitStatus::Failed { why } => Err(ServiceError::Manager {
                command: format!("systemctl start -- {unit}"),
                how: "the unit failed at once".to_owned(),
                message: format!("{why}; see `journalctl -u {unit}`"),
            }),
            _ => Ok(()),
        }
    }

    fn stop(&self, unit: &str) -> Result<(), ServiceError> {
        self.show(unit)?;
        self.systemctl(&["stop", "--", unit])?;
        match self.status(unit)? {
            UnitStatus::Running { pid, .. } => Err(ServiceError::WouldNotStop {
                unit: unit.to_owned(),
                seconds: self.timeout.as_secs(),
                detail: format!(
                    "process {pid} runs; something started it again: `systemctl mask --runtime {unit}` forbids that"
                ),
            }),
            _ => Ok(()),
        }
    }

    fn probe(&self, unit: &str) -> Result<Probe, ServiceError> {
        if let Some(url) = self.probes.get(unit) {
            return Ok(Probe::of(url, get_status(url, ONE_PROBE)));
        }
        let status = self.status(unit)?;
        Ok(Probe {
            answers: matches!(status, UnitStatus::Running { .. }),
            status: None,
            detail: format!("{unit} has no probe; systemd says {}", self.show(unit)?.words()),
        })
    }
}

/// What `systemctl show` says of a unit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Shown {
    load: String,
    active: String,
    sub: String,
    result: String,
    main_pid: u32,
    main_status: String,
    /// Microseconds since boot; 0 if it never was active.
    active_since: u64,
}

impl Shown {
    fn words(&self) -> String {
        format!("{} ({}), result {}", self.active, self.sub, self.result)
    }

    fn status(&self) -> UnitStatus {
        match self.active.as_str() {
            "active" | "reloading" => UnitStatus::Running {
                pid: self.main_pid,
                started: self.started(),
            },
            "inactive" => UnitStatus::Stopped,
            "failed" => UnitStatus::Failed {
                why: format!("result {}, main process status {}", self.result, self.main_status),
            },
            _ => UnitStatus::Unknown { state: self.words() },
        }
    }

    fn started(&self) -> Option<Timestamp> {
        if self.active_since == 0 {
            return None;
        }
        let since_boot = i64::try_from(self.active_since / 1_000_000).ok()?;
        Timestamp::from_second(proctable::boot_time()?.checked_add(since_boot)?).ok()
    }
}

fn parse_show(text: &str) -> Shown {
    let mut shown = Shown::default();
    for (key, value) in text.lines().filter_map(|line| line.split_once('=')) {
        let value = value.trim();
        match key {
            "LoadState" => shown.load = value.to_owned(),
            "ActiveState" => shown.active = value.to_owned(),
            "SubState" => shown.sub = value.to_owned(),
            "Result" => shown.result = value.to_owned(),
            "ExecMainStatus" => shown.main_status = value.to_owned(),
            "MainPID" => shown.main_pid = value.parse().unwrap_or(0),
            "ActiveEnterTimestampMonotonic" => shown.active_since = value.parse().unwrap_or(0),
            _ => {}
        }
    }
    shown
}

/// Unit names of `systemctl list-unit-files`; templates (`x@.service`) are no services themselves.
fn parse_unit_files(text: &str) -> Vec<UnitInfo> {
    let mut units: Vec<UnitInfo> = text
        .lines()
        .filter_map(|line| line.split_ascii_whitespace().next())
        .filter(|name| name.ends_with(".service") && !name.ends_with("@.service") && check_name(name).is_ok())
        .map(|name| UnitInfo {
            unit: name.to_owned(),
            service: None,
            project: None,
            role: None,
            series: None,
        })
        .collect();
    units.sort_by(|a, b| a.unit.cmp(&b.unit));
    units
}

fn check_name(unit: &str) -> Result<(), ServiceError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || ":_.@\\-".contains(c);
    if (1..=255).contains(&unit.len()) && !unit.starts_with(['-', '.']) && unit.chars().all(plain) {
        return Ok(());
    }
    Err(ServiceError::BadName {
        unit: unit.chars().take(60).collect(),
        rule: "letters, digits and :_.@\\-, at most 255, not beginning with - or .",
    })
}

fn read_limited(path: &Utf8Path) -> String {
    let mut bytes = Vec::new();
    // A missing file is an empty output: the error of the run says why.
    if let Ok(file) = std::fs::File::open(path) {
        let _ = file.take(MOST_OUTPUT).read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    /// `systemctl show` of a running unit, of a failed one, of a stopped one, of none, in the form and with the words of
    /// systemctl(1) and org.freedesktop.systemd1(5); no systemd runs where this was written.
    const RUNNING: &str = "MainPID=812\nResult=success\nExecMainStatus=0\nLoadState=loaded\nActiveState=active\nSubState=running\nActiveEnterTimestampMonotonic=7461523\n";
    const FAILED: &str = "MainPID=0\nResult=exit-code\nExecMainStatus=203\nLoadState=loaded\nActiveState=failed\nSubState=failed\nActiveEnterTimestampMonotonic=0\n";
    const STOPPED: &str = "MainPID=0\nResult=success\nExecMainStatus=0\nLoadState=loaded\nActiveState=inactive\nSubState=dead\nActiveEnterTimestampMonotonic=0\n";
    const ABSENT: &str = "MainPID=0\nResult=success\nExecMainStatus=0\nLoadState=not-found\nActiveState=inactive\nSubState=dead\nActiveEnterTimestampMonotonic=0\n";

    #[test]
    fn states_are_understood() {
        let UnitStatus::Running {
            pid: 812,
            started: Some(started),
        } = parse_show(RUNNING).status()
        else {
            panic!("{:?}", parse_show(RUNNING).status());
        };
        assert_eq!(started.as_second() - 7, proctable::boot_time().unwrap());
        let UnitStatus::Failed { why } = parse_show(FAILED).status() else {
            panic!("{:?}", parse_show(FAILED).status());
        };
        assert!(why.contains("exit-code") && why.contains("203"), "{why}");
        assert_eq!(parse_show(STOPPED).status(), UnitStatus::Stopped);
        let activating = STOPPED.replace("=inactive", "=activating");
        assert!(matches!(parse_show(&activating).status(), UnitStatus::Unknown { .. }));
        assert!(matches!(parse_show("").status(), UnitStatus::Unknown { .. }));
    }

    #[test]
    fn unit_files_are_listed_without_templates() {
        let text = "nova-api.service   enabled  enabled\ngetty@.service enabled enabled\ncron.service enabled enabled\n\n-x.service a b\n";
        let names: Vec<String> = parse_unit_files(text).into_iter().map(|info| info.unit).collect();
        assert_eq!(names, ["cron.service", "nova-api.service"]);
    }

    /// A `systemctl` that answers from files: systemd itself does not run where the tests do.
    fn systemctl(directory: &Utf8Path, show: &str, exit: i32) -> Systemd {
        let program = directory.join("systemctl");
        std::fs::write(directory.join("show"), show).unwrap();
        let script = format!(
            "#!/bin/sh\necho \"$@\" >> {directory}/calls\n[ \"$1\" != show ] || {{ cat {directory}/show; exit 0; }}\n\
             echo \"Failed: Access denied\" >&2\nexit {exit}\n"
        );
        std::fs::write(&program, script).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        Systemd::new(directory).with_program(program)
    }

    #[test]
    fn commands_are_given_the_unit_after_the_options() {
        let keep = tempfile::tempdir().unwrap();
        let directory = Utf8Path::from_path(keep.path()).unwrap();
        let systemd = systemctl(directory, RUNNING, 0);
        systemd.start("nova-api.service").unwrap();
        let calls = std::fs::read_to_string(directory.join("calls")).unwrap();
        assert!(calls.contains("start -- nova-api.service\n"), "{calls}");
        assert!(
            calls.contains("-- nova-api.service\n") && calls.contains("show --no-pager --property=LoadState"),
            "{calls}"
        );
        let error = systemd.stop("nova-api.service").unwrap_err();
        assert!(matches!(error, ServiceError::WouldNotStop { .. }), "{error}");
        let left = std::fs::read_dir(directory).unwrap().flatten().count();
        assert_eq!(left, 3, "outputs of systemctl were left");
    }

    #[test]
    fn what_systemctl_says_is_passed_on() {
        let keep = tempfile::tempdir().unwrap();
        let directory = Utf8Path::from_path(keep.path()).unwrap();
        let error = systemctl(directory, STOPPED, 4)
            .start("nova-api")
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("`systemctl start -- nova-api` failed (exit code 4): Failed: Access denied"),
            "{error}"
        );
        let error = systemctl(directory, ABSENT, 0)
            .status("nova-api")
            .unwrap_err()
            .to_string();
        assert!(error.contains("there is no unit nova-api in systemd"), "{error}");
        let missing = Systemd::new(directory).with_program(directory.join("none"));
        assert!(matches!(missing.status("nova-api"), Err(ServiceError::Process(_))));
        for bad in ["", "-x", "a b", "a/b", "a\0", "..", "ä"] {
            assert!(
                matches!(missing.status(bad), Err(ServiceError::BadName { .. })),
                "{bad:?}"
            );
        }
    }
}
