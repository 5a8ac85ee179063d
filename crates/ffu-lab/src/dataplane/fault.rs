//! Faults on demand, with the times of their begin and end on the boot-time clock, so that what a watch found can be compared
//! with what was done.
//!
//! Each time is a pair: not before, not after. Between the two the kernel did what it was told; for links that is well below a
//! millisecond, for rules and guests what `nft` and a process need.

mod acts;

use std::fs::File;
use std::io;
use std::time::{Duration, Instant};

use ffu_hosts::{StopFlag, StopLevel};
use ffu_model::watch::Nanos;
use serde::Serialize;

use super::DataPlane;
use super::error::DataPlaneError;
use super::kernel::{in_namespace, now};
use super::netlink::{set_link, set_port};
use super::spec::Switch;
use super::{latency, wiring};

/// How long a fault may last.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// How often the wish to stop is looked for.
const SLICE: Duration = Duration::from_millis(20);

/// What is broken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "fault")]
pub enum Fault {
    /// Nothing passes the guest's port: the bridge has disabled it (with Open vSwitch its link is down).
    LinkDown {
        /// The guest.
        guest: String,
    },
    /// A network's bridge forgets what it learned and forwards nothing, as a switch whose flows were flushed; at the
    /// end the router forgets its neighbours and its connections. For no time at all next to nothing is lost.
    FlushBridge {
        /// The network.
        network: String,
    },
    /// The guest is killed, with its link down, and started again at the end. One that is a machine is reset: it starts again at
    /// once, and the link is up when it serves again.
    KillGuest {
        /// The guest.
        guest: String,
    },
    /// Packets to the guest are dropped at random.
    Loss {
        /// The guest.
        guest: String,
        /// How many of 10,000.
        per_10_000: u16,
    },
    /// Packets to the guest are late.
    Latency {
        /// The guest.
        guest: String,
        /// By so many milliseconds.
        milliseconds: u32,
    },
}

impl Fault {
    /// Its kind, as the command line calls it.
    pub fn kind(&self) -> &'static str {
        match self {
            Fault::LinkDown { .. } => "link-down",
            Fault::FlushBridge { .. } => "flush-bridge",
            Fault::KillGuest { .. } => "kill-guest",
            Fault::Loss { .. } => "loss",
            Fault::Latency { .. } => "latency",
        }
    }

    /// The guest or network that it is done to.
    pub fn done_to(&self) -> &str {
        match self {
            Fault::FlushBridge { network } => network,
            Fault::LinkDown { guest }
            | Fault::KillGuest { guest }
            | Fault::Loss { guest, .. }
            | Fault::Latency { guest, .. } => guest,
        }
    }
}

/// When something was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Moment {
    /// Not before this.
    pub not_before: Nanos,
    /// Not after this.
    pub not_after: Nanos,
}

/// A fault that is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Injected {
    /// What.
    #[serde(flatten)]
    pub fault: Fault,
    /// When it began.
    pub begin: Moment,
    /// When it was undone.
    pub end: Moment,
    /// Whether it was ended before its time.
    pub interrupted: bool,
    /// Counts, where packets are lost or late.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub packets: Option<Packets>,
    /// The guest's new boot id, if it was killed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boot_id: Option<String>,
}

/// Counts of a loss or a latency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Packets {
    /// Dropped, or delayed.
    pub touched: u64,
    /// All.
    pub seen: u64,
}

/// Does a fault for a time and undoes it: at its end, when a stop is wished, and when something goes wrong in between. `begun` is
/// told as soon as it is there.
///
/// # Errors
/// [`DataPlaneError`]; nothing is broken then, unless the undoing itself failed.
pub fn inject(
    plane: &DataPlane,
    fault: &Fault,
    lasting: Duration,
    stop: &StopFlag,
    begun: &(dyn Fn(Moment) + Sync),
) -> Result<Injected, DataPlaneError> {
    let bad = |why: &str| DataPlaneError::BadFault {
        what: format!("{} of {}", fault.kind(), fault.done_to()),
        why: why.to_owned(),
    };
    if lasting > LONGEST {
        return Err(bad("it would last longer than a day"));
    }
    let _busy = hold(plane, fault)?;
    let run = Run { lasting, stop, begun };
    let names = plane.names();
    match fault {
        Fault::LinkDown { guest } => {
            let port = wiring::port(plane.guest_at(guest)?);
            let fabric = names.fabric();
            let set = |to| timed(|| link(&fabric, &port, to, cutting(plane)));
            run.in_space(&fabric, fault, &|| set(false), &|| set(true))
        }
        Fault::FlushBridge { network } => acts::flush(plane, plane.network_at(network)?, fault, &run),
        Fault::KillGuest { guest } => acts::replace(plane, plane.guest_at(guest)?, fault, &run),
        Fault::Loss { guest, per_10_000 } => {
            if !(1..=10_000).contains(per_10_000) {
                return Err(bad("a share between 0.01 % and 100 % is"));
            }
            acts::lose(&space_of(plane, guest, bad)?, *per_10_000, fault, &run)
        }
        Fault::Latency { guest, milliseconds } => {
            if !(1..=latency::LONGEST_MS).contains(milliseconds) {
                return Err(bad("1 ms to 10 s are"));
            }
            acts::delay(&space_of(plane, guest, bad)?, *milliseconds, fault, &run)
        }
    }
}

