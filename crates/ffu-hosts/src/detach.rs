//! Starts a process that survives `ffu`: a session of its own, so that neither Ctrl-C nor the end of the terminal reaches it.
//!
//! `setsid` has to run in the child before exec, and the standard library's only hook for that is unsafe. That one call
//! is the reason for allowing unsafe code here.
#![allow(unsafe_code)]

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// Starts a command in a new session and reaps it when it ends, should this process still live then. Returns its pid,
/// which is also its session and its group.
pub(crate) fn spawn_detached(mut command: Command) -> io::Result<u32> {
    // SAFETY: setsid(2) is async-signal-safe (signal-safety(7)) and the closure allocates nothing.
    unsafe {
        command.pre_exec(|| nix::unistd::setsid().map(drop).map_err(io::Error::from));
    }
    let mut child = command.spawn()?;
    let pid = child.id();
    // Without someone who waits, a service that dies under a long-lived `ffu` would stay in the process table.
    std::thread::Builder::new().name(format!("reap-{pid}")).spawn(move || {
        let _ = child.wait();
    })?;
    Ok(pid)
}
