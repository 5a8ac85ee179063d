//! What the viewer chose, and what keys do to it.

use ffu_model::watch::Snapshot;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::style::Style;

/// What is on the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Overview,
    Targets,
    Detail,
    Help,
}

/// What the viewer wants after a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// To go on looking.
    Stay,
    /// To leave the view; the watch goes on.
    Leave,
    /// What Ctrl-C means outside of the view.
    Interrupt,
}

/// What the viewer chose: part, group key, target, place.
#[derive(Clone, Debug)]
pub struct ViewState {
    pub(super) style: Style,
    pub(super) mode: Mode,
    /// Where `esc` leads.
    back: Mode,
    /// Place among the group keys.
    group: usize,
    /// The chosen target, by its number: it stays chosen when the order changes.
    selected: Option<u32>,
    /// The first row of the target list that is shown.
    offset: usize,
    /// Lines scrolled away in a closer look.
    pub(super) scroll: usize,
    /// Rows of the list at the last drawing: what a page is.
    pub(super) rows: usize,
}

impl ViewState {
    /// The overview, with or without colour (see [`crate::words::colour_wanted`]).
    pub fn new(colour: bool) -> Self {
        ViewState {
            style: Style { colour },
            mode: Mode::Overview,
            back: Mode::Overview,
            group: 0,
            selected: None,
            offset: 0,
            scroll: 0,
            rows: 1,
        }
    }

