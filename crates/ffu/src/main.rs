//! `ffu`: arguments in, printers and exit codes out. What it does is in the libraries; who they are handed is in `world`.

mod cli;
mod commands;
mod configs;
mod exit;
mod failure;
mod notes;
mod output;
mod places;
mod rehearsal;
mod watching;
mod world;

use std::process::ExitCode;

use clap::error::ErrorKind;

use crate::cli::Cli;
use crate::exit::Exit;
use crate::output::{Format, Output};

fn main() -> ExitCode {
    let cli = match Cli::read() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            return ExitCode::from(if asked {
                Exit::Success.code()
            } else {
                Exit::Usage.code()
            });
        }
    };
    let output = Output {
        format: if cli.everywhere.json {
            Format::Json
        } else {
            Format::Text
        },
    };
    match commands::run(cli, output) {
        Ok(exit) => ExitCode::from(exit.code()),
        Err(failure) => {
            output.error(failure.exit.code(), &failure.message);
            ExitCode::from(failure.exit.code())
        }
    }
}
