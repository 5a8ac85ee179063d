//! One real lab, from its first byte to the last: made, looked at, killed, removed.

mod common;
mod planes;

use std::os::unix::fs::PermissionsExt as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::{Scratch, bring_up, bring_up_with, check_contents, processes_of};
use ffu_catalog::Catalog;
use ffu_lab::dataplane::{Switch, Wanted};
use ffu_lab::{Lab, LabError, LabState, Removed, down, providers, token};
use ffu_model::cloud::ServiceRole;
use ffu_model::secret::Secret;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

#[test]
fn guest_program() {
    planes::be_a_guest();
}

#[test]
fn a_lab_lives_is_killed_and_leaves_nothing() {
    let catalog = Catalog::embedded().unwrap();
    let scratch = Scratch::new();
    // With a data plane, where this machine can have one.
    let dataplane = planes::possible().then(|| Wanted {
        machine: None,
        guests: 5,
        program: planes::program(),
        switch: Switch::Bridge,
    });
    let has_guests = dataplane.is_some();
    let lab = bring_up_with(&catalog, &scratch.dir, "2024.1", 20, dataplane).unwrap();
    let lab = Lab::open(lab.dir()).unwrap().finished().unwrap();
    assert_eq!(lab.file().state, LabState::Ready);
    assert!(matches!(
        bring_up(&catalog, &scratch.dir, "2024.1", 1),
        Err(LabError::NotEmpty { .. })
    ));

    check_contents(&lab);
    rows_are_as_living_services_write_them(&lab);
    passwords_are_private_and_work(&lab);

    let status = lab.status(&catalog).unwrap();
    assert_eq!(status.databases.len(), 9);
    for database in &status.databases {
        let known: Vec<&str> = database.candidates.iter().map(|series| series.as_str()).collect();
        assert!(known.contains(&"2024.1"), "{database:?}");
    }
    if has_guests {
        guests_are_the_ports_of_instances(&lab);
    }
    assert_eq!(status.units.len(), 4);
    for unit in &status.units {
        assert!(unit.pid.is_some() && unit.answers != Some(false), "{unit:?}");
    }
    let pids: Vec<u32> = status
        .units
        .iter()
        .filter_map(|unit| unit.pid)
        .chain(status.server_pid)
        .collect();
    assert_eq!(pids.len(), 5);
    let guest_pids = || {
        lab.status(&catalog)
            .unwrap()
            .guests
            .iter()
            .filter_map(|guest| guest.pid)
            .count()
    };
    for pid in &pids {
        kill(Pid::from_raw(i32::try_from(*pid).unwrap()), Signal::SIGKILL).unwrap();
    }
    let dead = |unit: &ffu_lab::UnitReport| unit.role == ServiceRole::ControlPlane && unit.pid.is_none();
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    let status = loop {
        let status = lab.status(&catalog).unwrap();
        let all = status.server_pid.is_none() && status.units.iter().filter(|unit| dead(unit)).count() == 2;
        if all || std::time::Instant::now() > deadline {
            break status;
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    assert!(status.server_pid.is_none() && status.databases.is_empty());
    assert_eq!(guest_pids(), if has_guests { 5 } else { 0 }, "guests do not care");
    // The stand-ins' shells are dead, but not what those were waiting for: `down` must find that, too.
    assert_eq!(
        status.units.iter().filter(|unit| dead(unit)).count(),
        2,
        "{:?}",
        status.units
    );

    assert_eq!(down(&scratch.dir).unwrap(), Removed::Lab);
    assert!(!scratch.dir.exists());
    assert_eq!(processes_of(&scratch.dir), Vec::<i32>::new());
    assert_eq!(down(&scratch.dir).unwrap(), Removed::Nothing);
}

/// Guests have addresses that neutron has given to instances that nova says are running, and are reached under them.
fn guests_are_the_ports_of_instances(lab: &Lab) {
    let plane = lab.data_plane().unwrap().unwrap();
    let server = lab.server().unwrap().admin().unwrap();
    let (spec, end) = (plane.spec(), AtomicBool::new(false));
    assert_eq!((spec.guests.len(), spec.networks.len()), (5, 2));
    assert_eq!(spec.guests.iter().filter(|guest| guest.floating.is_some()).count(), 1);
    for guest in &spec.guests {
        let sql = format!(
            "SELECT COUNT(*) FROM neutron.ports p JOIN neutron.ipallocations a ON a.port_id = p.id JOIN nova.instances i ON \
             i.uuid = p.device_id JOIN neutron.networks n ON n.id = p.network_id WHERE a.ip_address = '{}' AND p.mac_address = \
             '{}' AND i.display_name = '{}' AND i.host = '{}' AND n.name = '{}' AND i.power_state = 1 AND i.deleted = 0",
            guest.address, guest.mac, guest.name, guest.groups["host"], guest.network
        );
        assert_eq!(
            server.query_count("neutron", &sql, Duration::from_secs(30)).unwrap(),
            1,
            "{guest:?}"
        );
    }
    let floating = spec.guests[0].floating.unwrap();
    let pings = std::thread::scope(|scope| {
        let prober = scope.spawn(|| planes::probe(&plane.outside(), floating, &end));
        std::thread::sleep(Duration::from_millis(500));
        end.store(true, Ordering::SeqCst);
        prober.join().unwrap()
    });
    assert!(
        pings.len() > 20 && planes::gap(&pings).is_none(),
        "{:?}",
        planes::gap(&pings)
    );
}

/// What the checks of later series look at must not pass vacuously.
fn rows_are_as_living_services_write_them(lab: &Lab) {
    let server = lab.server().unwrap().admin().unwrap();
    let count = |schema: &str, sql: &str| server.query_count(schema, sql, Duration::from_secs(30)).unwrap();
    let alive = "SELECT COUNT(*) FROM services WHERE `binary` = 'nova-compute' AND forced_down = 0 AND disabled = 0 AND uuid \
                 IS NOT NULL AND version > 0 AND last_seen_up > NOW() - INTERVAL 1 HOUR";
    assert_eq!(count("nova", alive), 2);
    assert_eq!(
        count(
            "cinder",
            "SELECT COUNT(*) FROM volumes WHERE service_uuid IS NULL OR volume_type_id IS NULL"
        ),
        0
    );
    assert_eq!(
        count(
            "glance",
            "SELECT COUNT(*) FROM image_locations WHERE deleted = 0 AND meta_data = '{}'"
        ),
        3
    );
    assert_eq!(
        count("glance", "SELECT COUNT(*) FROM images WHERE status = 'deactivated'"),
        1
    );
    let bound = "SELECT COUNT(*) FROM ml2_port_bindings WHERE vif_type IN ('ovs', 'hw_veb') AND host LIKE 'compute-%'";
    assert_eq!(count("neutron", bound), 16);
    let attached = "SELECT COUNT(*) FROM volume_attachment WHERE deleted = 0 AND attach_status = 'attached'";
    assert_eq!(count("cinder", attached), 3);
    let volumes = "SELECT COUNT(*) FROM nova.block_device_mapping b JOIN cinder.volumes v ON v.id = b.volume_id";
    assert_eq!(count("nova", volumes), 3, "both projects mean the same volumes");
    let ports =
        "SELECT COUNT(*) FROM nova.instances i JOIN neutron.ports p ON p.device_id = i.uuid WHERE i.deleted = 0";
    assert_eq!(count("nova", ports), 16, "both projects mean the same instances");
}

fn passwords_are_private_and_work(lab: &Lab) {
    let mode = |name: &str| std::fs::metadata(lab.dir().join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("secrets.toml"), mode("etc/nova/nova.conf")), (0o600, 0o640));
    assert!(!lab.dir().join("run/seed.json").exists(), "the seeds' input is removed");
    let secrets = lab.secrets().unwrap();
    let admin = token(lab, "admin", secrets.user("admin").unwrap(), "admin").unwrap();
    let found = providers(lab, &admin).unwrap();
    assert_eq!(
        found.iter().map(|p| p.name.as_str()).collect::<Vec<_>>(),
        ["compute-001", "compute-002"]
    );
    token(lab, "alice", secrets.user("alice").unwrap(), "demo-web").unwrap();
    let refused = token(lab, "alice", &Secret::new("not-her-password"), "demo-web").unwrap_err();
    assert!(refused.to_string().contains("401"), "{refused}");
    // No log and no unit file has a password in it, in whatever way it got there.
    for part in ["log", "services"] {
        for entry in lab.dir().join(part).read_dir_utf8().unwrap() {
            let path = entry.unwrap().path().to_owned();
            let Ok(bytes) = std::fs::read(&path) else { continue };
            let text = String::from_utf8_lossy(&bytes);
            for secret in secrets.all() {
                assert!(!text.contains(secret.expose()), "a password in {path}");
            }
        }
    }
}

#[test]
fn a_failing_step_is_reported_with_its_output_and_the_rest_can_be_removed() {
    let catalog = Catalog::embedded().unwrap();
    let scratch = Scratch::new();
    // A venv whose every program fails, as one with a missing library would.
    let envs = tempfile::tempdir().unwrap();
    let root = camino::Utf8Path::from_path(envs.path()).unwrap();
    let bin = root.join("2024.1/bin");
    std::fs::create_dir_all(&bin).unwrap();
    for program in ["python", "keystone-manage", "nova-manage", "neutron-db-manage"] {
        std::fs::write(
            bin.join(program),
            "#!/bin/sh\necho ImportError: libsomething >&2\nexit 3\n",
        )
        .unwrap();
        std::fs::set_permissions(bin.join(program), std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let error = ffu_lab::up(&ffu_lab::LabOptions {
        dir: scratch.dir.clone(),
        series: "2024.1".parse().unwrap(),
        size: 1,
        bulk: None,
        server_options: &[],
        dataplane: None,
        catalog: &catalog,
        environments: &ffu_lab::PlainEnvironments(root.to_owned()),
        progress: &|_| {},
        stop: ffu_hosts::StopFlag::new(),
    })
    .unwrap_err();
    let LabError::Command(failure) = &error else {
        panic!("{error}")
    };
    let (log, excerpt) = (&failure.log, &failure.excerpt);
    assert!(log.exists() && excerpt.contains("libsomething"), "{error}");
    assert!(error.to_string().contains("exit code 3"), "{error}");
    assert!(matches!(
        Lab::open(&scratch.dir).unwrap().finished(),
        Err(LabError::Unfinished { .. })
    ));
    assert_eq!(down(&scratch.dir).unwrap(), Removed::Lab);
    assert_eq!(processes_of(&scratch.dir), Vec::<i32>::new());
}

#[test]
fn impossible_wishes_are_refused_before_anything_is_made() {
    let catalog = Catalog::embedded().unwrap();
    let scratch = Scratch::new();
    assert!(matches!(
        bring_up(&catalog, &scratch.dir, "ocata", 1),
        Err(LabError::UnknownSeries(_))
    ));
    assert!(matches!(
        bring_up(&catalog, &scratch.dir, "2024.1", 0),
        Err(LabError::BadSize { .. })
    ));
    let error = ffu_lab::up(&ffu_lab::LabOptions {
        dir: scratch.dir.clone(),
        series: "train".parse().unwrap(),
        size: 1,
        bulk: None,
        server_options: &[],
        dataplane: None,
        catalog: &catalog,
        environments: &ffu_lab::PlainEnvironments("/nowhere".into()),
        progress: &|_| {},
        stop: ffu_hosts::StopFlag::new(),
    })
    .unwrap_err();
    assert!(error.to_string().contains("ffu env build train"), "{error}");
    assert!(!scratch.dir.exists());
}
