//! Reading the arguments with as little set-up as the command needs.

use std::ffi::OsString;

use clap::{Parser, Subcommand};

use super::{Cli, Command, Everywhere, config};

/// [`Cli`] as if there were no command but `config`: that takes a moment to set up, and all commands take longer than a file
/// takes to check.
#[derive(Debug, Parser)]
#[command(name = "ffu", version, max_term_width = 100)]
struct ConfigAlone {
    #[command(flatten)]
    everywhere: Everywhere,
    #[command(subcommand)]
    command: OnlyConfig,
}

#[derive(Debug, Subcommand)]
enum OnlyConfig {
    Config {
        #[command(subcommand)]
        command: config::ConfigCommand,
    },
}

impl Cli {
    /// Reads the arguments of this process.
    ///
    /// # Errors
    /// clap's own: a wrong argument, or help that was asked for.
    pub fn read() -> Result<Cli, clap::Error> {
        Cli::read_from(std::env::args_os().collect())
    }

    fn read_from(arguments: Vec<OsString>) -> Result<Cli, clap::Error> {
        // What it does not accept is told by the whole, which knows every command.
        if arguments.iter().any(|argument| argument == "config")
            && let Ok(ConfigAlone { everywhere, command }) = ConfigAlone::try_parse_from(&arguments)
        {
            let OnlyConfig::Config { command } = command;
            let command = Command::Config { command };
            return Ok(Cli { everywhere, command });
        }
        Cli::try_parse_from(arguments)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both(line: &str) -> (Result<String, String>, Result<String, String>) {
        let arguments: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        let shown = |read: Result<Cli, clap::Error>| match read {
            Ok(cli) => Ok(format!("{cli:?}")),
            Err(error) => Err(error.to_string()),
        };
        (
            shown(Cli::read_from(arguments.clone())),
            shown(Cli::try_parse_from(arguments)),
        )
    }

    #[test]
    fn config_is_read_as_it_is_beside_the_other_commands() {
        for line in [
            "ffu config check --series 2026.1 nova.conf",
            "ffu --json --cache-dir config config check --series train nova.conf",
            "ffu config explain --json --series train nova.conf",
            "ffu config migrate --from train --to 2026.1 -o out tree",
            "ffu config chek",
            "ffu config",
            "ffu config --help",
            "ffu config check --help",
            "ffu --catalog config path --from train --to zed",
            "ffu confg config",
        ] {
            let (quick, whole) = both(line);
            assert_eq!(quick, whole, "{line}");
        }
    }
}
