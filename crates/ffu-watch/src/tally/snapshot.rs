//! The tally as others see it.

use std::cmp::Reverse;

use ffu_model::watch::{GroupSummary, Nanos, Probe, Snapshot, Target, TargetSummary, Totals};
use jiff::Timestamp;

use super::Tally;
use super::histogram::Sum;
use super::track::Track;

/// How long reading a workload may take after the settling time before it is told that it cannot be read.
const READ: Nanos = 15_000_000_000;
/// Names of targets that are told one by one.
const NAMED: usize = 10;

impl Tally {
    /// What has been seen so far. `at` and `now` are the same instant on both clocks.
    pub fn snapshot(&self, at: Timestamp, now: Nanos) -> Snapshot {
        let mut all = (Totals::default(), Sum::default());
        let mut groups = vec![all.clone(); self.groups.names.len()];
        for (target, track) in (0..).zip(&self.tracks) {
            if track.aside {
                continue;
            }
            let mut figures = figures(track);
            if !track.counts() {
                // Before its first answer a target's probes are its own.
                (figures.probes, figures.lost, figures.unsent) = (0, 0, 0);
            }
            add(&mut all, &figures, track);
            self.groups
                .of(target)
                .iter()
                .for_each(|place| add(&mut groups[*place as usize], &figures, track));
        }
        Snapshot {
            at,
            now,
            began: self.began,
            run: self.run.clone(),
            interval_ms: self.targets.interval_ms,
            sample: self.targets.sample.clone(),
            totals: finished(all),
            groups: self.group_summaries(groups, now),
            targets: self.target_summaries(),
            timeline: self.timeline.buckets(now),
            steps: self.step_costs(),
            baseline: self.judge.baseline().cloned(),
            breaches: self.judge.breaches(|instant| self.steps.at(instant)),
            budgets: self.judge.budgets(),
            remarks: self.words(),
        }
    }

    fn group_summaries(&self, groups: Vec<(Totals, Sum)>, now: Nanos) -> Vec<GroupSummary> {
        let named = self.groups.names.iter().zip(&self.groups.timelines);
        let mut summaries: Vec<GroupSummary> = groups
            .into_iter()
            .zip(named)
            .map(|(figures, ((key, value), timeline))| GroupSummary {
                key: key.clone(),
                value: value.clone(),
                totals: finished(figures),
                timeline: timeline.buckets(now),
            })
            .collect();
        // Stable: groups that are as bad as each other stay sorted by name.
        summaries.sort_by(|a, b| {
            a.key
                .cmp(&b.key)
                .then_with(|| badness(&b.totals).cmp(&badness(&a.totals)))
        });
        summaries
    }

    fn target_summaries(&self) -> Vec<TargetSummary> {
        let mut order: Vec<usize> = (0..self.tracks.len()).collect();
        order.sort_by_cached_key(|place| {
            let track = &self.tracks[*place];
            let worst = (track.running.is_some(), track.longest(), track.total(), track.lost);
            (track.aside, Reverse(worst), *place)
        });
        order.into_iter().map(|place| self.target_summary(place)).collect()
    }

    fn target_summary(&self, place: usize) -> TargetSummary {
        let (track, target) = (&self.tracks[place], &self.targets.targets[place]);
        let number = u32::try_from(place).unwrap_or(u32::MAX);
        let mut totals = (Totals::default(), Sum::default());
        add(&mut totals, &figures(track), track);
        TargetSummary {
            target: number,
            name: target.name.clone(),
            probed: probed(target),
            groups: target.groups.clone(),
            out: track.running.is_some(),
            set_aside: track.aside,
            totals: Totals {
                targets: u32::from(!track.aside),
                ..finished(totals)
            },
            outages: track.outages(number, |from, to| self.remarks.was_unseen(&target.vantage, from, to)),
        }
    }

