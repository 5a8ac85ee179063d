//! Data planes in real namespaces, without a cloud: what is built is what was asked for, and nothing is left of it.

mod planes;

use std::net::UdpSocket;
use std::process::Command;
use std::time::Duration;

use ffu_lab::dataplane::{DNS_PORT, DataPlane, DataPlaneError, HTTP_PORT, Identity, in_namespace};
use ffu_model::watch::{Probe, Targets, Vantage, Workload};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use planes::{
    Plane, address, be_a_guest, everything, fixed_addresses, four, namespaces_of, possible, processes_of, stem,
    streams_go_on, tcp, udp,
};

#[test]
fn guest_program() {
    be_a_guest();
}

fn host_s_own() -> String {
    let ip = Command::new("/usr/sbin/ip").args(["-o", "address"]).output().unwrap();
    let nft = Command::new("/usr/sbin/nft")
        .args(["list", "ruleset"])
        .output()
        .unwrap();
    format!(
        "{}{}",
        String::from_utf8_lossy(&ip.stdout),
        String::from_utf8_lossy(&nft.stdout)
    )
}

#[test]
fn everybody_is_reached_under_the_address_that_was_given() {
    if !possible() {
        return;
    }
    let (before, place) = (host_s_own(), Plane::place());
    let plane = DataPlane::up(four(), &place.dir).unwrap();
    assert_eq!(host_s_own(), before, "nothing of the host itself changes");
    in_namespace(&plane.outside(), || {
        for to in ["203.0.113.20", "10.1.0.2", "10.2.0.3", "10.1.3.4", "10.2.0.5"] {
            everything(address(to));
        }
        let answer = tcp(address("203.0.113.20"), HTTP_PORT, "GET /identity HTTP/1.1\r\n\r\n").unwrap();
        let identity: Identity = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
        assert_eq!((identity.name.as_str(), identity.boot_id.len()), ("server-1", 36));
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        let query = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x03lab\0\0\x01\0\x01";
        socket.send_to(query, (address("203.0.113.20"), DNS_PORT)).unwrap();
        let mut buffer = [0; 512];
        let length = socket.recv(&mut buffer).unwrap();
        assert!(buffer[..length].ends_with(&[10, 1, 0, 2]), "the guest's own address");
        Ok(())
    })
    .unwrap();
    fixed_addresses(&plane);
    // A guest's own connections leave under its floating address.
    let outside = in_namespace(&plane.outside(), || Ok(UdpSocket::bind("203.0.113.1:4000").unwrap())).unwrap();
    outside.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    in_namespace(&plane.namespace_of("server-1").unwrap(), || {
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        socket.send_to(b"x", "203.0.113.1:4000").unwrap();
        assert_eq!(outside.recv_from(&mut [0; 8]).unwrap().1.ip(), address("203.0.113.20"));
        let mac = Command::new("/usr/sbin/ip")
            .args(["link", "show", "eth0"])
            .output()
            .unwrap();
        assert!(String::from_utf8_lossy(&mac.stdout).contains("fa:16:3e:00:00:01"));
        Ok(())
    })
    .unwrap();
    targets_are_what_there_is(&plane);
    streams_go_on(&plane);
    assert!(matches!(
        DataPlane::up(four(), &place.dir),
        Err(DataPlaneError::AlreadyUp { .. })
    ));
    let error = plane.namespace_of("nobody").unwrap_err().to_string();
    assert!(
        error.contains("server-1, server-2") && error.contains("\n  next: "),
        "{error}"
    );
}

fn targets_are_what_there_is(plane: &DataPlane) {
    let text = std::fs::read_to_string(plane.targets_path()).unwrap();
    let targets: Targets = toml::from_str(&text).unwrap();
    assert_eq!(targets, plane.targets());
    assert_eq!(targets.targets.len(), 4 * 6);
    let first = &targets.targets[0];
    assert_eq!(
        (first.address, &first.probe),
        ("203.0.113.20".parse().unwrap(), &Probe::Icmp)
    );
    assert_eq!(
        (first.groups["network"].as_str(), first.groups["kind"].as_str()),
        ("red", "floating-ip")
    );
    for target in &targets.targets {
        let Vantage::Netns { name } = &targets.vantages[&target.vantage] else {
            panic!("{target:?}")
        };
        assert!(plane.namespaces().contains(name));
        let Some(Workload::Process { pid_file }) = &target.workload else {
            panic!("{target:?}")
        };
        let pid: u32 = std::fs::read_to_string(pid_file).unwrap().trim().parse().unwrap();
        assert!(ffu_hosts::ticks_at_start(pid).is_some());
    }
}

