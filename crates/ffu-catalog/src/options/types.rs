//! The shape of an option catalog.

use std::collections::BTreeMap;

use ffu_model::Series;
use serde::{Deserialize, Serialize};

/// The options and policy rules of one service, in every series in which they could be dumped.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceOptions {
    /// The format of the file; 1.
    pub format: u32,
    /// The service, e.g. `nova`.
    pub service: String,
    /// The series that were dumped, oldest first; bit n of a [`SeriesSet`] is the nth of them.
    pub series: Vec<Series>,
    /// The version of the deliverable that was dumped, a series.
    pub versions: BTreeMap<Series, String>,
    /// The series that could not be dumped, and why.
    #[serde(default)]
    pub not_dumped: Vec<NotDumped>,
    /// The series whose policy is not in the code but in a file that the package ships (`policy.json`): what an
    /// operator's copy of that file leaves out is not there at all, rather than at its default.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policy_files: Vec<Series>,
    /// All options, by group, then name, then first series.
    pub options: Vec<Opt>,
    /// Groups whose names the operator chooses (curated).
    #[serde(default)]
    pub dynamic_groups: Vec<DynamicGroup>,
    /// Options of keystoneauth's plugins; they are valid in each group that has `auth_type` or `auth_plugin`.
    #[serde(default)]
    pub auth_plugins: Vec<AuthPlugin>,
    /// All policy rules, by name, then first series.
    #[serde(default)]
    pub policy: Vec<PolicyRule>,
}

/// A set of series: bit n is the nth of [`ServiceOptions::series`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SeriesSet(pub u32);

/// A series of a service of which there is no dump.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NotDumped {
    /// The series.
    pub series: Series,
    /// Why, in words.
    pub reason: String,
}

/// One option as oslo.config registers it (`oslo_config.cfg.Opt`), in the series in which all of this holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Opt {
    /// The series in which the option is exactly this.
    #[serde(rename = "in")]
    pub series: SeriesSet,
    /// The group as registered; `DEFAULT` or a lower-case name.
    pub group: String,
    /// `Opt.dest`: the name in a file, with underscores.
    pub name: String,
    /// `Opt.name`, where it differs from the name with hyphens turned into underscores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registered_name: Option<String>,
    /// Its type with every constraint.
    #[serde(rename = "type")]
    pub kind: OptType,
    /// The default; `None` where it has none. Values that are only true of one machine (install paths, host names, core
    /// counts) are `sample_default`, or the text `<host-dependent>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<serde_json::Value>,
    /// Whether the default depends on the machine, so that a change of it means nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub machine_default: bool,
    /// `MultiOpt`: all its values count, not only the last.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub multi: bool,
    /// Whether its value is masked everywhere.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub secret: bool,
    /// Whether it must be set.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub required: bool,
    /// Whether a running service takes a change of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub mutable: bool,
    /// The old spellings it still answers to, in the order in which oslo.config asks for them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<OldName>,
    /// Set where upstream has announced that it goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removal: Option<Removal>,
}

/// An old spelling (`DeprecatedOpt`), resolved: an absent group or name of the original is filled in from the option.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OldName {
    /// The group.
    pub group: String,
    /// The name, as it is looked for in files.
    pub name: String,
}

/// `deprecated_for_removal`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Removal {
    /// `deprecated_since` as upstream wrote it: a version (`15.0.0`) or a series (`Queens`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
}

/// The types of `oslo_config.types`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case", deny_unknown_fields)]
pub enum OptType {
    /// Text.
    String {
        /// The only values allowed; `None` among them is an empty one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        choices: Option<Vec<Option<String>>>,
        /// Whether a pair of quotes around it is taken off.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        quotes: bool,
        /// A Python regular expression that must be found in it (`re.search`).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        regex: Option<String>,
        /// Whether upper and lower case are the same in choices and expression.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        ignore_case: bool,
        /// The longest allowed, in characters.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max_length: Option<u64>,
    },
    /// true/1/on/yes, false/0/off/no.
    Boolean,
    /// A whole number.
    Integer {
        /// The least allowed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min: Option<i64>,
        /// The greatest allowed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max: Option<i64>,
        /// The only values allowed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        choices: Option<Vec<i64>>,
    },
    /// A number.
    Float {
        /// The least allowed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min: Option<f64>,
        /// The greatest allowed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max: Option<f64>,
    },
    /// A port, 0 to 65535 unless narrower.
    Port {
        /// The least allowed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min: Option<i64>,
        /// The greatest allowed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max: Option<i64>,
        /// The only values allowed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        choices: Option<Vec<i64>>,
    },
    /// Values separated by commas.
    List {
        /// The type of each.
        item: Box<OptType>,
        /// Whether it must stand in `[` and `]`.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        bounds: bool,
    },
    /// `key:value` pairs separated by commas.
    Dict {
        /// The type of each value.
        value: Box<OptType>,
        /// The type of each key, where it is not text.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<Box<OptType>>,
        /// Whether it must stand in `{` and `}`.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        bounds: bool,
        /// The separator of key and value where it is not `:`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        separator: Option<String>,
    },
    /// `min-max`.
    Range {
        /// The least allowed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min: Option<i64>,
        /// The greatest allowed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max: Option<i64>,
        /// Whether the upper end belongs to it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        inclusive: bool,
    },
    /// An IP address.
    IpAddress {
        /// 4 or 6; both where absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<u8>,
    },
    /// A URI.
    Uri {
        /// The only schemes allowed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        schemes: Option<Vec<String>>,
        /// The longest allowed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max_length: Option<u64>,
    },
    /// A host name by RFC 1123.
    Hostname,
    /// A host name or an IP address.
    HostAddress {
        /// 4 or 6; both where absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<u8>,
    },
    /// A host name with underscores allowed, or an IP address.
    HostDomain {
        /// 4 or 6; both where absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<u8>,
    },
    /// A type that a project or library made itself; its values are not checked.
    Other {
        /// The Python class, `module.Name`.
        class: String,
    },
}

/// A group that comes into being because a value names it, e.g. each of cinder's `enabled_backends`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DynamicGroup {
    /// The group of the naming option.
    pub group: String,
    /// The naming option; its value is a list of names, `name` or `name:kind`.
    pub option: String,
    /// How a group is called for a name: `{name}` is replaced.
    pub pattern: String,
    /// The groups of the catalog whose options such a group may hold, searched in this order.
    pub like: Vec<String>,
    /// The group whose values hold where such a group sets none (cinder's `backend_defaults`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub falls_back_to: Option<String>,
    /// First series, where not all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Series>,
    /// Last series, where not all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Series>,
    /// Where the fact comes from.
    pub source: String,
}

/// A keystoneauth plugin's options (`keystoneauth1.loading.get_auth_plugin_conf_options`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthPlugin {
    /// The value of `auth_type` that chooses it.
    pub name: String,
    /// Its options; their group is empty.
    pub options: Vec<Opt>,
}

/// One policy rule (`oslo_policy.policy.RuleDefault`), in the series in which all of this holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyRule {
    /// Its name.
    pub name: String,
    /// The series in which the rule is exactly this.
    #[serde(rename = "in")]
    pub series: SeriesSet,
    /// The default check string.
    pub check: String,
    /// `scope_types`, empty where it has none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    /// The rule it replaces, or whose check string is still or-ed to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predecessor: Option<PredecessorRule>,
    /// Set where upstream has announced that it goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removal: Option<Removal>,
}

/// `oslo_policy.policy.DeprecatedRule`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PredecessorRule {
    /// Its name.
    pub name: String,
    /// Its check string.
    pub check: String,
    /// `deprecated_since` as upstream wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
}
