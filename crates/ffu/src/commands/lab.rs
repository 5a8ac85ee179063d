//! `ffu lab`: a throwaway real cloud.

use std::fmt::Write as _;

use camino::{Utf8Path, Utf8PathBuf};
use ffu_hopenv::EnvStore;
use ffu_hosts::ServiceManager as _;
use ffu_lab::dataplane::{Machine, Switch, Wanted, parts_in};
use ffu_lab::{Lab, LabEvent, LabOptions, Removed};
use ffu_report::milliseconds;
use serde_json::json;

use crate::cli::LabCommand;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Format, Output};
use crate::places::{Places, absolute};

pub fn run(places: &Places, output: Output, command: LabCommand) -> Result<Exit, Failure> {
    match command {
        LabCommand::Up {
            at,
            dir,
            size,
            bulk,
            server_option,
            dataplane,
            ovs,
            qemu,
        } => {
            let switch = if ovs { Switch::OpenVswitch } else { Switch::Bridge };
            let machine = qemu.then(|| Machine::new(parts_in(&places.cache)));
            let wanted = dataplane
                .map(|guests| data_plane(guests, switch, machine))
                .transpose()?;
            up(
                places,
                output,
                &at,
                &absolute(dir)?,
                (size, bulk, &server_option, wanted),
            )?;
        }
        LabCommand::Fault(arguments) => super::fault::run(output, arguments)?,
        LabCommand::Fill { bytes, dir } => {
            let dir = absolute(dir)?;
            let there = Lab::open(&dir)?.fill(bytes)?;
            output.result(
                format!("nova's databases have {} MiB", there >> 20),
                &json!({"directory": dir, "bytes": there}),
            );
        }
        LabCommand::Status { dir } => status(places, output, &absolute(dir)?)?,
        LabCommand::Token { dir } => token(output, &absolute(dir)?)?,
        LabCommand::Start { dir } => start(output, &absolute(dir)?)?,
        LabCommand::Down { dir } => {
            let dir = absolute(dir)?;
            let removed = ffu_lab::down(&dir)?;
            let was_there = removed == Removed::Lab;
            let text = if was_there {
                format!("{dir}: stopped and removed")
            } else {
                format!("{dir}: there was no lab")
            };
            output.result(text, &json!({"directory": dir, "removed": was_there}));
        }
    }
    Ok(Exit::Success)
}

/// Guests are this program again.
fn data_plane(guests: usize, switch: Switch, machine: Option<Machine>) -> Result<Wanted, Failure> {
    let failed = |why: String| Failure::new(Exit::Failure, format!("the path of this program is not known: {why}"));
    let own = std::env::current_exe().map_err(|error| failed(error.to_string()))?;
    let own = Utf8PathBuf::from_path_buf(own).map_err(|path| failed(format!("{} is not UTF-8", path.display())))?;
    Ok(Wanted {
        guests,
        program: vec![own.into_string(), "lab-guest".to_owned()],
        switch,
        machine,
    })
}

fn up(
    places: &Places,
    output: Output,
    at: &str,
    dir: &Utf8Path,
    (size, bulk, server_options, dataplane): (u32, Option<u64>, &[String], Option<Wanted>),
) -> Result<(), Failure> {
    let catalog = places.catalog()?;
    let series = catalog.resolve(at)?;
    let environments = EnvStore::new(places.cache.clone());
    let progress = |event: &LabEvent| {
        let line = match event {
            LabEvent::Planned { steps } => format!("{steps} steps"),
            LabEvent::Started { .. } => return,
            LabEvent::Finished { step, took } => {
                format!(
                    "{:>9}  {step}",
                    milliseconds(u64::try_from(took.as_millis()).unwrap_or(u64::MAX))
                )
            }
            LabEvent::Failed { step } => format!("   FAILED  {step}"),
        };
        match output.format {
            Format::Text => output.progress(line),
            Format::Json => output.json(&json!({"event": "lab", "line": line})),
        }
    };
    let options = LabOptions {
        dir: dir.to_owned(),
        series,
        size,
        bulk,
        server_options,
        catalog: &catalog,
        environments: &environments,
        dataplane,
        progress: &progress,
        stop: super::runs::stop_on_signals(output)?,
    };
    ffu_lab::up(&options)?;
    status(places, output, dir)
}

