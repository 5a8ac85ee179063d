//! What became of each budget, in words: what was allowed, what was seen. A budget that held is as much news as one that did not.

use ffu_model::watch::BudgetUse;

use crate::words;

/// One figure of a budget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Which.
    pub what: &'static str,
    /// What was seen.
    pub seen: String,
    /// What was allowed; `None` if it is not limited.
    pub allowed: Option<String>,
}

/// `held`, `exceeded`, or `not judged` as long as the baseline is not complete.
pub fn state(budget: &BudgetUse) -> &'static str {
    match budget.breaches.is_empty() {
        false => "exceeded",
        true if budget.judged => "held",
        true => "not judged",
    }
}

/// Whom it is for: `every target`, or the labels that a target must have.
pub fn whom(budget: &BudgetUse) -> String {
    let labels: Vec<String> = (budget.budget.filter.iter())
        .map(|(key, value)| words::clean(&format!("{key} {value}")))
        .collect();
    match labels.is_empty() {
        true => "every target".to_owned(),
        false => labels.join(", "),
    }
}

/// The share of its targets that were out at one time, 0 to 1.
pub fn share_out(budget: &BudgetUse) -> f64 {
    match budget.targets {
        0 => 0.0,
        all => f64::from(budget.most_out) / f64::from(all),
    }
}

/// Its figures, each with what was seen and what was allowed.
pub fn lines(budget: &BudgetUse) -> Vec<Line> {
    let limits = &budget.budget;
    let noise = |limit: Option<String>| limit.or_else(|| budget.noise_only.then(|| "noise".to_owned()));
    let ms = |limit: Option<u64>| limit.map(|ms| words::length(ms.saturating_mul(1_000_000)));
    let rare = budget.rare_length.filter(|_| budget.noise_only);
    let mut lines = vec![
        Line {
            what: "longest gap",
            seen: words::length(budget.longest_gap),
            allowed: rare
                .map(|rare| format!("noise, fewer than {rare} lost probes in a row"))
                .or_else(|| noise(ms(limits.longest_gap_ms))),
        },
        Line {
            what: "all gaps of one target",
            seen: words::length(budget.worst_total),
            allowed: noise(ms(limits.total_loss_ms)),
        },
        Line {
            what: "targets away at one time",
            seen: format!(
                "{} of {} ({})",
                words::count(budget.most_out.into()),
                words::count(budget.targets.into()),
                words::percent(share_out(budget))
            ),
            allowed: noise(limits.targets_out.map(words::percent)),
        },
        Line {
            what: "restarts",
            seen: words::count(budget.restarts.into()),
            allowed: (!limits.restarts_allowed).then(|| "none".to_owned()),
        },
    ];
    if budget.noise_only {
        lines.push(Line {
            what: "broken streams",
            seen: words::count(budget.broken_streams.into()),
            allowed: Some("as before the freeze".to_owned()),
        });
    }
    lines
}

/// A budget in one line.
pub fn line(budget: &BudgetUse) -> String {
    let figure = |line: Line| {
        let allowed = line
            .allowed
            .map_or("not limited".to_owned(), |allowed| format!("allowed {allowed}"));
        format!("{} {}, {allowed}", line.what, line.seen)
    };
    let figures: Vec<String> = lines(budget).into_iter().map(figure).collect();
    format!(
        "budget {} ({}) {}: {}",
        words::clean(&budget.budget.name),
        whom(budget),
        state(budget),
        figures.join("; ")
    )
}

#[cfg(test)]
mod tests {
    use ffu_model::watch::Budget;

    use super::*;

    #[test]
    fn a_budget_says_what_was_allowed_and_seen() {
        let mut budget = BudgetUse {
            budget: Budget {
                name: "vo\x1bice".to_owned(),
                filter: [("network".to_owned(), "ims".to_owned())].into(),
                longest_gap_ms: Some(200),
                targets_out: Some(0.01),
                ..Budget::default()
            },
            targets: 40,
            longest_gap: 100_000_000,
            worst_total: 300_000_000,
            most_out: 1,
            judged: true,
            ..BudgetUse::default()
        };
        assert_eq!(
            line(&budget),
            "budget vo\u{fffd}ice (network ims) held: longest gap 100 ms, allowed 200 ms; all gaps of one target 300 ms, not limited; \
             targets away at one time 1 of 40 (2.5 %), allowed 1.0 %; restarts 0, allowed none"
        );
        budget.breaches = vec![1];
        assert_eq!(state(&budget), "exceeded");
        let early = BudgetUse {
            noise_only: true,
            ..BudgetUse::default()
        };
        assert_eq!((state(&early), share_out(&early)), ("not judged", 0.0));
        assert!(
            line(&early).ends_with("broken streams 0, allowed as before the freeze"),
            "{}",
            line(&early)
        );
    }
}
