//! Figures and times in the words that all views share, so that they never disagree.

use std::collections::{BTreeMap, BTreeSet};

use ffu_model::watch::{Breach, Confidence, Nanos, OnBreach, Origin, Snapshot, StepCost, StepMark, Verdict};
use jiff::Timestamp;

const SECOND: u64 = 1_000_000_000;

/// A length of time, from nanoseconds: `740 ms`, `1.20 s`, `3 min 12 s`, `2 h 05 min`.
pub fn length(nanos: Nanos) -> String {
    let ms = nanos / 1_000_000;
    match ms {
        0..1_000 if nanos > 0 && ms < 10 => format!("{:.1} ms", nanos as f64 / 1e6),
        0..1_000 => format!("{ms} ms"),
        1_000..10_000 => format!("{}.{:02} s", ms / 1000, ms % 1000 / 10),
        10_000..60_000 => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
        60_000..3_600_000 => format!("{} min {:02} s", ms / 60_000, ms / 1000 % 60),
        _ => format!("{} h {:02} min", ms / 3_600_000, ms / 60_000 % 60),
    }
}

/// A length of time as a clock that runs, from nanoseconds: `00:12:31`.
pub fn elapsed(nanos: Nanos) -> String {
    let s = nanos / SECOND;
    format!("{:02}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60)
}

/// A share in percent: `0 %`, `< 0.001 %`, `0.042 %`, `3.1 %`. Nothing of nothing is `–`.
pub fn share(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "–".to_owned();
    }
    percent(part as f64 / whole as f64)
}

/// A share from 0 to 1 in percent.
pub fn percent(share: f64) -> String {
    let percent = share * 100.0;
    match percent {
        p if p <= 0.0 => "0 %".to_owned(),
        p if p < 0.001 => "< 0.001 %".to_owned(),
        p if p < 1.0 => format!("{p:.3} %"),
        p if p < 99.95 => format!("{p:.1} %"),
        p => format!("{p:.0} %"),
    }
}

/// A count with commas: `1,234,567`.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 target`, `12 targets`, `2 breaches`.
pub fn counted(n: u64, one: &str) -> String {
    let end = match n {
        1 => "",
        _ if one.ends_with("ch") => "es",
        _ => "s",
    };
    format!("{} {one}{end}", count(n))
}

/// The wall clock at an instant of the boot-time clock, from the pair that the snapshot holds.
pub fn wall(snapshot: &Snapshot, at: Nanos) -> Timestamp {
    let nanos = snapshot.at.as_nanosecond() - (i128::from(snapshot.now) - i128::from(at));
    Timestamp::from_nanosecond(nanos).unwrap_or(snapshot.at)
}

/// The time of day in UTC, to the second: `13:02:40`.
pub fn clock(snapshot: &Snapshot, at: Nanos) -> String {
    wall(snapshot, at).strftime("%H:%M:%S").to_string()
}

/// The time of day in UTC, to the tenth of a second: `13:02:40.3`.
pub fn fine_clock(snapshot: &Snapshot, at: Nanos) -> String {
    wall(snapshot, at).strftime("%H:%M:%S%.1f").to_string()
}

/// Date and time in UTC, to the second.
pub fn date(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// What the engine is to do, by the breaches that nobody has acknowledged.
pub fn verdict(snapshot: &Snapshot) -> Verdict {
    let worst = open_breaches(snapshot).map(|breach| breach.on_breach).max();
    worst.map_or(Verdict::Go, Verdict::from)
}

/// A verdict as one word for headlines.
pub fn verdict_word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Go => "go",
        Verdict::Hold => "hold",
        Verdict::Stop => "stop",
    }
}

/// What a verdict means.
pub fn verdict_says(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Go => "nothing holds the run",
        Verdict::Hold => "no step begins until a breach is acknowledged",
        Verdict::Stop => "the run stops after the steps that are running",
    }
}

/// Breaches that are not acknowledged.
pub fn open_breaches(snapshot: &Snapshot) -> impl Iterator<Item = &Breach> {
    snapshot.breaches.iter().filter(|breach| !breach.acknowledged)
}

/// What to type about a breach, each command with what it does; nothing if nothing waits for it.
pub fn commands(breach: &Breach) -> &'static [(&'static str, &'static str)] {
    match breach.on_breach {
        _ if breach.acknowledged => &[],
        OnBreach::Continue => &[],
        OnBreach::Pause => &[
            ("ffu watch acknowledge", "the run goes on"),
            ("ffu rollback", "go back"),
        ],
        OnBreach::Stop => &[("ffu resume", "go on"), ("ffu rollback", "go back")],
    }
}

/// The phase of the steps that run, or of the last one.
pub fn phase(snapshot: &Snapshot) -> Option<&str> {
    let running = snapshot.steps.iter().rev().find(|cost| cost.mark.end.is_none());
    running.or(snapshot.steps.last()).map(|cost| cost.mark.phase.as_str())
}

/// How long a step took, or has run until now, in nanoseconds.
pub fn step_length(snapshot: &Snapshot, mark: &StepMark) -> Nanos {
    mark.end.unwrap_or(snapshot.now).saturating_sub(mark.begin)
}

/// Whether more was lost in a step than the baseline's noise explains, or may have been.
pub fn beyond_noise(cost: &StepCost) -> bool {
    cost.lost > 0
        && cost
            .confidence
            .as_ref()
            .is_none_or(|confidence| confidence.origin != Origin::Noise)
}

