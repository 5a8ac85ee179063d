//! What the watch's word means to the engine.

use std::process::Child;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use ffu_engine::{Gate, Permit};
use ffu_model::watch::{Breach, Origin, Verdict, WatchState};
use ffu_model::{Phase, Step};
use ffu_watch::clock;
use ffu_watch::record::Reader;

use super::{Watcher, living};

/// The file is not read more often.
const FRESH: Duration = Duration::from_millis(100);
/// A watch that is gone is not started more often.
const AGAIN: Duration = Duration::from_secs(5);
/// Targets named in a message.
const NAMED: usize = 5;

/// Reads what the watch says, and starts it again if it is gone.
pub struct WatchGate {
    watcher: Watcher,
    within: Mutex<Within>,
}

struct Within {
    read: Option<(Instant, Option<WatchState>)>,
    child: Option<Child>,
    tried: Option<Instant>,
    trouble: String,
    names: Option<Vec<String>>,
}

impl WatchGate {
    /// Of a watch that was started; `child` if by this process.
    pub fn new(watcher: Watcher, child: Option<Child>) -> WatchGate {
        let within = Within {
            read: None,
            child,
            tried: None,
            trouble: String::new(),
            names: None,
        };
        WatchGate {
            watcher,
            within: Mutex::new(within),
        }
    }

    /// What the watch says, read at most ten times a second.
    fn state(&self, within: &mut Within) -> Option<WatchState> {
        match &within.read {
            Some((at, state)) if at.elapsed() < FRESH => state.clone(),
            _ => {
                let state = living(self.watcher.directory());
                within.read = Some((Instant::now(), state.clone()));
                state
            }
        }
    }

    fn start_again(&self, within: &mut Within) {
        if within.tried.is_some_and(|tried| tried.elapsed() < AGAIN) {
            return;
        }
        if let Some(mut child) = within.child.take() {
            // Gone, or hanging: two would not share a record.
            let _ = child.kill();
            let _ = child.wait();
        }
        within.trouble = match self.watcher.start() {
            Ok(child) => {
                within.child = Some(child);
                String::new()
            }
            Err(failure) => failure.message,
        };
        within.tried = Some(Instant::now());
        within.read = None;
    }

    fn names(&self, within: &mut Within) -> Vec<String> {
        let names = || {
            let reader = Reader::open(self.watcher.directory()).ok()?;
            Some(
                reader
                    .targets()
                    .targets
                    .iter()
                    .map(|target| target.name.clone())
                    .collect(),
            )
        };
        within.names.get_or_insert_with(|| names().unwrap_or_default()).clone()
    }

    /// What was lost, and the ways on.
    fn says(&self, state: &WatchState, names: &[String]) -> String {
        let lost: Vec<String> = state.breaches.iter().map(|breach| told(breach, names)).collect();
        let run = &self.watcher.run;
        format!(
            "the data plane lost more than is tolerated\n{}\nnext: `ffu watch show {run}` shows it. `ffu watch acknowledge {run}` lets the \
             run go on; Ctrl-C and `ffu rollback {run}` brings the cloud back",
            lost.join("\n")
        )
    }
}

/// A breach in a sentence or two.
fn told(breach: &Breach, names: &[String]) -> String {
    let name = |target: &u32| names.get(*target as usize).map_or("?", String::as_str).to_owned();
    let mut targets: Vec<String> = breach.targets.iter().take(NAMED).map(name).collect();
    if breach.targets.len() > NAMED {
        targets.push(format!("{} more", breach.targets.len() - NAMED));
    }
    let ago = Duration::from_nanos(clock::now().saturating_sub(breach.since));
    let since = jiff::Timestamp::now()
        .checked_sub(ago)
        .map_or_else(|_| String::new(), |at| at.strftime("%H:%M:%S UTC").to_string());
    let steps = match breach.steps.as_slice() {
        [] => "no step was running".to_owned(),
        steps => format!("running then: {}", steps.join(", ")),
    };
    let origin = match breach.confidence.origin {
        Origin::Burst => "not the noise of before the freeze",
        Origin::Noise => "as noisy as before the freeze",
        Origin::Unknown => "too little is known of the noise before the freeze",
    };
    format!(
        "{} ({}): {}; since {since}; {steps}; {origin}",
        breach.budget,
        breach.says,
        targets.join(", ")
    )
}

impl Gate for WatchGate {
    fn permit(&self, next: &Step) -> Permit {
        let mut within = self.within.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(state) = self.state(&mut within) else {
            self.start_again(&mut within);
            let why = if within.trouble.is_empty() {
                "it is being started again".to_owned()
            } else {
                within.trouble.clone()
            };
            return Permit::Hold(format!("the watch is gone, nothing is measured: {why}"));
        };
        match state.verdict {
            Verdict::Go if !state.baseline_done && next.phase > Phase::Prepare => Permit::Wait,
            Verdict::Go => Permit::Go,
            Verdict::Hold => Permit::Hold(self.says(&state, &self.names(&mut within))),
            Verdict::Stop => Permit::Stop(self.says(&state, &self.names(&mut within))),
        }
    }

    fn lost(&self) -> Option<u64> {
        let mut within = self.within.lock().unwrap_or_else(PoisonError::into_inner);
        self.state(&mut within).map(|state| state.lost)
    }
}
