//! Reads one workload's identity.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ffu_model::watch::Workload;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::http;
use crate::instances::is_uuid;
use crate::ssh;

/// The value of a workload that is not there any more.
pub const GONE: &str = "gone";

/// Where Linux says which boot this is.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// How long one question may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// What to type to see what reading a workload's identity says.
pub fn by_hand(workload: &Workload) -> String {
    match workload {
        Workload::Process { pid_file } => format!("cat {}", ssh::quoted(pid_file.as_str())),
        Workload::Ssh { host, config, pid_file } => {
            let file = pid_file.as_ref().map_or(BOOT_ID, |file| file.as_str());
            ssh::by_hand(host, config.as_deref(), &format!("cat {}", ssh::quoted(file)))
        }
        Workload::Libvirt { uri, domain } => {
            format!("virsh -r -c {} domid {}", ssh::quoted(uri), ssh::quoted(domain))
        }
        Workload::Http {
            address,
            port,
            path,
            namespace,
        } => {
            let space = namespace
                .as_ref()
                .map(|name| format!("ip netns exec {} ", ssh::quoted(name)));
            let url = format!("http://{}{path}", std::net::SocketAddr::from((*address, *port)));
            format!("{}curl {}", space.unwrap_or_default(), ssh::quoted(&url))
        }
        Workload::Instance { uuid } => format!("openstack server show {}", ssh::quoted(uuid)),
    }
}

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
        Workload::Ssh { host, config, pid_file } => {
            if ssh::wrong(host, config.as_deref()).is_some() {
                return None;
            }
            let mut command = ssh::command("ssh".into(), host, config.as_deref(), &["ConnectTimeout=5"]);
            let Some(file) = pid_file else {
                let value = ask(command.args(["cat", BOOT_ID]), stop)?;
                return is_uuid(&value).then_some(Identity { kind: "boot-id", value });
            };
            let script = ssh::quoted(FAR_PROCESS);
            let answer = ask(
                command.arg(format!("sh -c {script} sh {}", ssh::quoted(file.as_str()))),
                stop,
            )?;
            let value = far_process(&answer)?;
            Some(Identity { kind: "started", value })
        }
        Workload::Http {
            address,
            port,
            path,
            namespace,
        } => Some(Identity {
            kind: "boot-id",
            value: http::boot_id((*address, *port), path, namespace.as_deref())?,
        }),
        // The databases are asked for all of them at once, and not by us.
        Workload::Instance { .. } => None,
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

/// Says boot id, process id and `stat` of the process in the file `$1`, a line each; `gone` where the file or the process is not there;
/// fails where that cannot be said, as on a host that hides the processes of others.
const FAR_PROCESS: &str = r#"cat /proc/sys/kernel/random/boot_id || exit 1
[ -e "$1" ] || { [ -x "${1%/*}/" ] && echo gone; exit; }
read -r pid rest <"$1"
case $pid in ""|*[!0-9]*) exit 1;; esac
echo "$pid"
cat /proc/1/stat >/dev/null 2>&1 || exit 1
cat "/proc/$pid/stat" 2>/dev/null || echo gone"#;

/// What [`FAR_PROCESS`] said: as [`process`] has it.
fn far_process(answer: &str) -> Option<String> {
    let mut lines = answer.lines();
    let boot = lines.next().filter(|line| is_uuid(line))?;
    let pid = lines.next()?;
    if pid == GONE {
        return Some(GONE.to_owned());
    }
    pid.parse::<u32>().ok()?;
    // A process may have a line break in its name.
    let stat = lines.collect::<Vec<_>>().join("\n");
    if stat.is_empty() {
        return None;
    }
    Some(started(&stat).map_or(GONE.to_owned(), |started| format!("{boot} {pid} {started}")))
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
    Some(std::fs::read_to_string(BOOT_ID).ok()?.trim().to_owned())
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
    // Whoever it left behind may hold the pipe open: what is there now is all.
    let pipe = child.stdout.take()?;
    fcntl(&pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).ok()?;
    let mut output = Vec::new();
    let _ = pipe.take(4096).read_to_end(&mut output);
    let output = String::from_utf8(output).ok()?;
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
    fn a_process_over_there_is_read_by_a_real_shell() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("it's.pid");
        let ask_for = |file: &std::path::Path| {
            let mut command = Command::new("sh");
            ask(command.args(["-c", FAR_PROCESS, "sh"]).arg(file), &|| false)
        };
        let (boot, own) = (boot_id().expect("a boot id"), std::process::id());
        assert_eq!(ask_for(&file).as_deref().and_then(far_process).as_deref(), Some(GONE));
        // As libvirt writes it: without an end of line.
        std::fs::write(&file, own.to_string()).expect("writes");
        let value = ask_for(&file).as_deref().and_then(far_process);
        assert_eq!(value, process(&file), "as the process is read here");
        assert!(value.is_some_and(|value| value.starts_with(&format!("{boot} {own} "))));
        std::fs::write(&file, "4194999\n").expect("writes");
        assert_eq!(ask_for(&file).as_deref().and_then(far_process).as_deref(), Some(GONE));
        for half in ["", "no number", "-1"] {
            std::fs::write(&file, half).expect("writes");
            assert_eq!(ask_for(&file), None, "{half:?} says nothing");
        }
        assert_eq!(
            ask_for(&directory.path().join("none/a.pid")),
            None,
            "nobody can look there"
        );
        for nonsense in [
            "",
            "gone",
            "Welcome\ngone",
            &format!("{boot}\n7"),
            &format!("{boot}\nx\nx"),
        ] {
            assert_eq!(far_process(nonsense), None, "{nonsense:?}");
        }
        assert_eq!(far_process(&format!("{boot}\n7\n7 (a) Z 1")).as_deref(), Some(GONE));
    }

    #[test]
    fn every_workload_can_be_looked_at_by_hand() {
        let workload = |json| by_hand(&serde_json::from_value(json).expect("a workload"));
        assert_eq!(
            workload(serde_json::json!({"type": "process", "pid_file": "/run/a b"})),
            "cat '/run/a b'"
        );
        assert_eq!(
            workload(serde_json::json!({"type": "ssh", "host": "a", "config": "/c", "pid_file": "/run/x.pid"})),
            "ssh -F /c -o BatchMode=yes a cat /run/x.pid"
        );
        assert_eq!(
            workload(serde_json::json!({"type": "ssh", "host": "a"})),
            "ssh -o BatchMode=yes a cat /proc/sys/kernel/random/boot_id"
        );
        assert_eq!(
            workload(serde_json::json!({"type": "libvirt", "uri": "qemu:///system", "domain": "a"})),
            "virsh -r -c qemu:///system domid a"
        );
        assert_eq!(
            workload(serde_json::json!({"type": "http", "address": "fd00::1", "namespace": "a"})),
            "ip netns exec a curl 'http://[fd00::1]:80/identity'"
        );
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
        // As a connection that ssh keeps for others may do.
        assert_eq!(
            ask(Command::new("sh").args(["-c", "echo a; sleep 20 &"]), &|| false).as_deref(),
            Some("a")
        );
        assert_eq!(ask(Command::new("sh").args(["-c", "sleep 60 & wait"]), &|| true), None);
        assert!(begun.elapsed() < DEADLINE);
        assert!(is_uuid("01234567-89ab-cdef-0123-456789abcdef") && !is_uuid("Permission denied"));
    }
}
