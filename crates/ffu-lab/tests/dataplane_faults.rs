//! Each fault does what it says, when it says: measured from outside with a datagram every 2 ms.

mod planes;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ffu_hosts::StopFlag;
use ffu_lab::dataplane::fault::{Fault, Injected, heal, inject};
use ffu_lab::dataplane::{DataPlane, DataPlaneError, in_namespace};
use planes::{Ping, Plane, be_a_guest, four, gap, measured, possible};

#[test]
fn guest_program() {
    be_a_guest();
}

fn link_down(guest: &str) -> Fault {
    Fault::LinkDown {
        guest: guest.to_owned(),
    }
}

/// Lost are all that were sent in between, and none of those before and after. What was on its way when it happened may be either.
fn lost_exactly_in(injected: &Injected, pings: &[Ping]) {
    // A round trip is far below this, unless the machine is busy elsewhere: then the scheduler's time is in it.
    const ON_ITS_WAY: u64 = 30_000_000;
    let (begin, end) = (injected.begin, injected.end);
    assert!(begin.not_before <= begin.not_after && begin.not_after < end.not_before && end.not_before <= end.not_after);
    let inside = pings
        .iter()
        .filter(|ping| ping.sent > begin.not_after && ping.sent < end.not_before - ON_ITS_WAY);
    let inside: Vec<_> = inside.collect();
    assert!(
        inside.len() > 20 && inside.iter().all(|ping| ping.back.is_none()),
        "{injected:?}: {:?}",
        gap(pings)
    );
    let apart = |ping: &&Ping| ping.sent + ON_ITS_WAY < begin.not_before || ping.sent > end.not_after + ON_ITS_WAY;
    let apart: Vec<_> = pings.iter().filter(apart).collect();
    assert!(
        apart.len() > 50 && apart.iter().all(|ping| ping.back.is_some()),
        "{injected:?}: {:?}",
        gap(pings)
    );
}

#[test]
fn faults_do_what_they_say_for_as_long_as_they_say() {
    if !possible() {
        return;
    }
    let place = Plane::place();
    let plane = DataPlane::up(four(), &place.dir).unwrap();
    let whole = |pings: &[Ping]| assert!(gap(pings).is_none(), "{:?}", gap(pings));

    let (injected, pings) = measured(&plane, &link_down("server-1"), 700, &["203.0.113.20", "10.1.3.4"]);
    lost_exactly_in(&injected, &pings[0]);
    whole(&pings[1]);
    let lasted = injected.end.not_before - injected.begin.not_after;
    assert!((700_000_000..1_000_000_000).contains(&lasted), "{lasted} ns");

    let network = "red".to_owned();
    let flush = Fault::FlushBridge { network };
    let (injected, pings) = measured(&plane, &flush, 400, &["203.0.113.20", "10.1.3.4", "10.2.0.3"]);
    lost_exactly_in(&injected, &pings[0]);
    lost_exactly_in(&injected, &pings[1]);
    whole(&pings[2]);
    // Without a time it is forgotten, not cut: at most what was under way is lost.
    let (_, pings) = measured(&plane, &flush, 0, &["203.0.113.20"]);
    let lost = gap(&pings[0]).map_or(0, |(first, last)| last - first);
    assert!(lost < 100_000_000, "{lost} ns");

    let before = plane.identity("server-1").unwrap();
    let guest = "server-1".to_owned();
    let (injected, pings) = measured(&plane, &Fault::KillGuest { guest }, 300, &["203.0.113.20", "10.1.3.4"]);
    lost_exactly_in(&injected, &pings[0]);
    whole(&pings[1]);
    let after = plane.identity("server-1").unwrap();
    assert!(after.boot_id != before.boot_id && injected.boot_id.as_ref() == Some(&after.boot_id));
    // The stream of the guest that talks to it saw it, the ones between others did not.
    let stream = |guest: &str| plane.identity(guest).unwrap().stream.unwrap();
    assert_eq!((stream("server-4").breaks, stream("server-2").breaks), (1, 0));
    assert!(
        stream("server-2").longest_gap_ms >= 300,
        "the flush is a gap in it: {:?}",
        stream("server-2")
    );
}

