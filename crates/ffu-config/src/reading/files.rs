//! The files a service is started with, in order.

use std::borrow::Cow;

use foldhash::{HashMap, HashMapExt as _};

use crate::ini::{Document, EntryId};

/// A file of the set.
#[derive(Clone, Debug)]
pub struct File {
    /// What the caller calls it, e.g. its path.
    pub label: String,
    /// What is in it.
    pub document: Document,
}

/// Files in the order in which the service is given them (`--config-file`, the files of `--config-dir`); later ones win.
#[derive(Clone, Debug, Default)]
pub struct FileSet {
    files: Vec<File>,
}

impl FileSet {
    /// An empty set.
    pub fn new() -> Self {
        FileSet::default()
    }

    /// Adds a file behind all others.
    pub fn push(&mut self, label: impl Into<String>, document: Document) {
        self.files.push(File {
            label: label.into(),
            document,
        });
    }

    /// The files, oldest first.
    pub fn files(&self) -> &[File] {
        &self.files
    }

    /// The files, to be edited.
    pub fn files_mut(&mut self) -> &mut [File] {
        &mut self.files
    }
}

/// Which of the names in a `--config-dir` are read, and in which order: `*.conf` without those that begin with a point,
/// sorted by their characters, so that `10-a.conf` comes before `9-b.conf`.
pub fn config_dir_order(names: &[String]) -> Vec<String> {
    let mut read: Vec<String> = names
        .iter()
        .filter(|name| name.ends_with(".conf") && !name.starts_with('.'))
        .cloned()
        .collect();
    read.sort();
    read
}

/// Which entries a file has for a group and key, in the order of the file.
pub(super) struct Index<'r> {
    entries: HashMap<(Cow<'r, str>, Cow<'r, str>), Vec<EntryId>>,
}

impl<'r> Index<'r> {
    pub(super) fn of(document: &'r Document) -> Self {
        let mut entries: HashMap<_, Vec<EntryId>> = HashMap::new();
        for entry in document.entries() {
            let group = entry.group();
            entries.entry((group, entry.key)).or_default().push(entry.id);
        }
        Index { entries }
    }

    /// The entries of a group, as oslo.config compares it.
    pub(super) fn get<'s>(&'s self, group: &'s str, key: &'s str) -> &'s [EntryId] {
        let entries: &'s HashMap<(Cow<'s, str>, Cow<'s, str>), Vec<EntryId>> = &self.entries;
        let found = entries.get(&(Cow::Borrowed(group), Cow::Borrowed(key)));
        found.map(Vec::as_slice).unwrap_or_default()
    }
}
