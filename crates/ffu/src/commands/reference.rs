//! `ffu reference`: documentation made from the code, so that it cannot disagree with it.

use std::fmt::Write as _;

use clap::CommandFactory as _;

use crate::cli::Cli;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;

pub fn run(output: Output, what: &str) -> Result<Exit, Failure> {
    let text = match what {
        "commands" => commands(),
        "exit-codes" => exit_codes(),
        _ => return Err(Failure::new(Exit::Usage, "the references are: commands, exit-codes")),
    };
    output.result(&text, &serde_json::json!({"markdown": text}));
    Ok(Exit::Success)
}

fn exit_codes() -> String {
    let mut text =
        "# Exit codes\n\nMade by `ffu reference exit-codes`. They are stable.\n\n| code | meaning |\n| ---: | --- |\n"
            .to_owned();
    for exit in Exit::ALL {
        let _ = writeln!(text, "| {} | {} |", exit.code(), exit.meaning());
    }
    text
}

fn commands() -> String {
    let mut text = "# Commands\n\nMade by `ffu reference commands`.\n".to_owned();
    let mut root = Cli::command();
    root.build();
    section(&mut text, &root, "");
    text
}

fn section(text: &mut String, command: &clap::Command, above: &str) {
    if command.is_hide_set() || command.get_name() == "help" {
        return;
    }
    let name = if above.is_empty() {
        command.get_name().to_owned()
    } else {
        format!("{above} {}", command.get_name())
    };
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let _ = writeln!(text, "\n## `{name}`\n\n{about}\n");
    let mut rows = Vec::new();
    for argument in command
        .get_arguments()
        .filter(|a| !matches!(a.get_id().as_str(), "help" | "version"))
    {
        if argument.is_global_set() && !above.is_empty() {
            continue;
        }
        let value = argument
            .get_value_names()
            .filter(|_| argument.get_action().takes_values());
        let value = value.map(|names| format!(" {}", names.join(" "))).unwrap_or_default();
        let flag = match (argument.get_long(), argument.get_short()) {
            (Some(long), Some(short)) => format!("`-{short}`, `--{long}{value}`"),
            (Some(long), None) => format!("`--{long}{value}`"),
            _ => format!("`{}`", value.trim()),
        };
        let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
        rows.push(format!("| {flag} | {} |", help.replace('|', "\\|")));
    }
    if !rows.is_empty() {
        let _ = writeln!(text, "| argument | meaning |\n| --- | --- |\n{}", rows.join("\n"));
    }
    for inner in command.get_subcommands() {
        section(text, inner, &name);
    }
}
