//! How each fault is done and undone.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{Fault, Injected, Packets, Run, cutting, link, timed};
use crate::dataplane::DataPlane;
use crate::dataplane::error::DataPlaneError;
use crate::dataplane::kernel::{in_namespace, ip, nft};
use crate::dataplane::netlink::{forget_connections, set_link};
use crate::dataplane::spec::Switch;
use crate::dataplane::{latency, wiring};

/// The table that loses packets.
const LOSS: &str = "ffu_fault_loss";

/// A bridge that is down forgets what it learned when its ports are stopped; up again it forwards at once. What the router
/// forgets then is learned again from the next packet.
pub(super) fn flush(plane: &DataPlane, at: usize, fault: &Fault, run: &Run<'_>) -> Result<Injected, DataPlaneError> {
    let names = plane.names();
    let (bridge, fabric, router) = (wiring::bridge(at), names.fabric(), names.router());
    let injected = match plane.spec().switch {
        Switch::Bridge => {
            let set = |to| timed(|| link(&fabric, &bridge, to, set_link));
            run.in_space(&fabric, fault, &|| set(false), &|| set(true))?
        }
        Switch::OpenVswitch => {
            let (empty, full) = (|| timed(|| plane.drop_flows(at)), || timed(|| plane.fill_flows(at)));
            run.here(fault, &empty, &full)?
        }
    };
    ip(Some(&router), &wiring::relearn(plane.spec(), at), false)?;
    in_namespace(&router, || {
        forget_connections().map_err(|source| DataPlaneError::Kernel {
            action: "forget its connections".to_owned(),
            namespace: router.clone(),
            source,
        })
    })?;
    Ok(injected)
}

/// Kills a guest and starts it again.
pub(super) fn replace(plane: &DataPlane, at: usize, fault: &Fault, run: &Run<'_>) -> Result<Injected, DataPlaneError> {
    let (fabric, port) = (plane.names().fabric(), wiring::port(at));
    let set = |to| timed(|| link(&fabric, &port, to, cutting(plane)));
    let is_machine = plane.spec().guests[at].machine.is_some();
    let before = plane.console_boot_id(at);
    let was_reset = AtomicBool::new(false);
    let act = || {
        let begin = set(false)?;
        let Some(identity) = plane.living(at) else {
            return Err(plane.ill(at, "it does not run".to_owned()));
        };
        if is_machine {
            plane.reset_machine(at)?;
            was_reset.store(true, Ordering::Relaxed);
            return Ok(begin);
        }
        let pid = i32::try_from(identity.pid).map_err(|error| plane.ill(at, error.to_string()))?;
        kill(Pid::from_raw(pid), Signal::SIGKILL).map_err(|errno| plane.ill(at, errno.to_string()))?;
        while plane.living(at).is_some() {
            std::thread::sleep(Duration::from_micros(200));
        }
        Ok(begin)
    };
    let undo = || {
        let begun = match plane.living(at) {
            // It boots on its own; it is the same process.
            Some(known) if was_reset.load(Ordering::Relaxed) => {
                plane.wait_for_machine(at, known.pid, before.as_deref()).map(drop)
            }
            Some(_) => Ok(()),
            None => plane.spawn(at).and_then(|pid| plane.wait_for(at, pid)).map(drop),
        };
        // Up whatever became of the guest: a port that is down must not hide it.
        let end = set(true)?;
        begun.map(|()| end)
    };
    let mut injected = run.in_space(&fabric, fault, &act, &undo)?;
    injected.boot_id = plane.living(at).map(|identity| identity.boot_id);
    Ok(injected)
}

/// Rules that drop packets in the guest's namespace.
pub(super) fn lose(guest: &str, per_10_000: u16, fault: &Fault, run: &Run<'_>) -> Result<Injected, DataPlaneError> {
    // Before anything else looks at the packet; ARP goes another way and is not touched.
    let rules = format!(
        "table ip {LOSS} {{\n  chain lose {{\n    type filter hook prerouting priority -450;\n    iifname \"eth0\" counter\n    \
         iifname \"eth0\" numgen random mod 10000 < {per_10_000} counter drop\n  }}\n}}\n"
    );
    let packets = std::sync::Mutex::new(None);
    let act = || timed(|| nft(&["-f", "-"], &rules).map(drop));
    let undo = || {
        let listed = nft(&["-j", "list", "table", "ip", LOSS], "").ok();
        if let Ok(mut packets) = packets.lock() {
            *packets = listed.and_then(|json| counts(&json));
        }
        timed(unlose)
    };
    let mut injected = run.in_space(guest, fault, &act, &undo)?;
    injected.packets = packets.into_inner().ok().flatten();
    Ok(injected)
}

/// A queue that holds packets in the guest's namespace.
pub(super) fn delay(guest: &str, milliseconds: u32, fault: &Fault, run: &Run<'_>) -> Result<Injected, DataPlaneError> {
    latency::check()?;
    in_namespace(guest, || {
        let queue = latency::Queue::open(milliseconds).map_err(|source| DataPlaneError::Kernel {
            action: "queue packets".to_owned(),
            namespace: guest.to_owned(),
            source,
        })?;
        std::thread::scope(|scope| {
            let relay = scope.spawn(|| queue.relay());
            let outcome = run.here(fault, &|| timed(latency::lead_in), &|| timed(latency::lead_past));
            // What is still held goes on its way in time.
            queue.close();
            let seen = relay.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            let mut injected = outcome?;
            injected.packets = Some(Packets { touched: seen, seen });
            Ok(injected)
        })
    })
}

/// Takes the table away, whether it is there or not.
pub(super) fn unlose() -> Result<(), DataPlaneError> {
    nft(&["-f", "-"], &format!("table ip {LOSS}\ndelete table ip {LOSS}\n")).map(drop)
}

/// The two counters of the table, from nft's JSON.
fn counts(json: &str) -> Option<Packets> {
    let value: serde_json::Value = serde_json::from_str(json).ok()?;
    let rules = value
        .get("nftables")?
        .as_array()?
        .iter()
        .filter_map(|entry| entry.pointer("/rule/expr")?.as_array());
    let mut counters = rules
        .flatten()
        .filter_map(|part| part.pointer("/counter/packets")?.as_u64());
    let (seen, touched) = (counters.next()?, counters.next()?);
    Some(Packets { touched, seen })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_read() {
        let json = r#"{"nftables":[{"metainfo":{}},{"rule":{"expr":[{"match":{}},{"counter":{"packets":40,"bytes":1}}]}},
            {"rule":{"expr":[{"counter":{"packets":2,"bytes":1}},{"drop":null}]}}]}"#;
        assert_eq!(counts(json), Some(Packets { touched: 2, seen: 40 }));
        for bad in ["", "{}", r#"{"nftables":[]}"#] {
            assert_eq!(counts(bad), None);
        }
    }
}
