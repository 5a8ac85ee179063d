//! Who a workload says it is: a guest that restarted is an outage even if it answers again.
//!
//! Identities are read every few seconds and told when they are first seen and whenever they change. What cannot be read (no access, no
//! network at the moment) is not told: only an answer says something.

mod http;
mod identity;

use std::thread::JoinHandle;
use std::time::Duration;

use ffu_model::watch::{Notice, Targets, Workload};
use std::sync::mpsc::SyncSender;

use crate::outlet::Outlet;
use crate::{Entry, clock};
pub(crate) use http::wrong as wrong_http;
pub use identity::{GONE, Identity, by_hand, read};

/// Threads that ask; one slow host holds up those that share its thread only.
const THREADS: usize = 8;

/// One workload and what was last heard of it.
struct Job {
    target: u32,
    workload: Workload,
    known: Option<Identity>,
}

/// Asks all workloads, again and again.
pub struct Poller {
    outlet: Outlet,
    threads: Vec<JoinHandle<()>>,
}

impl Poller {
    /// Starts it. Identities go to `entries`; a target without a workload is not asked.
    pub fn start(targets: &Targets, every: Duration, entries: SyncSender<Vec<Entry>>) -> Poller {
        let mut jobs: Vec<Vec<Job>> = (0..THREADS).map(|_| Vec::new()).collect();
        let asked = (0..)
            .zip(&targets.targets)
            .filter_map(|(target, found)| Some((target, found.workload.clone()?)))
            // Of all of these at once the databases are asked.
            .filter(|(_, workload)| !matches!(workload, Workload::Instance { .. }));
        for (number, (target, workload)) in asked.enumerate() {
            jobs[number % THREADS].push(Job {
                target,
                workload,
                known: None,
            });
        }
        let outlet = Outlet::new(entries);
        let ask = |jobs: Vec<Job>| {
            let outlet = outlet.clone();
            std::thread::spawn(move || poll(jobs, every, &outlet))
        };
        let threads = jobs.into_iter().filter(|jobs| !jobs.is_empty()).map(ask).collect();
        Poller { outlet, threads }
    }

    /// Ends it; a question that is being asked is given up.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Poller {
    fn drop(&mut self) {
        self.outlet.stop();
        for thread in self.threads.drain(..) {
            let _ = thread.join(); // A panic was told where it happened.
        }
    }
}

fn poll(mut jobs: Vec<Job>, every: Duration, outlet: &Outlet) {
    while !outlet.stopped() {
        for job in &mut jobs {
            let now = read(&job.workload, &|| outlet.stopped());
            if let Some(identity) = now.filter(|identity| job.known.as_ref() != Some(identity)) {
                let (kind, value) = (identity.kind.to_owned(), identity.value.clone());
                outlet.deliver(vec![Entry::Notice(Notice::Identity {
                    target: job.target,
                    kind,
                    value,
                    at: clock::now(),
                    explained: None,
                })]);
                job.known = Some(identity);
            }
        }
        outlet.sleep(every);
    }
}

#[cfg(test)]
#[path = "workload/tests.rs"]
mod tests;
