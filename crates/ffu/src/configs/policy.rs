//! Policy files of one service, carried with what its option files set of `[oslo_policy]`; for `ffu policy` and for runs.

use ffu_catalog::options::ServiceOptions;
use ffu_config::ini::Document;
use ffu_config::policy::{self, Engine, Format, History, Input, MigrateError, Outcome, Settings};
use ffu_model::Series;

/// What is to be carried.
pub struct Group<'a> {
    /// The service's catalog.
    pub options: &'a ServiceOptions,
    /// From this series.
    pub from: &'a Series,
    /// To that one.
    pub to: &'a Series,
    /// Names and bytes, in the order in which the service reads them.
    pub files: &'a [(String, Vec<u8>)],
    /// The service's option files, in reading order.
    pub confs: &'a [Vec<u8>],
    /// Whether changed defaults are written down.
    pub pin_defaults: bool,
}

impl Group<'_> {
    /// Carries the files.
    ///
    /// # Errors
    /// As [`policy::migrate`].
    pub fn carry(&self) -> Result<Outcome, MigrateError> {
        let history = History::of(self.options);
        let inputs: Vec<Input<'_>> = self
            .files
            .iter()
            .map(|(name, bytes)| Input {
                name,
                bytes,
                format: Format::Auto,
            })
            .collect();
        let (before, after) = (self.settings(self.from), self.settings(self.to));
        let mut outcome = policy::migrate(&policy::Request {
            history: &history,
            from: self.from,
            to: self.to,
            files: &inputs,
            before: &before,
            after: &after,
            pin_defaults: self.pin_defaults,
        })?;
        // Files of a policy directory are read whatever their names.
        if self
            .files
            .first()
            .is_some_and(|(name, _)| self.is_of_directory(name, &before))
        {
            let about_names = [
                "policy-file-was-not-read",
                "policy-file-not-read",
                "policy-file-renamed",
            ];
            outcome
                .findings
                .retain(|finding| !about_names.contains(&finding.id.as_str()));
        }
        Ok(outcome)
    }

    /// `[oslo_policy]` of a series, with what the service's own files set.
    pub fn settings(&self, series: &Series) -> Settings {
        settings(self.options, series, self.confs)
    }

    fn is_of_directory(&self, name: &str, before: &Settings) -> bool {
        let base = last(name);
        let fallback = Engine::of(self.from).falls_back_to_json && !before.policy_file_is_set && base == "policy.json";
        name.rsplit('/')
            .nth(1)
            .is_some_and(|directory| directory.ends_with(".d"))
            && base != last(&before.policy_file)
            && !fallback
    }
}

/// The last part of a path.
pub fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn settings(options: &ServiceOptions, series: &Series, confs: &[Vec<u8>]) -> Settings {
    let mut settings = Settings::of_defaults(options, series);
    let set = options.at(series);
    let truth = |value: &str| ["true", "1", "on", "yes"].contains(&value.to_ascii_lowercase().as_str());
    let documents: Vec<Document> = confs.iter().filter_map(|bytes| Document::parse(bytes).ok()).collect();
    // The old place of the option, which `ffu config` moves; the present one wins.
    for entry in documents.iter().flat_map(Document::entries) {
        if entry.group() == "DEFAULT" && entry.key == "policy_file" {
            settings.policy_file = entry.value().into_owned();
            settings.policy_file_is_set = true;
        }
    }
    for entry in documents.iter().flat_map(Document::entries) {
        // An option that the series does not have changes nothing (2026.2 always enforces scopes).
        let known = |name: &str| set.as_ref().is_some_and(|set| set.get("oslo_policy", name).is_some());
        if entry.group() != "oslo_policy" || !known(&entry.key) {
            continue;
        }
        let value = entry.value();
        match entry.key.as_ref() {
            "enforce_scope" => settings.enforce_scope = truth(&value),
            "enforce_new_defaults" => settings.enforce_new_defaults = truth(&value),
            "policy_default_rule" => settings.default_rule = value.into_owned(),
            "policy_file" => {
                settings.policy_file = value.into_owned();
                settings.policy_file_is_set = true;
            }
            _ => {}
        }
    }
    settings
}

#[cfg(test)]
mod tests {
    use super::*;
    use ffu_catalog::Catalog;

    #[test]
    fn the_operator_s_settings_lie_over_the_defaults_of_the_series() {
        let catalog = Catalog::embedded().unwrap();
        let nova = catalog.options("nova").unwrap().unwrap();
        let of = |series: &str, confs: &[&str]| {
            let confs: Vec<Vec<u8>> = confs.iter().map(|conf| conf.as_bytes().to_vec()).collect();
            settings(nova, &series.parse().unwrap(), &confs)
        };
        let own = of("2024.1", &["[oslo_policy]\nenforce_scope = no\npolicy_file = p.json\n"]);
        assert!(!own.enforce_scope && own.policy_file == "p.json" && own.policy_file_is_set);
        assert!(of("2024.1", &["[DEFAULT]\n"]).enforce_scope);
        // oslo.policy 6 has no such option any more.
        assert!(of("2026.2", &["[oslo_policy]\nenforce_scope = no\n"]).enforce_scope);
        // A later file wins, the present place of an option over its old one.
        let two = [
            "[oslo_policy]\npolicy_file = a\n[DEFAULT]\npolicy_file = c\n",
            "[oslo_policy]\npolicy_file = b\n",
        ];
        assert_eq!(of("train", &two).policy_file, "b");
        assert_eq!(of("2026.1", &["[DEFAULT]\npolicy_file = c\n"]).policy_file, "c");
    }

    #[test]
    fn files_of_a_directory_are_not_judged_by_their_names() {
        let catalog = Catalog::embedded().unwrap();
        let carry = |name: &str| {
            let files = [(
                name.to_owned(),
                b"\"os_compute_api:os-floating-ips\": \"role:x\"\n".to_vec(),
            )];
            let group = Group {
                options: catalog.options("nova").unwrap().unwrap(),
                from: &"train".parse().unwrap(),
                to: &"2024.1".parse().unwrap(),
                files: &files,
                confs: &[],
                pin_defaults: false,
            };
            let outcome = group.carry().unwrap();
            outcome
                .findings
                .iter()
                .any(|finding| finding.id.starts_with("policy-file-"))
        };
        assert!(carry("/etc/nova/other.yaml"));
        assert!(!carry("/etc/nova/policy.d/10-own.yaml"));
    }
}
