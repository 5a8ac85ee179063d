//! Services: stopped, started at a series, asked; and agents, of which the same processes must be there afterwards.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;

use camino::{Utf8Path, Utf8PathBuf};
use ffu_db::side_by_side;
use ffu_engine::{Performed, RunDirectory};
use ffu_hosts::services::UnitStatus;
use ffu_hosts::{ServiceManager, Supervisor, Systemd};
use ffu_model::cloud::{ServiceManagerKind, ServiceRole};
use ffu_model::{Cloud, Series};

use super::{World, config, failed};

/// The manager of a cloud's services.
pub fn manager(cloud: &Cloud, run: &RunDirectory) -> Box<dyn ServiceManager> {
    match &cloud.service_manager {
        ServiceManagerKind::Systemd => Box::new(Systemd::new(run.private())),
        ServiceManagerKind::Process { directory } => Box::new(Supervisor::new(directory.clone())),
    }
}

impl World {
    pub(super) fn stop_services(&self, units: &[String]) -> Performed {
        // Before the first one stops: afterwards it could not be told whether an agent was restarted with them.
        if let Err(reason) = self.remember_agents() {
            return failed(reason);
        }
        for unit in units {
            if let Err(error) = self.manager.stop(unit) {
                return failed(error);
            }
        }
        Performed::succeeded(format!("stopped: {}", units.join(", ")))
    }

    pub(super) fn start_services(&self, units: &[String], series: &Series) -> Performed {
        match self.serve(units, series) {
            Ok(()) => Performed::succeeded(format!("{series} serves: {}", units.join(", "))),
            Err(reason) => failed(reason),
        }
    }

    /// Units run at a series and answer; one that runs at another series is stopped first.
    pub(super) fn serve(&self, units: &[String], series: &Series) -> Result<(), String> {
        let text = |error: ffu_hosts::ServiceError| error.to_string();
        self.start_side_by_side(units, |unit| {
            if let ServiceManagerKind::Process { directory } = &self.plan.cloud.service_manager {
                let supervisor = Supervisor::new(directory.clone());
                let file = supervisor.unit_file(unit).map_err(text)?;
                if file.series != *series {
                    let wanted = self.retargeted(&file, series)?;
                    supervisor.stop(unit).map_err(text)?;
                    supervisor.install(&wanted).map_err(text)?;
                }
            }
            self.manager.start(unit).map_err(text)
        })
    }

    /// Starts units, as many at once as the plan works on: a start is a process that imports for seconds, and ends when it
    /// answers. Their order is that in which they are begun: as on a host that boots, none waits for another one's answer.
    ///
    /// # Errors
    /// See [`side_by_side`].
    pub(super) fn start_side_by_side(
        &self,
        units: &[String],
        start: impl Fn(&str) -> Result<(), String> + Sync,
    ) -> Result<(), String> {
        side_by_side(self.plan.policy.parallel as usize, units, |unit| start(unit)).map(|_| ())
    }

    fn retargeted(&self, unit: &ffu_hosts::UnitFile, series: &Series) -> Result<ffu_hosts::UnitFile, String> {
        let environment = self.environments.open(series).map_err(|error| error.to_string())?;
        let bin = environment.directory().join("bin");
        let mut moved = ffu_lab::retarget(unit, &self.catalog, series, &bin).map_err(|error| error.to_string())?;
        // Until the deploy phase a file that only the target has is in the staging directory.
        for new in self.new_files().iter().filter(|file| !file.exists()) {
            let staged = config::staged_path(&self.staged(), new);
            let (Some(place), Some(staging)) = (new.parent(), staged.parent()) else {
                continue;
            };
            for text in moved.command.iter_mut().chain(moved.environment.values_mut()) {
                *text = text
                    .replace(new.as_str(), staged.as_str())
                    .replace(place.as_str(), staging.as_str());
            }
        }
        Ok(moved)
    }

    pub(super) fn verify_services(&self, units: &[String]) -> Performed {
        let mut answers = Vec::new();
        for unit in units {
            match self.manager.probe(unit) {
                Ok(probe) if probe.answers => answers.push(format!("{unit} ({})", probe.detail)),
                Ok(probe) => return failed(format!("{unit} does not answer: {}", probe.detail)),
                Err(error) => return failed(error),
            }
        }
        match self.agents_unchanged() {
            Ok(said) => Performed::succeeded(format!("{}; {said}", answers.join(", "))),
            Err(reason) => failed(reason),
        }
    }

    fn agents_path(&self) -> Utf8PathBuf {
        self.run.path().join("agents.json")
    }

    fn agents(&self) -> Result<BTreeMap<String, String>, String> {
        let mut agents = BTreeMap::new();
        for service in self.plan.cloud.services.iter().filter(|s| s.role == ServiceRole::Agent) {
            let status = self.manager.status(&service.unit).map_err(|error| error.to_string())?;
            let words = match status {
                // No time of day: it would be another one after the clock was set.
                UnitStatus::Running { pid, .. } => match ffu_hosts::ticks_at_start(pid) {
                    Some(ticks) => format!("process {pid}, started {ticks} ticks after the boot"),
                    None => format!("process {pid}"),
                },
                other => format!("{other:?}"),
            };
            agents.insert(service.unit.clone(), words);
        }
        Ok(agents)
    }

    fn remember_agents(&self) -> Result<(), String> {
        let path = self.agents_path();
        if path.exists() {
            return Ok(());
        }
        let agents = serde_json::to_vec_pretty(&self.agents()?).map_err(|error| error.to_string())?;
        write(&path, &agents).map_err(|error| format!("{path}: {error}"))
    }

    /// The agents are the very processes that were there before the freeze.
    pub(super) fn agents_unchanged(&self) -> Result<String, String> {
        let path = self.agents_path();
        let Ok(bytes) = fs::read(&path) else {
            return Ok("no agents were known before".to_owned());
        };
        let before: BTreeMap<String, String> =
            serde_json::from_slice(&bytes).map_err(|error| format!("{path}: {error}"))?;
        let now = self.agents()?;
        for (unit, was) in &before {
            let is = now.get(unit).map_or("gone", String::as_str);
            if is != was {
                return Err(format!(
                    "agent {unit} was {was} and is {is}: it did not stay up\n  next: look at its host before going on"
                ));
            }
        }
        Ok(format!("{} agents are the same processes as before", before.len()))
    }
}

/// Replaces a file of the run, readable by the owner only: synced before it gets its name.
pub(super) fn write(path: &Utf8Path, bytes: &[u8]) -> std::io::Result<()> {
    let temporary = Utf8PathBuf::from(format!("{path}.tmp"));
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)
}
