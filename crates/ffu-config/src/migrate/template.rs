//! Values that are made of several options: `transport_url` of `rabbit_*` and `rpc_backend`.

use std::collections::BTreeMap;

use ffu_catalog::rules::Form;

use crate::values::Value;

/// What a template makes of its options.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Made {
    /// The value, to be written as it is (references escaped).
    Value(String),
    /// The options had no effect, because the new one was set already.
    WithoutEffect,
    /// It cannot be made; why.
    Not(String),
}

/// Makes the value of a template. `options` holds the effective value of each option by its name, set or not; `already` is
/// the effective value of the new option where it is set.
pub(crate) fn make(form: Form, options: &BTreeMap<String, Value>, already: Option<&str>) -> Made {
    match form {
        Form::TransportUrl => transport_url(options, already),
    }
}

/// oslo.messaging (before 9.0.0) took the hosts, user and password of `rabbit_*` where the URL names no host, the driver of
/// `rpc_backend` where there is no URL, and the virtual host of `rabbit_virtual_host` where the URL has none.
fn transport_url(options: &BTreeMap<String, Value>, already: Option<&str>) -> Made {
    let text = |name: &str| match options.get(name) {
        Some(Value::Text(text)) => text.clone(),
        Some(Value::Int(number)) => number.to_string(),
        _ => String::new(),
    };
    let mut scheme = "rabbit".to_owned();
    let mut virtual_host = text("rabbit_virtual_host");
    let mut query = String::new();
    if let Some(url) = already.filter(|url| !url.is_empty()) {
        let Some((driver, rest)) = url.split_once("://") else {
            return Made::Not("transport_url has no driver in it".to_owned());
        };
        let (rest, parameters) = rest.split_once('?').unwrap_or((rest, ""));
        let (hosts, path) = rest
            .split_once('/')
            .map_or((rest, None), |(hosts, path)| (hosts, Some(path)));
        if !hosts.is_empty() {
            return Made::WithoutEffect;
        }
        scheme = driver.to_owned();
        query = if parameters.is_empty() {
            String::new()
        } else {
            format!("?{parameters}")
        };
        if let Some(path) = path {
            virtual_host = percent_decoded(path);
        }
    } else if options.contains_key("rpc_backend") {
        let backend = text("rpc_backend");
        // Projects still took the class paths of before oslo.messaging; each ends so.
        let is_rabbit = backend == "rabbit" || backend.ends_with("impl_kombu") || backend.contains("impl_rabbit");
        if !is_rabbit && !backend.is_empty() {
            return Made::Not(format!(
                "rpc_backend is {backend:?}, and only rabbit's options are known to be carried"
            ));
        }
    }
    if !matches!(scheme.as_str(), "rabbit" | "kombu" | "kombu+rabbit" | "amqp") {
        return Made::WithoutEffect;
    }
    let hosts: Vec<String> = match options.get("rabbit_hosts") {
        Some(Value::List(items)) => items.iter().filter_map(host_text).collect(),
        _ => Vec::new(),
    };
    let port = text("rabbit_port");
    let hosts = if hosts.is_empty() {
        vec![text("rabbit_host")]
    } else {
        hosts
    };
    let user = quoted(&text("rabbit_userid"));
    let password = quoted(&text("rabbit_password"));
    let places: Vec<String> = hosts
        .iter()
        .map(|host| format!("{user}:{password}@{}", with_port(host.trim(), &port)))
        .collect();
    let path = match virtual_host.as_str() {
        "/" => "/".to_owned(),
        other => quoted(other),
    };
    Made::Value(format!("{scheme}://{}/{path}{query}", places.join(",")).replace('$', "$$"))
}

fn host_text(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) if !text.trim().is_empty() => Some(text.clone()),
        _ => None,
    }
}

/// `oslo_utils.netutils.parse_host_port`: a bare IPv6 address has no port; in brackets it may have one.
fn with_port(host: &str, port: &str) -> String {
    let port = if port.is_empty() { "5672" } else { port };
    if let Some(inside) = host.strip_prefix('[') {
        return if inside.contains("]:") {
            host.to_owned()
        } else {
            format!("{host}:{port}")
        };
    }
    match host.matches(':').count() {
        0 => format!("{host}:{port}"),
        1 => host.to_owned(),
        _ => format!("[{host}]:{port}"),
    }
}

/// `urllib.parse.quote(text, '')`.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"_.-~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let hex = behind.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        match hex
            .and_then(|two| u8::from_str_radix(two, 16).ok())
            .filter(|_| *first == b'%')
        {
            Some(byte) => {
                bytes.push(byte);
                rest = behind.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = behind;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(pairs: &[(&str, &str)]) -> BTreeMap<String, Value> {
        let mut all: BTreeMap<String, Value> = [
            ("rabbit_host", "localhost"),
            ("rabbit_port", "5672"),
            ("rabbit_userid", "guest"),
            ("rabbit_password", "guest"),
            ("rabbit_virtual_host", "/"),
            ("rpc_backend", "rabbit"),
        ]
        .iter()
        .map(|(name, value)| ((*name).to_owned(), Value::Text((*value).to_owned())))
        .collect();
        for (name, value) in pairs {
            let value = match *name {
                "rabbit_hosts" => Value::List(value.split(',').map(|host| Value::Text(host.to_owned())).collect()),
                _ => Value::Text((*value).to_owned()),
            };
            all.insert((*name).to_owned(), value);
        }
        all
    }

    fn url(pairs: &[(&str, &str)], already: Option<&str>) -> String {
        match make(Form::TransportUrl, &options(pairs), already) {
            Made::Value(value) => value,
            Made::WithoutEffect => "without effect".to_owned(),
            Made::Not(why) => why,
        }
    }

    #[test]
    fn a_broker_is_put_into_one_url() {
        assert_eq!(url(&[], None), "rabbit://guest:guest@localhost:5672//");
        assert_eq!(
            url(
                &[
                    ("rabbit_hosts", "a:5671, b"),
                    ("rabbit_userid", "os"),
                    ("rabbit_password", "p@ss/w:$d")
                ],
                None
            ),
            "rabbit://os:p%40ss%2Fw%3A%24d@a:5671,os:p%40ss%2Fw%3A%24d@b:5672//"
        );
        assert_eq!(
            url(
                &[
                    ("rabbit_host", "::1"),
                    ("rabbit_port", "5671"),
                    ("rabbit_virtual_host", "/os")
                ],
                None
            ),
            "rabbit://guest:guest@[::1]:5671/%2Fos"
        );
    }

    #[test]
    fn a_url_with_hosts_comes_first_and_one_without_is_filled() {
        assert_eq!(url(&[], Some("rabbit://u:p@h:1/v")), "without effect");
        assert_eq!(
            url(&[("rabbit_host", "h")], Some("rabbit:///v%2Fx?ssl=1")),
            "rabbit://guest:guest@h:5672/v%2Fx?ssl=1"
        );
        assert_eq!(url(&[], Some("kafka://")), "without effect");
    }

    #[test]
    fn another_driver_is_not_guessed_at() {
        assert!(url(&[("rpc_backend", "zmq")], None).contains("\"zmq\""));
        assert!(url(&[("rpc_backend", "nova.openstack.common.rpc.impl_kombu")], None).starts_with("rabbit://"));
    }
}
