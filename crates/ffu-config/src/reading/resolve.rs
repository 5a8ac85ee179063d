//! Resolving an option: `ConfigOpts._do_get`, `_substitute` and `StrSubWrapper` of `oslo_config/cfg.py`.

use ffu_catalog::options::Opt;
use serde_json::Value as Json;

use super::error::ReadError;
use super::schema::Found;
use super::template::{Piece, pieces, with_dollars};
use super::{Effective, MAX_DEPTH, Reading, Source};
use crate::ini::EntryId;
use crate::values::{Value, ValueError, from_default, parse, python_str};

/// What is known of an option.
pub(super) enum Known {
    /// It is being resolved, as the nth on the way.
    Open(usize),
    /// It was resolved, and so many references follow each other below it.
    Done(Box<Effective>, usize),
}

/// Why resolving stops.
pub(super) enum Stop {
    Error(ReadError),
    /// No option of that name: with no group given DEFAULT is asked too. A reference in its own right.
    NoOption(String),
    NoGroup(String),
    Group(String),
    /// Python's `KeyError`: the reference stays as it is.
    Leave,
    /// A circle that begins with the nth option on the way.
    Cycle(usize),
    TooDeep,
}

impl Stop {
    /// The error of the option in whose value it happened.
    pub(super) fn into_error(self, group: &str, name: &str) -> ReadError {
        let (group, name) = (group.to_owned(), name.to_owned());
        match self {
            Stop::Error(error) => error,
            Stop::NoOption(reference) => ReadError::NoSuchOption { group, name, reference },
            Stop::NoGroup(reference) => ReadError::NoSuchGroup { group, name, reference },
            Stop::Group(reference) => ReadError::GroupAsValue { group, name, reference },
            Stop::Leave | Stop::Cycle(_) => ReadError::Cycle {
                group,
                name,
                circle: Vec::new(),
            },
            Stop::TooDeep => ReadError::TooDeep {
                group,
                name,
                limit: MAX_DEPTH,
            },
        }
    }
}

/// A value before it is converted.
enum Raw {
    One(String),
    Many(Vec<String>),
    /// A variable's text for a multi-valued option, of which each character becomes a value.
    Characters(String),
    Default,
}

impl Reading<'_, '_> {
    /// An option that is known to be there.
    pub(super) fn read(&self, group: &str, name: &str) -> Effective {
        let Some(opt) = self.schema.get(group, name) else {
            return missing(group, name);
        };
        match self.option(opt, group, name, 0) {
            Ok((effective, _)) => effective,
            Err(stop) => Effective {
                value: Err(stop.into_error(group, name)),
                ..missing(group, name)
            },
        }
    }

    /// An option by the group and name by which it is asked for, which may be old ones.
    fn option(&self, opt: &Opt, group: &str, name: &str, depth: usize) -> Result<(Effective, usize), Stop> {
        let key = (group.to_owned(), name.to_owned());
        match self.known.borrow().get(&key) {
            Some(Known::Done(effective, height)) if depth + height <= MAX_DEPTH => {
                return Ok((Effective::clone(effective), *height));
            }
            Some(Known::Done(..)) => return Err(Stop::TooDeep),
            Some(Known::Open(at)) => return Err(Stop::Cycle(*at)),
            None => {}
        }
        if depth > MAX_DEPTH {
            return Err(Stop::TooDeep);
        }
        self.known.borrow_mut().insert(key.clone(), Known::Open(depth));
        let (raw, sources) = self.raw(opt, group, name);
        let mut references = Vec::new();
        let mut height = 0;
        let value = self.converted(opt, group, name, raw, depth, &mut references, &mut height);
        let value = match value {
            Err(Stop::TooDeep) if depth > 0 => {
                // It is only too deep from where it was asked for.
                self.known.borrow_mut().remove(&key);
                return Err(Stop::TooDeep);
            }
            Err(Stop::Cycle(at)) => Err(self.circle(group, name, at)),
            Err(stop) => Err(stop.into_error(group, name)),
            Ok(value) => Ok(value),
        };
        let effective = Effective {
            value,
            sources,
            references,
        };
        let done = Known::Done(Box::new(effective.clone()), height);
        self.known.borrow_mut().insert(key, done);
        Ok((effective, height))
    }

