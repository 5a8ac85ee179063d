//! A service of the catalog as a unit file, at a series: how the lab starts services, and how the deploy phase moves them.
//!
//! A unit's working directory is its deployment's root: configuration is `etc/` below it, and the WSGI runner that series
//! without a program need is `seeds/serve.py` below it.

use std::collections::BTreeMap;

use camino::Utf8Path;
use ffu_catalog::{Catalog, Project, RunEntry};
use ffu_hosts::{UnitFile, UnitProbe};
use ffu_model::Series;

use crate::error::LabError;

const HOST: &str = "127.0.0.1";

/// The unit file of a service at a series, under the service's own name.
///
/// `bin` is the `bin` directory of the series' environment, `root` the deployment's root, `port` where it shall listen on
/// 127.0.0.1.
///
/// # Errors
/// [`LabError::NoRun`] if the catalog does not say how to run it.
pub fn unit_for(
    catalog: &Catalog,
    service: &str,
    series: &Series,
    bin: &Utf8Path,
    root: &Utf8Path,
    port: u16,
) -> Result<UnitFile, LabError> {
    let no_run = || LabError::NoRun {
        service: service.chars().take(64).collect(),
        series: series.clone(),
    };
    let (project, entry) = catalog.service(service).ok_or_else(no_run)?;
    let run = catalog.run(entry, series).ok_or_else(no_run)?;
    let probe = entry.probe.as_deref().map(|path| UnitProbe {
        url: format!("http://{HOST}:{port}{path}"),
    });
    let (command, environment) = resolve(project, run, bin, root, port).ok_or_else(no_run)?;
    Ok(UnitFile {
        name: entry.name.clone(),
        service: entry.name.clone(),
        project: project.name.clone(),
        role: entry.role,
        series: series.clone(),
        command,
        working_directory: root.to_owned(),
        log: root.join("log").join(format!("{}.log", entry.name)),
        environment,
        probe,
    })
}

/// The same unit with the packages of another series: name, port, log and the deployment's configuration stay.
///
/// # Errors
/// [`LabError::Retarget`] if the unit has no port to keep, [`LabError::NoRun`].
pub fn retarget(unit: &UnitFile, catalog: &Catalog, series: &Series, bin: &Utf8Path) -> Result<UnitFile, LabError> {
    let bad = |why: &str| LabError::Retarget {
        unit: unit.name.clone(),
        why: why.to_owned(),
    };
    let probe = unit
        .probe
        .as_ref()
        .ok_or_else(|| bad("it has no probe, so its port is not known"))?;
    let port = probe
        .url
        .strip_prefix("http://")
        .and_then(|rest| rest.split(['/', '?']).next())
        .and_then(|authority| authority.rsplit_once(':'))
        .and_then(|(_, port)| port.parse::<u16>().ok())
        .ok_or_else(|| bad("its probe names no port"))?;
    let mut moved = unit_for(catalog, &unit.service, series, bin, &unit.working_directory, port)?;
    moved.name.clone_from(&unit.name);
    moved.log.clone_from(&unit.log);
    Ok(moved)
}

type Invocation = (Vec<String>, BTreeMap<String, String>);

fn resolve(project: &Project, run: &RunEntry, bin: &Utf8Path, root: &Utf8Path, port: u16) -> Option<Invocation> {
    let path = run
        .config
        .as_deref()
        .or_else(|| project.config.first().map(|entry| entry.path.as_str()))?;
    let config = root.join("etc").join(path);
    let directory = config.parent()?.as_str().to_owned();
    let fill = |text: &String| {
        text.replace("{host}", HOST)
            .replace("{port}", &port.to_string())
            .replace("{config_dir}", &directory)
            .replace("{config}", config.as_str())
    };
    let mut command = match (&run.program, &run.wsgi) {
        (Some(program), _) => vec![bin.join(program).into_string()],
        (None, Some(application)) => {
            let runner = root.join("seeds/serve.py").into_string();
            let own = [bin.join("python").into_string(), runner];
            let rest = ["--host", HOST, "--port", &port.to_string(), application].map(str::to_owned);
            own.into_iter().chain(rest).collect()
        }
        (None, None) => return None,
    };
    if run.wsgi.is_some() && !run.arguments.is_empty() {
        command.push("--".to_owned());
    }
    command.extend(run.arguments.iter().map(fill));
    let mut environment = base_environment(bin, root);
    environment.extend(run.environment.iter().map(|(key, value)| (key.clone(), fill(value))));
    Some((command, environment))
}

