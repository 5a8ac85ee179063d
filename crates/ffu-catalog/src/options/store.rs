//! The option catalogs of a [`Catalog`](crate::Catalog): bytes until one is asked for.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use ffu_model::Series;
use ffu_model::cloud::is_name;

use super::check::wrong;
use super::combine::combine;
use super::packed::{OptionsError, agrees, parse, unpack, unpack_at};
use super::types::ServiceOptions;
use crate::error::{CatalogError, Problem};

/// What the file of an option catalog says by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileName<'a> {
    /// The service it belongs to.
    pub service: &'a str,
    /// Whether it is an addition to the service's catalog.
    pub adds: bool,
    /// Whether it is packed.
    pub packed: bool,
}

/// `SERVICE.json.zst`, `SERVICE+NAME.json` and `SERVICE+NAME.json.zst`; `None` for every other name.
pub(crate) fn file_name(file: &str) -> Option<FileName<'_>> {
    let (stem, packed) = match file.strip_suffix(".json.zst") {
        Some(stem) => (stem, true),
        None => (file.strip_suffix(".json")?, false),
    };
    let (service, addition) = match stem.split_once('+') {
        Some((service, addition)) => (service, Some(addition)),
        None => (stem, None),
    };
    let fits = is_name(service) && addition.is_none_or(is_name) && (packed || addition.is_some());
    fits.then_some(FileName {
        service,
        adds: addition.is_some(),
        packed,
    })
}

#[derive(Debug, Default)]
struct Entry {
    /// Path and bytes; the catalog first, then its additions by name.
    files: Vec<(String, Cow<'static, [u8]>)>,
    read: OnceLock<Result<ServiceOptions, OptionsError>>,
}

/// All of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct OptionStore {
    order: Vec<Series>,
    services: Arc<BTreeMap<String, Entry>>,
}

impl OptionStore {
    /// Takes the files (path and bytes) as they are; `order` has the catalog's series, oldest first.
    pub fn new<'a>(
        order: Vec<Series>,
        files: impl Iterator<Item = (&'a String, &'a Cow<'static, [u8]>)>,
    ) -> OptionStore {
        let mut services: BTreeMap<String, Entry> = BTreeMap::new();
        for (path, bytes) in files {
            if let Some(name) = name_of(path) {
                let entry = services.entry(name.service.to_owned()).or_default();
                let at = if name.adds { entry.files.len() } else { 0 };
                entry.files.insert(at, (path.clone(), bytes.clone()));
            }
        }
        OptionStore {
            order,
            services: Arc::new(services),
        }
    }

    pub fn services(&self) -> impl Iterator<Item = &str> {
        self.services.keys().map(String::as_str)
    }

    pub fn get(&self, service: &str) -> Option<Result<&ServiceOptions, &OptionsError>> {
        let entry = self.services.get(service)?;
        Some(entry.read.get_or_init(|| self.read(entry)).as_ref())
    }

    /// The options of a service in one series alone, without policy.
    pub fn at(&self, service: &str, series: &Series) -> Option<Result<ServiceOptions, OptionsError>> {
        let entry = self.services.get(service)?;
        match (entry.files.as_slice(), entry.read.get()) {
            ([(path, bytes)], None) if name_of(path).is_some_and(|name| name.packed) => {
                // What is embedded was checked by tests when it was made, an overlay's when the catalog was loaded.
                Some(unpack_at(bytes, series))
            }
            // Additions are joined over all series; and what was read is at hand.
            _ => Some(self.get(service)?.cloned().map_err(Clone::clone)),
        }
    }

    fn read(&self, entry: &Entry) -> Result<ServiceOptions, OptionsError> {
        let mut parts = entry
            .files
            .iter()
            .map(|(path, bytes)| self.read_file(path, bytes))
            .collect::<Result<Vec<_>, _>>()?;
        match parts.len() {
            1 => Ok(parts.remove(0)),
            _ => combine(&parts, &self.order),
        }
    }

    fn read_file(&self, path: &str, bytes: &[u8]) -> Result<ServiceOptions, OptionsError> {
        let name = name_of(path).ok_or_else(|| wrong("file", path, "it is no option catalog by its name"))?;
        let options = if name.packed { unpack(bytes)? } else { parse(bytes)? };
        if options.service != name.service {
            let reason = format!("the file belongs to {} by its name", name.service);
            return Err(wrong("service", &options.service, &reason));
        }
        let places: Option<Vec<usize>> = options.series.iter().map(|one| self.place(one)).collect();
        if places.is_none_or(|places| !places.is_sorted()) {
            let known: Vec<&str> = self.order.iter().map(Series::as_str).collect();
            let reason = format!("they must be the catalog's, in its order: {}", known.join(", "));
            return Err(wrong("series", &options.service, &reason));
        }
        for group in &options.dynamic_groups {
            if let Some(bad) = [&group.since, &group.until]
                .into_iter()
                .flatten()
                .find(|one| self.place(one).is_none())
            {
                return Err(wrong(
                    "series",
                    bad.as_str(),
                    "a dynamic group names it, the catalog does not know it",
                ));
            }
        }
        Ok(options)
    }

    fn place(&self, series: &Series) -> Option<usize> {
        self.order.iter().position(|one| one == series)
    }

    /// Reads those files now and adds what is wrong with them.
    pub fn check<'a>(&self, paths: impl Iterator<Item = &'a String>, errors: &mut Vec<CatalogError>) {
        for path in paths {
            let files = name_of(path).and_then(|name| self.services.get(name.service));
            let bytes = files.and_then(|entry| entry.files.iter().find(|(one, _)| one == path));
            let read = bytes.map(|(_, bytes)| {
                let options = self.read_file(path, bytes)?;
                if agrees(bytes, &options) {
                    return Ok(());
                }
                let reason =
                    "what it has for quick readers is not what its JSON says; make it again with `make catalogs`";
                Err(wrong("file", path, reason))
            });
            if let Some(Err(error)) = read {
                errors.push(CatalogError {
                    file: path.clone(),
                    line: None,
                    column: None,
                    problem: Problem::Options(error),
                });
            }
        }
    }
}

fn name_of(path: &str) -> Option<FileName<'_>> {
    path.strip_prefix("options/").and_then(file_name)
}
