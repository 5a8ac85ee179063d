//! The directory of a rehearsal: its lock, the shell that ends the private server should `ffu` be killed, and what is removed
//! when.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use ffu_db::PrivateServer;
use nix::fcntl::{Flock, FlockArg};

/// Waits for the end of the pipe that `ffu` holds, then ends the server that is in the directory, if it still runs.
const KEEPER: &str = r#"
dir=$1
cat >/dev/null
pid=$(cat "$dir/db/pid" 2>/dev/null) || exit 0
own() { tr '\0' '\n' <"/proc/$pid/cmdline" 2>/dev/null | grep -qxF -- "--datadir=$dir/db/data"; }
own || exit 0
echo "ffu was killed while it rehearsed. The private server was ended; this directory may be removed, or: ffu rehearse --clean" >"$dir/LEFT"
kill "$pid"
n=0
while own && [ $n -lt 300 ]; do sleep 0.1; n=$((n + 1)); done
own && kill -9 "$pid"
exit 0
"#;

/// A rehearsal's own directory, locked by this process.
pub struct Place {
    path: Utf8PathBuf,
    keeper: Option<Child>,
    _lock: Flock<File>,
}

impl Place {
    /// Makes the directory of a new rehearsal below `root`.
    ///
    /// # Errors
    /// In words, with the path.
    pub fn create(root: &Utf8Path, plan: &str) -> Result<Self, String> {
        let now = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%S").to_string();
        let short: String = plan.chars().filter(char::is_ascii_hexdigit).take(8).collect();
        let mut path = root.join(format!("{now}-{short}"));
        let mut nth = 1;
        while path.exists() {
            nth += 1;
            path = root.join(format!("{now}-{short}-{nth}"));
        }
        private_directory(&path.join("private"))?;
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path.join("lock"));
        let lock = lock.map_err(|error| format!("{path}: {error}"))?;
        let lock =
            Flock::lock(lock, FlockArg::LockExclusiveNonblock).map_err(|(_, error)| format!("{path}: {error}"))?;
        Ok(Place {
            path,
            keeper: None,
            _lock: lock,
        })
    }

    /// The directory.
    pub fn path(&self) -> &Utf8Path {
        &self.path
    }

    /// The private server's directory.
    pub fn server(&self) -> Utf8PathBuf {
        self.path.join("db")
    }

    /// Files with secrets.
    pub fn private(&self) -> Utf8PathBuf {
        self.path.join("private")
    }

    /// From here on the server ends with this process, however that ends.
    ///
    /// # Errors
    /// If no shell can be started.
    pub fn keep_watch(&mut self) -> Result<(), String> {
        let keeper = Command::new("sh")
            .args(["-c", KEEPER, "ffu-rehearse", self.path.as_str()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C at the terminal is for ffu.
            .process_group(0)
            .spawn()
            .map_err(|error| format!("cannot run sh: {error}"))?;
        self.keeper = Some(keeper);
        Ok(())
    }

    /// Leaves the server running and everything in place.
    ///
    /// # Errors
    /// In words.
    pub fn leave(mut self) -> Result<(), String> {
        let text =
            "Kept for looking into it: the private server runs. ffu rehearse --clean ends it and removes the copy.\n";
        write_private(&self.path.join("LEFT"), text.as_bytes())?;
        write_private(&self.path.join("kept"), b"")?;
        if let Some(mut keeper) = self.keeper.take() {
            keeper
                .kill()
                .and_then(|()| keeper.wait())
                .map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// Ends the server and removes the copy and everything private; journal, outputs and reports stay.
    ///
    /// # Errors
    /// In words, with what is left.
    pub fn finish(mut self) -> Result<(), String> {
        remove_private(&self.path)?;
        if let Some(mut keeper) = self.keeper.take() {
            drop(keeper.stdin.take());
            let _ = keeper.wait();
        }
        Ok(())
    }
}

/// Ends and removes what rehearsals left that are not going on. Gives the directories that were cleaned.
///
/// # Errors
/// In words, with the directory.
pub fn clean(root: &Utf8Path, kept_too: bool) -> Result<Vec<Utf8PathBuf>, String> {
    let mut cleaned = Vec::new();
    let entries = match root.read_dir_utf8() {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(cleaned),
        Err(error) => return Err(format!("{root}: {error}")),
    };
    for entry in entries {
        let path = entry.map_err(|error| format!("{root}: {error}"))?.path().to_owned();
        let Ok(lock) = File::open(path.join("lock")) else {
            continue;
        };
        let Ok(_lock) = Flock::lock(lock, FlockArg::LockExclusiveNonblock) else {
            continue;
        };
        let kept = path.join("kept").exists();
        let left = path.join("db").exists() || path.join("private").exists();
        if left && (kept_too || !kept) {
            remove_private(&path)?;
            cleaned.push(path);
        }
    }
    cleaned.sort();
    Ok(cleaned)
}

fn remove_private(path: &Utf8Path) -> Result<(), String> {
    let db = path.join("db");
    if db.exists() {
        if let Ok(mut server) = PrivateServer::open_existing(&db) {
            // Its data is wanted by nobody.
            server.kill().map_err(|error| error.to_string())?;
        }
        remove(&db)?;
    }
    let runs = path.join("run/runs");
    for run in runs.read_dir_utf8().into_iter().flatten().flatten() {
        let private = run.path().join("private");
        // Commands that outlived a killed ffu; their server is gone already.
        for file in private.read_dir_utf8().into_iter().flatten().flatten() {
            if file.file_name().ends_with(".lock") {
                ffu_hosts::end_holders(file.path(), Duration::from_secs(10)).map_err(|error| error.to_string())?;
            }
        }
        for inside in ["private", "staged", "checkpoint"] {
            remove(&run.path().join(inside))?;
        }
    }
    for file in ["kept", "LEFT"] {
        let _ = fs::remove_file(path.join(file));
    }
    remove(&path.join("private"))
}

fn remove(path: &Utf8Path) -> Result<(), String> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(format!("{path}: {error}")),
        _ => Ok(()),
    }
}

fn private_directory(path: &Utf8Path) -> Result<(), String> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| format!("{path}: {error}"))
}

/// Writes a file that only its owner may read, with its directories.
///
/// # Errors
/// In words, with the path.
pub fn write_private(path: &Utf8Path, bytes: &[u8]) -> Result<(), String> {
    if let Some(parent) = path.parent() {
        private_directory(parent)?;
    }
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(bytes))
        .map_err(|error| format!("{path}: {error}"))
}
