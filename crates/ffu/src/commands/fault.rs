//! `ffu lab fault`: breaks something of a lab's data plane, and says exactly when; and the guests' own program.

use std::time::Duration;

use camino::Utf8Path;
use ffu_lab::dataplane::fault::{Fault, Moment, heal, inject};
use ffu_lab::dataplane::{DataPlane, run_guest};
use serde_json::json;

use crate::cli::fault::{FaultArguments, FaultCommand};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::places::absolute;

const USUAL: Duration = Duration::from_secs(1);

pub fn run(output: Output, arguments: FaultArguments) -> Result<(), Failure> {
    let dir = absolute(arguments.dir)?;
    let plane = DataPlane::open(&dir)?;
    let fault = match arguments.fault {
        FaultCommand::LinkDown { guest } => Fault::LinkDown { guest },
        FaultCommand::FlushBridge { network } => Fault::FlushBridge { network },
        FaultCommand::KillGuest { guest } => Fault::KillGuest { guest },
        FaultCommand::Loss { guest, share } => Fault::Loss {
            guest,
            per_10_000: share,
        },
        FaultCommand::Latency { guest, ms } => Fault::Latency {
            guest,
            milliseconds: ms,
        },
        FaultCommand::Heal => {
            heal(&plane)?;
            output.result(
                "every link is up, nothing is lost or late, every guest runs",
                &json!({"event": "healed", "directory": dir}),
            );
            return Ok(());
        }
    };
    let usual = if matches!(fault, Fault::FlushBridge { .. }) {
        Duration::ZERO
    } else {
        USUAL
    };
    let stop = super::runs::stop_on_signals(output)?;
    let begun = |begin: Moment| {
        output.json(&json!({"event": "fault-began", "fault": fault, "begin": begin}));
        output.progress(format!(
            "{} of {}: began at {} ns",
            fault.kind(),
            fault.done_to(),
            begin.not_after
        ));
    };
    let injected = inject(&plane, &fault, arguments.lasting.unwrap_or(usual), &stop, &begun)?;
    let (begin, end) = (injected.begin, injected.end);
    let mut text = format!(
        "{} of {}\n  began between {} and {} ns\n  ended between {} and {} ns (boot-time clock){}",
        fault.kind(),
        fault.done_to(),
        begin.not_before,
        begin.not_after,
        end.not_before,
        end.not_after,
        if injected.interrupted { ", early" } else { "" }
    );
    if let Some(packets) = injected.packets {
        text += &format!("\n  {} of {} packets", packets.touched, packets.seen);
    }
    if let Some(boot_id) = &injected.boot_id {
        text += &format!("\n  new boot id {boot_id}");
    }
    output.result(text, &json!({"event": "fault", "injected": injected}));
    Ok(())
}

/// Is a guest.
pub fn guest(file: &Utf8Path) -> Result<Exit, Failure> {
    run_guest(file).map(|never| match never {}).map_err(Failure::from)
}
