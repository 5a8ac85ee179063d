//! The process that probes from one vantage point.
//!
//! It reads one [`AgentTask`] (a line of JSON), probes until its input closes, so that it dies with its parent, and writes frames. While
//! its parent does not read, frames wait in memory (they are small), so that nothing is lost when the parent stood still.

mod conn;
mod datagram;
mod dns;
mod engine;
mod files;
mod lane;
mod port;
mod stream;
mod task;
mod wire;

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use self::datagram::Datagrams;
use self::engine::{Engine, Shared};
use self::stream::Streams;
#[cfg(test)]
use self::task::VERSION;
pub use self::task::{AgentTarget, AgentTask, MAX_INTERVALS, MAX_MS, MAX_RATE, MIN_INTERVAL_MS};
use crate::error::WatchError;
use crate::{clock, frame};

/// How often a frame goes out.
const EVERY: Duration = Duration::from_millis(200);

/// Bytes of frames that may wait for a parent that does not read: minutes at the highest rate, hours at usual ones.
const MAX_WAITING: usize = 256 << 20;

/// The priority of an agent, as `nice` has it: it uses little, and that at once.
const NICE: i32 = -10;

/// The longest task, in bytes.
const MAX_TASK: u64 = 256 << 20;

/// A question of the parent while the agent runs: a line of JSON.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ClockQuestion {
    /// The parent's boot-time clock when it asked.
    pub clock: u64,
}

/// Reads a task from `input`, probes until `input` ends, and writes frames to `output`.
///
/// # Errors
/// If the task cannot be done (the text says what is needed), or if nobody reads the output for too long. That the parent is gone is
/// no error.
pub fn run(input: impl Read + Send + 'static, output: impl Write + Send) -> Result<(), WatchError> {
    let mut input = BufReader::new(input);
    let mut line = String::new();
    let pipe = |action| move |source| WatchError::Pipe { action, source };
    (&mut input)
        .take(MAX_TASK)
        .read_line(&mut line)
        .map_err(pipe("read the task"))?;
    let task: AgentTask = serde_json::from_str(&line).map_err(|error| WatchError::Task { why: error.to_string() })?;
    drop(line);
    task.check()?;
    files::allow(&task)?;
    let silence = task.silence_s;
    heard(silence);
    // A prober that has to wait for a processor is blind meanwhile. Only root may ask for this; without it stalls are told as such.
    let _ = rustix::process::setpriority_process(None, NICE);
    let (nonce, start) = (nonce(), clock::now() + 20_000_000);
    let datagrams = task
        .targets
        .iter()
        .any(datagram::is_mine)
        .then(|| Datagrams::new(&task, nonce, start))
        .transpose()?;
    let streams = task
        .targets
        .iter()
        .any(stream::is_mine)
        .then(|| Streams::new(&task, nonce, start))
        .transpose()?;
    drop(task);

    let shared = Arc::new(Shared::default());
    let (frames, waiting) = (channel::<Vec<u8>>(), Arc::new(AtomicUsize::new(0)));
    let outbox = Outbox {
        frames: frames.0,
        waiting: Arc::clone(&waiting),
    };
    listen(input, silence, Arc::clone(&shared), outbox.clone());
    let broken = Mutex::new(None);
    let ended = std::thread::scope(|scope| {
        let (shared, broken) = (&*shared, &broken);
        // The scope waits for it: what was seen is written, as long as somebody reads.
        scope.spawn(move || {
            if let Err(error) = write(output, &frames.1, &waiting) {
                *broken.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                shared.stop();
            }
        });
        let engines = [
            datagrams.map(|engine| scope.spawn(|| engine.run(shared))),
            streams.map(|engine| scope.spawn(|| engine.run(shared))),
        ];
        let mut ended = Ok(());
        while !shared.stopped() {
            std::thread::sleep(EVERY);
            ended = outbox.report(shared);
            if ended.is_err() || engines.iter().flatten().any(|engine| engine.is_finished()) {
                shared.stop();
            }
        }
        for engine in engines.into_iter().flatten() {
            // A panic of an engine is one of the agent: its parent tells it and starts another.
            engine.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        }
        let ended = ended.and_then(|()| outbox.report(shared));
        outbox.end();
        ended
    });
    match broken.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) if error.kind() != ErrorKind::BrokenPipe => Err(WatchError::Pipe {
            action: "write results",
            source: error,
        }),
        _ => ended,
    }
}

/// Where frames are put for the writer.
#[derive(Clone)]
struct Outbox {
    frames: Sender<Vec<u8>>,
    waiting: Arc<AtomicUsize>,
}

impl Outbox {
    fn report(&self, shared: &Shared) -> Result<(), WatchError> {
        self.put(frame::encode(&shared.take(), clock::now(), clock::wall()))
    }

    fn put(&self, bytes: Vec<u8>) -> Result<(), WatchError> {
        let waiting = self.waiting.fetch_add(bytes.len(), Ordering::Relaxed);
        if waiting > MAX_WAITING {
            return Err(WatchError::Unread { bytes: waiting });
        }
        // Nobody receives any more only if writing failed; that is told by the writer.
        let _ = self.frames.send(bytes);
        Ok(())
    }

    /// Says that no frame follows.
    fn end(&self) {
        let _ = self.frames.send(Vec::new());
    }
}

fn write(mut output: impl Write, frames: &Receiver<Vec<u8>>, waiting: &AtomicUsize) -> std::io::Result<()> {
    for frame in frames {
        if frame.is_empty() {
            break;
        }
        output.write_all(&frame)?;
        output.flush()?;
        waiting.fetch_sub(frame.len(), Ordering::Relaxed);
    }
    Ok(())
}

/// Answers questions for the clock until the input ends, then stops everything.
fn listen(input: impl BufRead + Send + 'static, silence: Option<NonZeroU32>, shared: Arc<Shared>, outbox: Outbox) {
    std::thread::spawn(move || {
        let mut input = input;
        let mut line = String::new();
        loop {
            line.clear();
            match (&mut input).take(4096).read_line(&mut line) {
                Ok(length) if length > 0 => {}
                _ => return shared.stop(),
            }
            heard(silence);
            // Questions of a newer parent are left unanswered.
            if let Ok(question) = serde_json::from_str::<ClockQuestion>(&line) {
                let answer = frame::encode_clock(question.clock, clock::now(), clock::wall());
                if outbox.put(answer).is_err() {
                    return shared.stop();
                }
            }
        }
    });
}

/// The parent is there: the kernel's alarm, which ends the process whatever it hangs in, begins anew.
fn heard(silence: Option<NonZeroU32>) {
    if let Some(seconds) = silence {
        nix::unistd::alarm::set(seconds.get());
    }
}

/// A number that no other agent is likely to have.
fn nonce() -> u64 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    // The hasher's keys come from the operating system's random numbers.
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u64(clock::now());
    hasher.write_u32(std::process::id());
    hasher.finish()
}

#[cfg(test)]
#[path = "agent/agent_tests.rs"]
mod tests;
