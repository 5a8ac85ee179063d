//! The watch on a terminal: made for a glance over SSH at 80×24, and for any other size.
//!
//! [`draw`] is a pure function of a snapshot and of what the viewer chose; [`show`] owns the terminal.

mod detail;
mod head;
mod overview;
mod runner;
mod state;
mod style;
#[cfg(test)]
mod tests;

pub(crate) use detail::during;
pub use runner::{Left, show};
pub use state::{ViewState, Wish};

use ffu_model::watch::Snapshot;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use state::Mode;

/// Draws one screen. Any size will do; what does not fit is left out, least important first.
pub fn draw(frame: &mut Frame<'_>, snapshot: &Snapshot, view: &mut ViewState) {
    let area = frame.area();
    if area.is_empty() {
        return;
    }
    let top_rows = area.height.min(2);
    let foot = u16::from(area.height > 3);
    let (top, rest) = split(area, top_rows);
    let (body, bottom) = split(rest, rest.height - foot);
    head::header(frame, top, snapshot, view.style);
    match view.mode {
        Mode::Overview => overview::body(frame, body, snapshot, view),
        Mode::Targets => overview::targets(frame, body, snapshot, view),
        Mode::Detail => detail::target(frame, body, snapshot, view),
        Mode::Help => detail::help(frame, body, view),
    }
    if foot > 0 {
        let words = match view.mode {
            Mode::Overview => " q leave (watch goes on)  ↑↓ choose  enter look  g group  t targets  ? help",
            Mode::Targets => " q leave (watch goes on)  ↑↓ PgUp PgDn choose  enter look  t back  ? help",
            Mode::Detail => " esc back  ↑↓ PgUp PgDn scroll  q leave (watch goes on)",
            Mode::Help => " esc back  q leave (watch goes on)",
        };
        frame.render_widget(Line::styled(words, view.style.dim()), bottom);
    }
}

/// The upper `height` rows of an area, and the rest.
fn split(area: Rect, height: u16) -> (Rect, Rect) {
    let height = height.min(area.height);
    let upper = Rect { height, ..area };
    (
        upper,
        Rect {
            y: area.y + height,
            height: area.height - height,
            ..area
        },
    )
}

/// Writes lines from the top of an area, and returns the area below them.
fn put(frame: &mut Frame<'_>, area: Rect, lines: impl IntoIterator<Item = Line<'static>>) -> Rect {
    let mut rest = area;
    for line in lines {
        if rest.height == 0 {
            break;
        }
        let (row, below) = split(rest, 1);
        frame.render_widget(line, row);
        rest = below;
    }
    rest
}

/// A heading with a rule to the right edge.
fn heading(text: &str, width: u16, style: style::Style) -> Line<'static> {
    let rule = usize::from(width).saturating_sub(text.chars().count() + 3);
    Line::from(vec![
        Span::styled(format!(" {text} "), style.strong()),
        Span::styled("─".repeat(rule), style.dim()),
    ])
}
