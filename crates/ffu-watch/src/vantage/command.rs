//! The command line of an agent at each kind of vantage point.

use std::process::Command;

use ffu_model::watch::Vantage;

use super::Launch;
use crate::error::WatchError;
use crate::ssh;

/// An agent's connection is its own: one that is shared ends, or hangs, with others.
const OWN_CONNECTION: [&str; 3] = ["ConnectTimeout=10", "ServerAliveInterval=5", "ControlPath=none"];

/// The command that starts an agent; an error if the vantage point is not there.
pub(super) fn of(name: &str, vantage: &Vantage, launch: &Launch) -> Result<Command, WatchError> {
    let fail = |why: String, next: &str| WatchError::Vantage {
        vantage: name.to_owned(),
        why,
        next: next.to_owned(),
    };
    match vantage {
        Vantage::Here => {
            let mut command = Command::new(&launch.program);
            command.args(&launch.arguments);
            Ok(command)
        }
        Vantage::Netns { name: space } => {
            if space.is_empty() || space.starts_with(['-', '.']) || space.contains('/') {
                return Err(fail(
                    format!("{space:?} is not the name of a network namespace"),
                    "`ip netns list` shows their names",
                ));
            }
            let known = ["/run/netns", "/var/run/netns"]
                .iter()
                .any(|directory| std::path::Path::new(directory).join(space).exists());
            if !known {
                return Err(fail(
                    format!("there is no network namespace {space}"),
                    "`ip netns list` shows those that are there",
                ));
            }
            let mut command = Command::new("ip");
            command
                .args(["netns", "exec", space])
                .arg(&launch.program)
                .args(&launch.arguments);
            Ok(command)
        }
        Vantage::Ssh { host, config, program } => {
            let config = config.as_deref();
            if let Some((why, next)) = ssh::wrong(host, config) {
                return Err(fail(why, next));
            }
            let mut command = ssh::command(&launch.ssh, host, config, &OWN_CONNECTION);
            let words = std::iter::once(program)
                .chain(&launch.arguments)
                .map(|word| ssh::quoted(word));
            command.arg(words.collect::<Vec<_>>().join(" "));
            Ok(command)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(command: &Command) -> Vec<String> {
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        words.map(|word| word.to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn agents_over_ssh_ask_nothing_and_quote() {
        let launch = Launch::new("/usr/bin/ffu");
        let vantage = |host: &str, config: Option<&str>| Vantage::Ssh {
            host: host.into(),
            config: config.map(Into::into),
            program: "/opt/my ffu/it's".into(),
        };
        let words = words(&of("far", &vantage("stack@compute1", Some("/etc/far")), &launch).expect("a command"));
        assert_eq!(words[..3], ["ssh", "-o", "BatchMode=yes"]);
        assert_eq!(
            words[words.len() - 5..],
            [
                "-F",
                "/etc/far",
                "--",
                "stack@compute1",
                r"'/opt/my ffu/it'\''s' watch-agent"
            ]
        );
        for (bad, word) in [
            (vantage("-oProxyCommand=x", None), "is not a host"),
            (vantage("a", Some("far")), "depends on where"),
        ] {
            let error = of("far", &bad, &launch).expect_err("it is wrong").to_string();
            assert!(error.contains(word) && error.contains("vantage point far"), "{error}");
        }
    }

    #[test]
    fn a_namespace_that_is_not_there_is_told() {
        for (name, word) in [
            ("ffut-none", "no network namespace ffut-none"),
            ("../x", "is not the name"),
            ("-x", "is not the name"),
        ] {
            let error = of("far", &Vantage::Netns { name: name.into() }, &Launch::new("ffu"))
                .expect_err("none")
                .to_string();
            assert!(
                error.contains(word) && error.contains("ip netns list") && error.contains("vantage point far"),
                "{error}"
            );
        }
    }
}
