//! Reading the options of one series out of the text of all series, without a look at what belongs to others.
//!
//! It relies on the order in which [`ServiceOptions`] is written: the list of series before the options, and the set of
//! series first in each option. A text in any other order is an error here, and read whole by the caller.

use std::collections::BTreeMap;
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
        let mut part = ServiceOptions {
            format: 0,
            service: String::new(),
            series: Vec::new(),
            versions: BTreeMap::new(),
            not_dumped: Vec::new(),
            policy_files: Vec::new(),
            options: Vec::new(),
            dynamic_groups: Vec::new(),
            auth_plugins: Vec::new(),
            policy: Vec::new(),
        };
        while let Some(key) = map.next_key::<&str>()? {
            match key {
                "format" => format = Some(map.next_value()?),
                "service" => service = Some(map.next_value()?),
                "series" => part.series = map.next_value()?,
                "versions" => part.versions = map.next_value()?,
                "not_dumped" => part.not_dumped = map.next_value()?,
                "dynamic_groups" => part.dynamic_groups = map.next_value()?,
                "options" if !part.series.is_empty() => {
                    options = Some(map.next_value_seed(Options(part.position(self.0), 1500))?);
                }
                "auth_plugins" if !part.series.is_empty() => {
                    part.auth_plugins = map.next_value_seed(Plugins(part.position(self.0)))?;
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

/// The options of the nth series, and about how many there are.
struct Options(Option<usize>, usize);

impl<'de> DeserializeSeed<'de> for Options {
    type Value = Vec<Opt>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<Opt>, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Options {
    type Value = Vec<Opt>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of options")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<Opt>, A::Error> {
        let mut options = Vec::with_capacity(self.1);
        while let Some(option) = seq.next_element_seed(One(self.0))? {
            options.extend(option);
        }
        Ok(options)
    }
}

/// keystoneauth's plugins with the options of the nth series.
struct Plugins(Option<usize>);

impl<'de> DeserializeSeed<'de> for Plugins {
    type Value = Vec<AuthPlugin>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<AuthPlugin>, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Plugins {
    type Value = Vec<AuthPlugin>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of plugins")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<AuthPlugin>, A::Error> {
        let mut plugins = Vec::new();
        while let Some(plugin) = seq.next_element_seed(Plugin(self.0))? {
            plugins.push(plugin);
        }
        Ok(plugins)
    }
}

struct Plugin(Option<usize>);

impl<'de> DeserializeSeed<'de> for Plugin {
    type Value = AuthPlugin;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<AuthPlugin, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Plugin {
    type Value = AuthPlugin;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a plugin")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<AuthPlugin, A::Error> {
        let (mut name, mut options) = (None, None);
        while let Some(key) = map.next_key::<&str>()? {
            match key {
                "name" => name = Some(map.next_value()?),
                "options" => options = Some(map.next_value_seed(Options(self.0, 16))?),
                _ => return Err(A::Error::custom("not the fields of a plugin")),
            }
        }
        Ok(AuthPlugin {
            name: name.ok_or_else(|| A::Error::missing_field("name"))?,
            options: options.ok_or_else(|| A::Error::missing_field("options"))?,
        })
    }
}

/// One option, if the nth series has it.
struct One(Option<usize>);

impl<'de> DeserializeSeed<'de> for One {
    type Value = Option<Opt>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<Opt>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

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
