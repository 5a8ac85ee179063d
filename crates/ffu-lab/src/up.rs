//! Brings a lab up.

use std::collections::BTreeMap;

use camino::Utf8PathBuf;
use ffu_db::{PrivateServer, Settings};
use ffu_hosts::{ServiceManager as _, StopLevel, UnitFile};
use ffu_model::Series;
use ffu_model::cloud::ServiceRole;

use crate::beside;
use crate::config::{self, Facts};
use crate::dataplane::{self, DataPlane};
use crate::error::LabError;
use crate::graph;
use crate::layout::{FORMAT, Lab, LabFile, LabState};
use crate::options::{LabEvent, LabOptions};
use crate::secrets::Secrets;
use crate::{ports, seeds, steps, unit};

/// Schema and the project whose account owns it.
const SCHEMAS: [(&str, &str); 9] = [
    ("keystone", "keystone"),
    ("glance", "glance"),
    ("placement", "placement"),
    ("nova_api", "nova"),
    ("nova", "nova"),
    ("nova_cell0", "nova"),
    ("neutron", "neutron"),
    ("cinder", "cinder"),
    ("heat", "heat"),
];

/// Agents that processes stand in for: unit, service, project.
const STAND_INS: [(&str, &str, &str); 2] = [
    ("mock-nova-compute", "nova-compute", "nova"),
    ("mock-neutron-agent", "neutron-openvswitch-agent", "neutron"),
];

/// Makes a lab: server, databases, configuration, services, contents. What a failure leaves stays, for looking at it;
/// [`crate::down`] removes it.
///
/// # Errors
/// [`LabError`].
pub fn up(options: &LabOptions<'_>) -> Result<Lab, LabError> {
    let at = position(options, &options.series)?;
    if !(1..=LabOptions::LARGEST).contains(&options.size) {
        return Err(LabError::BadSize {
            size: options.size,
            largest: LabOptions::LARGEST,
        });
    }
    if let Some(wanted) = &options.dataplane {
        dataplane::check_possible(wanted.switch)?;
        wanted.machine.as_ref().map_or(Ok(()), dataplane::Machine::check)?;
        if !(1..=dataplane::MOST_GUESTS).contains(&wanted.guests) {
            let why = format!(
                "1 to {} guests are possible, not {}",
                dataplane::MOST_GUESTS,
                wanted.guests
            );
            return Err(dataplane::DataPlaneError::BadSpec { why }.into());
        }
    }
    let mut environments = BTreeMap::new();
    for series in steps::needed(&options.series) {
        environments.insert(series.clone(), options.environments.directory(&series)?);
    }
    let ports = ports::free()?;
    let mut lab = Lab::found(
        &options.dir,
        LabFile {
            format: FORMAT,
            state: LabState::Building,
            series: options.series.clone(),
            size: options.size,
            created: jiff::Timestamp::now(),
            ports,
        },
    )?;
    let secrets = Secrets::generate()?;
    secrets.write(&lab.dir().join("secrets.toml"))?;
    // In Stein, where placement first is a project of its own, a new cloud is made with it; older labs have its tables
    // in nova's API database, so that entering Train has something to move.
    let placement_apart = options
        .catalog
        .projects_at(&options.series)
        .any(|project| project.name == "placement");
    let is_at = |id: &str| options.catalog.series.iter().position(|entry| entry.id.as_str() == id);
    staged(options, "mariadb", || {
        let port = server(&lab, &secrets, placement_apart, options)?;
        lab.set(|file| file.ports.database = port)
    })?;
    let environment = environments.get(&options.series).cloned().unwrap_or_default();
    let facts = Facts {
        lab: &lab,
        secrets: &secrets,
        placement_apart,
        nova_has_placement: Some(at) <= is_at("stein"),
        keystone_paste: config::keystone_paste(&environment, Some(at) < is_at("stein")),
    };
    facts.write()?;
    let mut files = beside::policies(Some(at) < is_at("wallaby"), Some(at) >= is_at("ussuri"));
    files.extend(beside::shipped(&environment)?);
    beside::write(&lab.etc(), &files)?;
    seeds::write(&lab, &secrets)?;
    agents(&lab)?;
    let builder = steps::Builder {
        options,
        lab: &lab,
        secrets: &secrets,
        placement_apart,
        environments,
    };
    let lanes = std::thread::available_parallelism().map_or(2, usize::from).clamp(1, 7) + 1;
    graph::work_off(&builder.steps(), lanes, options.progress)?;
    if options.stop.level() > StopLevel::Run {
        return Err(LabError::Stopped {
            dir: lab.dir().to_owned(),
        });
    }
    if let Some(bytes) = options.bulk {
        staged(options, "bulk", || lab.fill(bytes).map(|_| ()))?;
    }
    if let Some(wanted) = &options.dataplane {
        staged(options, "dataplane", || {
            let spec = lab.data_plane_spec(wanted)?;
            Ok(DataPlane::up(spec, lab.dir()).map(drop)?)
        })?;
    }
    // The seeds' input holds every password once more; nobody needs it any longer.
    let context = seeds::context_path(&lab);
    std::fs::remove_file(&context).map_err(LabError::io("remove", context))?;
    lab.set(|file| file.state = LabState::Ready)?;
    Ok(lab)
}

