//! One module a command.

mod carried;
mod catalog;
mod config;
mod discover;
mod dump_key;
mod elsewhere;
mod env;
mod fault;
mod lab;
mod life;
mod path;
mod plan;
mod policy;
mod progress;
mod reference;
mod rehearse;
mod runs;
mod show;
mod watch;

use crate::cli::{Cli, Command};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::places::Places;

/// Runs the command.
pub fn run(cli: Cli, output: Output) -> Result<Exit, Failure> {
    let places = Places::new(cli.everywhere)?;
    match cli.command {
        Command::Path(arguments) => path::run(&places, output, &arguments),
        Command::Catalog { command } => catalog::run(&places, output, &command),
        Command::Env { command } => env::run(&places, output, command),
        Command::Lab { command } => lab::run(&places, output, command),
        Command::Config { command } => config::run(&places, output, &command),
        Command::Policy { command } => policy::run(&places, output, &command),
        Command::Discover(arguments) => discover::run(&places, output, arguments),
        Command::Plan(arguments) => plan::run(&places, output, arguments),
        Command::DumpKey(arguments) => dump_key::run(output, arguments),
        Command::Lint(arguments) => plan::lint(&places, output, arguments),
        Command::Rehearse(arguments) => rehearse::run(&places, output, &arguments),
        Command::Run(arguments) => runs::run(&places, output, arguments),
        Command::Resume(arguments) => runs::resume(&places, output, arguments),
        Command::Rollback(arguments) => runs::rollback(&places, output, arguments),
        Command::Accept(choice) => runs::accept(&places, output, choice),
        Command::Watch(arguments) => watch::run(&places, output, arguments),
        Command::WatchAgent => watch::agent(),
        Command::LabGuest { config } => fault::guest(&config),
        Command::Status(arguments) => show::status(&places, output, &arguments),
        Command::Report(arguments) => show::report(&places, output, &arguments),
        Command::Reference { what } => reference::run(output, &what),
    }
}
