//! What a service would read: the effective value of every option over an ordered set of files and the environment, by
//! oslo.config's own order, with where it comes from.
//!
//! The order (`oslo_config/cfg.py`, `_do_get` and `_get_file_value`): `OS_GROUP__OPTION` in the environment, then the files,
//! newest first and in each file all of the option's names, then the default. Of a multi-valued option all values of all
//! files and names count. The command line is not looked at. References (`$other`, `${group.other}`) are resolved before
//! a value is converted.

mod error;
mod files;
mod resolve;
mod schema;
mod template;

use std::cell::RefCell;
use std::collections::BTreeMap;

use foldhash::{HashMap, HashSet};

use ffu_catalog::options::Opt;

pub use error::ReadError;
pub use files::{File, FileSet, config_dir_order};
pub use schema::Schema;
pub use template::{Reference, references};

use crate::ini::EntryId;
use crate::values::Value;
use files::Index;
use resolve::Known;

/// The most references that may follow each other (`$a` whose value is `$b` whose value is `$c` …). Python itself
/// gives up at 99 (2.7, 3.6), 124 (3.7 to 3.11) or 142 (from 3.12), earlier where the program was deep already.
pub const MAX_DEPTH: usize = 90;

/// Where an effective value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A variable of the environment.
    Environment {
        /// Its name.
        variable: String,
    },
    /// An entry of a file.
    File {
        /// Which file of the [`FileSet`], from 0.
        file: usize,
        /// Which entry of it.
        entry: EntryId,
        /// The group under which the option was found, as oslo.config compares it.
        group: String,
        /// The name under which it was found, perhaps an old one.
        name: String,
        /// The line; `None` for an entry that an edit inserted.
        line: Option<usize>,
    },
    /// The option's default.
    Default,
}

/// An option's value as the service gets it.
#[derive(Clone, Debug, PartialEq)]
pub struct Effective {
    /// The value, or why the service would fail on it. [`Value::None`] where nothing is set and there is no default.
    pub value: Result<Value, ReadError>,
    /// Where it comes from; several for a multi-valued option, in the order of its values. Never empty.
    pub sources: Vec<Source>,
    /// The options that it refers to directly, as (group, name), in the order of the text.
    pub references: Vec<(String, String)>,
}

/// An entry that no option answers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown {
    /// Which file of the [`FileSet`], from 0.
    pub file: usize,
    /// Which entry of it.
    pub entry: EntryId,
    /// The group, as oslo.config compares it.
    pub group: String,
    /// The key.
    pub key: String,
}

/// A set of files read with the options of one series.
pub struct Reading<'r, 'a> {
    schema: &'r Schema<'a>,
    files: &'r FileSet,
    environment: &'r BTreeMap<String, String>,
    /// One a file, in the order of the files.
    indexes: Vec<Index<'r>>,
    known: RefCell<HashMap<(String, String), Known>>,
}

impl<'r, 'a> Reading<'r, 'a> {
    /// Reads; nothing is resolved before it is asked for.
    pub fn new(schema: &'r Schema<'a>, files: &'r FileSet, environment: &'r BTreeMap<String, String>) -> Self {
        let indexes = files.files().iter().map(|file| Index::of(&file.document)).collect();
        Reading {
            schema,
            files,
            environment,
            indexes,
            known: RefCell::default(),
        }
    }

    /// The effective value of an option by its current group and name; `None` where there is no such option.
    pub fn effective(&self, group: &str, name: &str) -> Option<Effective> {
        self.schema.position(group, name)?;
        Some(self.read(group, name))
    }

    /// Every option with the group it is in and its effective value, in the order in which they were added.
    pub fn all(&self) -> impl Iterator<Item = (&'r str, &'a Opt, Effective)> {
        let schema = self.schema;
        schema
            .iter()
            .map(move |(group, opt)| (group, opt, self.read(group, &opt.name)))
    }

    /// The entries that no option answers to, in the order of the files.
    pub fn unknown(&self) -> Vec<Unknown> {
        let claimed: HashSet<(String, String)> = self.schema.spellings().collect();
        let mut unknown = Vec::new();
        for (file, File { document, .. }) in self.files.files().iter().enumerate() {
            for entry in document.entries() {
                let spelling = (entry.group().into_owned(), entry.key.clone().into_owned());
                if !claimed.contains(&spelling) {
                    let (group, key) = spelling;
                    unknown.push(Unknown {
                        file,
                        entry: entry.id,
                        group,
                        key,
                    });
                }
            }
        }
        unknown
    }

    /// Resolves the references in a text as if it stood in a group.
    pub fn substitute(&self, text: &str, group: &str) -> Result<String, ReadError> {
        let mut references = Vec::new();
        let mut height = 0;
        self.substituted(text, group, 0, &mut references, &mut height)
            .map_err(|stop| stop.into_error(group, ""))
    }

    /// The entries of all files with a spelling, oldest file first.
    pub fn entries_of(&self, group: &str, name: &str) -> Vec<(usize, EntryId)> {
        let group = self.schema.era().group(group);
        let found = self.indexes.iter().enumerate();
        found
            .flat_map(|(file, index)| index.get(&group, name).iter().map(move |entry| (file, *entry)))
            .collect()
    }
}

#[cfg(test)]
mod tests;
