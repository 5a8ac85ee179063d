//! Reads one workload's identity.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ffu_model::watch::Workload;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// The value of a workload that is not there any more.
pub const GONE: &str = "gone";

/// How long one question may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// What a workload says it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// `boot-id` or `started`.
    pub kind: &'static str,
    /// Its value; [`GONE`] if it is not there.
    pub value: String,
}

/// Reads a workload's identity; `None` if nothing can be said. `stop` gives a question up.
pub fn read(workload: &Workload, stop: &dyn Fn() -> bool) -> Option<Identity> {
    match workload {
        Workload::Process { pid_file } => Some(Identity {
            kind: "started",
            value: process(pid_file.as_std_path())?,
        }),
        Workload::Ssh { host } => {
            if host.starts_with('-') {
                return None;
            }
            let options = [
                "-o",
                "BatchMode=yes",
                "-o",
                "ConnectTimeout=5",
                "-T",
                "--",
                host,
                "cat",
                "/proc/sys/kernel/random/boot_id",
            ];
            let value = ask(Command::new("ssh").args(options), stop)?;
            is_uuid(&value).then_some(Identity { kind: "boot-id", value })
        }
        Workload::Libvirt { uri, domain } => {
            let answer = ask(
                Command::new("virsh").args(["--quiet", "-r", "-c", uri, "domid", "--domain", domain]),
                stop,
            )?;
            Some(Identity {
                kind: "started",
                value: domain_value(&answer, uri, domain)?,
            })
        }
    }
}

/// Boot id, process id and start time of the process in a file.
fn process(pid_file: &std::path::Path) -> Option<String> {
    let gone = Some(GONE.to_owned());
    let text = match std::fs::read_to_string(pid_file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return gone,
        Err(_) => return None,
    };
    // An empty or half-written file says nothing.
    let pid: u32 = text.split_whitespace().next()?.parse().ok()?;
    match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => match started(&stat) {
            Some(started) => Some(format!("{} {pid} {started}", boot_id()?)),
            None => gone,
        },
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => None,
        Err(_) => gone,
    }
}

/// The start time in a process's `stat`, in ticks since boot; `None` if it is dead.
fn started(stat: &str) -> Option<&str> {
    // The name stands in brackets and may hold anything.
    let fields: Vec<&str> = stat.get(stat.rfind(')')? + 1..)?.split_whitespace().collect();
    let is_alive = !matches!(fields.first(), Some(&"Z" | &"X" | &"x"));
    fields.get(19).copied().filter(|_| is_alive)
}

/// This host's boot id.
fn boot_id() -> Option<String> {
    Some(
        std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
            .ok()?
            .trim()
            .to_owned(),
    )
}

/// What `virsh domid` says, with the start of the domain's process and this host's boot where the domain is on this host.
fn domain_value(answer: &str, uri: &str, domain: &str) -> Option<String> {
    if answer == "-" {
        return Some(GONE.to_owned());
    }
    let id: u32 = answer.parse().ok()?;
    if !uri.contains(":///") {
        return Some(format!("id {id}"));
    }
    let is_plain = !domain.contains('/');
    let process = Some(domain)
        .filter(|_| is_plain)
        .and_then(|domain| process(format!("/run/libvirt/qemu/{domain}.pid").as_ref()));
    match process.filter(|value| value != GONE) {
        Some(process) => Some(format!("id {id} {process}")),
        None => Some(format!("id {id} {}", boot_id()?)),
    }
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36 && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

/// What a command says on its output, trimmed; `None` if it fails, or takes too long.
fn ask(command: &mut Command, stop: &dyn Fn() -> bool) -> Option<String> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .ok()?;
    let until = Instant::now() + DEADLINE;
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if Instant::now() < until && !stop() => std::thread::sleep(Duration::from_millis(20)),
            _ => {
                let _ = killpg(Pid::from_raw(i32::try_from(child.id()).ok()?), Signal::SIGKILL); // It may have ended just now.
                child.wait().ok()?;
                return None;
            }
        }
    };
    let mut output = String::new();
    child.stdout.take()?.take(4096).read_to_string(&mut output).ok()?;
    status.success().then(|| output.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_time_is_found_behind_any_name() {
        let rest = "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4242 20 21";
        assert_eq!(started(&format!("7 (a) b) S {rest}")), Some("4242"));
        assert_eq!(started(&format!("7 (a) Z {rest}")), None);
        assert_eq!((started(""), started("7 (a"), started("7 (a) S 1")), (None, None, None));
    }

    #[test]
    fn domains_that_are_off_are_gone() {
        assert_eq!(domain_value("-", "qemu+ssh://h/system", "a").as_deref(), Some(GONE));
        assert_eq!(domain_value("7", "qemu+ssh://h/system", "a").as_deref(), Some("id 7"));
        assert_eq!(domain_value("error", "qemu+ssh://h/system", "a"), None);
        let here = domain_value("7", "qemu:///system", "../ffut-none").expect("a value");
        assert_eq!(here, format!("id 7 {}", boot_id().expect("a boot id")));
    }

    #[test]
    fn commands_that_fail_or_are_given_up_say_nothing() {
        assert_eq!(
            ask(Command::new("sh").args(["-c", "echo ' a '"]), &|| false).as_deref(),
            Some("a")
        );
        assert_eq!(ask(Command::new("sh").args(["-c", "echo a; exit 3"]), &|| false), None);
        assert_eq!(ask(&mut Command::new("ffut-no-such-program"), &|| false), None);
        let begun = Instant::now();
        assert_eq!(ask(Command::new("sh").args(["-c", "sleep 60 & wait"]), &|| true), None);
        assert!(begun.elapsed() < DEADLINE);
        assert!(is_uuid("01234567-89ab-cdef-0123-456789abcdef") && !is_uuid("Permission denied"));
    }
}
