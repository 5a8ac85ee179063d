//! The one writer of `catalog/options/`: makes a packed option catalog of dumps of single series.
//!
//! ```text
//! pack-options --out FILE --not-dumped REASONS.json DUMP.json …   packs; the reasons are a list of {series, reason}
//! pack-options --show FILE.json.zst                               prints it as JSON
//! pack-options --again FILE.json.zst …                            packs what is in it once more, after a change of the form
//! pack-options --table FILE.json.zst …                            prints catalog/options/README.md
//! ```
//! Used by `make catalogs` (scripts/catalogs). A dump is a `ServiceOptions` with one series.

#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::process::ExitCode;

use ffu_catalog::Catalog;
use ffu_catalog::options::{NotDumped, ServiceOptions, combine, pack, to_json, unpack};
use ffu_model::Series;

fn main() -> ExitCode {
    match run(std::env::args().skip(1).collect()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pack-options: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Vec<String>) -> Result<(), String> {
    let usage = "usage: pack-options --out FILE --not-dumped FILE DUMP… | --show FILE | --again FILE… | --table FILE…";
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["--show", file] => {
            let options = unpack(&read(file)?).map_err(|error| format!("{file}: {error}"))?;
            let json = to_json(&options).map_err(|error| error.to_string())?;
            println!("{}", String::from_utf8_lossy(&json));
            Ok(())
        }
        ["--out", out, "--not-dumped", reasons, dumps @ ..] if !dumps.is_empty() => make(out, reasons, dumps),
        ["--again", files @ ..] => files.iter().try_for_each(|file| {
            let options = unpack(&read(file)?).map_err(|error| format!("{file}: {error}"))?;
            write(file, &options).map(drop)
        }),
        ["--table", files @ ..] => table(files),
        _ => Err(usage.to_owned()),
    }
}

/// Writes a packed catalog; how many bytes it has.
fn write(out: &str, options: &ServiceOptions) -> Result<usize, String> {
    let packed = pack(options).map_err(|error| format!("{out}: {error}"))?;
    // A file that is half written would be embedded in the next build.
    let unfinished = format!("{out}.new");
    std::fs::write(&unfinished, &packed).map_err(|error| format!("{unfinished}: {error}"))?;
    std::fs::rename(&unfinished, out).map_err(|error| format!("{out}: {error}"))?;
    Ok(packed.len())
}

fn make(out: &str, reasons: &str, dumps: &[&str]) -> Result<(), String> {
    let catalog = Catalog::embedded().map_err(|error| error.to_string())?;
    let order: Vec<Series> = catalog.series.iter().map(|entry| entry.id.clone()).collect();
    let parts = dumps
        .iter()
        .map(|file| serde_json::from_slice(&read(file)?).map_err(|error| format!("{file}: {error}")))
        .collect::<Result<Vec<ServiceOptions>, String>>()?;
    let mut whole = combine(&parts, &order).map_err(|error| format!("{out}: {error}"))?;
    whole.not_dumped =
        serde_json::from_slice::<Vec<NotDumped>>(&read(reasons)?).map_err(|error| format!("{reasons}: {error}"))?;
    let bytes = write(out, &whole)?;
    println!(
        "{out}: {} series, {} definitions of options, {} of rules, {} bytes",
        whole.series.len(),
        whole.options.len(),
        whole.policy.len(),
        bytes
    );
    Ok(())
}

fn table(files: &[&str]) -> Result<(), String> {
    println!(
        "# Option catalogs\n\nMade by `make catalogs` from the real packages; do not edit. One file a service: its options and \
         policy rules in every\nseries, as `ServiceOptions` in `crates/ffu-catalog/src/options/types.rs`, JSON in zstd. \
         `ffu config options SERVICE SERIES --json`\nreads them; an overlay replaces a file, or adds to a service with \
         `options/SERVICE+NAME.json`.\n\nOptions are counted by group and name, aliases are old spellings, rules are \
         policy rules; \"file\": the policy is not in the\ncode but in a `policy.json`, 0 where the package does not ship that either.\n"
    );
    for file in files {
        let packed = read(file)?;
        let service = unpack(&packed).map_err(|error| format!("{file}: {error}"))?;
        println!("## {}\n\n{} bytes.\n", service.service, packed.len());
        println!("| series | version | options | aliases | rules | renamed or changed rules |");
        println!("| --- | --- | ---: | ---: | ---: | ---: |");
        for series in &service.series {
            let (Some(options), Some(policy)) = (service.at(series), service.policy_at(series)) else {
                continue;
            };
            let aliases: usize = options.iter().map(|option| option.aliases.len()).sum();
            println!(
                "| {series} | {} | {} | {aliases} | {}{} | {} |",
                options.version().unwrap_or("?"),
                options.len(),
                policy.len(),
                if service.policy_files.contains(series) {
                    " (file)"
                } else {
                    ""
                },
                policy.iter().filter(|rule| rule.predecessor.is_some()).count()
            );
        }
        if !service.not_dumped.is_empty() {
            println!("\nNot dumped:\n");
            for one in &service.not_dumped {
                println!("- {}: {}", one.series, one.reason);
            }
        }
        println!();
    }
    Ok(())
}

fn read(file: &str) -> Result<Vec<u8>, String> {
    std::fs::read(file).map_err(|error| format!("{file}: {error}"))
}
