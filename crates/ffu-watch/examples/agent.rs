//! The probing agent as a program of its own: what `ffu watch-agent` is, for the tests and benchmarks of this crate.

use std::process::ExitCode;

fn main() -> ExitCode {
    match ffu_watch::agent::run(std::io::stdin(), std::io::stdout()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            #[allow(clippy::print_stderr)]
            {
                eprintln!("{error}");
            }
            ExitCode::FAILURE
        }
    }
}
