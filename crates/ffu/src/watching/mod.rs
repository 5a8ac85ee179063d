//! The watch of a run: a process of its own beside `ffu run`, started here, and what the engine hears of it.

mod gate;
pub mod instances;
mod tail;

use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use ffu_model::watch::WatchState;
use ffu_watch::{clock, session};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::places::Places;

pub use gate::WatchGate;
pub use tail::JournalTail;

/// A watch that has said nothing for so long is gone: it writes once a second.
const SILENCE: Duration = Duration::from_secs(5);
/// A watch is there within this, or says why not.
const START: Duration = Duration::from_secs(20);

/// The directory of a run's watch.
pub fn directory(run: &Utf8Path) -> Utf8PathBuf {
    run.join("watch")
}

/// What a watch says, if it lives: it has said something lately, and its process is there.
pub fn living(directory: &Utf8Path) -> Option<WatchState> {
    let silence = u64::try_from(SILENCE.as_nanos()).unwrap_or(u64::MAX);
    // A state from before a restart of the machine has a time that is still to come.
    session::state(directory).filter(|state| {
        let now = clock::now();
        state.at <= now && now - state.at < silence && is_there(state.pid)
    })
}

fn is_there(pid: u32) -> bool {
    let pid = i32::try_from(pid).unwrap_or(0);
    pid > 0 && nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), None) != Err(nix::errno::Errno::ESRCH)
}

/// How the watch of a run is started.
#[derive(Clone, Debug)]
pub struct Watcher {
    run: String,
    directory: Utf8PathBuf,
    state: Utf8PathBuf,
    targets: Option<Utf8PathBuf>,
    listen: Option<SocketAddr>,
}

impl Watcher {
    /// Of a run. `targets`: the file, for a watch that is new.
    pub fn new(
        places: &Places,
        run: &ffu_engine::RunDirectory,
        targets: Option<Utf8PathBuf>,
        listen: Option<SocketAddr>,
    ) -> Watcher {
        Watcher {
            run: run.id.clone(),
            directory: directory(run.path()),
            state: places.state.clone(),
            targets,
            listen,
        }
    }

    /// Where its files are.
    pub fn directory(&self) -> &Utf8Path {
        &self.directory
    }

    /// Starts it and waits until it watches.
    ///
    /// # Errors
    /// If it ends at once: with its own words.
    pub fn start(&self) -> Result<Child, Failure> {
        let failed = |what: &str, error: &dyn std::fmt::Display| {
            Failure::new(
                Exit::Failure,
                format!(
                    "the watch cannot be started: {what}: {error}\n  next: look at {}",
                    self.log()
                ),
            )
        };
        std::fs::create_dir_all(&self.directory).map_err(|error| failed(self.directory.as_str(), &error))?;
        let log = std::fs::File::create(self.log()).map_err(|error| failed(self.log().as_str(), &error))?;
        let second = log.try_clone().map_err(|error| failed("its log", &error))?;
        let program = std::env::current_exe().map_err(|error| failed("this program", &error))?;
        let mut command = Command::new(program);
        command
            .args([
                "--state-dir",
                self.state.as_str(),
                "watch",
                "--plain",
                "--run",
                &self.run,
            ])
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(second)
            // Neither Ctrl-C nor the end of ffu run reaches it.
            .process_group(0);
        if let Some(targets) = &self.targets {
            command.args(["--targets", targets.as_str()]);
        }
        if let Some(listen) = self.listen {
            command.args(["--listen", &listen.to_string()]);
        }
        let mut child = command.spawn().map_err(|error| failed("this program", &error))?;
        let until = Instant::now() + START;
        loop {
            if living(&self.directory).is_some_and(|state| state.pid == child.id()) {
                return Ok(child);
            }
            if let Ok(Some(status)) = child.try_wait() {
                let said = std::fs::read_to_string(self.log()).unwrap_or_default();
                let said = said.trim().trim_start_matches("error: ");
                return Err(Failure::new(
                    Exit::BadInput,
                    format!("the watch ended at once ({status}): {said}"),
                ));
            }
            if Instant::now() > until {
                let _ = child.kill();
                let _ = child.wait();
                return Err(failed("it said nothing", &format!("{} s", START.as_secs())));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn log(&self) -> Utf8PathBuf {
        self.directory.join("watch.log")
    }
}
