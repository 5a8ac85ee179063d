//! A guest that is a machine of its own: it is reached as the others are, its restart is one although its process goes on, and nothing is
//! left of it.

mod planes;

use std::io::Write as _;
use std::time::{Duration, Instant};

use ffu_hosts::StopFlag;
use ffu_lab::dataplane::fault::{Fault, heal, inject};
use ffu_lab::dataplane::{DataPlane, DataPlaneError, HTTP_PORT, Machine, Spec, Switch, in_namespace};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use planes::{
    Plane, address, be_a_guest, be_an_up, echo_and_http, icmp, killed_while_it_came_up, namespaces_of, processes_of,
    stem, tcp, with_machine,
};

#[test]
fn guest_program() {
    be_a_guest();
}

#[test]
fn up_program() {
    be_an_up();
}

fn up(spec: Spec, place: &Plane) -> DataPlane {
    let begun = Instant::now();
    let plane = DataPlane::up(spec, &place.dir).unwrap();
    let _ = writeln!(
        std::io::stderr(),
        "measured: up with its machine in {:?}",
        begun.elapsed()
    );
    plane
}

fn reached(plane: &DataPlane) {
    for (space, to) in [
        (plane.outside(), "203.0.113.20"),
        (plane.outside(), "10.1.0.2"),
        (plane.inside("red").unwrap(), "10.1.0.2"),
        (plane.namespace_of("server-3").unwrap(), "10.1.0.2"),
        (plane.namespace_of("server-4").unwrap(), "10.1.0.2"),
    ] {
        in_namespace(&space, || {
            icmp(address(to)).unwrap();
            echo_and_http(address(to));
            Ok(())
        })
        .unwrap();
    }
}

fn gone(plane: &DataPlane, place: &Plane) {
    assert!(DataPlane::down(&place.dir).unwrap());
    assert_eq!(
        (namespaces_of(&stem(plane)), processes_of(place.dir.as_str())),
        (vec![], 0)
    );
    assert_eq!(std::fs::read_dir(&place.dir).unwrap().count(), 0);
}

