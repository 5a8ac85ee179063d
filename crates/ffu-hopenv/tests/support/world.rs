//! A real environment with programs of the test's own, run warm or plain.
#![allow(dead_code)] // Each test binary uses its part.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use camino::Utf8PathBuf;
use ffu_hopenv::{HopEnv, Programs, ProjectCommand, Ran, Rest, RunError, WarmPool};
use ffu_hosts::StopFlag;

use crate::action::action;
use crate::support::{LOCK, Place, catalog, series};

pub struct World {
    pub place: Place,
    pub environment: HopEnv,
}

impl World {
    pub fn new(programs: &[(&str, &str)]) -> World {
        let place = Place::new();
        place.build(&catalog("uv", LOCK), &place.options()).unwrap();
        let environment = place.store.open(&series()).unwrap();
        let bin = environment.directory().join("bin");
        for (name, source) in programs {
            fs::write(environment.site_packages().join(format!("m_{name}.py")), source).unwrap();
            let script = format!(
                "#!{bin}/python\n# -*- coding: utf-8 -*-\nimport sys\nfrom m_{name} import main\nif __name__ == \"__main__\":\n    sys.exit(main())\n"
            );
            World::script(&bin.join(name), &script);
        }
        World::script(&bin.join("other"), "#!/bin/sh\nexit 4\n");
        World { place, environment }
    }

    pub fn script(path: &Utf8PathBuf, text: &str) {
        fs::write(path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Each program as a project of its own.
    pub fn pool(&self, budget: u64, rest: Option<Rest>, programs: &[&str]) -> WarmPool {
        let pool = WarmPool::new(budget, rest).unwrap();
        let wanted = programs.iter().map(|&name| Programs {
            project: name.to_owned(),
            programs: vec![name.to_owned()],
        });
        pool.warm(self.place.store.open(&series()).unwrap(), wanted.collect());
        pool.settle(&series(), Duration::from_secs(100), &StopFlag::new());
        pool
    }

    pub fn run(
        &self,
        pool: Option<&WarmPool>,
        program: &str,
        argument: &str,
        timeout: Duration,
    ) -> Result<(Ran, String), RunError> {
        let action = action(&series(), program, program, &[argument]);
        let lock = self.place.root.join(format!("{program}.lock"));
        let command = ProjectCommand {
            action: &action,
            config_files: &[],
            overlay_file: None,
            output_dir: &self.place.root,
            name: program,
            timeout,
            lock_file: Some(&lock),
            secrets: &[],
        };
        let stop = StopFlag::new();
        let ran = match pool {
            Some(pool) => pool.run(&self.environment, &command, &stop)?,
            None => Ran {
                finished: self.environment.run(&command, &stop)?,
                cold: None,
            },
        };
        assert!(!ffu_hosts::still_running(&lock).unwrap());
        Ok((ran, fs::read_to_string(command.output()).unwrap()))
    }

    pub fn effect(&self) -> Utf8PathBuf {
        self.place.root.join("effect")
    }
}

pub fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_secs(60), "waited 60 s for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