/// The guest's own namespace; a machine has none.
fn space_of(plane: &DataPlane, guest: &str, bad: impl Fn(&str) -> DataPlaneError) -> Result<String, DataPlaneError> {
    let at = plane.guest_at(guest)?;
    match plane.spec().guests[at].machine {
        None => Ok(plane.names().guest(at)),
        Some(_) => Err(bad(
            "it is done in a guest's namespace, and a QEMU guest has none; link-down and kill-guest are",
        )),
    }
}

/// Undoes whatever a fault has left whose process was killed: links up, no loss, every guest running.
///
/// # Errors
/// [`DataPlaneError`].
pub fn heal(plane: &DataPlane) -> Result<(), DataPlaneError> {
    let (names, spec) = (plane.names(), plane.spec());
    let fabric = names.fabric();
    in_namespace(&fabric, || {
        (0..spec.networks.len()).try_for_each(|at| match spec.switch {
            Switch::Bridge => link(&fabric, &wiring::bridge(at), true, set_link),
            Switch::OpenVswitch => plane.fill_flows(at),
        })?;
        (0..spec.guests.len()).try_for_each(|at| link(&fabric, &wiring::port(at), true, cutting(plane)))
    })?;
    for (at, _) in spec.spaces() {
        in_namespace(&names.guest(at), || acts::unlose().and_then(|()| latency::lead_past()))?;
    }
    plane.start_guests()
}

/// Keeps a second one away from the same thing, which the end of either would mend; the file is locked for as long as it is open.
fn hold(plane: &DataPlane, fault: &Fault) -> Result<File, DataPlaneError> {
    let name = fault.done_to();
    // A name that is not there must not make a file of that name.
    let part = match fault {
        Fault::FlushBridge { .. } => plane.network_at(name).map(|_| "bridge"),
        Fault::LinkDown { .. } | Fault::KillGuest { .. } => plane.guest_at(name).map(|_| "link"),
        Fault::Loss { .. } => plane.guest_at(name).map(|_| "packets"),
        Fault::Latency { .. } => plane.guest_at(name).map(|_| "queue"),
    }?;
    let path = plane.place().join("faults").join(format!("{part}.{name}"));
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(DataPlaneError::io("write", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(DataPlaneError::Busy {
            part,
            name: name.to_owned(),
        }),
        Err(std::fs::TryLockError::Error(error)) => Err(DataPlaneError::io("lock", path)(error)),
    }
}

struct Run<'a> {
    lasting: Duration,
    stop: &'a StopFlag,
    begun: &'a (dyn Fn(Moment) + Sync),
}

/// What is done, or undone, and when.
type Act<'a> = dyn Fn() -> Result<Moment, DataPlaneError> + Sync + 'a;

impl Run<'_> {
    /// Does, waits, undoes, in a namespace.
    fn in_space(&self, space: &str, fault: &Fault, act: &Act<'_>, undo: &Act<'_>) -> Result<Injected, DataPlaneError> {
        in_namespace(space, || self.here(fault, act, undo))
    }

    /// Does, waits, undoes. What failed half-way is undone as well.
    fn here(&self, fault: &Fault, act: &Act<'_>, undo: &Act<'_>) -> Result<Injected, DataPlaneError> {
        let begin = match act() {
            Ok(begin) => begin,
            Err(error) => {
                // The first error is the one to tell.
                let _ = undo();
                return Err(error);
            }
        };
        let until = Instant::now() + self.lasting;
        (self.begun)(begin);
        let interrupted = self.wait(until);
        let end = undo()?;
        Ok(Injected {
            fault: fault.clone(),
            begin,
            end,
            interrupted,
            packets: None,
            boot_id: None,
        })
    }

    /// Returns whether it was cut short.
    fn wait(&self, until: Instant) -> bool {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            if self.stop.level() > StopLevel::Run {
                return true;
            }
            std::thread::sleep(left.min(SLICE));
        }
    }
}

fn timed(act: impl FnOnce() -> Result<(), DataPlaneError>) -> Result<Moment, DataPlaneError> {
    let not_before = now();
    act()?;
    Ok(Moment {
        not_before,
        not_after: now(),
    })
}

/// One step of the kernel with a link or port.
fn link(namespace: &str, name: &str, to: bool, set: fn(&str, bool) -> io::Result<()>) -> Result<(), DataPlaneError> {
    set(name, to).map_err(|source| DataPlaneError::Kernel {
        action: format!("set {name} {}", if to { "up" } else { "down" }),
        namespace: namespace.to_owned(),
        source,
    })
}

/// How a guest's port is cut off: a port of a Linux bridge is disabled; for Open vSwitch the link goes down.
fn cutting(plane: &DataPlane) -> fn(&str, bool) -> io::Result<()> {
    match plane.spec().switch {
        Switch::Bridge => set_port,
        Switch::OpenVswitch => set_link,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_plain_json() {
        let moment = Moment {
            not_before: 1,
            not_after: 2,
        };
        let told = Injected {
            fault: Fault::LinkDown { guest: "a".to_owned() },
            begin: moment,
            end: moment,
            interrupted: false,
            packets: None,
            boot_id: None,
        };
        let json = serde_json::to_string(&told).unwrap();
        let expected = r#"{"fault":"link-down","guest":"a","begin":{"not_before":1,"not_after":2},"end":{"not_before":1,"not_after":2},"interrupted":false}"#;
        assert_eq!(json, expected);
    }
}
