//! The edge to the kernel: privileges, namespaces, the programs `ip` and `nft`, and the clock that faults are told in.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use ffu_model::watch::Nanos;
use nix::sched::{CloneFlags, setns};
use nix::time::{ClockId, clock_gettime};

use super::error::DataPlaneError;

/// Where `ip netns` keeps its names.
pub(crate) const NAMESPACES: &str = "/run/netns";
/// How long making namespaces can take on a machine that has other things to do.
const PATIENCE: Duration = Duration::from_secs(60);
const SEARCHED: [&str; 4] = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"];
/// Bits of the capability sets in `/proc/PID/status`.
const CAPABILITIES: [(u32, &str); 2] = [(12, "CAP_NET_ADMIN"), (21, "CAP_SYS_ADMIN")];

/// Now, on the boot-time clock.
pub(crate) fn now() -> Nanos {
    // The clock exists on every Linux that has namespaces.
    clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(0, |time| {
        let (seconds, nanos) = (u64::try_from(time.tv_sec()), u64::try_from(time.tv_nsec()));
        seconds.unwrap_or(0) * 1_000_000_000 + nanos.unwrap_or(0)
    })
}

/// Whether this process may make namespaces and links.
///
/// # Errors
/// [`DataPlaneError::Privileges`].
pub fn check_privileges() -> Result<(), DataPlaneError> {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    let missing = missing(nix::unistd::geteuid().is_root(), &status);
    if missing.is_empty() {
        return Ok(());
    }
    Err(DataPlaneError::Privileges {
        missing: missing.join(", "),
    })
}

fn missing(is_root: bool, status: &str) -> Vec<&'static str> {
    let set = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let set = set
        .and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok())
        .unwrap_or(0);
    let absent = CAPABILITIES
        .iter()
        .filter(|(bit, _)| set >> bit & 1 == 0)
        .map(|(_, name)| *name);
    (!is_root).then_some("root").into_iter().chain(absent).collect()
}

/// The path of a program.
///
/// # Errors
/// [`DataPlaneError::NoProgram`].
pub(crate) fn program(name: &str, package: &str) -> Result<Utf8PathBuf, DataPlaneError> {
    let found = SEARCHED
        .iter()
        .map(|directory| Utf8Path::new(directory).join(name))
        .find(|path| path.exists());
    found.ok_or_else(|| DataPlaneError::NoProgram {
        program: name.to_owned(),
        package: package.to_owned(),
    })
}

/// Whether the programs are there that every data plane needs.
///
/// # Errors
/// [`DataPlaneError::NoProgram`].
pub(crate) fn check_programs() -> Result<(), DataPlaneError> {
    program("ip", "iproute2")
        .and_then(|_| program("nft", "nftables"))
        .map(drop)
}

/// Runs a program to its end with this standard input; returns its standard output.
pub(crate) fn run(command: &mut Command, input: &str) -> Result<String, DataPlaneError> {
    run_with(command.stdin(Stdio::piped()), input)
}

