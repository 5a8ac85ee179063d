//! Vantage points: an agent process for each, started, listened to, and started again when it dies or hangs.
//!
//! An agent is the program itself with a hidden command, here, in a network namespace, or over ssh. It dies with its watch because its
//! input closes; it is in a process group of its own, so that a Ctrl-C at the terminal does not reach it before the watch.

mod command;
mod keeper;
mod offset;
mod process;
mod seqs;
mod why;

use std::sync::mpsc::SyncSender;
use std::thread::JoinHandle;

use camino::Utf8PathBuf;
use ffu_model::watch::{Targets, Vantage};

use crate::Entry;
use crate::agent::AgentTask;
use crate::error::WatchError;
use crate::outlet::Outlet;
use keeper::Keeper;

/// How agents are started.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The program, for agents on this host.
    pub program: Utf8PathBuf,
    /// What makes an agent of it.
    pub arguments: Vec<String>,
    /// OpenSSH's client.
    pub ssh: Utf8PathBuf,
}

impl Launch {
    /// `PROGRAM watch-agent`, and `ssh` from the path.
    pub fn new(program: impl Into<Utf8PathBuf>) -> Launch {
        Launch {
            program: program.into(),
            arguments: vec!["watch-agent".to_owned()],
            ssh: "ssh".into(),
        }
    }
}

/// The agents of all vantage points that have targets.
pub struct Supervisor {
    outlet: Outlet,
    keepers: Vec<JoinHandle<()>>,
}

impl Supervisor {
    /// Starts them. What they see goes to `entries`, in batches, with all times on this host's boot-time clock; if nobody takes it, the
    /// agents wait and lose nothing for as long as their memory lasts.
    ///
    /// # Errors
    /// If a target names a vantage point that is not there, if a vantage point's targets cannot be probed at that rate, or if its network
    /// namespace does not exist. What goes wrong later is a [`Notice::Blind`](ffu_model::watch::Notice::Blind).
    pub fn start(
        targets: &Targets,
        launch: &Launch,
        entries: SyncSender<Vec<Entry>>,
    ) -> Result<Supervisor, WatchError> {
        let vantage_of = |name: &str| match targets.vantages.get(name) {
            Some(vantage) => Some(vantage.clone()),
            None => (name == Targets::HERE).then_some(Vantage::Here),
        };
        let mut starts: Vec<(AgentTask, Vantage)> = Vec::new();
        for target in &targets.targets {
            if starts.iter().any(|(task, _)| task.vantage == target.vantage) {
                continue;
            }
            let Some(vantage) = vantage_of(&target.vantage) else {
                return Err(WatchError::NoVantage {
                    target: target.name.clone(),
                    vantage: target.vantage.clone(),
                });
            };
            let task = AgentTask::new(targets, &target.vantage, |_| 0);
            task.check()?;
            command::of(&task.vantage, &vantage, launch)?;
            starts.push((task, vantage));
        }
        let outlet = Outlet::new(entries);
        let keep = |(task, vantage)| {
            let keeper = Keeper::new(task, vantage, launch.clone(), outlet.clone());
            std::thread::spawn(move || keeper.run())
        };
        let keepers = starts.into_iter().map(keep).collect();
        Ok(Supervisor { outlet, keepers })
    }

    /// Ends all agents and takes what they still have to say. Batches that nobody takes for 2 seconds are dropped.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.outlet.stop();
        for keeper in self.keepers.drain(..) {
            // A panic was told where it happened; another one while this one unwinds would abort.
            let _ = keeper.join();
        }
    }
}