    /// The circle that an option's reference closes: all that are open now, from that option on.
    fn circle(&self, group: &str, name: &str, from: usize) -> ReadError {
        let known = self.known.borrow();
        let mut open: Vec<(usize, String)> = known
            .iter()
            .filter_map(|((group, name), known)| match known {
                Known::Open(at) if *at >= from => Some((*at, format!("{group}.{name}"))),
                _ => None,
            })
            .collect();
        open.sort();
        let mut circle: Vec<String> = open.into_iter().map(|(_, option)| option).collect();
        if let Some(first) = circle.first().cloned() {
            circle.push(first);
        }
        ReadError::Cycle {
            group: group.to_owned(),
            name: name.to_owned(),
            circle,
        }
    }

    /// What is set: the environment, then the files, then the default.
    fn raw(&self, opt: &Opt, group: &str, name: &str) -> (Raw, Vec<Source>) {
        if self.schema.era().environment {
            let variable = format!("OS_{}__{}", group.to_uppercase(), name.to_uppercase());
            if let Some(text) = self.environment.get(&variable) {
                let raw = if opt.multi {
                    Raw::Characters(text.clone())
                } else {
                    Raw::One(text.clone())
                };
                return (raw, vec![Source::Environment { variable }]);
            }
        }
        let mut values: Vec<String> = Vec::new();
        let mut sources: Vec<Source> = Vec::new();
        for file in (0..self.files.files().len()).rev() {
            for (group, name) in self.schema.names(opt, group) {
                let group = self.schema.era().group(group);
                let Some(index) = self.indexes.get(file) else { continue };
                let entries = index.get(&group, name);
                let wanted = if opt.multi {
                    entries
                } else {
                    entries.last().map(std::slice::from_ref).unwrap_or_default()
                };
                let found: Vec<(String, Source)> = wanted
                    .iter()
                    .filter_map(|entry| self.entry(file, *entry, &group, name))
                    .collect();
                if found.is_empty() {
                    continue;
                }
                let (found, places): (Vec<String>, Vec<Source>) = found.into_iter().unzip();
                if !opt.multi {
                    let value = found.into_iter().next_back().unwrap_or_default();
                    return (Raw::One(value), places);
                }
                // What is found later stands in front: older files, and older names.
                values.splice(0..0, found);
                sources.splice(0..0, places);
            }
        }
        if sources.is_empty() {
            return (Raw::Default, vec![Source::Default]);
        }
        (Raw::Many(values), sources)
    }

    fn entry(&self, file: usize, id: EntryId, group: &str, name: &str) -> Option<(String, Source)> {
        let entry = self.files.files().get(file)?.document.entry(id)?;
        let source = Source::File {
            file,
            entry: id,
            group: group.to_owned(),
            name: name.to_owned(),
            line: entry.line,
        };
        Some((entry.value().into_owned(), source))
    }

    #[allow(clippy::too_many_arguments)] // the two lists are filled on the way, also where it fails
    fn converted(
        &self,
        opt: &Opt,
        group: &str,
        name: &str,
        raw: Raw,
        depth: usize,
        references: &mut Vec<(String, String)>,
        height: &mut usize,
    ) -> Result<Value, Stop> {
        let era = self.schema.era();
        let refused = |error: ValueError| {
            let reason = if opt.secret {
                "its type refuses the value (which is not shown, because it is secret)".to_owned()
            } else {
                error.message
            };
            Stop::Error(ReadError::Value {
                group: group.to_owned(),
                name: name.to_owned(),
                reason,
            })
        };
        match raw {
            Raw::One(text) => {
                let text = self.substituted(&text, group, depth, references, height)?;
                parse(&opt.kind, &text, era).map_err(refused)
            }
            Raw::Many(texts) => {
                let mut values = Vec::with_capacity(texts.len());
                for text in &texts {
                    values.push(self.substituted(text, group, depth, references, height)?);
                }
                let values: Result<_, _> = values.iter().map(|text| parse(&opt.kind, text, era)).collect();
                Ok(Value::List(values.map_err(refused)?))
            }
            Raw::Characters(text) => {
                let text = self.substituted(&text, group, depth, references, height)?;
                from_default(&opt.kind, true, &Json::String(text), era).map_err(refused)
            }
            Raw::Default => match &opt.default {
                None => Ok(Value::None),
                Some(Json::String(text)) if opt.machine_default => Ok(Value::Text(text.clone())),
                Some(default) => {
                    let default = self.substituted_json(default, group, depth, references, height)?;
                    from_default(&opt.kind, opt.multi, &default, era).map_err(refused)
                }
            },
        }
    }