/// As [`run`]; the input is written if the standard input is a pipe.
fn run_with(command: &mut Command, input: &str) -> Result<String, DataPlaneError> {
    let shown = format!("{command:?}").replace('"', "");
    let failed = |how: String, output: String| DataPlaneError::Command {
        command: shown.clone(),
        how,
        output: output.trim().chars().take(500).collect(),
    };
    let lost = |error: io::Error| failed(error.to_string(), String::new());
    let mut child = command
        .env_clear()
        .env("LC_ALL", "C.UTF-8")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(lost)?;
    // These programs read all of it before they say much: no deadlock. One that ended early says why itself.
    let written = child.stdin.take().map(|mut stdin| stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().map_err(lost)?;
    if !output.status.success() {
        return Err(failed(
            output.status.to_string(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        ));
    }
    written.transpose().map_err(lost)?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// `ip` with a script, in a namespace or where this process is.
pub(crate) fn ip(namespace: Option<&str>, script: &str, force: bool) -> Result<(), DataPlaneError> {
    let mut command = Command::new(program("ip", "iproute2")?);
    command.args(namespace.iter().flat_map(|name| ["-n", name]));
    if force {
        command.arg("-force");
    }
    run(command.args(["-batch", "-"]), script).map(drop)
}

/// `ip` with a script that makes what others have to remove: it holds the lock of this file for as long as it runs, also if who
/// started it is killed meanwhile. The file is its standard input.
pub(crate) fn ip_locked(path: &Utf8Path, script: &str) -> Result<(), DataPlaneError> {
    let failed = DataPlaneError::io("write", path);
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| {
            file.lock()?;
            file.write_all(script.as_bytes())?;
            file.rewind()?;
            Ok(file)
        })
        .map_err(failed)?;
    let mut command = Command::new(program("ip", "iproute2")?);
    run_with(command.args(["-batch", "-"]).stdin(Stdio::from(file)), "").map(drop)
}

/// Waits until nobody holds the lock of [`ip_locked`].
///
/// # Errors
/// [`DataPlaneError::Io`] if somebody does for longer than making namespaces can take.
pub(crate) fn wait_unlocked(path: &Utf8Path) -> Result<(), DataPlaneError> {
    let Ok(file) = File::open(path) else {
        return Ok(());
    };
    let begun = Instant::now();
    while let Err(error) = file.try_lock() {
        if begun.elapsed() > PATIENCE {
            return Err(DataPlaneError::io("lock", path)(error.into()));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// `nft` with a script (or, without arguments of its own, rules from it), in the namespace of the calling thread.
pub(crate) fn nft(arguments: &[&str], script: &str) -> Result<String, DataPlaneError> {
    run(Command::new(program("nft", "nftables")?).args(arguments), script)
}

/// Runs something in a network namespace, in a thread of its own: no other thread of this process goes there.
///
/// # Errors
/// [`DataPlaneError::NoNamespace`], and those of `work`.
pub fn in_namespace<T: Send>(
    name: &str,
    work: impl FnOnce() -> Result<T, DataPlaneError> + Send,
) -> Result<T, DataPlaneError> {
    std::thread::scope(|scope| {
        let joined = scope.spawn(|| enter(name).and_then(|()| work())).join();
        joined.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Moves the calling thread into a network namespace, for good.
pub(crate) fn enter(name: &str) -> Result<(), DataPlaneError> {
    let gone = |source: io::Error| DataPlaneError::NoNamespace {
        namespace: name.to_owned(),
        source,
    };
    let file = File::open(format!("{NAMESPACES}/{name}")).map_err(gone)?;
    setns(file, CloneFlags::CLONE_NEWNET).map_err(|errno| gone(errno.into()))
}

/// Sets kernel parameters of a namespace; paths below `/proc/sys/net`.
pub(crate) fn set_parameters(namespace: &str, values: &[(&str, &str)]) -> Result<(), DataPlaneError> {
    in_namespace(namespace, || {
        values.iter().try_for_each(|(name, value)| {
            let path = format!("/proc/sys/net/{name}");
            std::fs::write(&path, value).map_err(DataPlaneError::io("write", path))
        })
    })
}

/// Names of the namespaces that begin so.
pub(crate) fn namespaces(stem: &str) -> Vec<String> {
    let entries = std::fs::read_dir(NAMESPACES).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> = names.filter(|name| name.starts_with(stem)).collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named() {
        assert_eq!(missing(true, "CapEff:\t000001fffeffffff\n"), [""; 0]);
        assert_eq!(missing(true, "CapEff:\t0000000000200000\n"), ["CAP_NET_ADMIN"]);
        assert_eq!(missing(false, "nothing"), ["root", "CAP_NET_ADMIN", "CAP_SYS_ADMIN"]);
    }

    #[test]
    fn programs_say_why_they_failed() {
        let error = run(
            Command::new("/bin/sh").args(["-c", "echo no such thing >&2; exit 3"]),
            "",
        )
        .unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("no such thing") && text.contains("exit status: 3"),
            "{text}"
        );
        assert!(
            program("ffu-no-such-program", "some-package")
                .unwrap_err()
                .to_string()
                .contains("some-package")
        );
        assert_eq!(run(&mut Command::new("/bin/cat"), "abc").unwrap(), "abc");
    }

    #[test]
    fn a_namespace_that_is_gone_is_said() {
        let error = in_namespace("ffut-no-such", || Ok(())).unwrap_err();
        assert!(matches!(error, DataPlaneError::NoNamespace { .. }), "{error}");
    }
}
