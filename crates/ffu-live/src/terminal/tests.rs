//! Whole screens, and that no size and no snapshot breaks one.

use ffu_model::watch::{Bucket, Snapshot};
use proptest::prelude::*;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::style::Color;

use super::{ViewState, draw};
use crate::made;

fn screen(snapshot: &Snapshot, view: &mut ViewState, width: u16, height: u16) -> Terminal<TestBackend> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, snapshot, view)).unwrap();
    terminal
}

fn text(snapshot: &Snapshot, view: &mut ViewState, width: u16, height: u16) -> String {
    screen(snapshot, view, width, height).backend().to_string()
}

fn press(view: &mut ViewState, snapshot: &Snapshot, codes: &[KeyCode]) {
    for code in codes {
        view.key(KeyEvent::new(*code, KeyModifiers::NONE), snapshot);
    }
}

#[test]
fn overview_at_80_by_24() {
    insta::assert_snapshot!(text(&made::snapshot(450, 512), &mut ViewState::new(true), 80, 24));
}

#[test]
fn overview_at_120_by_40() {
    let mut snapshot = made::snapshot(450, 512);
    snapshot.breaches[0].acknowledged = false;
    insta::assert_snapshot!(text(&snapshot, &mut ViewState::new(true), 120, 40));
}

#[test]
fn overview_at_40_by_10() {
    insta::assert_snapshot!(text(&made::snapshot(450, 512), &mut ViewState::new(true), 40, 10));
}

#[test]
fn a_quiet_watch_without_a_run() {
    let snapshot = Snapshot {
        run: None,
        steps: Vec::new(),
        ..made::snapshot(60, 40)
    };
    insta::assert_snapshot!(text(&snapshot, &mut ViewState::new(true), 80, 24));
}

#[test]
fn targets_scrolled_to_the_end() {
    let snapshot = made::snapshot(450, 512);
    let mut view = ViewState::new(true);
    press(&mut view, &snapshot, &[KeyCode::Char('t'), KeyCode::End, KeyCode::Up]);
    insta::assert_snapshot!(text(&snapshot, &mut view, 80, 24));
}

#[test]
fn one_target() {
    let snapshot = made::snapshot(450, 512);
    let mut view = ViewState::new(true);
    press(&mut view, &snapshot, &[KeyCode::Enter]);
    insta::assert_snapshot!(text(&snapshot, &mut view, 80, 24));
}

#[test]
fn help_at_80_by_24() {
    let snapshot = made::snapshot(450, 512);
    let mut view = ViewState::new(true);
    press(&mut view, &snapshot, &[KeyCode::Char('?')]);
    insta::assert_snapshot!(text(&snapshot, &mut view, 80, 24));
}

#[test]
fn without_colour_there_is_none() {
    let snapshot = made::snapshot(450, 512);
    let coloured = |colour| {
        let terminal = screen(&snapshot, &mut ViewState::new(colour), 80, 24);
        let cells = terminal.backend().buffer().content.iter();
        cells
            .filter(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset)
            .count()
    };
    assert_eq!(coloured(false), 0);
    assert!(coloured(true) > 0);
}

#[test]
fn the_command_is_seen_at_every_sensible_size() {
    for (width, height) in [(80, 24), (120, 40), (40, 10), (60, 8)] {
        let seen = text(&made::snapshot(450, 512), &mut ViewState::new(true), width, height);
        assert!(seen.contains("ffu watch acknowledge"), "{width}×{height}:\n{seen}");
        assert!(seen.contains("HOLD"), "{width}×{height}:\n{seen}");
    }
}

#[test]
fn names_cannot_steer_the_terminal() {
    let mut snapshot = made::snapshot(450, 40);
    snapshot.targets[0].name = "\x1b[2Jevil\u{202e}".to_owned();
    snapshot.breaches[1].budget = "\x1b]0;x\x07".to_owned();
    let seen = text(&snapshot, &mut ViewState::new(true), 80, 24);
    assert!(
        !seen.contains('\x1b') && !seen.contains('\u{202e}') && !seen.contains('\x07'),
        "{seen}"
    );
}

fn any_snapshot() -> impl Strategy<Value = Snapshot> {
    let figures = prop_oneof![Just(0u64), Just(u64::MAX), any::<u64>()];
    (
        0u64..1_000,
        0u32..50,
        "\\PC{0,12}",
        figures,
        proptest::collection::vec((any::<u64>(), any::<u64>()), 0..9),
    )
        .prop_map(|(elapsed, targets, name, figure, timeline)| {
            let mut snapshot = made::snapshot(elapsed, targets);
            snapshot.timeline = timeline
                .into_iter()
                .map(|(probes, lost)| Bucket {
                    from: figure,
                    probes,
                    lost,
                    out: u32::MAX,
                })
                .collect();
            snapshot.totals.probes = figure;
            snapshot.totals.longest_gap = figure;
            snapshot.began = figure;
            for (place, target) in snapshot.targets.iter_mut().enumerate() {
                target.name = name.repeat(place % 4);
                target.totals.lost = figure;
                for outage in &mut target.outages {
                    outage.begin = figure;
                }
            }
            for cost in &mut snapshot.steps {
                cost.mark.step.clone_from(&name);
                cost.mark.begin = figure;
            }
            snapshot
        })
}

fn any_key() -> impl Strategy<Value = KeyCode> {
    use KeyCode::*;
    let keys = vec![
        Up,
        Down,
        PageUp,
        PageDown,
        Home,
        End,
        Enter,
        Esc,
        Char('g'),
        Char('t'),
        Char('?'),
        Char('x'),
        Tab,
    ];
    proptest::sample::select(keys)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    #[test]
    fn no_size_breaks_it(
        sizes in proptest::collection::vec((0u16..200, 0u16..200), 1..4),
        snapshot in any_snapshot(),
        keys in proptest::collection::vec(any_key(), 0..12),
    ) {
        let mut view = ViewState::new(true);
        for (width, height) in sizes {
            press(&mut view, &snapshot, &keys);
            screen(&snapshot, &mut view, width, height);
        }
    }
}
