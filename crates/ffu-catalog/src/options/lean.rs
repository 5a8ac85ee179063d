//! The options of a service in a form that a reader of one series gets through quickly: no text to parse, and what belongs
//! to other series is passed over by its length.
//!
//! It stands before the JSON in a skippable frame of zstd, not compressed, so that every zstd reader still sees the JSON
//! alone. It says nothing that the JSON does not say: whoever reads an overlay's file compares the two.

use std::collections::hash_map::Entry;

use foldhash::{HashMap, HashMapExt as _};
use serde::{Deserialize, Serialize};

use super::types::{AuthPlugin, OldName, Opt, OptType, Removal, SeriesSet, ServiceOptions};
use ffu_model::Series;

/// The first of the numbers that zstd leaves to its users as the begin of a skippable frame.
const MAGIC: [u8; 4] = 0x184D_2A50_u32.to_le_bytes();
/// The form's version; a file with another one is read as JSON.
const FORM: u8 = 1;

/// A packed file in its two parts: the content of the lean frame, if there is one, and the rest.
pub(super) fn split(packed: &[u8]) -> (Option<&[u8]>, &[u8]) {
    let parts = packed
        .strip_prefix(&MAGIC)
        .and_then(|rest| rest.split_first_chunk::<4>())
        .and_then(|(length, rest)| rest.split_at_checked(u32::from_le_bytes(*length) as usize));
    match parts {
        Some((lean, rest)) => (Some(lean), rest),
        None => (None, packed),
    }
}

/// A skippable frame with this content; `None` if it is too long for one.
pub(super) fn frame(content: &[u8]) -> Option<Vec<u8>> {
    let length = u32::try_from(content.len()).ok()?;
    Some([&MAGIC, &length.to_le_bytes(), content].concat())
}

/// Everything of a catalog but its policy; the same catalog gives the same bytes. `None` if an option has more than 64 KiB.
pub(super) fn write(options: &ServiceOptions) -> Option<Vec<u8>> {
    let head = ServiceOptions {
        options: Vec::new(),
        auth_plugins: Vec::new(),
        policy: Vec::new(),
        policy_files: Vec::new(),
        ..options.clone()
    };
    let mut bytes = vec![FORM];
    put(&mut bytes, &serde_json::to_vec(&head).ok()?)?;
    put_all(&mut bytes, &options.options)?;
    for plugin in &options.auth_plugins {
        put(&mut bytes, plugin.name.as_bytes())?;
        put_all(&mut bytes, &plugin.options)?;
    }
    Some(bytes)
}

/// The part of a catalog that is about one series, without its policy; `None` where the bytes are of another form.
pub(super) fn read(bytes: &[u8], series: &Series) -> Option<ServiceOptions> {
    let mut rest = bytes.strip_prefix(&[FORM])?;
    let mut part: ServiceOptions = serde_json::from_slice(take(&mut rest)?).ok()?;
    let at = part.position(series);
    part.options = take_all(&mut rest, at)?;
    while !rest.is_empty() {
        let name = text(take(&mut rest)?)?;
        let options = take_all(&mut rest, at)?;
        part.auth_plugins.push(AuthPlugin { name, options });
    }
    Some(part)
}

fn put(bytes: &mut Vec<u8>, what: &[u8]) -> Option<()> {
    bytes.extend(u16::try_from(what.len()).ok()?.to_le_bytes());
    bytes.extend(what);
    Some(())
}

fn take<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, after) = rest.split_first_chunk::<2>()?;
    let (what, after) = after.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
    *rest = after;
    Some(what)
}

fn text(bytes: &[u8]) -> Option<String> {
    std::str::from_utf8(bytes).ok().map(str::to_owned)
}

fn put_all(bytes: &mut Vec<u8>, options: &[Opt]) -> Option<()> {
    bytes.extend(u16::try_from(options.len()).ok()?.to_le_bytes());
    for option in options {
        bytes.extend(option.series.0.to_le_bytes());
        let values = Values::of(option)?;
        put(bytes, &postcard::to_allocvec(&values.lean(option)).ok()?)?;
    }
    Some(())
}

