//! What an option catalog must fulfil, so that those who read it need no second look.

use std::collections::BTreeSet;

use foldhash::{HashMap, HashMapExt as _};

use ffu_model::cloud::is_name;

use super::packed::{FORMAT, OptionsError};
use super::types::{DynamicGroup, Opt, SeriesSet, ServiceOptions};
use crate::error::shown;

/// As many series as a [`SeriesSet`] has bits.
const MOST_SERIES: usize = 32;

impl ServiceOptions {
    /// Whether it is consistent in itself: the format, names, series sets, and one definition a name and series.
    ///
    /// # Errors
    /// The first mistake, with the thing that has it.
    pub fn check(&self) -> Result<(), OptionsError> {
        if self.format != FORMAT {
            return Err(OptionsError::Format { found: self.format });
        }
        if !is_name(&self.service) {
            return Err(wrong(
                "service",
                &self.service,
                "is no name: lower-case letters, digits, - and _",
            ));
        }
        if self.series.is_empty() || self.series.len() > MOST_SERIES {
            return Err(wrong("series", &self.service, "there must be 1 to 32 of them"));
        }
        let series: BTreeSet<_> = self.series.iter().collect();
        if series.len() < self.series.len() {
            return Err(wrong("series", &self.service, "one of them is there twice"));
        }
        for one in &self.series {
            if !self.versions.contains_key(one) {
                return Err(wrong(
                    "series",
                    one.as_str(),
                    "`versions` does not say which version was dumped",
                ));
            }
        }
        if let Some(one) = self.not_dumped.iter().find(|one| series.contains(&one.series)) {
            return Err(wrong(
                "series",
                one.series.as_str(),
                "it is dumped, and in `not_dumped` too",
            ));
        }
        self.check_options(&self.options, true)?;
        self.check_policy()?;
        let mut plugins = BTreeSet::new();
        for plugin in &self.auth_plugins {
            if plugin.name.is_empty() || !plugins.insert(&plugin.name) {
                return Err(wrong("plugin", &plugin.name, "it has no name, or is there twice"));
            }
            self.check_options(&plugin.options, false)?;
        }
        self.dynamic_groups.iter().try_for_each(check_dynamic)
    }

    fn check_options(&self, options: &[Opt], grouped: bool) -> Result<(), OptionsError> {
        let mut seen: HashMap<(&str, &str), u32> = HashMap::with_capacity(options.len());
        for option in options {
            let what = || format!("{}.{}", option.group, option.name);
            let plain = |text: &str| !text.is_empty() && !text.chars().any(|c| c.is_control());
            let group_fits = if grouped {
                plain(&option.group)
            } else {
                option.group.is_empty()
            };
            if !group_fits || !plain(&option.name) {
                return Err(wrong(
                    "option",
                    &what(),
                    "group and name must be printable and not empty",
                ));
            }
            if let Some(bad) = option
                .aliases
                .iter()
                .find(|old| !plain(&old.name) || (grouped && !plain(&old.group)))
            {
                let reason = format!("its alias {:?} is empty or not printable", shown(&bad.name));
                return Err(wrong("option", &what(), &reason));
            }
            let bits = seen.entry((&option.group, &option.name)).or_default();
            self.claim(bits, option.series)
                .map_err(|reason| wrong("option", &what(), reason))?;
        }
        Ok(())
    }

    fn check_policy(&self) -> Result<(), OptionsError> {
        let mut seen: HashMap<&str, u32> = HashMap::with_capacity(self.policy.len());
        for rule in &self.policy {
            if rule.name.is_empty() || rule.name.chars().any(char::is_control) {
                return Err(wrong(
                    "policy rule",
                    &rule.name,
                    "its name must be printable and not empty",
                ));
            }
            let bits = seen.entry(&rule.name).or_default();
            self.claim(bits, rule.series)
                .map_err(|reason| wrong("policy rule", &rule.name, reason))?;
        }
        Ok(())
    }

    fn claim(&self, taken: &mut u32, set: SeriesSet) -> Result<(), &'static str> {
        let all = u32::MAX >> (MOST_SERIES - self.series.len());
        if set.0 == 0 || set.0 & !all != 0 {
            return Err("`in` names no series, or one that `series` does not have");
        }
        if *taken & set.0 != 0 {
            return Err("it is defined twice in one series");
        }
        *taken |= set.0;
        Ok(())
    }
}

fn check_dynamic(group: &DynamicGroup) -> Result<(), OptionsError> {
    if !group.pattern.contains("{name}") {
        return Err(wrong("dynamic group", &group.pattern, "its pattern lacks {name}"));
    }
    if group.source.trim().is_empty() {
        return Err(wrong(
            "dynamic group",
            &group.pattern,
            "it needs a `source`: where does this come from?",
        ));
    }
    Ok(())
}

pub(super) fn wrong(kind: &str, what: &str, reason: &str) -> OptionsError {
    OptionsError::Invalid {
        what: format!("{kind} {:?}", shown(what)),
        reason: reason.to_owned(),
    }
}