#[test]
fn it_is_a_guest_as_the_others_are_and_restarts_within_its_process() {
    let Some(spec) = with_machine(Switch::Bridge) else {
        return;
    };
    let place = Plane::place();
    let plane = up(spec, &place);
    reached(&plane);
    // Two connections at a time; and a kernel of its own, which is not up as long as this one.
    in_namespace(&plane.outside(), || {
        let stays = std::net::TcpStream::connect("203.0.113.20:7").unwrap();
        echo_and_http(address("203.0.113.20"));
        drop(stays);
        let answer = tcp(
            address("203.0.113.20"),
            HTTP_PORT,
            "GET /cgi-bin/uptime HTTP/1.0\r\n\r\n",
        )
        .unwrap();
        let up: f64 = answer
            .rsplit("\r\n\r\n")
            .next()
            .unwrap()
            .split(' ')
            .next()
            .unwrap()
            .parse()
            .unwrap();
        assert!(up < 600.0, "{answer}");
        Ok(())
    })
    .unwrap();
    let before = plane.identity("server-1").unwrap();
    let own = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    assert!(before.boot_id.len() == 36 && before.boot_id != own.trim() && before.name == "server-1");
    let status = plane.status();
    assert_eq!((status[0].pid, status[0].identity.is_some()), (Some(before.pid), true));
    let written = std::fs::read_to_string(place.dir.join("dataplane/guests/server-1.pid")).unwrap();
    assert_eq!(written.trim(), before.pid.to_string());
    let memory = std::fs::read_to_string(format!("/proc/{}/status", before.pid)).unwrap();
    let memory = memory
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap()
        .to_owned();
    let _ = writeln!(std::io::stderr(), "measured: {memory}");

    // Reset: the same process, another boot; cut off while it boots, and reached as soon as that is over.
    let guest = || "server-1".to_owned();
    let fault = |fault: &Fault| inject(&plane, fault, Duration::from_millis(300), &StopFlag::new(), &|_| {});
    let injected = fault(&Fault::KillGuest { guest: guest() }).unwrap();
    let lasted = Duration::from_nanos(injected.end.not_after - injected.begin.not_before);
    let _ = writeln!(std::io::stderr(), "measured: reset until it serves {lasted:?}");
    let after = plane.identity("server-1").unwrap();
    assert_eq!((after.pid, after.start_ticks), (before.pid, before.start_ticks));
    assert!(after.boot_id != before.boot_id && injected.boot_id.as_ref() == Some(&after.boot_id));
    reached(&plane);
    let stream = |guest: &str| plane.identity(guest).unwrap().stream.unwrap();
    assert_eq!(stream("server-2").breaks, 0, "who did not talk to it saw nothing");

    // What is done within a namespace is not possible, and said; a link is cut as any other.
    for refused in [
        Fault::Loss {
            guest: guest(),
            per_10_000: 500,
        },
        Fault::Latency {
            guest: guest(),
            milliseconds: 50,
        },
    ] {
        let error = fault(&refused).unwrap_err();
        assert!(matches!(&error, DataPlaneError::BadFault { .. }), "{error}");
        assert!(error.to_string().contains("link-down and kill-guest are"), "{error}");
    }
    fault(&Fault::LinkDown { guest: guest() }).unwrap();
    reached(&plane);

    // Its process killed, it is seen and started again; then it is another process.
    kill(Pid::from_raw(i32::try_from(after.pid).unwrap()), Signal::SIGKILL).unwrap();
    while plane.status()[0].pid.is_some() {
        std::thread::sleep(Duration::from_millis(5));
    }
    let error = fault(&Fault::KillGuest { guest: guest() }).unwrap_err();
    assert!(error.to_string().contains("it does not run"), "{error}");
    heal(&plane).unwrap();
    assert_ne!(plane.identity("server-1").unwrap().pid, after.pid);
    reached(&plane);
    gone(&plane, &place);
}

#[test]
fn it_is_plugged_into_open_vswitch() {
    let Some(spec) = with_machine(Switch::OpenVswitch) else {
        return;
    };
    let place = Plane::place();
    let plane = up(spec, &place);
    reached(&plane);
    gone(&plane, &place);
}

#[test]
fn nothing_is_left_of_one_that_was_killed_while_it_booted() {
    let Some(spec) = with_machine(Switch::Bridge) else {
        return;
    };
    // Its program is about to be started; it boots; its control socket is there, and nobody has written down which process it is.
    let marks = ["lock", "machine/console.log", "machine/qmp.sock"].map(|part| format!("guests/server-1.{part}"));
    killed_while_it_came_up(&spec, &marks.each_ref().map(String::as_str));
}

#[test]
fn one_that_never_serves_is_said_and_removed() {
    let Some(mut spec) = with_machine(Switch::Bridge) else {
        return;
    };
    let place = Plane::place();
    // A kernel that is none: QEMU ends.
    let bad = place.dir.join("parts");
    let good = spec.guests[0].machine.clone().unwrap().parts;
    std::fs::create_dir(&bad).unwrap();
    std::fs::write(bad.join("vmlinuz"), "no kernel").unwrap();
    for part in ["busybox", "modules"] {
        std::os::unix::fs::symlink(good.join(part), bad.join(part)).unwrap();
    }
    spec.prefix = "ffutnok".to_owned();
    spec.guests[0].machine = Some(Machine::new(bad));
    let dir = place.dir.join("plane");
    let error = DataPlane::up(spec, &dir).unwrap_err();
    assert!(
        matches!(&error, DataPlaneError::Guest { guest, .. } if guest == "server-1"),
        "{error}"
    );
    assert!(error.to_string().contains("its process has ended; "), "{error}");
    let _ = writeln!(std::io::stderr(), "{error}");
    assert_eq!((namespaces_of("ffutnok-"), processes_of(dir.as_str())), (vec![], 0));
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 0);
}
