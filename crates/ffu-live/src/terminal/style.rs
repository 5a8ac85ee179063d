//! The few styles of the terminal view. Without colour, bold and reversed text say the same.

use ffu_model::watch::Verdict;
use ratatui::style::{Color, Modifier, Style as Look};

/// Whether colours are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Style {
    pub(super) colour: bool,
}

impl Style {
    fn with(self, colour: Color) -> Look {
        if self.colour {
            Look::new().fg(colour)
        } else {
            Look::new()
        }
    }

    pub(super) fn plain(self) -> Look {
        Look::new()
    }

    pub(super) fn strong(self) -> Look {
        Look::new().add_modifier(Modifier::BOLD)
    }

    pub(super) fn dim(self) -> Look {
        self.with(Color::DarkGray)
    }

    pub(super) fn bad(self) -> Look {
        self.with(Color::Red).add_modifier(Modifier::BOLD)
    }

    pub(super) fn warn(self) -> Look {
        self.with(Color::Yellow)
    }

    pub(super) fn running(self) -> Look {
        self.with(Color::Cyan)
    }

    pub(super) fn command(self) -> Look {
        self.with(Color::Cyan).add_modifier(Modifier::BOLD)
    }

    /// How a figure looks that should be 0.
    pub(super) fn loss(self, lost: u64) -> Look {
        if lost == 0 { self.dim() } else { self.warn() }
    }

    pub(super) fn verdict(self, verdict: Verdict) -> Look {
        let look = match verdict {
            Verdict::Go => self.with(Color::Green),
            Verdict::Hold => self.with(Color::Yellow),
            Verdict::Stop => self.with(Color::Red),
        };
        look.add_modifier(Modifier::BOLD | Modifier::REVERSED)
    }

    pub(super) fn selected(self, look: Look) -> Look {
        look.add_modifier(Modifier::REVERSED)
    }
}
