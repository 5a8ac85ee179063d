//! The limit of open files: raised as far as it goes, and refused with the figure if that is not enough.

use ffu_model::watch::Probe;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::task::AgentTask;
use crate::error::WatchError;

/// Open files for everything but the targets.
const OWN: u64 = 64;

/// Raises the soft limit of open files to the hard one; an error if the task may need more than that.
pub(super) fn allow(task: &AgentTask) -> Result<(), WatchError> {
    let (targets, need) = needed(task);
    if targets == 0 {
        return Ok(());
    }
    let limits = getrlimit(Resource::RLIMIT_NOFILE)
        .map_err(|error| WatchError::socket("read the limit of open files")(error.into()))?;
    // What it is in the end counts, not whether raising it worked.
    let _ = setrlimit(Resource::RLIMIT_NOFILE, limits.1, limits.1);
    let have = getrlimit(Resource::RLIMIT_NOFILE).map_or(limits.0, |limits| limits.0);
    if need > have {
        Err(WatchError::Files { targets, need, have })
    } else {
        Ok(())
    }
}

/// Targets with sockets of their own, and open files that they need when every connection hangs until its timeout.
fn needed(task: &AgentTask) -> (usize, u64) {
    let files = task.targets.iter().filter_map(|target| match target.probe {
        Probe::TcpStream { .. } => Some(1),
        Probe::TcpConnect { .. } | Probe::Http { .. } => {
            Some(u64::from(task.timeout_ms).div_ceil(u64::from(task.interval_ms(target).max(1))) + 2)
        }
        _ => None,
    });
    files.fold((0, OWN), |(targets, need), files| (targets + 1, need + files))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::{AgentTarget, VERSION};

    fn task(count: u32, probe: &Probe) -> AgentTask {
        let address = "127.0.0.1".parse().expect("an address");
        let target = |index| AgentTarget {
            index,
            address,
            probe: probe.clone(),
            interval_ms: None,
            first_seq: 0,
        };
        AgentTask {
            version: VERSION,
            vantage: "here".into(),
            interval_ms: 100,
            timeout_ms: 1000,
            silence_s: None,
            targets: (0..count).map(target).collect(),
        }
    }

    #[test]
    fn files_are_counted_for_the_worst_case() {
        assert_eq!(needed(&task(10, &Probe::TcpStream { port: 7 })), (10, 74));
        assert_eq!(needed(&task(10, &Probe::TcpConnect { port: 7 })), (10, 184));
        assert_eq!(needed(&task(10, &Probe::Icmp)), (0, 64));
    }

    #[test]
    fn too_few_files_are_refused_with_the_number() {
        // More than any kernel allows (fs.nr_open is 2^30 at most).
        let mut huge = task(20_000, &Probe::TcpConnect { port: 7 });
        (huge.interval_ms, huge.timeout_ms) = (1, u32::MAX);
        let error = allow(&huge).expect_err("too many").to_string();
        let need = 64 + 20_000 * (u64::from(u32::MAX) + 2);
        assert!(
            error.contains(&format!("ulimit -n {need}")) && error.contains("20000 TCP and HTTP targets"),
            "{error}"
        );
    }
}
