//! Which targets belong together.

use std::collections::BTreeMap;

use ffu_model::watch::{Nanos, Target};

use super::timeline::Timeline;

/// With more groups than this each has a coarser timeline, so that ten thousand groups stay within some megabytes.
const FINE: usize = 512;
const FINE_STRETCHES: usize = 600;
const COARSE_STRETCHES: usize = 60;

/// All groups.
#[derive(Clone, Debug)]
pub(crate) struct Groups {
    pub names: Vec<(String, String)>,
    pub timelines: Vec<Timeline>,
    members: Vec<u32>,
    starts: Vec<usize>,
}

impl Groups {
    pub(crate) fn new(targets: &[Target], began: Nanos) -> Self {
        let mut places: BTreeMap<(&str, &str), u32> = BTreeMap::new();
        for (key, value) in targets.iter().flat_map(|target| &target.groups) {
            places.insert((key, value), 0);
        }
        (0..).zip(places.values_mut()).for_each(|(place, of)| *of = place);
        let (mut members, mut starts) = (Vec::new(), vec![0]);
        for target in targets {
            members.extend(
                target
                    .groups
                    .iter()
                    .filter_map(|(key, value)| places.get(&(key.as_str(), value.as_str()))),
            );
            starts.push(members.len());
        }
        let stretches = if places.len() > FINE {
            COARSE_STRETCHES
        } else {
            FINE_STRETCHES
        };
        Groups {
            timelines: vec![Timeline::new(began, stretches); places.len()],
            names: places
                .into_keys()
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect(),
            members,
            starts,
        }
    }

    /// The groups of a target: places in `names` and `timelines`.
    pub(crate) fn of(&self, target: u32) -> &[u32] {
        let target = target as usize;
        &self.members[self.starts[target]..self.starts[target + 1]]
    }

    /// Every timeline of a target.
    pub(crate) fn each(&mut self, target: u32, mut change: impl FnMut(&mut Timeline)) {
        let target = target as usize;
        for place in &self.members[self.starts[target]..self.starts[target + 1]] {
            change(&mut self.timelines[*place as usize]);
        }
    }

    /// Whether timelines are coarser than the one of all targets.
    pub(crate) fn is_coarse(&self) -> bool {
        self.names.len() > FINE
    }
}