    /// `_substitute` of a text.
    pub(super) fn substituted(
        &self,
        text: &str,
        group: &str,
        depth: usize,
        references: &mut Vec<(String, String)>,
        height: &mut usize,
    ) -> Result<String, Stop> {
        if !text.contains('$') {
            return Ok(text.to_owned());
        }
        let text = with_dollars(text);
        let mut out = String::with_capacity(text.len());
        for piece in pieces(&text, self.schema.era()) {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Reference { name, whole } => match self.referred(name, group, depth, references, height) {
                    Ok(value) => out.push_str(&python_str(&value, self.schema.era())),
                    Err(Stop::Leave) => out.push_str(whole),
                    Err(stop) => return Err(stop),
                },
            }
        }
        Ok(out)
    }

    /// `_substitute` of a default, in which lists and dictionaries are gone through.
    fn substituted_json(
        &self,
        value: &Json,
        group: &str,
        depth: usize,
        references: &mut Vec<(String, String)>,
        height: &mut usize,
    ) -> Result<Json, Stop> {
        Ok(match value {
            Json::String(text) => Json::String(self.substituted(text, group, depth, references, height)?),
            Json::Array(items) => {
                let mut out = Vec::with_capacity(items.len());
                for item in items {
                    out.push(self.substituted_json(item, group, depth, references, height)?);
                }
                Json::Array(out)
            }
            Json::Object(pairs) => {
                let mut out = serde_json::Map::new();
                for (key, value) in pairs {
                    let key = self.substituted(key, group, depth, references, height)?;
                    out.insert(key, self.substituted_json(value, group, depth, references, height)?);
                }
                Json::Object(out)
            }
            other => other.clone(),
        })
    }

    /// The value of a reference (`StrSubWrapper.__getitem__`): its own group, then DEFAULT; or the group it names.
    fn referred(
        &self,
        name: &str,
        group: &str,
        depth: usize,
        references: &mut Vec<(String, String)>,
        height: &mut usize,
    ) -> Result<Value, Stop> {
        let (first_group, first_name) = name.split_once('.').unwrap_or((group, name));
        if name.contains('.') && first_group == "DEFAULT" {
            // No group is called so.
            return Err(Stop::NoGroup(name.to_owned()));
        }
        let first = self.asked(first_group, first_name, name, depth, references, height);
        let lacks_option = match &first {
            Err(Stop::NoOption(_)) => true,
            // What it refers to has a reference that leads nowhere: to oslo.config that is the same.
            Err(Stop::Error(error)) => matches!(error, ReadError::NoSuchOption { .. }),
            _ => false,
        };
        if !lacks_option || first_group == "DEFAULT" {
            return first;
        }
        match self.asked("DEFAULT", name, name, depth, references, height) {
            Err(Stop::NoOption(_)) => first,
            second => second,
        }
    }

    fn asked(
        &self,
        group: &str,
        name: &str,
        reference: &str,
        depth: usize,
        references: &mut Vec<(String, String)>,
        height: &mut usize,
    ) -> Result<Value, Stop> {
        if group == "DEFAULT" && name != "DEFAULT" && self.schema.has_group(name) {
            return Err(Stop::Group(reference.to_owned()));
        }
        let opt = match self.schema.find(group, name) {
            Found::Option(opt) => opt,
            Found::Nothing => return Err(Stop::Leave),
            Found::NoOption => return Err(Stop::NoOption(reference.to_owned())),
            Found::NoGroup => return Err(Stop::NoGroup(reference.to_owned())),
        };
        references.push((group.to_owned(), name.to_owned()));
        let (effective, below) = self.option(opt, group, name, depth + 1)?;
        *height = (*height).max(below + 1);
        effective.value.map_err(Stop::Error)
    }
}

fn missing(group: &str, name: &str) -> Effective {
    Effective {
        value: Err(ReadError::NoSuchOption {
            group: group.to_owned(),
            name: name.to_owned(),
            reference: name.to_owned(),
        }),
        sources: vec![Source::Default],
        references: Vec::new(),
    }
}
