//! Steps, groups and the list of targets.

use ffu_model::watch::{Bucket, Snapshot, StepCost, TargetSummary};
use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Row, Table};

use super::state::ViewState;
use super::style::Style;
use super::{head, heading, put};
use crate::{spark, words};

/// Narrower than this, tables show the most important columns only.
pub(super) const NARROW: u16 = 70;
/// From this width on, tables have room for everything.
pub(super) const WIDE: u16 = 110;

/// Everything at a glance.
pub(super) fn body(frame: &mut Frame<'_>, area: Rect, snapshot: &Snapshot, view: &mut ViewState) {
    let style = view.style;
    let mut rest = area;
    if area.height > 0 {
        rest = put(frame, rest, head::alerts(snapshot, usize::from(area.height) / 3, style));
    }
    if rest.height >= 6 {
        rest = put(frame, rest, [loss_line(snapshot, area.width, style)]);
    }
    if rest.height >= 9 {
        rest = steps(frame, rest, snapshot, style);
    }
    if rest.height >= 8 {
        rest = groups(frame, rest, snapshot, view);
    }
    targets(frame, rest, snapshot, view);
}

fn loss_line(snapshot: &Snapshot, width: u16, style: Style) -> Line<'static> {
    let columns = usize::from(width).saturating_sub(8);
    let mut spans = vec![Span::raw(" loss  ")];
    spans.extend(sparkline(&snapshot.timeline, columns, style));
    Line::from(spans)
}

/// A row of signs, those with loss in another style.
fn sparkline(timeline: &[Bucket], columns: usize, style: Style) -> Vec<Span<'static>> {
    let mut spans: Vec<(String, bool)> = Vec::new();
    for level in spark::levels(timeline, columns) {
        let lossy = level.unwrap_or(0) > 0;
        match spans.last_mut() {
            Some((text, same)) if *same == lossy => text.push(spark::sign(level)),
            _ => spans.push((spark::sign(level).to_string(), lossy)),
        }
    }
    let look = |lossy| if lossy { style.bad() } else { style.dim() };
    spans
        .into_iter()
        .map(|(text, lossy)| Span::styled(text, look(lossy)))
        .collect()
}

fn steps(frame: &mut Frame<'_>, area: Rect, snapshot: &Snapshot, style: Style) -> Rect {
    if snapshot.steps.is_empty() {
        return area;
    }
    let room = usize::from(area.height / 4).clamp(2, 8);
    let rows = recent(&snapshot.steps, room).into_iter().map(|cost| {
        let (sign, look) = if cost.mark.end.is_none() {
            ("▶", style.running())
        } else {
            (" ", style.plain())
        };
        let took = words::length(words::step_length(snapshot, &cost.mark));
        let loss = if cost.lost == 0 {
            "no loss".to_owned()
        } else {
            format!(
                "{} lost, {}, gap {}",
                words::count(cost.lost),
                words::counted(cost.targets.into(), "target"),
                words::length(cost.longest_gap),
            )
        };
        let origin = cost.confidence.as_ref().map_or_else(String::new, words::origin);
        Row::new(vec![
            Cell::from(format!(" {sign} {}", words::clean(&cost.mark.step))).style(look),
            right(took, style.plain()),
            Cell::from(loss).style(style.loss(cost.lost)),
            Cell::from(origin).style(style.dim()),
        ])
    });
    let widths: Vec<Constraint> = match area.width {
        ..NARROW => [Constraint::Fill(1), Constraint::Length(9), Constraint::Length(14)].into(),
        NARROW..WIDE => [Constraint::Fill(1), Constraint::Length(11), Constraint::Length(32)].into(),
        WIDE.. => [
            Constraint::Fill(1),
            Constraint::Length(11),
            Constraint::Length(38),
            Constraint::Length(28),
        ]
        .into(),
    };
    let rows: Vec<Row<'_>> = rows.collect();
    let below = put(frame, area, [heading("Steps and what they cost", area.width, style)]);
    table(frame, below, rows, widths)
}

/// The last steps in their order, those that run first of all to be kept.
fn recent(steps: &[StepCost], room: usize) -> Vec<&StepCost> {
    let mut places: Vec<usize> = (0..steps.len()).collect();
    places.sort_by_key(|place| (steps[*place].mark.end.is_some(), std::cmp::Reverse(*place)));
    places.truncate(room);
    places.sort_unstable();
    places.into_iter().map(|place| &steps[place]).collect()
}

