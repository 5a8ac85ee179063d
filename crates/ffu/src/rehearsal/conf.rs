//! Configuration for rehearsed commands: the operator's, with everything that leads to another process taken out of it.
//!
//! The rule is simple enough to be safe: a value with `://` in it is an address. Those of databases become the copy's (or
//! lead nowhere, if there is no copy), those of message queues become oslo.messaging's in-memory driver, all others lead to a
//! port where nobody listens. Log files are the cloud's own and are not written either.

use camino::Utf8Path;
use ffu_config::era::Era;
use ffu_config::ini::{Document, EntryId};
use ffu_db::ConnectionUrl;
use ffu_db::oslo::config_value;
use ffu_db::snapshot::NOWHERE;

/// oslo.messaging's driver that stays inside the process (oslo_messaging/_drivers/impl_fake.py; it is there in every series).
pub const IN_MEMORY: &str = "fake:///";
const NOBODY: &str = "127.0.0.1:1";
/// Options whose value is an address without `://`.
const HOSTS: [&str; 6] = [
    "rabbit_host",
    "rabbit_hosts",
    "memcached_servers",
    "memcache_servers",
    "ovn_nb_connection",
    "ovn_sb_connection",
];
/// Where a program writes that is not its database.
const LOGS: [&str; 7] = [
    "log_file",
    "log-file",
    "logfile",
    "log_dir",
    "log-dir",
    "logdir",
    "log_config_append",
];

/// The bytes that commands are given instead of `bytes`, which `file` holds. `copy_of` gives the copy's URL.
///
/// # Errors
/// If it is not a file that the service could read.
pub fn isolated(
    bytes: &[u8],
    file: &Utf8Path,
    era: Era,
    copy_of: &dyn Fn(&ConnectionUrl) -> Option<String>,
) -> Result<Vec<u8>, String> {
    let mut document = Document::parse_as(bytes, era).map_err(|error| error.to_string())?;
    let entries: Vec<(EntryId, String, String, String)> = document
        .entries()
        .map(|entry| {
            let (section, key) = (entry.section.to_owned(), entry.key.clone().into_owned());
            (entry.id, section, key, entry.value().into_owned())
        })
        .collect();
    let mut has_transport = false;
    for (id, section, key, value) in entries {
        let bad = |error: ffu_config::ini::EditError| format!("[{section}] {key}: {error}");
        if LOGS.contains(&key.as_str()) {
            document
                .comment_out(id, &["not in a rehearsal: this is the cloud's own log"])
                .map_err(bad)?;
            continue;
        }
        has_transport |= section == "DEFAULT" && key == "transport_url";
        let new = match value.split_once("://") {
            Some((scheme, _)) => address(scheme, file, &section, &key, copy_of),
            None if HOSTS.contains(&key.as_str()) => Some(host(&key, &value)),
            None if key == "transport_url" => Some(IN_MEMORY.to_owned()),
            None => None,
        };
        if let Some(new) = new {
            document.set_value(id, &new).map_err(bad)?;
        }
    }
    if !has_transport {
        // Without it the default is a broker on this host, which may be the cloud's.
        document
            .insert("DEFAULT", "transport_url", IN_MEMORY, &[])
            .map_err(|error| error.to_string())?;
    }
    Ok(document.to_bytes())
}

fn host(key: &str, value: &str) -> String {
    let scheme = value.split(':').next().unwrap_or_default();
    match key {
        "rabbit_host" => "127.0.0.1".to_owned(),
        _ if key.starts_with("ovn_") && !scheme.is_empty() => format!("tcp:{NOBODY}"),
        _ => NOBODY.to_owned(),
    }
}

fn address(
    scheme: &str,
    file: &Utf8Path,
    section: &str,
    key: &str,
    copy_of: &dyn Fn(&ConnectionUrl) -> Option<String>,
) -> Option<String> {
    let kind = scheme.split('+').next().unwrap_or_default().trim().to_ascii_lowercase();
    Some(match kind.as_str() {
        // Local to the process or to a file that it reads.
        "file" | "fake" | "none" | "memory" => return None,
        "mysql" | "mariadb" | "postgresql" | "postgres" | "sqlite" | "oracle" => {
            // Written out: host and schema may come from other options.
            let whole = config_value(&[file.to_owned()], section, key).ok();
            let url = whole.and_then(|value| ConnectionUrl::parse(value.expose()).ok());
            url.as_ref().and_then(copy_of).unwrap_or_else(|| NOWHERE.to_owned())
        }
        "rabbit" | "amqp" | "kombu" | "kafka" | "zmq" | "qpid" | "pika" => IN_MEMORY.to_owned(),
        _ if key == "transport_url" => IN_MEMORY.to_owned(),
        "http" | "https" => format!("http://{NOBODY}/"),
        _ => format!("{}://{NOBODY}/", scheme.trim()),
    })
}

