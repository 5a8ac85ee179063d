//! Data planes whose networks are Open vSwitch in its userspace datapath: the same as with bridges, and nothing is left, also after an
//! `up` that was killed.

mod planes;

use std::time::Duration;

use ffu_lab::dataplane::fault::Fault;
use ffu_lab::dataplane::{DataPlane, DataPlaneError, Spec, Switch, in_namespace};
use planes::{
    Ping, Plane, address, be_a_guest, be_an_up, everything, fixed_addresses, four, gap, killed_while_it_came_up,
    measured, namespaces_of, possible_with, processes_of, stem, streams_go_on,
};

#[test]
fn guest_program() {
    be_a_guest();
}

#[test]
fn up_program() {
    be_an_up();
}

/// False, loudly, where the packages or the privileges are not there.
fn possible() -> bool {
    possible_with(Switch::OpenVswitch)
}

fn four_over_ovs() -> Spec {
    let mut spec = four();
    spec.switch = Switch::OpenVswitch;
    spec
}

#[test]
fn it_does_what_bridges_do() {
    if !possible() {
        return;
    }
    let place = Plane::place();
    let plane = DataPlane::up(four_over_ovs(), &place.dir).unwrap();
    streams_go_on(&plane);
    // Floating and routed addresses, through the router; fixed ones, at the switch.
    in_namespace(&plane.outside(), || {
        for to in ["203.0.113.20", "10.1.0.2", "10.2.0.3"] {
            everything(address(to));
        }
        Ok(())
    })
    .unwrap();
    fixed_addresses(&plane);
    let network = "green".to_owned();
    let refused = ffu_lab::dataplane::fault::inject(
        &plane,
        &Fault::FlushBridge { network },
        Duration::ZERO,
        &ffu_hosts::StopFlag::new(),
        &|_| {},
    );
    let refused = refused.unwrap_err();
    assert!(matches!(&refused, DataPlaneError::NoSuch { .. }) && refused.to_string().contains("red, blue"));
    // The switch is a process: on a busy machine it waits for its turn, so some are late and some are lost. Shares, not each.
    let share = |pings: &[Ping], from: u64, to: u64| {
        let sent: Vec<&Ping> = pings.iter().filter(|ping| ping.sent > from && ping.sent < to).collect();
        assert!(sent.len() > 20);
        sent.iter().filter(|ping| ping.back.is_none()).count() * 100 / sent.len()
    };
    let (guest, network) = ("server-1".to_owned(), "red".to_owned());
    for fault in [Fault::LinkDown { guest }, Fault::FlushBridge { network }] {
        let (injected, pings) = measured(&plane, &fault, 700, &["203.0.113.20", "10.2.0.3"]);
        let (begin, end) = (injected.begin, injected.end);
        let seen = gap(&pings[0]);
        let (first, last) = seen.unwrap_or_else(|| panic!("{injected:?}: nothing was lost"));
        assert!(last - first > 500_000_000, "{injected:?}: {seen:?}");
        assert!(share(&pings[0], begin.not_after, end.not_before) > 70, "{injected:?}");
        assert!(share(&pings[0], 0, begin.not_before) < 30, "{injected:?}");
        assert!(
            share(&pings[0], end.not_after + 1_000_000_000, u64::MAX) < 30,
            "{injected:?}"
        );
        assert!(share(&pings[1], 0, u64::MAX) < 30, "{injected:?}");
    }
    // A connection outlives both.
    streams_go_on(&plane);
    assert!(DataPlane::down(&place.dir).unwrap());
    nothing_of(&plane, place.dir.as_str());
}

/// No process, no namespace, no file.
fn nothing_of(plane: &DataPlane, dir: &str) {
    assert_eq!((namespaces_of(&stem(plane)), processes_of(dir)), (vec![], 0));
    assert_eq!(std::fs::read_dir(dir).unwrap().count(), 0);
}

#[test]
fn nothing_is_left_of_one_that_was_killed_while_it_came_up() {
    if !possible() {
        return;
    }
    // Further and further: namespaces, the database server, the switch, its bridges' flows, guests.
    killed_while_it_came_up(
        &four_over_ovs(),
        &[
            "state.json",
            "ovs/ovsdb-server.ctl",
            "ovs/ovs-vswitchd.ctl",
            "ovs/br2.mgmt",
            "guests/server-1.pid",
        ],
    );
}
