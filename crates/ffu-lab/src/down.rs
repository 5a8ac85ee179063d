//! Removes a lab, whatever state it is in: also after `up` or the server was killed at any point, and a second time.

use std::time::{Duration, Instant};

use camino::Utf8Path;
use ffu_db::PrivateServer;
use ffu_hosts::{ServiceManager as _, end_holders};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::dataplane::DataPlane;
use crate::error::LabError;
use crate::layout::Lab;

/// Between SIGTERM and SIGKILL, for what a killed `up` left running.
const GRACE: Duration = Duration::from_secs(3);
/// How long what was killed may take to go.
const PATIENCE: Duration = Duration::from_secs(30);

/// What `down` did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removed {
    /// There was a lab, and it is gone.
    Lab,
    /// There was nothing: a lab that was removed before.
    Nothing,
}

/// Stops everything that belongs to the lab and removes its directory.
///
/// # Errors
/// [`LabError::NotALab`] for a directory that is none: nothing is touched then. [`LabError::StillThere`] and
/// [`LabError::Io`]; what is left can be removed by another `down`.
pub fn down(dir: &Utf8Path) -> Result<Removed, LabError> {
    if matches!(dir.symlink_metadata(), Err(error) if error.kind() == std::io::ErrorKind::NotFound) {
        return Ok(Removed::Nothing);
    }
    let lab = Lab::open(dir)?;
    let root = lab.dir();
    // First the commands, so that nothing new is started; then the services; then what they all talk to.
    end_commands(&lab)?;
    DataPlane::down(root)?;
    let supervisor = lab.services().with_timeouts(Duration::from_secs(1), GRACE);
    // A unit file that a crash or a hand has damaged must not keep the others running.
    for name in unit_names(&lab)? {
        if supervisor.unit_file(&name).is_ok() {
            supervisor.stop(&name)?;
        } else {
            let lock = root.join("services/run").join(format!("{name}.lock"));
            end_holders(&lock, GRACE).map_err(|error| still_there(&lab, &name, error.to_string()))?;
        }
    }
    if let Ok(mut server) = PrivateServer::open_existing(&lab.server_dir()) {
        // Its data goes away: there is nothing that an orderly end would save.
        server.kill()?;
    }
    end_servers(&lab)?;
    remove(&lab)?;
    Ok(Removed::Lab)
}

fn still_there(lab: &Lab, what: &str, why: String) -> LabError {
    LabError::StillThere {
        what: what.to_owned(),
        dir: lab.dir().to_owned(),
        why,
    }
}

fn end_commands(lab: &Lab) -> Result<(), LabError> {
    let locks = lab.dir().join("run/locks");
    for name in names(&locks)? {
        end_holders(&locks.join(&name), GRACE).map_err(|error| still_there(lab, &name, error.to_string()))?;
    }
    Ok(())
}

fn unit_names(lab: &Lab) -> Result<Vec<String>, LabError> {
    let found = names(&lab.dir().join("services"))?;
    Ok(found
        .iter()
        .filter_map(|name| name.strip_suffix(".toml"))
        .map(str::to_owned)
        .collect())
}

/// Names of the entries; none if the directory does not exist (yet).
fn names(directory: &Utf8Path) -> Result<Vec<String>, LabError> {
    let entries = match directory.read_dir_utf8() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(LabError::io("read", directory))?,
    };
    entries
        .map(|entry| {
            entry
                .map(|entry| entry.file_name().to_owned())
                .map_err(LabError::io("read", directory))
        })
        .collect()
}

/// A server without a pid file: one that was starting, or `mariadb-install-db`'s, when `up` was killed. It is known by its
/// data directory, which is this lab's alone.
fn end_servers(lab: &Lab) -> Result<(), LabError> {
    let wanted = format!("--datadir={}/", lab.server_dir());
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found = with_argument(&wanted);
        if found.is_empty() {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(still_there(
                lab,
                "a database server",
                format!("processes {found:?} live on after SIGKILL"),
            ));
        }
        for pid in found {
            // Gone in between is as good; another user's shows at the deadline.
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Living processes with an argument that begins so.
fn with_argument(beginning: &str) -> Vec<i32> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    let numbers = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    numbers
        .filter(|pid| {
            let arguments = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            arguments
                .split(|byte| *byte == 0)
                .any(|argument| argument.starts_with(beginning.as_bytes()))
        })
        .collect()
}

/// `lab.toml` goes last: until then another `down` knows what this is.
fn remove(lab: &Lab) -> Result<(), LabError> {
    let root = lab.dir();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let emptied = names(root)?
            .iter()
            .filter(|name| *name != "lab.toml")
            .try_for_each(|name| {
                let path = root.join(name);
                let is_directory = path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir());
                let removed = if is_directory {
                    std::fs::remove_dir_all(&path)
                } else {
                    std::fs::remove_file(&path)
                };
                match removed {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err((path, error)),
                    _ => Ok(()),
                }
            });
        match emptied {
            Ok(()) => break,
            // The last write of a dying process may come between reading a directory and removing it.
            Err((path, error)) if Instant::now() > deadline => return Err(LabError::io("remove", path)(error)),
            Err(_) => std::thread::sleep(Duration::from_millis(100)),
        }
    }
    std::fs::remove_file(root.join("lab.toml")).map_err(LabError::io("remove", root.join("lab.toml")))?;
    std::fs::remove_dir(root).map_err(LabError::io("remove", root))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::{LabFile, LabState, Ports};

    fn lab(dir: &Utf8Path) -> Lab {
        let ports = Ports {
            keystone: 1,
            placement: 2,
            database: 0,
        };
        let created = jiff::Timestamp::UNIX_EPOCH;
        let series = "train".parse().unwrap();
        let file = LabFile {
            format: crate::FORMAT,
            state: LabState::Building,
            series,
            size: 1,
            created,
            ports,
        };
        Lab::found(dir, file).unwrap()
    }

    #[test]
    fn only_labs_are_removed_and_twice_is_fine() {
        let scratch = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(scratch.path()).unwrap();
        std::fs::write(root.join("precious"), "x").unwrap();
        assert!(matches!(down(root), Err(LabError::NotALab { .. })));
        assert!(root.join("precious").exists());
        let dir = root.join("lab");
        lab(&dir);
        assert_eq!(down(&dir).unwrap(), Removed::Lab);
        assert_eq!(down(&dir).unwrap(), Removed::Nothing);
        assert!(!dir.exists() && root.join("precious").exists());
    }

    #[test]
    fn what_a_killed_up_left_running_is_ended() {
        let scratch = tempfile::tempdir().unwrap();
        let dir = Utf8Path::from_path(scratch.path()).unwrap().join("lab");
        let lab = lab(&dir);
        std::fs::create_dir_all(lab.server_dir().join("data")).unwrap();
        // A server that is only starting has no pid file; its data directory is how it is known.
        let argument = format!("--datadir={}/data", lab.server_dir());
        let mut server = std::process::Command::new("/bin/sh")
            .args(["-c", "while sleep 60; do :; done", "mariadbd", &argument])
            .spawn()
            .unwrap();
        std::fs::write(lab.dir().join("services/broken.toml"), "nonsense").unwrap();
        // Between exec and its end a process has no command line yet.
        while !with_argument(&argument).contains(&i32::try_from(server.id()).unwrap()) {
            std::thread::sleep(Duration::from_millis(5));
        }
        let reaper = std::thread::spawn(move || server.wait());
        assert_eq!(down(&dir).unwrap(), Removed::Lab);
        assert!(!reaper.join().unwrap().unwrap().success());
        assert!(!dir.exists());
    }
}
