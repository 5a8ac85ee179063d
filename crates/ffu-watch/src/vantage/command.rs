//! The command line of an agent at each kind of vantage point.

use std::process::Command;

use ffu_model::watch::Vantage;

use super::Launch;
use crate::error::WatchError;

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
        Vantage::Ssh { host, program } => {
            if host.is_empty() || host.starts_with('-') {
                return Err(fail(
                    format!("{host:?} is not a host"),
                    "give it as ssh takes it: a host of ssh_config, or user@host",
                ));
            }
            let mut command = ssh(launch, host);
            let words = std::iter::once(program)
                .chain(&launch.arguments)
                .map(|word| quoted(word));
            command.arg(words.collect::<Vec<_>>().join(" "));
            Ok(command)
        }
    }
}

fn ssh(launch: &Launch, host: &str) -> Command {
    let mut command = Command::new(&launch.ssh);
    command.args([
        "-o",
        "BatchMode=yes",
        "-o",
        "ConnectTimeout=10",
        "-o",
        "ServerAliveInterval=5",
        "-T",
        "--",
        host,
    ]);
    command
}

/// A word for the shell on the other side.
fn quoted(word: &str) -> String {
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

    fn words(command: &Command) -> Vec<String> {
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        words.map(|word| word.to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn agents_over_ssh_ask_nothing_and_quote() {
        let launch = Launch::new("/usr/bin/ffu");
        let vantage = Vantage::Ssh {
            host: "stack@compute1".into(),
            program: "/opt/my ffu/it's".into(),
        };
        let words = words(&of("far", &vantage, &launch).expect("a command"));
        assert_eq!(words[..3], ["ssh", "-o", "BatchMode=yes"]);
        assert_eq!(
            words[words.len() - 3..],
            ["--", "stack@compute1", r"'/opt/my ffu/it'\''s' watch-agent"]
        );
        let bad = Vantage::Ssh {
            host: "-oProxyCommand=x".into(),
            program: "ffu".into(),
        };
        assert!(
            of("far", &bad, &launch)
                .expect_err("an option")
                .to_string()
                .contains("is not a host")
        );
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