    /// Takes a key. Keys that mean nothing change nothing.
    pub fn key(&mut self, key: KeyEvent, snapshot: &Snapshot) -> Wish {
        if key.kind == KeyEventKind::Release {
            return Wish::Stay;
        }
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return if key.code == KeyCode::Char('c') {
                Wish::Interrupt
            } else {
                Wish::Stay
            };
        }
        let page = isize::try_from(self.rows.max(1)).unwrap_or(isize::MAX);
        match key.code {
            KeyCode::Char('q') => return Wish::Leave,
            KeyCode::Esc | KeyCode::Backspace | KeyCode::Left => self.go_back(),
            KeyCode::Char('?' | 'h') => self.look(Mode::Help),
            KeyCode::Char('g') => self.group = self.group.wrapping_add(1),
            KeyCode::Char('t') if self.mode == Mode::Targets => self.mode = Mode::Overview,
            KeyCode::Char('t') => self.mode = Mode::Targets,
            KeyCode::Enter | KeyCode::Right if matches!(self.mode, Mode::Overview | Mode::Targets) => {
                self.selected = self
                    .place(snapshot)
                    .and_then(|place| snapshot.targets.get(place))
                    .map(|t| t.target);
                self.look(Mode::Detail);
            }
            KeyCode::Up | KeyCode::Char('k') => self.step(-1, snapshot),
            KeyCode::Down | KeyCode::Char('j') => self.step(1, snapshot),
            KeyCode::PageUp => self.step(-page, snapshot),
            KeyCode::PageDown | KeyCode::Char(' ') => self.step(page, snapshot),
            KeyCode::Home => self.step(isize::MIN, snapshot),
            KeyCode::End => self.step(isize::MAX, snapshot),
            _ => {}
        }
        Wish::Stay
    }

    fn look(&mut self, mode: Mode) {
        if matches!(self.mode, Mode::Overview | Mode::Targets) {
            self.back = self.mode;
        }
        self.mode = mode;
        self.scroll = 0;
    }

    fn go_back(&mut self) {
        self.mode = match self.mode {
            Mode::Overview | Mode::Targets => Mode::Overview,
            Mode::Detail | Mode::Help => self.back,
        };
    }

    fn step(&mut self, by: isize, snapshot: &Snapshot) {
        if matches!(self.mode, Mode::Detail | Mode::Help) {
            self.scroll = self.scroll.saturating_add_signed(by);
            return;
        }
        let place = self.place(snapshot).unwrap_or(0).saturating_add_signed(by);
        let place = place.min(snapshot.targets.len().saturating_sub(1));
        self.selected = snapshot.targets.get(place).map(|target| target.target);
    }

    /// The chosen target's place in the list, if there is a target: the worst if none was chosen.
    pub(super) fn place(&self, snapshot: &Snapshot) -> Option<usize> {
        if snapshot.targets.is_empty() {
            return None;
        }
        let chosen = self
            .selected
            .and_then(|id| snapshot.targets.iter().position(|target| target.target == id));
        Some(chosen.unwrap_or(0))
    }

    /// The first row to show so that the chosen one is among `rows` rows. Until a target is chosen, the worst are shown.
    pub(super) fn first_row(&mut self, snapshot: &Snapshot, rows: usize) -> usize {
        self.rows = rows;
        let place = self.place(snapshot).unwrap_or(0);
        let highest = (place + 1).saturating_sub(rows);
        self.offset = self
            .offset
            .clamp(highest, place.max(highest))
            .min(snapshot.targets.len().saturating_sub(rows));
        self.offset
    }

    /// The group key to show.
    pub(super) fn group_key<'a>(&self, snapshot: &'a Snapshot) -> Option<&'a str> {
        let mut keys: Vec<&str> = Vec::new();
        for group in &snapshot.groups {
            if !keys.contains(&group.key.as_str()) {
                keys.push(&group.key);
            }
        }
        keys.get(self.group % keys.len().max(1)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::made;

    fn press(view: &mut ViewState, snapshot: &Snapshot, codes: &[KeyCode]) -> Wish {
        let mut wish = Wish::Stay;
        for code in codes {
            wish = view.key(KeyEvent::new(*code, KeyModifiers::NONE), snapshot);
        }
        wish
    }

    #[test]
    fn the_chosen_target_stays_chosen_when_the_order_changes() {
        let mut snapshot = made::snapshot(450, 60);
        let mut view = ViewState::new(false);
        press(&mut view, &snapshot, &[KeyCode::Down, KeyCode::Down]);
        let chosen = snapshot.targets[2].target;
        snapshot.targets.reverse();
        assert_eq!(snapshot.targets[view.place(&snapshot).unwrap()].target, chosen);
        snapshot.targets.retain(|target| target.target != chosen);
        assert_eq!(view.place(&snapshot), Some(0));
        snapshot.targets.clear();
        assert_eq!(
            press(&mut view, &snapshot, &[KeyCode::End, KeyCode::Enter, KeyCode::Home]),
            Wish::Stay
        );
    }

    #[test]
    fn keys_lead_in_and_back_out() {
        let snapshot = made::snapshot(450, 60);
        let mut view = ViewState::new(false);
        press(
            &mut view,
            &snapshot,
            &[KeyCode::Char('t'), KeyCode::End, KeyCode::Enter],
        );
        assert_eq!((view.mode, view.place(&snapshot)), (Mode::Detail, Some(59)));
        press(&mut view, &snapshot, &[KeyCode::Char('?'), KeyCode::Esc]);
        assert_eq!(view.mode, Mode::Targets);
        press(&mut view, &snapshot, &[KeyCode::Esc]);
        assert_eq!(view.mode, Mode::Overview);
        assert_eq!(press(&mut view, &snapshot, &[KeyCode::Char('q')]), Wish::Leave);
        let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(view.key(interrupt, &snapshot), Wish::Interrupt);
    }

    #[test]
    fn g_goes_round_the_group_keys() {
        let snapshot = made::snapshot(450, 60);
        let mut view = ViewState::new(false);
        let mut seen = vec![view.group_key(&snapshot).unwrap()];
        for _ in 0..3 {
            press(&mut view, &snapshot, &[KeyCode::Char('g')]);
            seen.push(view.group_key(&snapshot).unwrap());
        }
        assert_eq!(seen, ["az", "network", "vnic_type", "az"]);
    }
}