fn take_all(rest: &mut &[u8], at: Option<usize>) -> Option<Vec<Opt>> {
    let (count, after) = rest.split_first_chunk::<2>()?;
    *rest = after;
    let count = u16::from_le_bytes(*count);
    let mut options = Vec::with_capacity(usize::from(count));
    let mut kinds = HashMap::new();
    for _ in 0..count {
        let (set, after) = rest.split_first_chunk::<4>()?;
        *rest = after;
        let series = SeriesSet(u32::from_le_bytes(*set));
        let option = take(rest)?;
        if at.is_some_and(|at| series.holds(at)) {
            options.push(
                postcard::from_bytes::<Lean<'_>>(option)
                    .ok()?
                    .whole(series, &mut kinds)?,
            );
        }
    }
    Some(options)
}

/// An [`Opt`] without its set of series.
#[derive(Serialize, Deserialize)]
struct Lean<'a> {
    group: &'a str,
    name: &'a str,
    registered_name: Option<&'a str>,
    #[serde(borrow)]
    kind: Kind<'a>,
    #[serde(borrow)]
    default: Option<Value<'a>>,
    /// `machine_default`, `multi`, `secret`, `required`, `mutable`: one bit each, from the lowest.
    is: u8,
    #[serde(borrow)]
    aliases: Vec<(&'a str, &'a str)>,
    removal: Option<Option<&'a str>>,
}

