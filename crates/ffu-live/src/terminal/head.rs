//! What is always on top: which run, what the engine is to do, the sums; then what needs the operator.

use ffu_model::watch::{Breach, OnBreach, Snapshot};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::overview::{NARROW, WIDE};
use super::put;
use super::style::Style;
use crate::words;

/// Two lines: which run, how long, what the engine is to do; the sums.
pub(super) fn header(frame: &mut Frame<'_>, area: Rect, snapshot: &Snapshot, style: Style) {
    let verdict = words::verdict(snapshot);
    let word = format!(" {} ", words::verdict_word(verdict).to_uppercase());
    let mut left = vec![
        Span::styled(" ffu watch", style.strong()),
        Span::raw(format!(
            "  {}",
            words::elapsed(snapshot.now.saturating_sub(snapshot.began))
        )),
    ];
    if let Some(phase) = words::phase(snapshot) {
        left.push(Span::raw(format!("  {}", words::clean(phase))));
    }
    if let Some(run) = &snapshot.run {
        left.push(Span::styled(format!("  run {}", words::clean(run)), style.dim()));
    }
    put(frame, area, [Line::from(left), sums(snapshot, area.width, style)]);
    // Drawn over the end of the first line: whatever else is cut, the verdict is seen.
    let width = u16::try_from(word.len()).unwrap_or(area.width).min(area.width);
    let corner = Rect {
        x: area.right() - width,
        width,
        height: area.height.min(1),
        ..area
    };
    frame.render_widget(Line::styled(word, style.verdict(verdict)), corner);
}

/// The sums in one line.
fn sums(snapshot: &Snapshot, width: u16, style: Style) -> Line<'static> {
    let totals = &snapshot.totals;
    let out = format!("{} out", words::count(totals.out.into()));
    let out = Span::styled(out, if totals.out > 0 { style.bad() } else { style.plain() });
    let longest = Span::raw(format!("  longest {}", words::length(totals.longest_gap)));
    if width < NARROW {
        let lost = Span::raw(format!(
            " of {}  {} lost",
            words::count(totals.targets.into()),
            words::count(totals.lost)
        ));
        return Line::from(vec![Span::raw(" "), out, lost, longest]);
    }
    let lost = format!(
        "  {} of {} probes lost ({})",
        words::count(totals.lost),
        words::count(totals.probes),
        words::share(totals.lost, totals.probes),
    );
    let latency = match width {
        WIDE.. => format!("  rtt p99 {}", words::length(totals.latency.p99)),
        _ => String::new(),
    };
    Line::from(vec![
        Span::raw(format!(" {}, ", words::counted(totals.targets.into(), "target"))),
        out,
        Span::raw(lost),
        longest,
        Span::styled(latency, style.dim()),
    ])
}

/// Open breaches, worst first, with what to type, then the latest remark: `most` lines.
pub(super) fn alerts(snapshot: &Snapshot, most: usize, style: Style) -> Vec<Line<'static>> {
    let mut open: Vec<&Breach> = words::open_breaches(snapshot).collect();
    open.sort_by_key(|breach| std::cmp::Reverse(breach.on_breach));
    let commands = open.first().map_or(&[][..], |breach| words::commands(breach));
    let room = most.saturating_sub(usize::from(!commands.is_empty())).max(1);
    // Two lines each if there is room for that, the first of them in any case.
    let both = open.len() * 2 <= room;
    let shown = if both { open.len() } else { open.len().min(room) };
    let names = words::names(
        snapshot,
        open.iter()
            .take(shown)
            .flat_map(|breach| breach.targets.iter().take(2).copied()),
    );
    let mut lines = Vec::new();
    for breach in &open[..shown] {
        let look = if breach.on_breach == OnBreach::Continue {
            style.warn()
        } else {
            style.bad()
        };
        let says = words::clean(&format!(
            " ! breach {} {}: {}",
            breach.number, breach.budget, breach.says
        ));
        lines.push(Line::styled(says, look));
        if both {
            let mut text = format!("   {}", words::breach_targets(breach, &names, 2));
            if !breach.steps.is_empty() {
                text.push_str(&format!("; during {}", words::clean(&breach.steps.join(", "))));
            }
            lines.push(Line::raw(text));
        }
    }
    if !commands.is_empty() {
        let mut spans = vec![Span::raw("   type ")];
        for (place, (command, does)) in commands.iter().enumerate() {
            spans.push(Span::raw(if place == 0 { "" } else { "  or " }));
            spans.push(Span::styled(*command, style.command()));
            spans.push(Span::styled(format!(" ({does})"), style.dim()));
        }
        if open.len() > shown {
            spans.push(Span::raw(format!(
                "  + {} more",
                words::count((open.len() - shown) as u64)
            )));
        }
        lines.push(Line::from(spans));
    }
    if let Some(remark) = snapshot.remarks.last().filter(|_| lines.len() < most) {
        lines.push(Line::styled(format!(" · {}", words::clean(remark)), style.warn()));
    }
    lines
}
