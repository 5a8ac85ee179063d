//! Which of the user's environment variables the tools of a build get: those that say how to reach packages and compilers,
//! and none that would change what is installed or where.

use std::collections::BTreeMap;

use camino::Utf8Path;

/// Seconds that one uv waits for another's lock on the same source package. Two series often build the same one, the
/// default is 300 s, and a slow build on a busy machine takes longer.
const UV_LOCK_TIMEOUT: &str = "1800";

const PASSED: [&str; 24] = [
    "HOME",
    "PATH",
    "TMPDIR",
    "USER",
    "LOGNAME",
    "NETRC",
    "XDG_CONFIG_HOME",
    "XDG_CONFIG_DIRS",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "CC",
    "CXX",
    "CFLAGS",
    "LDFLAGS",
    "PKG_CONFIG_PATH",
    "SOURCE_DATE_EPOCH",
];

/// Variables of uv and pip that would change what is installed, or where.
const WITHHELD: [&str; 18] = [
    "UV_CONSTRAINT",
    "UV_OVERRIDE",
    "UV_BUILD_CONSTRAINT",
    "UV_EXCLUDE_NEWER",
    "UV_PRERELEASE",
    "UV_RESOLUTION",
    "UV_PYTHON",
    "UV_SYSTEM_PYTHON",
    "UV_BREAK_SYSTEM_PACKAGES",
    "UV_NO_CACHE",
    "UV_COMPILE_BYTECODE",
    "PIP_CONSTRAINT",
    "PIP_TARGET",
    "PIP_PREFIX",
    "PIP_ROOT",
    "PIP_USER",
    "PIP_NO_COMPILE",
    "PIP_REQUIREMENT",
];

/// The environment of the tools that make an environment of a series.
///
/// pip's cache is the series' own: two pips of Python 2.7 that build the same package at the same time take half-written
/// wheels from each other's cache (seen with pip 20.3.4, pike beside queens). uv locks its cache itself.
pub(crate) fn for_tools(
    user: &BTreeMap<String, String>,
    cache_root: &Utf8Path,
    series: &str,
) -> BTreeMap<String, String> {
    let wanted = |name: &str| {
        let family = ["UV_", "PIP_", "SSL_"].iter().any(|prefix| name.starts_with(prefix));
        (family || PASSED.contains(&name)) && !WITHHELD.contains(&name)
    };
    let mut variables: BTreeMap<String, String> = user
        .iter()
        .filter(|(name, _)| wanted(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let set = [
        ("UV_CACHE_DIR", cache_root.join("uv").into_string()),
        ("PIP_CACHE_DIR", cache_root.join("pip").join(series).into_string()),
        ("PIP_DISABLE_PIP_VERSION_CHECK", "1".to_owned()),
        ("UV_NO_PROGRESS", "1".to_owned()),
        ("LC_ALL", "C.UTF-8".to_owned()),
    ];
    variables.extend(set.map(|(name, value)| (name.to_owned(), value)));
    variables
        .entry("UV_LOCK_TIMEOUT".to_owned())
        .or_insert_with(|| UV_LOCK_TIMEOUT.to_owned());
    variables
        .entry("PATH".to_owned())
        .or_insert_with(|| "/usr/local/bin:/usr/bin:/bin".to_owned());
    variables
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_to_packages_pass_and_changes_of_the_result_do_not() {
        let user = [
            ("UV_INDEX_URL", "i"),
            ("PIP_INDEX_URL", "i"),
            ("https_proxy", "p"),
            ("SSL_CERT_FILE", "c"),
            ("HOME", "/h"),
            ("PIP_TARGET", "/x"),
            ("UV_CONSTRAINT", "c"),
            ("PYTHONDONTWRITEBYTECODE", "1"),
            ("PYTHONPATH", "/x"),
            ("VIRTUAL_ENV", "/v"),
            ("OS_PASSWORD", "s"),
            ("UV_CACHE_DIR", "/elsewhere"),
        ]
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .into();
        let given = for_tools(&user, Utf8Path::new("/cache"), "pike");
        let other = for_tools(&user, Utf8Path::new("/cache"), "queens");
        assert_ne!(
            given["PIP_CACHE_DIR"], other["PIP_CACHE_DIR"],
            "each series has a cache of wheels of its own"
        );
        assert_eq!(given["UV_CACHE_DIR"], other["UV_CACHE_DIR"]);
        for name in [
            "UV_INDEX_URL",
            "PIP_INDEX_URL",
            "https_proxy",
            "SSL_CERT_FILE",
            "HOME",
            "PATH",
        ] {
            assert!(given.contains_key(name), "{name}");
        }
        for name in [
            "PIP_TARGET",
            "UV_CONSTRAINT",
            "PYTHONDONTWRITEBYTECODE",
            "PYTHONPATH",
            "VIRTUAL_ENV",
            "OS_PASSWORD",
        ] {
            assert!(!given.contains_key(name), "{name}");
        }
        assert_eq!(given["UV_CACHE_DIR"], "/cache/uv");
        assert_eq!(given["UV_LOCK_TIMEOUT"], "1800");
    }
}
