//! Plots as SVG. They need no script and no styles but the report's own.

use std::collections::BTreeMap;

use ffu_model::watch::{Bucket, Snapshot, StepCost};
use maud::{Markup, html};

use crate::words;

const WIDTH: f64 = 960.0;
const LEFT: f64 = 84.0;
const PLOT: f64 = 120.0;
const LANE: f64 = 16.0;
/// The lost share at the top of a plot is never less: background noise shall not look like a catastrophe.
const LEAST_TOP: f64 = 0.001;

/// A stretch of the boot-time clock, laid over a stretch of pixels.
struct Scale {
    from: u64,
    to: u64,
    left: f64,
    right: f64,
}

impl Scale {
    fn x(&self, at: u64) -> f64 {
        let span = self.to.saturating_sub(self.from).max(1) as f64;
        let share = at.clamp(self.from, self.to.max(self.from)) - self.from;
        self.left + (self.right - self.left) * share as f64 / span
    }
}

fn share(bucket: &Bucket) -> f64 {
    if bucket.probes == 0 {
        0.0
    } else {
        (bucket.lost as f64 / bucket.probes as f64).min(1.0)
    }
}

/// Loss over time with the steps under it.
pub(super) fn timeline(snapshot: &Snapshot) -> Markup {
    let from = snapshot.timeline.first().map_or(snapshot.began, |bucket| bucket.from);
    let scale = Scale {
        from,
        to: snapshot.now,
        left: LEFT,
        right: WIDTH - 8.0,
    };
    let mut lanes: BTreeMap<usize, Vec<&StepCost>> = BTreeMap::new();
    let mut phases: Vec<&str> = Vec::new();
    for cost in &snapshot.steps {
        let lane = phases
            .iter()
            .position(|phase| *phase == cost.mark.phase)
            .unwrap_or_else(|| {
                phases.push(&cost.mark.phase);
                phases.len() - 1
            });
        lanes.entry(lane).or_default().push(cost);
    }
    let top = snapshot.timeline.iter().map(share).fold(LEAST_TOP, f64::max);
    let base = PLOT + 8.0;
    let bottom = base + 10.0 + LANE * phases.len() as f64;
    let height = bottom + 22.0;
    html! {
        svg.plot viewBox=(format!("0 0 {WIDTH} {height}")) role="img" aria-label="Lost probes over time, and steps" {
            text x=(LEFT - 6.0) y="14" text-anchor="end" { (words::percent(top)) }
            text x=(LEFT - 6.0) y=(base) text-anchor="end" { "0 %" }
            line.rule x1=(LEFT) y1="8" x2=(scale.right) y2="8" {}
            path.loss d=(area(&snapshot.timeline, &scale, base, PLOT / top)) {}
            line.axis x1=(LEFT) y1=(base) x2=(scale.right) y2=(base) {}
            @for (lane, costs) in &lanes {
                @let y = base + 10.0 + LANE * *lane as f64;
                text x=(LEFT - 6.0) y=(y + 11.0) text-anchor="end" { (shortened(phases[*lane])) }
                @for cost in costs { (bar(snapshot, cost, &scale, y)) }
            }
            @for place in 0..=4u64 {
                @let at = from + scale.to.saturating_sub(from) / 4 * place;
                @let anchor = match place { 0 => "start", 4 => "end", _ => "middle" };
                line.rule x1=(pixel(scale.x(at))) y1=(base) x2=(pixel(scale.x(at))) y2=(bottom) {}
                text x=(pixel(scale.x(at))) y=(height - 6.0) text-anchor=(anchor) { (words::clock(snapshot, at)) }
            }
        }
    }
}

fn bar(snapshot: &Snapshot, cost: &StepCost, scale: &Scale, y: f64) -> Markup {
    let (begin, end) = (scale.x(cost.mark.begin), scale.x(cost.mark.end.unwrap_or(snapshot.now)));
    let class = match cost.lost {
        0 => "step",
        _ if words::beyond_noise(cost) => "step lossy",
        _ => "step noisy",
    };
    html! {
        rect class=(class) x=(pixel(begin)) y=(y + 2.0) width=(pixel((end - begin).max(1.5))) height=(LANE - 4.0) {
            title {
                (cost.mark.step) ", " (words::length(words::step_length(snapshot, &cost.mark))) ", "
                (words::count(cost.lost)) " lost"
            }
        }
    }
}

/// Steps up and down with the lost share of each bucket.
fn area(timeline: &[Bucket], scale: &Scale, base: f64, factor: f64) -> String {
    let mut path = format!("M{} {}", pixel(scale.left), pixel(base));
    for (place, bucket) in timeline.iter().enumerate() {
        let next = timeline.get(place + 1).map_or(scale.to, |next| next.from);
        let y = pixel(base - share(bucket) * factor);
        path.push_str(&format!(
            "L{} {y}H{}",
            pixel(scale.x(bucket.from)),
            pixel(scale.x(next))
        ));
    }
    path.push_str(&format!("V{}Z", pixel(base)));
    path
}

/// A small plot for a table's cell. Its scale is that of its own worst loss, at least 1 %.
pub(super) fn spark(timeline: &[Bucket]) -> Markup {
    let to = timeline.last().map_or(1, |last| {
        let width = timeline
            .first()
            .map_or(1, |first| last.from.saturating_sub(first.from) / timeline.len() as u64);
        last.from.saturating_add(width.max(1))
    });
    let scale = Scale {
        from: timeline.first().map_or(0, |first| first.from),
        to,
        left: 0.0,
        right: 160.0,
    };
    let top = timeline.iter().map(share).fold(0.01, f64::max);
    html! {
        svg.spark viewBox="0 0 160 18" aria-hidden="true" {
            path.loss d=(area(timeline, &scale, 17.0, 16.0 / top)) {}
            line.axis x1="0" y1="17" x2="160" y2="17" {}
        }
    }
}

fn shortened(phase: &str) -> String {
    let mut text: String = phase.chars().take(12).collect();
    if phase.chars().nth(12).is_some() {
        text.push('…');
    }
    text
}

/// A coordinate with one decimal: enough for a screen, and short.
fn pixel(value: f64) -> String {
    format!("{value:.1}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::made;

    proptest! {
        #[test]
        fn every_coordinate_is_a_number_inside(
            buckets in proptest::collection::vec((any::<u64>(), any::<u64>(), any::<u64>()), 0..20),
            (began, now, begin) in any::<(u64, u64, u64)>(),
        ) {
            let mut snapshot = made::snapshot(450, 10);
            let bucket = |(from, probes, lost)| Bucket { from, probes, lost, out: 1 };
            snapshot.timeline = buckets.into_iter().map(bucket).collect();
            (snapshot.began, snapshot.now) = (began, now);
            snapshot.steps[0].mark.begin = begin;
            for svg in [timeline(&snapshot).into_string(), spark(&snapshot.timeline).into_string()] {
                prop_assert!(!svg.contains("NaN") && !svg.contains("inf"), "{}", svg);
                let path = svg.split(" d=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
                for number in path.split(|c: char| !(c.is_ascii_digit() || c == '.' || c == '-')).filter(|n| !n.is_empty()) {
                    let number: f64 = number.parse().unwrap();
                    prop_assert!((-0.1..=WIDTH).contains(&number), "{} in {}", number, path);
                }
            }
        }
    }
}