fn groups(frame: &mut Frame<'_>, area: Rect, snapshot: &Snapshot, view: &ViewState) -> Rect {
    let style = view.style;
    let Some(key) = view.group_key(snapshot) else {
        return area;
    };
    let members: Vec<_> = snapshot.groups.iter().filter(|group| group.key == key).collect();
    let room = usize::from(area.height / 3).clamp(2, 12);
    let columns = usize::from(area.width / 4).clamp(8, 60);
    let rows = members.iter().take(room).map(|group| {
        let totals = &group.totals;
        Row::new(vec![
            Cell::from(format!("   {}", words::clean(&group.value))),
            right(words::counted(totals.targets.into(), "target"), style.plain()),
            right(
                format!("{} out", words::count(totals.out.into())),
                out_look(totals.out, style),
            ),
            right(format!("{} lost", words::count(totals.lost)), style.loss(totals.lost)),
            Cell::from(Line::from(sparkline(&group.timeline, columns, style))),
        ])
    });
    let spark = Constraint::Length(u16::try_from(columns).unwrap_or(u16::MAX));
    let widths = match area.width {
        ..NARROW => vec![
            Constraint::Fill(1),
            Constraint::Length(0),
            Constraint::Length(7),
            Constraint::Length(10),
            spark,
        ],
        _ => vec![
            Constraint::Fill(1),
            Constraint::Length(14),
            Constraint::Length(9),
            Constraint::Length(13),
            spark,
        ],
    };
    let more = match members.len().saturating_sub(room) {
        0 => String::new(),
        more => format!(", {more} more"),
    };
    let title = heading(&format!("By {}{more}", words::clean(key)), area.width, style);
    let rows: Vec<Row<'_>> = rows.collect();
    let below = put(frame, area, [title]);
    table(frame, below, rows, widths)
}

/// The list of targets, worst first, as far as there is room.
pub(super) fn targets(frame: &mut Frame<'_>, area: Rect, snapshot: &Snapshot, view: &mut ViewState) {
    let style = view.style;
    let room = usize::from(area.height).saturating_sub(1);
    let first = view.first_row(snapshot, room);
    let chosen = view.place(snapshot);
    let last = (first + room).min(snapshot.targets.len());
    let title = match snapshot.targets.len() {
        0 => "Targets: none yet".to_owned(),
        n => format!(
            "Targets, worst first: {} to {} of {}",
            (first + 1).min(last),
            last,
            words::count(n as u64)
        ),
    };
    let below = put(frame, area, [heading(&title, area.width, style)]);
    let rows = (first..last).map(|place| {
        let look = if Some(place) == chosen {
            style.selected(style.plain())
        } else {
            style.plain()
        };
        target_row(&snapshot.targets[place], area.width, style).style(look)
    });
    let widths: Vec<Constraint> = match area.width {
        ..NARROW => [Constraint::Fill(1), Constraint::Length(9), Constraint::Length(11)].into(),
        NARROW..WIDE => {
            let lengths = [9, 11, 11, 19].map(Constraint::Length);
            [Constraint::Fill(1)].into_iter().chain(lengths).collect()
        }
        WIDE.. => {
            let lengths = [9, 11, 11, 19, 28].map(Constraint::Length);
            [Constraint::Fill(1)].into_iter().chain(lengths).collect()
        }
    };
    let rows: Vec<Row<'_>> = rows.collect();
    table(frame, below, rows, widths);
}

fn target_row(target: &TargetSummary, width: u16, style: Style) -> Row<'static> {
    let totals = &target.totals;
    let (state, look) = match (target.set_aside, target.out) {
        (true, _) => ("aside", style.dim()),
        (_, true) => ("OUT", style.bad()),
        _ => ("up", style.dim()),
    };
    let mut cells = vec![
        Cell::from(format!("   {}", words::clean(&target.name))),
        Cell::from(state).style(look),
        right(format!("{} lost", words::count(totals.lost)), style.loss(totals.lost)),
    ];
    if width >= NARROW {
        cells.push(right(
            words::counted(totals.outages.into(), "outage"),
            style.loss(totals.outages.into()),
        ));
        cells.push(right(
            format!("longest {}", words::length(totals.longest_gap)),
            style.loss(totals.longest_gap),
        ));
    }
    if width >= WIDE {
        cells.push(Cell::from(words::clean(&target.probed)).style(style.dim()));
    }
    Row::new(cells)
}

fn out_look(out: u32, style: Style) -> ratatui::style::Style {
    if out > 0 { style.bad() } else { style.dim() }
}

fn right(text: String, look: ratatui::style::Style) -> Cell<'static> {
    Cell::from(Line::from(text).alignment(Alignment::Right)).style(look)
}

/// Draws rows from the top of an area, and returns what is left below.
fn table(frame: &mut Frame<'_>, area: Rect, rows: Vec<Row<'_>>, widths: Vec<Constraint>) -> Rect {
    let height = u16::try_from(rows.len()).unwrap_or(u16::MAX);
    let (here, below) = super::split(area, height);
    frame.render_widget(Table::new(rows, widths).column_spacing(1), here);
    below
}
