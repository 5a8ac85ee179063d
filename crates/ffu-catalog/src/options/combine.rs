//! Several option catalogs of one service made one: the dumps of single series, or a catalog and a vendor's addition.

use std::collections::BTreeMap;

use foldhash::{HashMap, HashMapExt as _};

use ffu_model::Series;

use super::check::wrong;
use super::packed::{FORMAT, OptionsError};
use super::types::{AuthPlugin, Opt, PolicyRule, SeriesSet, ServiceOptions};

/// Makes one catalog of several of the same service. Where two define an option or a rule in one series, the later part
/// wins. The result has its series in the given order, everything sorted, and what is the same in several series once, so
/// that the same dumps give the same bytes.
///
/// # Errors
/// [`OptionsError::Invalid`]: no part, parts of different services, a series that `order` does not have, or a part that
/// contradicts itself.
pub fn combine(parts: &[ServiceOptions], order: &[Series]) -> Result<ServiceOptions, OptionsError> {
    let Some(first) = parts.first() else {
        return Err(wrong("service", "", "there is nothing to combine"));
    };
    let mut dumped = vec![false; order.len()];
    for part in parts {
        part.check()?;
        if part.service != first.service {
            return Err(wrong("service", &part.service, &format!("it is not {}", first.service)));
        }
        for series in &part.series {
            let Some(at) = order.iter().position(|one| one == series) else {
                return Err(wrong("series", series.as_str(), "the catalog does not know it"));
            };
            dumped[at] = true;
        }
    }
    let series: Vec<Series> = order
        .iter()
        .zip(&dumped)
        .filter(|(_, is)| **is)
        .map(|(s, _)| s.clone())
        .collect();
    let mut result = ServiceOptions {
        format: FORMAT,
        service: first.service.clone(),
        series,
        ..ServiceOptions::default()
    };
    let mut options = Vec::new();
    let mut plugins: BTreeMap<&str, Vec<(Opt, SeriesSet)>> = BTreeMap::new();
    let mut policy = Vec::new();
    for part in parts {
        let to: Vec<SeriesSet> = part
            .series
            .iter()
            .map(|one| result.position(one).map_or(SeriesSet(0), SeriesSet::only))
            .collect();
        let moved = |set: SeriesSet| {
            SeriesSet(
                to.iter()
                    .enumerate()
                    .filter(|(at, _)| set.holds(*at))
                    .fold(0, |bits, (_, one)| bits | one.0),
            )
        };
        result.versions.extend(part.versions.clone());
        for one in &part.not_dumped {
            if !result.not_dumped.contains(one) {
                result.not_dumped.push(one.clone());
            }
        }
        for group in &part.dynamic_groups {
            if !result.dynamic_groups.contains(group) {
                result.dynamic_groups.push(group.clone());
            }
        }
        options.extend(part.options.iter().map(|o| (o.clone(), moved(o.series))));
        policy.extend(part.policy.iter().map(|r| (r.clone(), moved(r.series))));
        for plugin in &part.auth_plugins {
            let all = plugins.entry(&plugin.name).or_default();
            all.extend(plugin.options.iter().map(|o| (o.clone(), moved(o.series))));
        }
    }
    result.policy_files = order
        .iter()
        .filter(|one| parts.iter().any(|part| part.policy_files.contains(one)))
        .cloned()
        .collect();
    result.not_dumped.retain(|one| !result.series.contains(&one.series));
    result
        .not_dumped
        .sort_by_key(|one| order.iter().position(|series| *series == one.series));
    result.not_dumped.dedup_by(|a, b| a.series == b.series);
    result
        .dynamic_groups
        .sort_by(|a, b| (&a.group, &a.option, &a.pattern).cmp(&(&b.group, &b.option, &b.pattern)));
    result.options = fold(options)?;
    result.policy = fold(policy)?;
    for (name, all) in plugins {
        result.auth_plugins.push(AuthPlugin {
            name: name.to_owned(),
            options: fold(all)?,
        });
    }
    result.check()?;
    Ok(result)
}

/// What has a name and is the same over a set of series.
trait Spanned: serde::Serialize {
    fn key(&self) -> (String, String);
    fn span(&self) -> SeriesSet;
    fn set_span(&mut self, set: SeriesSet);
}

impl Spanned for Opt {
    fn key(&self) -> (String, String) {
        (self.group.clone(), self.name.clone())
    }
    fn span(&self) -> SeriesSet {
        self.series
    }
    fn set_span(&mut self, set: SeriesSet) {
        self.series = set;
    }
}

impl Spanned for PolicyRule {
    fn key(&self) -> (String, String) {
        (self.name.clone(), String::new())
    }
    fn span(&self) -> SeriesSet {
        self.series
    }
    fn set_span(&mut self, set: SeriesSet) {
        self.series = set;
    }
}

/// One entry for each different definition, by name and then by first series; where two claim a series the later wins.
fn fold<T: Spanned>(all: Vec<(T, SeriesSet)>) -> Result<Vec<T>, OptionsError> {
    let mut taken: HashMap<(String, String), u32> = HashMap::new();
    let mut found: BTreeMap<((String, String), Vec<u8>), T> = BTreeMap::new();
    for (mut item, set) in all.into_iter().rev() {
        let key = item.key();
        let claimed = taken.entry(key.clone()).or_default();
        let bits = set.0 & !*claimed;
        *claimed |= bits;
        item.set_span(SeriesSet(0));
        let text = serde_json::to_vec(&item).map_err(|error| OptionsError::Pack {
            message: error.to_string(),
        })?;
        let same = found.entry((key, text)).or_insert(item);
        same.set_span(SeriesSet(same.span().0 | bits));
    }
    let mut items: Vec<T> = found.into_values().filter(|item| item.span().0 != 0).collect();
    // Two definitions of a name never share a series, so the first series decides between them.
    items.sort_by_cached_key(|item| (item.key(), item.span().0.trailing_zeros()));
    Ok(items)
}
