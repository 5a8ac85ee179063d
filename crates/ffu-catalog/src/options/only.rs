//! Reading the options of one series out of the text of all series, without a look at what belongs to others.
//!
//! It relies on the order in which [`ServiceOptions`] is written: the list of series before the options, and the set of
//! series first in each option. A text in any other order is an error here, and read whole by the caller.

use std::fmt;

use ffu_model::Series;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};

use super::types::{AuthPlugin, Opt, SeriesSet, ServiceOptions};

/// The part of a catalog's text that is about one series, unchecked.
pub(super) fn only(json: &str, series: &Series) -> Result<ServiceOptions, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let part = deserializer.deserialize_map(Whole(series))?;
    deserializer.end()?;
    Ok(part)
}

struct Whole<'s>(&'s Series);

impl<'de> Visitor<'de> for Whole<'_> {
    type Value = ServiceOptions;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an option catalog")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ServiceOptions, A::Error> {
        let (mut format, mut service, mut options) = (None, None, None);
        let mut part = ServiceOptions::default();
        while let Some(key) = map.next_key::<&str>()? {
            match key {
                "format" => format = Some(map.next_value()?),
                "service" => service = Some(map.next_value()?),
                "series" => part.series = map.next_value()?,
                "versions" => part.versions = map.next_value()?,
                "not_dumped" => part.not_dumped = map.next_value()?,
                "dynamic_groups" => part.dynamic_groups = map.next_value()?,
                "options" if !part.series.is_empty() => {
                    options = Some(map.next_value_seed(List(One(part.position(self.0)), 1500))?);
                }
                "auth_plugins" if !part.series.is_empty() => {
                    part.auth_plugins = map.next_value_seed(List(Plugin(part.position(self.0)), 16))?;
                }
                "policy_files" | "policy" => {
                    map.next_value::<IgnoredAny>()?;
                }
                _ => return Err(A::Error::custom("not the order or the fields of an option catalog")),
            }
        }
        part.format = format.ok_or_else(|| A::Error::missing_field("format"))?;
        part.service = service.ok_or_else(|| A::Error::missing_field("service"))?;
        part.options = options.ok_or_else(|| A::Error::missing_field("options"))?;
        Ok(part)
    }
}

/// A map, read by its visitor.
struct Map<V>(V);

impl<'de, V: Visitor<'de>> DeserializeSeed<'de> for Map<V> {
    type Value = V::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        deserializer.deserialize_map(self.0)
    }
}

/// A list of maps, and about how many there are; those of which their visitor makes nothing are left out.
struct List<V>(V, usize);

impl<'de, T, V: Visitor<'de, Value = Option<T>> + Copy> DeserializeSeed<'de> for List<V> {
    type Value = Vec<T>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<T>, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, T, V: Visitor<'de, Value = Option<T>> + Copy> Visitor<'de> for List<V> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<T>, A::Error> {
        let mut list = Vec::with_capacity(self.1);
        while let Some(one) = seq.next_element_seed(Map(self.0))? {
            list.extend(one);
        }
        Ok(list)
    }
}

/// One of keystoneauth's plugins with the options of the nth series.
#[derive(Clone, Copy)]
struct Plugin(Option<usize>);

impl<'de> Visitor<'de> for Plugin {
    type Value = Option<AuthPlugin>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a plugin")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Option<AuthPlugin>, A::Error> {
        let (mut name, mut options) = (None, None);
        while let Some(key) = map.next_key::<&str>()? {
            match key {
                "name" => name = Some(map.next_value()?),
                "options" => options = Some(map.next_value_seed(List(One(self.0), 16))?),
                _ => return Err(A::Error::custom("not the fields of a plugin")),
            }
        }
        Ok(Some(AuthPlugin {
            name: name.ok_or_else(|| A::Error::missing_field("name"))?,
            options: options.ok_or_else(|| A::Error::missing_field("options"))?,
        }))
    }
}

/// One option, if the nth series has it.
#[derive(Clone, Copy)]
struct One(Option<usize>);

impl<'de> Visitor<'de> for One {
    type Value = Option<Opt>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an option")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Option<Opt>, A::Error> {
        if map.next_key::<&str>()? != Some("in") {
            return Err(A::Error::custom("the set of series must be first in an option"));
        }
        let set: SeriesSet = map.next_value()?;
        if self.0.is_some_and(|at| set.holds(at)) {
            let begun = Begun {
                set,
                stage: Stage::Key,
                map,
            };
            return Opt::deserialize(MapAccessDeserializer::new(begun)).map(Some);
        }
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

#[derive(PartialEq)]
enum Stage {
    Key,
    Value,
    Rest,
}

/// A map of which the first entry, the set of series, was read already.
struct Begun<A> {
    set: SeriesSet,
    stage: Stage,
    map: A,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Begun<A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        if self.stage == Stage::Key {
            self.stage = Stage::Value;
            let key: de::value::StrDeserializer<'_, A::Error> = "in".into_deserializer();
            return seed.deserialize(key).map(Some);
        }
        self.map.next_key_seed(seed)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        if self.stage == Stage::Value {
            self.stage = Stage::Rest;
            let set: de::value::U32Deserializer<A::Error> = self.set.0.into_deserializer();
            return seed.deserialize(set);
        }
        self.map.next_value_seed(seed)
    }
}