fn position(options: &LabOptions<'_>, series: &Series) -> Result<usize, LabError> {
    let unknown = || LabError::UnknownSeries(series.clone());
    options.catalog.position(series).ok_or_else(unknown)
}

/// One stage that is no command, told like the steps.
fn staged(options: &LabOptions<'_>, name: &str, work: impl FnOnce() -> Result<(), LabError>) -> Result<(), LabError> {
    let step = name.to_owned();
    (options.progress)(&LabEvent::Started { step: step.clone() });
    let begun = std::time::Instant::now();
    let outcome = work();
    (options.progress)(&match &outcome {
        Ok(()) => LabEvent::Finished {
            step,
            took: begun.elapsed(),
        },
        Err(_) => LabEvent::Failed { step },
    });
    outcome
}

/// Starts the server and makes the databases and accounts. Returns its port.
fn server(lab: &Lab, secrets: &Secrets, placement_apart: bool, options: &LabOptions<'_>) -> Result<u16, LabError> {
    // Written at every commit, synced once a second: a killed server loses nothing, only a power cut could.
    let mut extra = vec!["--innodb-flush-log-at-trx-commit=2".to_owned()];
    if options.bulk.is_some() {
        // What somebody with gigabytes of rows would have set.
        extra.extend(["--innodb-buffer-pool-size=1G", "--innodb-log-file-size=512M"].map(str::to_owned));
    }
    extra.extend(options.server_options.iter().map(|option| format!("--{option}")));
    let settings = Settings {
        extra,
        ..Settings::default()
    };
    let server = PrivateServer::create(&lab.server_dir(), &settings)?;
    let admin = server.admin()?;
    for (schema, project) in SCHEMAS {
        let Some(password) = secrets
            .database(project)
            .filter(|_| schema != "placement" || placement_apart)
        else {
            continue;
        };
        // As clouds of those days were made; their databases keep it through every series.
        let sql = format!("CREATE DATABASE `{schema}` CHARACTER SET utf8 COLLATE utf8_general_ci");
        admin.execute(None, &sql)?;
        server.create_account(project, password, schema, "utf8")?;
    }
    Ok(server.port())
}

/// Starts what stands in for agents.
fn agents(lab: &Lab) -> Result<(), LabError> {
    let supervisor = lab.services();
    let shell = Utf8PathBuf::from("/bin/sh");
    for (name, service, project) in STAND_INS {
        let script = lab.dir().join("seeds/stand-in.sh").into_string();
        supervisor.install(&UnitFile {
            name: name.to_owned(),
            service: service.to_owned(),
            project: project.to_owned(),
            role: ServiceRole::Agent,
            series: lab.file().series.clone(),
            command: vec![shell.to_string(), script, format!("stands-in-for-{service}")],
            working_directory: lab.dir().to_owned(),
            log: lab.dir().join("log").join(format!("{name}.log")),
            environment: unit::base_environment("/usr/bin".into(), lab.dir()),
            probe: None,
        })?;
        supervisor.start(name)?;
    }
    Ok(())
}
