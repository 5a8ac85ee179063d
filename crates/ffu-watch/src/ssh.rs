//! OpenSSH's client, as vantage points and workloads use it: it asks nothing, and hosts, users, ports, keys and jumps are those of
//! ssh_config.

use std::process::Command;

use camino::Utf8Path;

/// What ssh is always told: a question that nobody answers would hang for ever, and forwardings, which ssh_config has for people who log
/// in, may be taken.
const QUIET: [&str; 5] = ["-o", "BatchMode=yes", "-o", "ClearAllForwardings=yes", "-T"];

/// A command that runs the rest of its arguments at `host`.
pub(crate) fn command(ssh: &Utf8Path, host: &str, config: Option<&Utf8Path>, options: &[&str]) -> Command {
    let mut command = Command::new(ssh);
    command.args(QUIET);
    for option in options {
        command.args(["-o", option]);
    }
    if let Some(config) = config {
        command.arg("-F").arg(config);
    }
    command.args(["--", host]);
    command
}

/// What is wrong with a host or a file of settings, if anything, and what to do.
pub(crate) fn wrong(host: &str, config: Option<&Utf8Path>) -> Option<(String, &'static str)> {
    if host.is_empty() || host.starts_with('-') || host.chars().any(char::is_control) {
        return Some((
            format!("{host:?} is not a host"),
            "give it as ssh takes it: a host of ssh_config, or user@host",
        ));
    }
    config.filter(|config| !config.is_absolute()).map(|config| {
        let what = format!("`config` of host {host} is {config}, which depends on where ffu is started");
        (what, "give its whole path, from / on")
    })
}

/// What to type to see what ssh says of a host, as one command that runs `what` there.
pub(crate) fn by_hand(host: &str, config: Option<&Utf8Path>, what: &str) -> String {
    let config = config.map_or(String::new(), |config| format!("-F {} ", quoted(config.as_str())));
    format!("ssh {config}-o BatchMode=yes {} {what}", quoted(host))
}

/// A word for the shell on the other side.
pub(crate) fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+=:@".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_settings_are_looked_at() {
        let config = Some(Utf8Path::new("/etc/my ffu/ssh_config"));
        assert_eq!(wrong("stack@compute1", config), None);
        for (host, config, word) in [
            ("", None, "is not a host"),
            ("-oProxyCommand=x", None, "is not a host"),
            ("a\nb", None, "is not a host"),
            (
                "a",
                Some(Utf8Path::new("ssh_config")),
                "depends on where ffu is started",
            ),
        ] {
            let (what, next) = wrong(host, config).expect("it is wrong");
            assert!(what.contains(word) && next.starts_with("give"), "{what} {next}");
        }
        assert_eq!(
            by_hand("a", config, "true"),
            "ssh -F '/etc/my ffu/ssh_config' -o BatchMode=yes a true"
        );
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}
