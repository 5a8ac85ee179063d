//! Which entries of a set of files set which options, and which of them count.

use super::side::{Inst, Side};
use crate::ini::EntryId;
use crate::reading::FileSet;
use foldhash::{HashMap, HashMapExt as _};

/// An entry.
pub(crate) type Place = (usize, EntryId);

/// The options that a set of files sets.
#[derive(Default)]
pub(crate) struct Uses<'a> {
    /// The options, in the order in which they were met.
    pub options: Vec<Inst<'a>>,
    by_key: HashMap<(String, String), usize>,
    /// For each option, its entries in the order of files and lines.
    pub entries: Vec<Vec<Use>>,
    /// For each entry with a meaning, its options.
    pub meanings: HashMap<Place, Vec<usize>>,
    /// The entries without one.
    pub unknown: Vec<Place>,
}

/// An entry that sets an option.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Use {
    pub place: Place,
    /// 0 for the current name, then the old names in the order in which oslo.config asks for them.
    pub rank: usize,
    /// Whether its value is the one that its file gives (all values of an option with several).
    pub counts: bool,
}

impl<'a> Uses<'a> {
    pub fn of(side: &Side<'a>, files: &FileSet) -> Uses<'a> {
        let mut uses = Uses::default();
        for (file, one) in files.files().iter().enumerate() {
            for entry in one.document.entries() {
                let place = (file, entry.id);
                let meant = side.meanings(&entry.group(), &entry.key);
                if meant.is_empty() {
                    uses.unknown.push(place);
                }
                for (inst, rank) in meant {
                    let at = uses.option(inst);
                    let of_option = Use {
                        place,
                        rank,
                        counts: false,
                    };
                    uses.entries[at].push(of_option);
                    uses.meanings.entry(place).or_default().push(at);
                }
            }
        }
        for (option, entries) in uses.options.iter().zip(&mut uses.entries) {
            settle(option.option.multi, entries);
        }
        uses
    }

    /// The index of an option, new if need be.
    pub fn option(&mut self, inst: Inst<'a>) -> usize {
        let key = (inst.group.clone(), inst.option.name.clone());
        *self.by_key.entry(key).or_insert_with(|| {
            self.options.push(inst);
            self.entries.push(Vec::new());
            self.options.len() - 1
        })
    }

    pub fn find(&self, group: &str, name: &str) -> Option<usize> {
        self.by_key.get(&(group.to_owned(), name.to_owned())).copied()
    }

    /// What an entry is to an option. The entries of an option are in the order of their places, and a file may set one option
    /// a million times.
    pub fn entry(&self, option: usize, place: Place) -> Option<&Use> {
        let entries = self.entries.get(option)?;
        let at = entries.binary_search_by_key(&place, |one| one.place).ok()?;
        entries.get(at)
    }

    /// Whether an entry is what its file says of one of its options at least.
    pub fn counts(&self, place: Place) -> Vec<usize> {
        let meant = self.meanings.get(&place).map(Vec::as_slice).unwrap_or_default();
        let counts = |at: &usize| self.entry(*at, place).is_some_and(|one| one.counts);
        meant.iter().copied().filter(counts).collect()
    }
}

/// oslo.config takes, in each file, the first name that is there, and of that the last value; of an option with several
/// values all of them.
fn settle(multi: bool, entries: &mut [Use]) {
    if multi {
        entries.iter_mut().for_each(|one| one.counts = true);
        return;
    }
    let mut best: HashMap<usize, (usize, usize)> = HashMap::new();
    for (at, one) in entries.iter().enumerate() {
        let best = best.entry(one.place.0).or_insert((one.rank, at));
        if one.rank <= best.0 {
            *best = (one.rank, at);
        }
    }
    for (_, at) in best.into_values() {
        entries[at].counts = true;
    }
}