/// The frequent types; every other one is its JSON.
#[derive(Serialize, Deserialize)]
enum Kind<'a> {
    Text,
    Choice(#[serde(borrow)] Vec<Option<&'a str>>),
    Boolean,
    Integer(Option<i64>, Option<i64>),
    Texts,
    Json(&'a str),
}

/// The frequent defaults; every other one is its JSON.
#[derive(Serialize, Deserialize)]
enum Value<'a> {
    Text(&'a str),
    Boolean(bool),
    Integer(i64),
    Json(&'a str),
}

const PLAIN: OptType = OptType::String {
    choices: None,
    quotes: false,
    regex: None,
    ignore_case: false,
    max_length: None,
};

/// What a [`Lean`] borrows that the option does not have: JSON of its type and of its default.
struct Values {
    kind: String,
    default: String,
}

impl Values {
    fn of(option: &Opt) -> Option<Values> {
        Some(Values {
            kind: serde_json::to_string(&option.kind).ok()?,
            default: serde_json::to_string(&option.default).ok()?,
        })
    }

    fn lean<'a>(&'a self, option: &'a Opt) -> Lean<'a> {
        let flags = [
            option.machine_default,
            option.multi,
            option.secret,
            option.required,
            option.mutable,
        ];
        Lean {
            group: &option.group,
            name: &option.name,
            registered_name: option.registered_name.as_deref(),
            kind: self.kind(&option.kind),
            default: option.default.as_ref().map(|value| self.value(value)),
            is: flags.iter().rev().fold(0, |bits, &flag| bits << 1 | u8::from(flag)),
            aliases: option
                .aliases
                .iter()
                .map(|old| (old.group.as_str(), old.name.as_str()))
                .collect(),
            removal: option.removal.as_ref().map(|removal| removal.since.as_deref()),
        }
    }

    fn kind<'a>(&'a self, kind: &'a OptType) -> Kind<'a> {
        match kind {
            OptType::String {
                choices: Some(choices),
                quotes: false,
                regex: None,
                ignore_case: false,
                max_length: None,
            } => Kind::Choice(choices.iter().map(Option::as_deref).collect()),
            OptType::Boolean => Kind::Boolean,
            OptType::Integer {
                min,
                max,
                choices: None,
            } => Kind::Integer(*min, *max),
            OptType::List { item, bounds: false } if **item == PLAIN => Kind::Texts,
            plain if *plain == PLAIN => Kind::Text,
            _ => Kind::Json(&self.kind),
        }
    }

    fn value<'a>(&'a self, value: &'a serde_json::Value) -> Value<'a> {
        match (value, value.as_i64()) {
            (serde_json::Value::String(text), _) => Value::Text(text),
            (serde_json::Value::Bool(is), _) => Value::Boolean(*is),
            (_, Some(number)) => Value::Integer(number),
            _ => Value::Json(&self.default),
        }
    }
}

impl<'a> Lean<'a> {
    /// `kinds`: what JSON of a type has been read before; there are a few that many options have.
    fn whole(self, series: SeriesSet, kinds: &mut HashMap<&'a str, OptType>) -> Option<Opt> {
        let owned = |text: &str| text.to_owned();
        Some(Opt {
            series,
            group: owned(self.group),
            name: owned(self.name),
            registered_name: self.registered_name.map(owned),
            kind: match self.kind {
                Kind::Text => PLAIN,
                Kind::Choice(choices) => OptType::String {
                    choices: Some(choices.into_iter().map(|one| one.map(owned)).collect()),
                    quotes: false,
                    regex: None,
                    ignore_case: false,
                    max_length: None,
                },
                Kind::Boolean => OptType::Boolean,
                Kind::Integer(min, max) => OptType::Integer {
                    min,
                    max,
                    choices: None,
                },
                Kind::Texts => OptType::List {
                    item: Box::new(PLAIN),
                    bounds: false,
                },
                Kind::Json(json) => match kinds.entry(json) {
                    Entry::Occupied(known) => known.get().clone(),
                    Entry::Vacant(unknown) => unknown.insert(serde_json::from_str(json).ok()?).clone(),
                },
            },
            default: match self.default {
                None => None,
                Some(Value::Text(text)) => Some(text.into()),
                Some(Value::Boolean(is)) => Some(is.into()),
                Some(Value::Integer(number)) => Some(number.into()),
                Some(Value::Json(json)) => Some(serde_json::from_str(json).ok()?),
            },
            machine_default: self.is & 1 != 0,
            multi: self.is & 2 != 0,
            secret: self.is & 4 != 0,
            required: self.is & 8 != 0,
            mutable: self.is & 16 != 0,
            aliases: self
                .aliases
                .into_iter()
                .map(|(group, name)| OldName {
                    group: owned(group),
                    name: owned(name),
                })
                .collect(),
            removal: self.removal.map(|since| Removal {
                since: since.map(owned),
            }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(option: serde_json::Value) -> ServiceOptions {
        serde_json::from_value(serde_json::json!({
            "format": 1, "service": "acme", "series": ["rocky", "stein"], "versions": {}, "options": [option],
            "auth_plugins": [{"name": "password", "options": [{"in": 3, "group": "", "name": "x", "type": {"is": "boolean"}}]}],
        }))
        .unwrap()
    }

    #[test]
    fn what_is_written_is_read_of_the_series_that_has_it() {
        let kinds = [
            serde_json::json!({"is": "string"}),
            serde_json::json!({"is": "string", "choices": ["a", null]}),
            serde_json::json!({"is": "string", "choices": ["a"], "ignore_case": true}),
            serde_json::json!({"is": "boolean"}),
            serde_json::json!({"is": "integer", "min": -1}),
            serde_json::json!({"is": "integer", "choices": [1]}),
            serde_json::json!({"is": "float", "max": 0.5}),
            serde_json::json!({"is": "list", "item": {"is": "string"}}),
            serde_json::json!({"is": "list", "item": {"is": "integer"}, "bounds": true}),
        ];
        let defaults = [
            "null",
            "true",
            "7",
            "18446744073709551615",
            "0.5",
            "\"\"",
            "[\"a\"]",
            "{\"a\":1}",
        ];
        for kind in kinds {
            for default in defaults {
                let option = serde_json::json!({
                    "in": 2, "group": "g", "name": "n", "registered_name": "N", "type": kind, "secret": true, "mutable": true,
                    "default": serde_json::from_str::<serde_json::Value>(default).unwrap(),
                    "aliases": [{"group": "DEFAULT", "name": "old"}], "removal": {},
                });
                let whole = options(option);
                let bytes = write(&whole).unwrap();
                let stein = read(&bytes, &"stein".parse().unwrap()).unwrap();
                assert_eq!(stein.options, whole.options);
                assert_eq!(stein.auth_plugins, whole.auth_plugins);
                assert_eq!(stein.versions, whole.versions);
                let rocky = read(&bytes, &"rocky".parse().unwrap()).unwrap();
                assert!(rocky.options.is_empty() && rocky.auth_plugins == whole.auth_plugins);
            }
        }
    }

    #[test]
    fn a_frame_is_split_off_and_anything_else_is_the_rest() {
        let framed = [frame(b"abc").unwrap(), b"rest".to_vec()].concat();
        assert_eq!(split(&framed), (Some(b"abc".as_slice()), b"rest".as_slice()));
        for whole in [b"".as_slice(), b"rest", &MAGIC, &framed[..8], &framed[..10]] {
            assert_eq!(split(whole), (None, whole));
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_never_panic(mut bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300), at in 0..400_usize) {
            let series = "stein".parse().unwrap();
            let _ = read(&bytes, &series);
            let mut good = write(&options(serde_json::json!({"in": 2, "group": "g", "name": "n", "type": {"is": "boolean"}}))).unwrap();
            let at = at % good.len();
            good.truncate(at);
            good.append(&mut bytes);
            let _ = read(&good, &series);
        }
    }
}