#[test]
fn a_share_of_the_packets_is_lost() {
    if !possible() {
        return;
    }
    let place = Plane::place();
    let plane = DataPlane::up(four(), &place.dir).unwrap();
    let (guest, per_10_000) = ("server-2".to_owned(), 2_000);
    let loss = Fault::Loss { guest, per_10_000 };
    let (injected, pings) = measured(&plane, &loss, 2000, &["10.2.0.3", "10.2.0.5"]);
    let packets = injected.packets.unwrap();
    let (begin, end) = (injected.begin, injected.end);
    let inside: Vec<&Ping> = pings[0]
        .iter()
        .filter(|ping| ping.sent > begin.not_after && ping.sent < end.not_before)
        .collect();
    let lost = inside.iter().filter(|ping| ping.back.is_none()).count();
    // Some 600 packets of which a fifth is dropped: six standard deviations to either side.
    let share = lost as f64 / inside.len() as f64;
    assert!(
        inside.len() > 200 && (0.08..0.32).contains(&share),
        "{lost} of {}",
        inside.len()
    );
    assert!(packets.touched > 0 && packets.touched < packets.seen, "{packets:?}");
    assert!(gap(&pings[1]).is_none());
    let outside = |ping: &&Ping| ping.sent < begin.not_before - 30_000_000 || ping.sent > end.not_after + 30_000_000;
    assert!(
        pings[0].iter().filter(outside).all(|ping| ping.back.is_some()),
        "none before and after"
    );
}

#[test]
fn packets_are_late() {
    if !possible() {
        return;
    }
    let place = Plane::place();
    let plane = DataPlane::up(four(), &place.dir).unwrap();
    let (guest, milliseconds) = ("server-1".to_owned(), 60);
    let (injected, pings) = measured(
        &plane,
        &Fault::Latency { guest, milliseconds },
        600,
        &["203.0.113.20", "10.1.3.4"],
    );
    let (begin, end) = (injected.begin, injected.end);
    let late = |pings: &[&Ping]| {
        let late = pings
            .iter()
            .filter(|ping| ping.back.is_some_and(|rtt| rtt >= 60_000_000));
        late.count()
    };
    assert!(gap(&pings[0]).is_none(), "{injected:?}: {:?}", gap(&pings[0]));
    let inside = |ping: &&Ping| ping.sent > begin.not_after && ping.sent < end.not_before - 30_000_000;
    let inside: Vec<&Ping> = pings[0].iter().filter(inside).collect();
    assert!(inside.len() > 20 && late(&inside) == inside.len(), "{injected:?}");
    // A busy machine may make a few others late, too: the prober sees an answer when it has its turn.
    let after: Vec<&Ping> = pings[0].iter().filter(|ping| ping.sent > end.not_after).collect();
    let others: Vec<&Ping> = pings[1].iter().collect();
    for pings in [after, others] {
        assert!(late(&pings) * 2 < pings.len(), "{} of {}", late(&pings), pings.len());
    }
    assert!(injected.packets.unwrap().seen > 20);
}

#[test]
fn a_stop_undoes_it_at_once_and_two_of_a_kind_are_refused() {
    if !possible() {
        return;
    }
    let place = Plane::place();
    let plane = DataPlane::up(four(), &place.dir).unwrap();
    let (stop, fault) = (StopFlag::new(), link_down("server-3"));
    let begun = AtomicBool::new(false);
    let injected = std::thread::scope(|scope| {
        let long = scope.spawn(|| {
            inject(&plane, &fault, Duration::from_secs(60), &stop, &|_| {
                begun.store(true, Ordering::SeqCst)
            })
            .unwrap()
        });
        while !begun.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(1));
        }
        let second = inject(&plane, &fault, Duration::ZERO, &StopFlag::new(), &|_| {}).unwrap_err();
        assert!(matches!(second, DataPlaneError::Busy { .. }), "{second}");
        // Its end would put the link up.
        let guest = "server-3".to_owned();
        let other = inject(
            &plane,
            &Fault::KillGuest { guest },
            Duration::ZERO,
            &StopFlag::new(),
            &|_| {},
        );
        assert!(matches!(other, Err(DataPlaneError::Busy { .. })));
        // Another guest is another matter: faults may overlap.
        inject(
            &plane,
            &link_down("server-4"),
            Duration::ZERO,
            &StopFlag::new(),
            &|_| {},
        )
        .unwrap();
        stop.raise();
        long.join().unwrap()
    });
    assert!(injected.interrupted && injected.end.not_after - injected.begin.not_before < 20_000_000_000);
    let (_, pings) = measured(&plane, &link_down("server-1"), 0, &["10.1.3.4"]);
    assert!(gap(&pings[0]).is_none(), "server-3 is reached again");
}

