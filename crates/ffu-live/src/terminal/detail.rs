//! A closer look at one target, and the help.

use ffu_model::watch::{Outage, Snapshot};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::state::ViewState;
use super::style::Style;
use super::{heading, put};
use crate::words;

/// One target with its outages, latest first.
pub(super) fn target(frame: &mut Frame<'_>, area: Rect, snapshot: &Snapshot, view: &mut ViewState) {
    let style = view.style;
    let Some(target) = view.place(snapshot).and_then(|place| snapshot.targets.get(place)) else {
        put(frame, area, [Line::raw(" no target yet")]);
        return;
    };
    let totals = &target.totals;
    let groups: Vec<String> = target
        .groups
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let state = match (target.set_aside, target.out) {
        (true, _) => Span::styled("set aside: it never answered", style.warn()),
        (_, true) => Span::styled("OUT", style.bad()),
        _ => Span::raw("up"),
    };
    let latency = [
        totals.latency.p50,
        totals.latency.p95,
        totals.latency.p99,
        totals.latency.max,
    ]
    .map(words::length);
    let mut lines = vec![
        heading(&words::clean(&target.name), area.width, style),
        Line::from(vec![Span::raw(format!("   {}  ", words::clean(&target.probed))), state]),
        Line::styled(format!("   {}", words::clean(&groups.join("  "))), style.dim()),
        Line::raw(format!(
            "   {} of {} probes lost ({}), {} unsent, {} duplicates, {} reordered",
            words::count(totals.lost),
            words::count(totals.probes),
            words::share(totals.lost, totals.probes),
            words::count(totals.unsent),
            words::count(totals.duplicates),
            words::count(totals.reordered),
        )),
        Line::raw(format!(
            "   longest {}, together {}, {}, {}",
            words::length(totals.longest_gap),
            words::length(totals.worst_total),
            words::counted(totals.broken_streams.into(), "broken stream"),
            words::counted(totals.restarts.into(), "restart"),
        )),
        Line::raw(format!(
            "   rtt p50 {}, p95 {}, p99 {}, max {}",
            latency[0], latency[1], latency[2], latency[3]
        )),
    ];
    let kept = match u64::from(totals.outages).saturating_sub(target.outages.len() as u64) {
        0 => String::new(),
        more => format!(", {} older not kept", words::count(more)),
    };
    lines.push(heading(
        &format!("{}{kept}", words::counted(totals.outages.into(), "outage")),
        area.width,
        style,
    ));
    lines.extend(
        target
            .outages
            .iter()
            .rev()
            .map(|outage| outage_line(snapshot, outage, style)),
    );
    scrolled(frame, area, lines, view);
}

fn outage_line(snapshot: &Snapshot, outage: &Outage, style: Style) -> Line<'static> {
    let during: Vec<&str> = during(snapshot, outage).collect();
    let until = outage
        .end
        .map_or_else(|| "now       ".to_owned(), |end| words::fine_clock(snapshot, end));
    let length = words::length(outage.end.unwrap_or(snapshot.now).saturating_sub(outage.begin));
    let mut spans = vec![
        Span::raw(format!("   {} – {until}  ", words::fine_clock(snapshot, outage.begin))),
        Span::styled(format!("{length:>9}"), style.bad()),
        Span::raw(format!("  {} lost", words::count(outage.lost.into()))),
    ];
    if outage.partly_blind {
        spans.push(Span::styled("  partly not seen", style.warn()));
    }
    if !during.is_empty() {
        spans.push(Span::styled(
            format!("  {}", words::clean(&during.join(", "))),
            style.dim(),
        ));
    }
    Line::from(spans)
}

/// The steps that ran at some time of an outage.
pub(crate) fn during<'a>(snapshot: &'a Snapshot, outage: &Outage) -> impl Iterator<Item = &'a str> {
    let (begin, end) = (outage.begin, outage.end.unwrap_or(snapshot.now));
    let ran = move |from: u64, to: Option<u64>| from <= end && to.is_none_or(|to| to >= begin);
    let steps = snapshot.steps.iter().map(|cost| &cost.mark);
    steps
        .filter(move |mark| ran(mark.begin, mark.end))
        .map(|mark| mark.step.as_str())
}

/// What keys and signs mean.
pub(super) fn help(frame: &mut Frame<'_>, area: Rect, view: &mut ViewState) {
    let text = [
        "q           leave this view; the watch goes on, and so does the run",
        "↑ ↓  j k    choose a target, or scroll in a closer look",
        "PgUp PgDn   by a page; Home and End to the first and last",
        "enter →     look closer: outages, and the steps they fell into",
        "esc ←       back",
        "t           all the room for targets, and back",
        "g           the next group key: network, az, …",
        "Ctrl-C      as without this view: first finishes the running steps",
        "",
        "Share of probes lost:  ▁ none  ▂ any  ▃ 0.1 %  ▄ 1 %  ▅ 5 %  ▆ 20 %",
        "                       ▇ 50 %  █ 90 %  blank: nothing probed",
        "Times are UTC. A step is charged with all that was lost while it ran,",
        "also if others ran beside it. By chance: how likely the baseline's noise",
        "alone would have lost as much in the same time.",
    ];
    let lines = text.into_iter().map(|line| Line::raw(format!("   {line}")));
    let lines: Vec<_> = [heading("Help", area.width, view.style)]
        .into_iter()
        .chain(lines)
        .collect();
    scrolled(frame, area, lines, view);
}

fn scrolled(frame: &mut Frame<'_>, area: Rect, lines: Vec<Line<'static>>, view: &mut ViewState) {
    view.rows = usize::from(area.height);
    view.scroll = view.scroll.min(lines.len().saturating_sub(view.rows));
    put(frame, area, lines.into_iter().skip(view.scroll));
}
