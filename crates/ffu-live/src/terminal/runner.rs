//! The terminal itself: taken, drawn on, and given back however the view ends.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Once};
use std::time::{Duration, Instant};

use ffu_model::watch::Snapshot;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::event::{self, Event};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use signal_hook::SigId;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use tokio::sync::watch::Receiver;

use super::{ViewState, Wish, draw};
use crate::LiveError;

/// How long keys are waited for before new figures are looked for.
const PATIENCE: Duration = Duration::from_millis(100);
/// A screen is drawn anew after this time at most, so that times go on and a resized terminal is whole again.
const REDRAW: Duration = Duration::from_secs(1);

/// Why the view ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// The viewer left it; watch and run go on.
    Quit,
    /// Ctrl-C was typed: the caller does what it does on SIGINT.
    Interrupted,
    /// There will be no more snapshots.
    Ended,
    /// A thread panicked; what it said is on the terminal, which is given back already.
    Panicked,
    /// A signal came: the caller does what it does on it.
    Signal(i32),
}

/// Shows snapshots until the viewer leaves, the feed ends or a signal comes. It blocks its thread and needs no runtime.
///
/// The terminal is given back on return, on a panic of any thread, and on SIGHUP, SIGINT, SIGQUIT and SIGTERM, which are
/// caught while the view is up; handlers that the caller has set with signal-hook run as well. The caller must have such
/// handlers: signal-hook does not bring back what a signal did by itself, so after the view it would do nothing.
pub fn show(mut feed: Receiver<Arc<Snapshot>>, mut view: ViewState) -> Result<Left, LiveError> {
    let signals = Signals::catch().map_err(failed("set up"))?;
    let _taken = Taken::take().map_err(failed("set up"))?;
    let mut terminal = ratatui::Terminal::new(CrosstermBackend::new(io::stdout())).map_err(failed("set up"))?;
    let mut snapshot = feed.borrow_and_update().clone();
    let mut drawn: Option<Instant> = None;
    loop {
        if let Some(signal) = signals.caught() {
            return Ok(Left::Signal(signal));
        }
        if !TAKEN.load(Ordering::SeqCst) {
            return Ok(Left::Panicked);
        }
        match feed.has_changed() {
            Ok(true) => {
                snapshot = feed.borrow_and_update().clone();
                drawn = None;
            }
            Ok(false) => {}
            Err(_) => return Ok(Left::Ended),
        }
        if drawn.is_none_or(|at| at.elapsed() >= REDRAW) {
            terminal
                .draw(|frame| draw(frame, &snapshot, &mut view))
                .map_err(failed("draw on"))?;
            drawn = Some(Instant::now());
        }
        if !poll(PATIENCE).map_err(failed("read"))? {
            continue;
        }
        drawn = None;
        if let Event::Key(key) = event::read().map_err(failed("read"))? {
            match view.key(key, &snapshot) {
                Wish::Stay => {}
                Wish::Leave => return Ok(Left::Quit),
                Wish::Interrupt => return Ok(Left::Interrupted),
            }
        }
    }
}

fn failed(action: &'static str) -> impl Fn(io::Error) -> LiveError {
    move |source| LiveError::Terminal { action, source }
}

/// Whether there is a key to read; a signal that interrupts the waiting is no failure.
fn poll(patience: Duration) -> io::Result<bool> {
    match event::poll(patience) {
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(false),
        other => other,
    }
}

/// Whether the terminal is ours now, for the panic hook.
static TAKEN: AtomicBool = AtomicBool::new(false);
static HOOK: Once = Once::new();

/// The terminal in raw mode on its second screen; given back when dropped.
struct Taken;

impl Taken {
    fn take() -> io::Result<Self> {
        HOOK.call_once(|| {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                give_back();
                before(panic);
            }));
        });
        TAKEN.store(true, Ordering::SeqCst);
        // From here on a failure gives back what was taken.
        let taken = Taken;
        enable_raw_mode()?;
        execute!(io::stdout(), EnterAlternateScreen, Hide)?;
        Ok(taken)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        give_back();
    }
}

/// Gives the terminal back, once. Nothing can be done if that fails.
fn give_back() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        let _ = execute!(io::stdout(), LeaveAlternateScreen, Show);
        let _ = disable_raw_mode();
    }
}

/// Signals that end the view, caught as long as this lives.
struct Signals {
    last: Arc<AtomicUsize>,
    ids: Vec<SigId>,
}

impl Signals {
    fn catch() -> io::Result<Self> {
        let mut signals = Signals {
            last: Arc::new(AtomicUsize::new(0)),
            ids: Vec::new(),
        };
        for signal in [SIGHUP, SIGINT, SIGQUIT, SIGTERM] {
            let number = usize::try_from(signal).unwrap_or(0);
            signals
                .ids
                .push(signal_hook::flag::register_usize(signal, signals.last.clone(), number)?);
        }
        Ok(signals)
    }

    fn caught(&self) -> Option<i32> {
        let number = self.last.load(Ordering::SeqCst);
        (number != 0).then(|| i32::try_from(number).unwrap_or(0))
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        for id in self.ids.drain(..) {
            signal_hook::low_level::unregister(id);
        }
    }
}
