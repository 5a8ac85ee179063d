//! Fewer targets than there are, chosen so that every network, host, zone and kind of port is among them.

use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use ffu_model::watch::{Target, Targets};

/// Labels of which every value should be present; those that come first are covered first.
const COVERED: [&str; 6] = ["kind", "az", "vnic_type", "network", "host", "external"];

/// A sample of at most `max` targets.
///
/// First comes a cover: again and again the target with the most label values that are not yet present (of kind, az,
/// vnic_type, network, host, external). What room is left is shared out in proportion: from each combination of kind, az,
/// vnic_type and network its share, the one that is furthest below it first. Ties are broken by a hash of name and
/// `seed`, so that the same targets and seed give the same sample in whatever order they come. [`Targets::sample`] says how it
/// was chosen, and whether everything is covered.
pub fn sample(targets: Targets, max: usize, seed: u64) -> Targets {
    let total = targets.targets.len();
    if total <= max {
        return targets;
    }
    let mut all: Vec<(u64, Target)> = targets
        .targets
        .into_iter()
        .map(|target| (mix(&target.name, seed), target))
        .collect();
    all.sort_by(|(a, one), (b, other)| {
        a.cmp(b)
            .then_with(|| one.name.cmp(&other.name))
            .then_with(|| one.address.cmp(&other.address))
    });
    let all: Vec<Target> = all.into_iter().map(|(_, target)| target).collect();

    let (mut chosen, values, missing) = cover(&all, max);
    let covering = chosen.len();
    share(&all, max, &mut chosen);
    let mut taken: Vec<Target> = chosen.into_iter().map(|place| all[place].clone()).collect();
    taken.sort_by(|one, other| one.name.cmp(&other.name));
    let cover = if missing == 0 {
        format!(
            "{covering} of them so that each of {values} label values (kind, az, vnic_type, network, host, external) is there"
        )
    } else {
        format!("{missing} of {values} label values (kind, az, vnic_type, network, host, external) found no room")
    };
    let before = targets
        .sample
        .map_or(String::new(), |before| format!("{before}; of these "));
    Targets {
        sample: Some(format!(
            "{before}{} of {total} targets, {cover}, the rest in proportion, seed {seed}",
            taken.len()
        )),
        targets: taken,
        ..targets
    }
}

fn labels(target: &Target) -> impl Iterator<Item = (usize, &str)> {
    COVERED
        .iter()
        .enumerate()
        .filter_map(|(rank, key)| Some((rank, target.groups.get(*key)?.as_str())))
}

/// Greedy set cover. The places chosen, the number of label values, and how many of them found no room.
fn cover(all: &[Target], max: usize) -> (BTreeSet<usize>, usize, usize) {
    let mut open: BTreeSet<(usize, &str)> = all.iter().flat_map(labels).collect();
    let values = open.len();
    // What a target brings only shrinks as others are chosen: an entry that is still right when it comes up is the best.
    let gain = |open: &BTreeSet<(usize, &str)>, place: usize| {
        let mut found = [0_u8; COVERED.len()];
        labels(&all[place])
            .filter(|label| open.contains(label))
            .for_each(|(rank, _)| found[rank] = 1);
        (found.iter().map(|one| u32::from(*one)).sum::<u32>(), found)
    };
    let entry = |open: &BTreeSet<(usize, &str)>, place| (gain(open, place), std::cmp::Reverse(place));
    let mut heap: BinaryHeap<_> = (0..all.len()).map(|place| entry(&open, place)).collect();
    let mut chosen = BTreeSet::new();
    while chosen.len() < max && !open.is_empty() {
        let Some((believed, std::cmp::Reverse(place))) = heap.pop() else {
            break;
        };
        let now = gain(&open, place);
        if now != believed {
            heap.push((now, std::cmp::Reverse(place)));
            continue;
        }
        for label in labels(&all[place]) {
            open.remove(&label);
        }
        chosen.insert(place);
    }
    (chosen, values, open.len())
}

