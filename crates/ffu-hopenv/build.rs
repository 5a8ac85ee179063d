//! Compiles `native/rest.rs`, a library that is loaded into interpreters of hop environments; it is embedded into this crate.

use std::path::PathBuf;
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    println!("cargo::rerun-if-changed=native/rest.rs");
    let variable = |name: &str| std::env::var(name).ok();
    let (Some(out), Some(target)) = (variable("OUT_DIR"), variable("TARGET")) else {
        println!("cargo::error=this is run by cargo, which sets OUT_DIR and TARGET");
        return ExitCode::FAILURE;
    };
    let mut command = Command::new(variable("RUSTC").unwrap_or_else(|| "rustc".to_owned()));
    command
        .args([
            "--edition=2024",
            "--crate-type=cdylib",
            "--crate-name=rest",
            "native/rest.rs",
        ])
        .args([
            "-Cpanic=abort",
            "-Copt-level=2",
            "-Cstrip=symbols",
            "--target",
            &target,
            "-o",
        ])
        .arg(PathBuf::from(out).join("rest.so"));
    if let Some(linker) = variable("RUSTC_LINKER") {
        command.arg(format!("-Clinker={linker}"));
    }
    match command.status() {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(status) => {
            println!("cargo::error=the compiler failed on native/rest.rs: {status}");
            ExitCode::FAILURE
        }
        Err(error) => {
            println!("cargo::error=the compiler could not be started for native/rest.rs: {error}");
            ExitCode::FAILURE
        }
    }
}
