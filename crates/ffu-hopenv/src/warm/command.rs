//! One command as a fork of a warm process. Until it has been given the word, nothing of it has happened and the plain
//! process may be run instead; afterwards it is watched like any other, and never run a second time from here.

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use ffu_hosts::{Adopted, Exit, Finished, Spec, StopFlag, create_output, end_holders, exit_of, take_lock};
use serde_json::json;

use super::cold::Cold;
use super::link::{Door, Link};
use super::tree::Node;
use crate::command::RunError;

/// A fork that has not come up after so long does not.
const FORK: Duration = Duration::from_secs(20);

/// A command that has taken everything over and waits for the word.
pub(super) struct Poised<'a> {
    node: &'a Node,
    link: Link,
    pid: i32,
    adopted: Adopted,
    started: Instant,
}

/// Forks a command from a node and lets it take over its place: group, lock, output, directory, variables.
pub(super) fn poise<'a>(node: &'a Node, spec: &Spec) -> Result<Result<Poised<'a>, Cold>, RunError> {
    // Whoever holds the lock is an earlier run of this very command: no reason to start a plain one either.
    if let Some(path) = &spec.lock_file {
        drop(take_lock(path)?);
    }
    drop(create_output(&spec.stdout)?);
    Ok(take_over(node, spec))
}

fn take_over<'a>(node: &'a Node, spec: &Spec) -> Result<Poised<'a>, Cold> {
    let started = Instant::now();
    let what = format!("{}: {}", node.what, spec.program.file_name().unwrap_or_default());
    let door = Door::open().map_err(|error| Cold::Start {
        series: what.clone(),
        why: error.to_string(),
    })?;
    let pid = node.fork(&json!({"do": "command", "door": door.name}))?;
    let poised = door.admit(&what, pid, FORK, &|| false).and_then(|(mut link, _)| {
        link.say(&json!({
            "program": spec.program,
            "arguments": spec.arguments,
            "environment": spec.environment,
            "directory": spec.current_dir,
            "output": spec.stdout,
            "lock": spec.lock_file,
        }))?;
        let said = link.hear(FORK, &|| false)?;
        if let Some(why) = said.refused {
            return Err(Cold::Unfit {
                what: what.clone(),
                why,
            });
        }
        match Adopted::of(pid) {
            Some(adopted) if said.ready => Ok((link, adopted)),
            _ => Err(link.protocol("a command that is not ready")),
        }
    });
    match poised {
        Ok((link, adopted)) => Ok(Poised {
            node,
            link,
            pid,
            adopted,
            started,
        }),
        Err(cold) => {
            // Without its link it ends by itself; if the node is gone there is nobody to reap for.
            let _ = node.reap(pid);
            Err(cold)
        }
    }
}

impl Poised<'_> {
    /// Gives the word and watches until the end.
    pub(super) fn go(mut self, spec: &Spec, stop: &StopFlag) -> Result<Result<Finished, Cold>, RunError> {
        if let Err(cold) = self.link.say(&json!({"do": "go"})) {
            // The word did not arrive: it will end without having done anything.
            return Ok(Err(cold));
        }
        let (node, pid, started, adopted) = (self.node, self.pid, self.started, self.adopted);
        adopted
            .wait(spec, started, stop, || {
                if let Ok(status) = node.reap(pid) {
                    return Ok(exit_of(ExitStatus::from_raw(status)));
                }
                // Its parent is gone, and so is what the kernel knew of its end: its own last word has to do.
                let last = self.link.hear(Duration::from_millis(100), &|| false);
                if let Some(path) = &spec.lock_file {
                    let _ = end_holders(path, Duration::ZERO);
                }
                match last {
                    Ok(said) if said.ended.is_some() => Ok(Exit::Code(said.ended.unwrap_or_default())),
                    _ => Err(RunError::EndUnknown {
                        program: spec.program.file_name().unwrap_or_default().to_owned(),
                    }),
                }
            })
            .map(Ok)
    }
}