    fn step_costs(&self) -> Vec<ffu_model::watch::StepCost> {
        let running = self.tracks.iter().filter(|track| track.counts());
        let mut out: Vec<(Nanos, Nanos)> = running
            .filter_map(|track| {
                track
                    .running
                    .map(|running| (running.begin, running.length(track.interval)))
            })
            .collect();
        out.sort_unstable();
        let interval = u64::from(self.targets.interval_ms) * 1_000_000;
        self.steps.costs(&out, self.swept, self.judge.noise(), interval)
    }

    fn words(&self) -> Vec<String> {
        let mut words = Vec::new();
        let aside: Vec<&str> = (self.tracks.iter().zip(&self.targets.targets))
            .filter(|(track, _)| track.aside)
            .map(|(_, target)| target.name.as_str())
            .collect();
        if !aside.is_empty() {
            let more = if aside.len() > NAMED { ", …" } else { "" };
            let named = aside[..aside.len().min(NAMED)].join(", ");
            words.push(format!(
                "{} targets never answered and are set aside: {named}{more}",
                aside.len()
            ));
        }
        words.extend(self.judge.remark());
        if self.keep < super::OUTAGES_KEPT {
            words.push(format!(
                "with so many targets only the latest {} outages of each are kept",
                self.keep
            ));
        }
        if self.groups.is_coarse() {
            words.push(format!(
                "with {} groups their timelines are coarser than that of all targets",
                self.groups.names.len()
            ));
        }
        if self.steps.left_out > 0 {
            words.push(format!(
                "{} steps found no room and are not charged",
                self.steps.left_out
            ));
        }
        words.extend(self.identities.words(&self.targets.targets, self.began));
        if self.clock >= self.settling_end().saturating_add(READ) {
            words.extend(self.identities.unread(&self.targets.targets));
        }
        words.extend(self.remarks.words(self.began));
        words
    }
}

/// One target's figures but its round-trip times.
fn figures(track: &Track) -> Totals {
    Totals {
        targets: 1,
        out: u32::from(track.running.is_some()),
        probes: track.probes,
        lost: track.lost,
        unsent: track.unsent,
        duplicates: u64::from(track.duplicates),
        reordered: u64::from(track.reordered),
        outages: track.outages,
        longest_gap: track.longest(),
        worst_total: track.total(),
        broken_streams: track.streams,
        restarts: track.restarts,
        latency: Default::default(),
    }
}

fn add((sum, times): &mut (Totals, Sum), one: &Totals, track: &Track) {
    sum.targets += one.targets;
    if let Some(latency) = &track.latency {
        times.add(latency);
    }
    sum.out += one.out;
    sum.probes += one.probes;
    sum.lost += one.lost;
    sum.unsent += one.unsent;
    sum.duplicates += one.duplicates;
    sum.reordered += one.reordered;
    sum.outages = sum.outages.saturating_add(one.outages);
    sum.longest_gap = sum.longest_gap.max(one.longest_gap);
    sum.worst_total = sum.worst_total.max(one.worst_total);
    sum.broken_streams = sum.broken_streams.saturating_add(one.broken_streams);
    sum.restarts = sum.restarts.saturating_add(one.restarts);
}

fn finished((totals, times): (Totals, Sum)) -> Totals {
    Totals {
        latency: times.latency(),
        ..totals
    }
}

fn badness(totals: &Totals) -> (u32, Nanos, Nanos, u64) {
    (totals.out, totals.longest_gap, totals.worst_total, totals.lost)
}

/// Address and probe, in words.
pub(crate) fn probed(target: &Target) -> String {
    let address = target.address;
    let probe = match &target.probe {
        Probe::Icmp => "icmp".to_owned(),
        Probe::TcpConnect { port } => format!("tcp connect {port}"),
        Probe::TcpStream { port } => format!("tcp stream {port}"),
        Probe::UdpEcho { port } => format!("udp echo {port}"),
        Probe::Http { port, path } => format!("http {port}{path}"),
        Probe::Dns { port, query } => format!("dns {port} {query}"),
        Probe::Arp { interface } => format!("arp {interface}"),
    };
    format!("{address} {probe} from {}", target.vantage)
}