#[test]
fn nothing_is_left_whatever_happened_to_it() {
    if !possible() {
        return;
    }
    let place = Plane::place();
    let plane = DataPlane::up(four(), &place.dir).unwrap();
    assert!(processes_of(place.dir.as_str()) >= 4);
    for guest in plane.status().iter().take(2) {
        kill(
            Pid::from_raw(i32::try_from(guest.pid.unwrap()).unwrap()),
            Signal::SIGKILL,
        )
        .unwrap();
    }
    // One without its files, as if whoever started it had been killed before writing them.
    let _ = std::fs::remove_file(place.dir.join("dataplane/guests/server-3.pid"));
    std::fs::remove_file(place.dir.join("dataplane/guests/server-3.identity.json")).unwrap();
    // And one namespace that somebody removed.
    let gone = plane.namespace_of("server-4").unwrap();
    assert!(
        Command::new("/usr/sbin/ip")
            .args(["netns", "del", &gone])
            .status()
            .unwrap()
            .success()
    );
    assert!(DataPlane::down(&place.dir).unwrap());
    assert_eq!(
        (namespaces_of(&stem(&plane)), processes_of(place.dir.as_str())),
        (vec![], 0)
    );
    assert_eq!(std::fs::read_dir(&place.dir).unwrap().count(), 0);
    assert!(!DataPlane::down(&place.dir).unwrap(), "a second time there is nothing");
    assert!(matches!(DataPlane::open(&place.dir), Err(DataPlaneError::None { .. })));
}

#[test]
fn a_failure_in_the_middle_leaves_nothing() {
    if !possible() {
        return;
    }
    let place = Plane::place();
    let mut spec = four();
    spec.prefix = "ffuthalf".to_owned();
    // Namespaces, links and rules are there when the first guest fails.
    spec.program = vec!["/bin/false".to_owned()];
    let error = DataPlane::up(spec, &place.dir).unwrap_err();
    assert!(matches!(&error, DataPlaneError::Guest { .. }), "{error}");
    assert_eq!(namespaces_of("ffuthalf-"), Vec::<String>::new());
    assert_eq!(std::fs::read_dir(&place.dir).unwrap().count(), 0);
    assert_eq!(processes_of(place.dir.as_str()), 0);
}

#[test]
fn one_that_was_never_finished_is_not_used_but_removed() {
    if !possible() {
        return;
    }
    let place = Plane::place();
    let plane = DataPlane::up(four(), &place.dir).unwrap();
    // As a killed `up` leaves it.
    let state = place.dir.join("dataplane/state.json");
    let text = std::fs::read_to_string(&state).unwrap();
    std::fs::write(&state, text.replace("\"ready\":true", "\"ready\":false")).unwrap();
    assert!(matches!(
        DataPlane::open(&place.dir),
        Err(DataPlaneError::Unfinished { .. })
    ));
    assert!(DataPlane::down(&place.dir).unwrap());
    assert_eq!(
        (namespaces_of(&stem(&plane)), processes_of(place.dir.as_str())),
        (vec![], 0)
    );
}

#[test]
fn two_at_once_do_not_meet() {
    if !possible() {
        return;
    }
    let (here, there) = (Plane::place(), Plane::place());
    let (one, two) = (
        DataPlane::up(four(), &here.dir).unwrap(),
        DataPlane::up(four(), &there.dir).unwrap(),
    );
    assert_ne!(stem(&one), stem(&two));
    let boot = |plane: &DataPlane| plane.identity("server-2").unwrap().boot_id;
    assert_ne!(boot(&one), boot(&two));
    assert!(DataPlane::down(&here.dir).unwrap());
    in_namespace(&two.outside(), || {
        udp(address("203.0.113.20")).unwrap();
        Ok(())
    })
    .unwrap();
}

#[test]
fn dead_guests_are_started_again_on_demand() {
    if !possible() {
        return;
    }
    let place = Plane::place();
    let plane = DataPlane::up(four(), &place.dir).unwrap();
    let old = plane.identity("server-1").unwrap();
    kill(Pid::from_raw(i32::try_from(old.pid).unwrap()), Signal::SIGKILL).unwrap();
    while plane.status()[0].pid.is_some() {
        std::thread::sleep(Duration::from_millis(5));
    }
    plane.start_guests().unwrap();
    let new = plane.identity("server-1").unwrap();
    assert_ne!((new.boot_id, new.pid), (old.boot_id, old.pid));
}
