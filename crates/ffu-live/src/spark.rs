//! Loss over time as a row of small levels: what terminal and page show beside a group.

use ffu_model::watch::Bucket;

/// The shares of lost probes at which the levels 2 to 7 begin; any loss at all is level 1.
const STEPS: [f64; 6] = [0.001, 0.01, 0.05, 0.2, 0.5, 0.9];
const SIGNS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// One level a column: `None` where nothing was probed, 0 without loss, 7 where nearly all was lost. Buckets that share a
/// column are shown by the worst of them, so that a short outage never vanishes.
pub(crate) fn levels(timeline: &[Bucket], columns: usize) -> Vec<Option<u8>> {
    let n = timeline.len();
    if n == 0 {
        return vec![None; columns];
    }
    let column = |c: usize| {
        let from = c * n / columns;
        let to = ((c + 1) * n / columns).max(from + 1).min(n);
        timeline[from..to].iter().filter_map(level).max()
    };
    (0..columns).map(column).collect()
}

fn level(bucket: &Bucket) -> Option<u8> {
    if bucket.probes == 0 {
        return None;
    }
    if bucket.lost == 0 {
        return Some(0);
    }
    let share = bucket.lost as f64 / bucket.probes as f64;
    Some(1 + STEPS.iter().filter(|step| share >= **step).count() as u8)
}

/// A level as a character; a blank where nothing was probed.
pub(crate) fn sign(level: Option<u8>) -> char {
    level.map_or(' ', |level| SIGNS[usize::from(level).min(SIGNS.len() - 1)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(probes: u64, lost: u64) -> Bucket {
        Bucket {
            probes,
            lost,
            ..Bucket::default()
        }
    }

    #[test]
    fn a_short_outage_stays_visible_in_few_columns() {
        let mut timeline = vec![bucket(1000, 0); 600];
        timeline[301] = bucket(1000, 1);
        timeline[599] = bucket(1000, 1000);
        timeline[0] = bucket(0, 0);
        let text: String = levels(&timeline, 10).into_iter().map(sign).collect();
        assert_eq!(text, "▁▁▁▁▁▃▁▁▁█");
        let text: String = levels(&timeline[..1], 3).into_iter().map(sign).collect();
        assert_eq!(text, "   ");
    }

    proptest::proptest! {
        #[test]
        fn any_timeline_fits_any_width(
            buckets in proptest::collection::vec((0..u64::MAX, 0..u64::MAX), 0..50),
            columns in 0usize..300,
        ) {
            let timeline: Vec<Bucket> = buckets.into_iter().map(|(probes, lost)| bucket(probes, lost)).collect();
            let levels = levels(&timeline, columns);
            proptest::prop_assert_eq!(levels.len(), columns);
            proptest::prop_assert!(levels.iter().flatten().all(|level| *level <= 7));
            if columns > 0 && timeline.iter().any(|b| b.probes > 0 && b.lost > 0) && columns <= timeline.len() {
                proptest::prop_assert!(levels.iter().flatten().any(|level| *level > 0));
            }
        }
    }
}
