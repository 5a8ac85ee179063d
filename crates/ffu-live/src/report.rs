//! The record of a watch after the run: one HTML file that needs nothing else, and all figures as JSON.

mod figures;
mod svg;
mod tables;

use ffu_model::watch::Snapshot;
use maud::{DOCTYPE, Markup, PreEscaped, html as markup};

pub use figures::{
    BreachFigures, BudgetFigures, BudgetLimits, BudgetSeen, Figures, OutageFigures, StepFigures, TargetFigures, figures,
};

use crate::words;

/// The policy of the report page: no script, nothing from elsewhere.
pub const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'";

const STYLE: &str = concat!(
    include_str!("../assets/colours.css"),
    include_str!("../assets/report.css")
);

/// The whole report as one HTML file, with plots as SVG, without script, fit for printing. Times are UTC.
pub fn html(snapshot: &Snapshot) -> String {
    let title = match &snapshot.run {
        Some(run) => format!("The data plane during run {run}"),
        None => "The data plane".to_owned(),
    };
    let page = markup! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="generator" content="ffu";
                title { (title) }
                link rel="icon" href="data:,";
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { (title) }
                (summary(snapshot))
                (tables::breaches(snapshot))
                section { h2 { "Loss and steps over time" } (svg::timeline(snapshot)) }
                (tables::steps(snapshot))
                (tables::groups(snapshot))
                (tables::targets(snapshot))
                (made_of(snapshot))
            }
        }
    };
    page.into_string()
}

fn summary(snapshot: &Snapshot) -> Markup {
    let totals = &snapshot.totals;
    let verdict = words::verdict(snapshot);
    let open = words::open_breaches(snapshot).count() as u64;
    let judged = match snapshot.breaches.len() as u64 {
        0 => "no budget was exceeded".to_owned(),
        n => format!(
            "{} of a budget, {} of them not acknowledged",
            words::counted(n, "breach"),
            words::count(open)
        ),
    };
    let figure = |value: String, what: &str| markup! { div.figure { b { (value) } span { (what) } } };
    markup! {
        p.verdict data-verdict=(words::verdict_word(verdict)) {
            strong { (words::verdict_word(verdict)) } ": " (words::verdict_says(verdict)) "; " (judged) "."
        }
        p {
            (words::date(words::wall(snapshot, snapshot.began))) " to " (words::date(snapshot.at)) ", "
            (words::length(snapshot.now.saturating_sub(snapshot.began))) ", a probe every " (snapshot.interval_ms) " ms."
        }
        div.figures {
            (figure(words::count(totals.targets.into()), "targets"))
            (figure(words::count(totals.probes), "probes"))
            (figure(words::count(totals.lost), "lost"))
            (figure(words::share(totals.lost, totals.probes), "of the probes"))
            (figure(words::count(totals.outages.into()), "outages"))
            (figure(words::length(totals.longest_gap), "longest outage"))
            (figure(words::length(totals.worst_total), "most of one target, together"))
            (figure(words::count(totals.restarts.into()), "restarts"))
            (figure(words::count(totals.broken_streams.into()), "broken streams"))
            (figure(words::length(totals.latency.p50), "round trip, median"))
            (figure(words::length(totals.latency.p99), "round trip, 99 %"))
        }
    }
}

fn made_of(snapshot: &Snapshot) -> Markup {
    let aside = snapshot.targets.iter().filter(|target| target.set_aside).count() as u64;
    let totals = &snapshot.totals;
    markup! {
        section {
            h2 { "How this was measured" }
            ul {
                li { "Targets: " (snapshot.sample.as_deref().unwrap_or("all that the targets file names")) "." }
                @if aside > 0 { li { (words::counted(aside, "target")) " never answered and do not count." } }
                @match &snapshot.baseline {
                    Some(baseline) => li {
                        "Baseline: " (words::length(baseline.to.saturating_sub(baseline.from))) ", "
                        (words::count(baseline.probes)) " probes, " (words::count(baseline.lost)) " lost ("
                        (words::share(baseline.lost, baseline.probes)) ") by "
                        (words::counted(baseline.noisy_targets.into(), "target")) ", longest "
                        (words::length(baseline.longest_gap)) "."
                    },
                    None => li { "Baseline: none was complete, so burst and noise cannot be told apart." },
                }
                li {
                    (words::count(totals.unsent)) " probes could not be sent and say nothing about a target; "
                    (words::count(totals.duplicates)) " duplicates, " (words::count(totals.reordered)) " reordered."
                }
                li { "An outage lasts from the first lost probe to the next answered one; it is right to one probe interval." }
            }
            @if !snapshot.remarks.is_empty() {
                h2 { "Remarks" }
                ul { @for remark in &snapshot.remarks { li { (remark) } } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::made;

    #[test]
    fn the_whole_file() {
        let html = html(&made::snapshot(450, 24));
        insta::assert_snapshot!(html.replace("><", ">\n<"));
    }

    #[test]
    fn an_empty_watch_has_a_report_too() {
        let html = html(&Snapshot::default());
        assert!(
            html.contains("No budget was exceeded.") && html.contains("No step was seen."),
            "{html}"
        );
    }

    #[test]
    fn it_holds_no_script_and_asks_for_nothing() {
        let mut snapshot = made::snapshot(450, 40);
        let evil = "<script>alert(1)</script>\"'><img src=http://evil.example/x onerror=alert(1)>";
        snapshot.run = Some(evil.to_owned());
        snapshot.sample = Some(evil.to_owned());
        snapshot.remarks.push(evil.to_owned());
        snapshot.steps[3].mark.step = evil.to_owned();
        snapshot.steps[3].mark.phase = evil.to_owned();
        snapshot.groups[0].key = evil.to_owned();
        snapshot.groups[0].value = evil.to_owned();
        snapshot.breaches[0].budget = evil.to_owned();
        snapshot.breaches[0].says = evil.to_owned();
        snapshot.breaches[0].steps = vec![evil.to_owned()];
        let target = &mut snapshot.targets[0];
        (target.name, target.probed) = (evil.to_owned(), evil.to_owned());
        target.groups.insert(evil.to_owned(), evil.to_owned());
        let html = html(&snapshot);
        assert!(html.contains("&lt;script&gt;alert(1)"));
        for bad in ["<script", "<img", "'><img", "src=\"", "url("] {
            assert!(!html.contains(bad), "{bad} is in the report");
        }
    }
}