fn status(places: &Places, output: Output, dir: &Utf8Path) -> Result<(), Failure> {
    let lab = Lab::open(dir)?;
    let status = lab.status(&places.catalog()?)?;
    let contents = if status.server_pid.is_some() {
        lab.contents()?
    } else {
        Vec::new()
    };
    let mut text = format!("lab {dir}, made at {}\n", status.lab.series);
    let _ = match status.server_pid {
        Some(pid) => writeln!(text, "  MariaDB runs (process {pid})"),
        None => writeln!(text, "  MariaDB does not run: `ffu lab start --dir {dir}`"),
    };
    for unit in &status.units {
        let _ = writeln!(text, "  {:<20} {:<8} {}", unit.unit, unit.series.as_str(), unit.state);
    }
    for guest in &status.guests {
        let _ = writeln!(text, "  {}", guest.line());
    }
    for database in &status.databases {
        let fitting = match (database.candidates.first(), database.candidates.last()) {
            (Some(first), Some(last)) if first == last => first.to_string(),
            (Some(first), Some(last)) => format!("{first} to {last}"),
            _ => "no series of the catalog".to_owned(),
        };
        let _ = writeln!(
            text,
            "  {:<20} its schema fits {fitting}",
            database.database.to_string()
        );
    }
    let mut by_project: Vec<(&str, Vec<String>)> = Vec::new();
    for content in contents.iter().filter(|content| content.count > 0) {
        let words = format!("{} {}", content.count, content.what);
        match by_project.last_mut() {
            Some((project, kinds)) if *project == content.project => kinds.push(words),
            _ => by_project.push((&content.project, vec![words])),
        }
    }
    for (project, kinds) in by_project {
        let _ = writeln!(text, "  {project:<10} {}", kinds.join(", "));
    }
    output.result(text, &json!({"directory": dir, "status": status, "contents": contents}));
    Ok(())
}

fn token(output: Output, dir: &Utf8Path) -> Result<(), Failure> {
    let lab = Lab::open(dir)?;
    let secrets = lab.secrets()?;
    let password = secrets.user("admin").ok_or_else(|| {
        Failure::new(
            Exit::BadInput,
            format!("{dir}: its secrets hold no password of admin\n  next: `ffu lab down` and up again"),
        )
    })?;
    let token = ffu_lab::token(&lab, "admin", password, "admin")?;
    let providers = ffu_lab::providers(&lab, &token)?;
    let series = lab
        .services()
        .unit_file("keystone-api")
        .map_err(|error| Failure::new(Exit::Failure, error))?
        .series;
    let text = format!(
        "keystone of {series} issued a token for admin's password of {}; with it placement lists {} resource providers",
        lab.file().series,
        providers.len()
    );
    output.result(
        text,
        &json!({"series": series, "made_at": lab.file().series, "providers": providers.len()}),
    );
    Ok(())
}

fn start(output: Output, dir: &Utf8Path) -> Result<(), Failure> {
    let lab = Lab::open(dir)?;
    let mut server = lab.server()?;
    server.start().map_err(|error| Failure::new(Exit::Failure, error))?;
    let mut started = Vec::new();
    for unit in lab.units()? {
        lab.services()
            .start(&unit.unit)
            .map_err(|error| Failure::new(Exit::Failure, error))?;
        started.push(unit.unit);
    }
    if let Some(plane) = lab.data_plane()? {
        plane.start_guests()?;
        started.extend(plane.spec().guests.iter().map(|guest| guest.name.clone()));
    }
    output.result(
        format!("MariaDB and {} run", started.join(", ")),
        &json!({"started": started}),
    );
    Ok(())
}