/// Fills the room that is left, each combination of labels by its share of all targets.
fn share(all: &[Target], max: usize, chosen: &mut BTreeSet<usize>) {
    let mut strata: BTreeMap<[Option<&str>; 4], Vec<usize>> = BTreeMap::new();
    for (place, target) in all.iter().enumerate() {
        let key = ["kind", "az", "vnic_type", "network"].map(|key| target.groups.get(key).map(String::as_str));
        strata.entry(key).or_default().push(place);
    }
    // The stratum that is furthest below its share gets the next one: compared as fractions, without rounding.
    let below = |members: usize, has: usize| members as i128 * max as i128 - has as i128 * all.len() as i128;
    let mut heap: BinaryHeap<(i128, std::cmp::Reverse<usize>)> = BinaryHeap::new();
    let mut state: Vec<(Vec<usize>, usize, usize)> = Vec::new();
    for (number, members) in strata.into_values().enumerate() {
        let (has, free): (Vec<usize>, Vec<usize>) = members.iter().partition(|place| chosen.contains(place));
        heap.push((below(members.len(), has.len()), std::cmp::Reverse(number)));
        state.push((free.into_iter().rev().collect(), has.len(), members.len()));
    }
    while chosen.len() < max {
        let Some((_, std::cmp::Reverse(number))) = heap.pop() else {
            break;
        };
        let (free, has, members) = &mut state[number];
        if let Some(place) = free.pop() {
            chosen.insert(place);
            *has += 1;
            heap.push((below(*members, *has), std::cmp::Reverse(number)));
        }
    }
}

/// FNV-1a of the name, stirred with the seed by SplitMix64's finalizer.
fn mix(name: &str, seed: u64) -> u64 {
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mut z = (hash ^ seed).wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn target(number: usize, labels: [u8; 4]) -> Target {
        let groups = ["network", "host", "az", "vnic_type"]
            .iter()
            .zip(labels)
            .map(|(key, value)| ((*key).to_owned(), value.to_string()));
        Target {
            name: format!("t{number}"),
            address: [10, 0, (number / 256) as u8, number as u8].into(),
            probe: Default::default(),
            vantage: Targets::HERE.to_owned(),
            interval_ms: None,
            workload: None,
            groups: groups.collect(),
        }
    }

    fn all(labels: &[[u8; 4]]) -> Targets {
        Targets {
            targets: labels
                .iter()
                .enumerate()
                .map(|(number, labels)| target(number, *labels))
                .collect(),
            ..Targets::default()
        }
    }

    fn values(targets: &Targets) -> BTreeSet<(usize, &str)> {
        targets.targets.iter().flat_map(labels).collect()
    }

    proptest! {
        #[test]
        fn never_more_than_asked_and_the_same_in_any_order(
            labels in prop::collection::vec((0_u8..9, 0_u8..9, 0_u8..3, 0_u8..2).prop_map(|(a, b, c, d)| [a, b, c, d]), 1..120),
            max in 0_usize..60,
            seed: u64,
        ) {
            let mut given = all(&labels);
            let first = sample(given.clone(), max, seed);
            prop_assert_eq!(first.targets.len(), max.min(labels.len()));
            given.targets.reverse();
            let second = sample(given.clone(), max, seed);
            if max < labels.len() {
                prop_assert_eq!(&second, &first);
                prop_assert!(first.sample.is_some());
            }
            // 9 + 9 + 3 + 2 values: each chosen target of the cover brings at least one.
            if max >= values(&given).len() {
                prop_assert_eq!(values(&first), values(&given));
            }
        }
    }

    #[test]
    fn the_rest_is_in_proportion_and_the_seed_matters() {
        let labels: Vec<[u8; 4]> = (0..1000).map(|n| [u8::from(n % 10 == 0), 0, 0, 0]).collect();
        let some = sample(all(&labels), 100, 1);
        assert_eq!(some.targets.iter().filter(|t| t.groups["network"] == "1").count(), 10);
        assert_ne!(sample(all(&labels), 100, 2).targets, some.targets);
        let said = some.sample.unwrap();
        assert!(
            said.contains("100 of 1000 targets") && said.contains("each of 5 label values"),
            "{said}"
        );
        let said = sample(all(&[[0, 0, 0, 0], [1, 1, 1, 1]]), 1, 1).sample.unwrap();
        assert!(said.contains("4 of 8 label values"), "{said}");
    }
}