#[test]
fn what_a_killed_fault_left_is_healed() {
    if !possible() {
        return;
    }
    let place = Plane::place();
    let plane = DataPlane::up(four(), &place.dir).unwrap();
    let fabric = plane.outside().replace("-out", "-fabric");
    let ip = |arguments: &[&str]| {
        assert!(
            std::process::Command::new("/usr/sbin/ip")
                .args(arguments)
                .status()
                .unwrap()
                .success()
        );
    };
    in_namespace(&fabric, || {
        let port = ["link", "set", "dev", "p3", "state", "0"];
        let done = std::process::Command::new("/usr/sbin/bridge").args(port).status();
        assert!(done.unwrap().success());
        Ok(())
    })
    .unwrap();
    ip(&["-n", &fabric, "link", "set", "br2", "down"]);
    let guest = plane.namespace_of("server-3").unwrap();
    let rule = "-t mangle -I PREROUTING -i eth0 -j NFQUEUE --queue-num 77 --queue-bypass";
    let here = |program: &str, arguments: &str| {
        let done = std::process::Command::new(program)
            .args(arguments.split(' '))
            .output()
            .unwrap();
        assert!(done.status.success(), "{done:?}");
        String::from_utf8(done.stdout).unwrap()
    };
    let rules = || {
        let all = in_namespace(&guest, || {
            let rules = here("/usr/sbin/iptables-legacy", "-t mangle -S PREROUTING");
            Ok(rules + &here("/usr/sbin/nft", "list tables"))
        });
        all.unwrap()
    };
    in_namespace(&guest, || {
        here("/usr/sbin/nft", "add table ip ffu_fault_loss");
        here("/usr/sbin/iptables-legacy", rule);
        Ok(())
    })
    .unwrap();
    assert!(rules().contains("NFQUEUE") && rules().contains("ffu_fault_loss"));
    heal(&plane).unwrap();
    heal(&plane).unwrap();
    assert!(
        !rules().contains("NFQUEUE") && !rules().contains("ffu_fault_loss"),
        "{}",
        rules()
    );
    let (_, pings) = measured(&plane, &link_down("server-1"), 0, &["10.1.3.4", "10.2.0.5"]);
    assert!(pings.iter().all(|pings| gap(pings).is_none()));
}

#[test]
fn impossible_faults_are_refused() {
    if !possible() {
        return;
    }
    let place = Plane::place();
    let plane = DataPlane::up(four(), &place.dir).unwrap();
    let refused = |fault: Fault, seconds: u64| {
        let error = inject(&plane, &fault, Duration::from_secs(seconds), &StopFlag::new(), &|_| {}).unwrap_err();
        assert!(error.to_string().contains("\n  next: "), "{error}");
        error
    };
    assert!(matches!(refused(link_down("../x"), 0), DataPlaneError::NoSuch { .. }));
    let network = "green".to_owned();
    assert!(matches!(
        refused(Fault::FlushBridge { network }, 0),
        DataPlaneError::NoSuch { .. }
    ));
    let loss = |per_10_000| Fault::Loss {
        guest: "server-1".to_owned(),
        per_10_000,
    };
    assert!(matches!(refused(loss(0), 0), DataPlaneError::BadFault { .. }));
    assert!(matches!(refused(loss(10_001), 0), DataPlaneError::BadFault { .. }));
    assert!(matches!(
        refused(link_down("server-1"), 1 << 40),
        DataPlaneError::BadFault { .. }
    ));
    in_namespace(&plane.outside(), || Ok(())).unwrap();
}