/// What every process of a lab gets, and nothing of what this process has.
pub(crate) fn base_environment(bin: &Utf8Path, root: &Utf8Path) -> BTreeMap<String, String> {
    [
        ("PATH", format!("{bin}:/usr/local/bin:/usr/bin:/bin")),
        ("HOME", root.join("run").into_string()),
        ("TMPDIR", root.join("run").into_string()),
        ("LC_ALL", "C.UTF-8".to_owned()),
        ("PYTHONUNBUFFERED", "1".to_owned()),
        // Byte code is compiled when an environment is built, and its files are counted: none may be added later.
        ("PYTHONDONTWRITEBYTECODE", "1".to_owned()),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(text: &str) -> Series {
        text.parse().unwrap()
    }

    fn unit(service: &str, at: &str) -> UnitFile {
        let catalog = Catalog::embedded().unwrap();
        let (bin, root) = (Utf8Path::new("/envs/s/bin"), Utf8Path::new("/lab"));
        unit_for(&catalog, service, &series(at), bin, root, 5000).unwrap()
    }

    #[test]
    fn keystone_is_a_program_and_later_an_application() {
        let old = unit("keystone-api", "2024.1");
        assert_eq!(old.command[0], "/envs/s/bin/keystone-wsgi-public");
        assert!(old.command.contains(&"/lab/etc/keystone/keystone.conf".to_owned()));
        assert_eq!(old.probe.as_ref().unwrap().url, "http://127.0.0.1:5000/v3");
        let new = unit("keystone-api", "2026.1");
        assert_eq!(new.command[..2], ["/envs/s/bin/python", "/lab/seeds/serve.py"]);
        assert_eq!(
            new.environment["OS_KEYSTONE_CONFIG_FILES"],
            "/lab/etc/keystone/keystone.conf"
        );
        assert_eq!(new.refusal(), None);
    }

    #[test]
    fn a_unit_moves_to_another_series_and_keeps_its_port_and_name() {
        let catalog = Catalog::embedded().unwrap();
        let mut old = unit("placement-api", "rocky");
        old.name = "our-placement".to_owned();
        assert_eq!(old.environment["OS_PLACEMENT_CONFIG_DIR"], "/lab/etc/nova");
        let new = retarget(&old, &catalog, &series("train"), Utf8Path::new("/envs/t/bin")).unwrap();
        assert_eq!(
            new.command,
            ["/envs/t/bin/placement-api", "--host", "127.0.0.1", "--port", "5000"]
        );
        assert_eq!(new.environment["OS_PLACEMENT_CONFIG_DIR"], "/lab/etc/placement");
        assert_eq!((new.name.as_str(), new.series.as_str()), ("our-placement", "train"));
        assert_eq!((&new.log, &new.probe), (&old.log, &old.probe));
    }

    #[test]
    fn what_cannot_be_run_or_moved_is_said() {
        let catalog = Catalog::embedded().unwrap();
        let (bin, root) = (Utf8Path::new("/b"), Utf8Path::new("/r"));
        let error = unit_for(&catalog, "nova-compute", &series("train"), bin, root, 1).unwrap_err();
        assert!(matches!(error, LabError::NoRun { .. }), "{error}");
        let mut unit = unit("keystone-api", "train");
        unit.probe = None;
        let error = retarget(&unit, &catalog, &series("ussuri"), bin).unwrap_err();
        assert!(matches!(error, LabError::Retarget { .. }), "{error}");
        unit.probe = Some(UnitProbe {
            url: "http://[::1]/".to_owned(),
        });
        assert!(retarget(&unit, &catalog, &series("ussuri"), bin).is_err());
    }
}