/// What a loss is taken for, in few words.
pub fn origin(confidence: &Confidence) -> String {
    match confidence.origin {
        Origin::Burst => format!("burst; by chance {}", percent(confidence.chance)),
        Origin::Noise => format!("noise; by chance {}", percent(confidence.chance)),
        Origin::Unknown => "unknown: baseline too short".to_owned(),
    }
}

/// The names of some targets, found in one pass.
pub fn names(snapshot: &Snapshot, wanted: impl IntoIterator<Item = u32>) -> BTreeMap<u32, &str> {
    let wanted: BTreeSet<u32> = wanted.into_iter().collect();
    if wanted.is_empty() {
        return BTreeMap::new();
    }
    let known = snapshot.targets.iter().filter(|target| wanted.contains(&target.target));
    known.map(|target| (target.target, target.name.as_str())).collect()
}

/// The first few targets of a breach by name: `vm-7, vm-8 and 10 more`.
pub fn breach_targets(breach: &Breach, names: &BTreeMap<u32, &str>, most: usize) -> String {
    let shown: Vec<String> = breach.targets.iter().take(most).map(|id| name_of(names, *id)).collect();
    let text = shown.join(", ");
    match breach.targets.len().saturating_sub(most) {
        0 => text,
        more => format!("{text} and {more} more"),
    }
}

/// A target's name, or its number if the snapshot does not have it.
pub fn name_of(names: &BTreeMap<u32, &str>, target: u32) -> String {
    names
        .get(&target)
        .map_or_else(|| format!("target {target}"), |name| clean(name))
}

/// Text that others wrote, safe to print: control and bidirectional characters become `�`.
pub fn clean(text: &str) -> String {
    let odd = |c: char| {
        c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if odd(c) { '\u{fffd}' } else { c }).collect()
}

/// Whether colour is wanted: the value of `NO_COLOR` in the environment, and whether the output is a terminal.
pub fn colour_wanted(no_color: Option<&std::ffi::OsStr>, terminal: bool) -> bool {
    terminal && no_color.is_none_or(std::ffi::OsStr::is_empty)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::made;

    #[test]
    fn lengths_counts_and_shares_read_well() {
        let lengths = [
            0,
            420_000,
            19_999_999,
            740_000_000,
            1_204_000_000,
            12_340_000_000,
            192_000_000_000,
        ]
        .map(length)
        .join(" | ");
        assert_eq!(lengths, "0 ms | 0.4 ms | 19 ms | 740 ms | 1.20 s | 12.3 s | 3 min 12 s");
        assert_eq!(length(7_500 * SECOND), "2 h 05 min");
        assert_eq!(
            [counted(1, "breach"), counted(2, "breach"), counted(0, "probe")].join(" "),
            "1 breach 2 breaches 0 probes"
        );
        assert_eq!(elapsed(3_671 * SECOND), "01:01:11");
        assert_eq!(
            [0, 12, 123, 1_234, 1_234_567].map(count).join(" "),
            "0 12 123 1,234 1,234,567"
        );
        let shares = [(0, 0), (0, 9), (1, 1_000_000), (42, 100_000), (1, 3), (3, 3)];
        let shares = shares.map(|(part, whole)| share(part, whole)).join(" | ");
        assert_eq!(shares, "– | 0 % | < 0.001 % | 0.042 % | 33.3 % | 100 %");
    }

    #[test]
    fn the_wall_clock_comes_from_the_pair() {
        let snapshot = Snapshot {
            at: "2026-11-28T13:00:10Z".parse().unwrap(),
            now: 500 * SECOND,
            ..Snapshot::default()
        };
        assert_eq!(clock(&snapshot, 490 * SECOND), "13:00:00");
        assert_eq!(fine_clock(&snapshot, 490 * SECOND + 250_000_000), "13:00:00.2");
        assert_eq!(
            wall(&snapshot, u64::MAX),
            "2611-06-19T12:26:23.709551615Z".parse().unwrap()
        );
    }

    #[test]
    fn the_worst_open_breach_decides() {
        let mut snapshot = made::snapshot(440, 40);
        assert_eq!(verdict(&snapshot), Verdict::Hold);
        snapshot.breaches[0].acknowledged = true;
        assert_eq!(verdict(&snapshot), Verdict::Go);
        assert!(commands(&snapshot.breaches[0]).is_empty());
        let mut stop = snapshot.breaches[0].clone();
        stop.acknowledged = false;
        stop.on_breach = OnBreach::Stop;
        assert_eq!(commands(&stop)[0].0, "ffu resume");
        snapshot.breaches.push(stop);
        assert_eq!(verdict(&snapshot), Verdict::Stop);
    }

    #[test]
    fn what_others_wrote_cannot_steer_a_terminal() {
        assert_eq!(clean("vm\x1b[2J\u{202e}\u{9b}é"), "vm\u{fffd}[2J\u{fffd}\u{fffd}é");
    }

    #[test]
    fn colour_is_for_terminals_without_no_color() {
        assert!(colour_wanted(None, true));
        assert!(colour_wanted(Some("".as_ref()), true));
        assert!(!colour_wanted(Some("1".as_ref()), true));
        assert!(!colour_wanted(None, false));
    }
}