/// Whether everything that such a file leads to is the private server, the process itself, or nobody.
///
/// # Errors
/// The option that leads elsewhere; never its value.
pub fn check(bytes: &[u8], era: Era, private: &str) -> Result<(), String> {
    let document = Document::parse_as(bytes, era).map_err(|error| error.to_string())?;
    for entry in document.entries() {
        let value = entry.value();
        let Some((scheme, rest)) = value.split_once("://") else {
            continue;
        };
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        let place = authority.rsplit('@').next().unwrap_or_default();
        let inside = matches!(scheme, "file" | "fake" | "none" | "memory");
        if !inside && place != private && place != NOBODY {
            return Err(format!("[{}] {} leads out of the rehearsal", entry.section, entry.key));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use camino::Utf8PathBuf;

    const REAL: &str = "[DEFAULT]\nmy_ip = 10.0.0.5\ntransport_url = rabbit://openstack:sw0rdfish@10.0.0.9:5672/\n\
        log_file = /var/log/nova/nova.log\nglance_api = http://10.0.0.5:9292\n\
        [database]\nconnection = mysql+pymysql://nova:sw0rdfish@$my_ip/nova\nslave_connection = mysql+pymysql://nova:sw0rdfish@10.0.0.6/nova\n\
        [keystone_authtoken]\nauth_url = https://10.0.0.5:5000\nmemcached_servers = 10.0.0.5:11211\npassword = hunter22\n\
        [coordination]\nbackend_url = etcd3+http://10.0.0.5:2379\n[ovn]\novn_nb_connection = tcp:10.0.0.5:6641\n[glance_store]\nfilesystem_store_metadata_file = file:///x\n";

    fn isolate(text: &str) -> String {
        let dir = tempfile::tempdir().unwrap();
        let file = Utf8PathBuf::from_path_buf(dir.path().join("nova.conf")).unwrap();
        std::fs::write(&file, text).unwrap();
        let copy_of = |url: &ConnectionUrl| {
            (url.address() == "10.0.0.5:3306" && url.schema() == Some("nova"))
                .then(|| "mysql+pymysql://nova:new@127.0.0.1:7777/nova".to_owned())
        };
        String::from_utf8(isolated(text.as_bytes(), &file, Era::NEWEST, &copy_of).unwrap()).unwrap()
    }

    #[test]
    fn nothing_of_the_cloud_can_be_reached_through_it() {
        let text = isolate(REAL);
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            for part in ["10.0.0.9", "10.0.0.6", "sw0rdfish", "https:", "log_file", "/var/log"] {
                assert!(!line.contains(part), "{line}");
            }
            assert!(!line.contains("10.0.0.5") || line.starts_with("my_ip"), "{line}");
        }
        for line in [
            "connection = mysql+pymysql://nova:new@127.0.0.1:7777/nova",
            &format!("slave_connection = {NOWHERE}"),
            "transport_url = fake:///",
            "filesystem_store_metadata_file = file:///x",
            "backend_url = etcd3+http://127.0.0.1:1/",
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
        assert_eq!(text.matches("transport_url").count(), 1);
        check(text.as_bytes(), Era::NEWEST, "127.0.0.1:7777").unwrap();
    }

    #[test]
    fn a_file_without_a_queue_gets_the_in_memory_one() {
        assert!(isolate("[database]\nconnection = sqlite:///x\n").contains("transport_url = fake:///"));
    }

    #[test]
    fn what_leads_out_is_named_and_its_value_is_not() {
        let error = check(REAL.as_bytes(), Era::NEWEST, "127.0.0.1:7777").unwrap_err();
        assert!(
            error.contains("[DEFAULT] transport_url") && !error.contains("sw0rdfish"),
            "{error}"
        );
        let other = "[database]\nconnection = mysql+pymysql://n:p@127.0.0.1:3306/nova\n";
        assert!(check(other.as_bytes(), Era::NEWEST, "127.0.0.1:7777").is_err());
        assert!(check(other.as_bytes(), Era::NEWEST, "127.0.0.1:3306").is_ok());
    }
}
