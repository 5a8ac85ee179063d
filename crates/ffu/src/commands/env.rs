//! `ffu env`: hop environments.

use ffu_hopenv::{BuildEvent, BuildOptions, EnvInfo, EnvStore};
use ffu_model::Series;
use serde_json::json;

use crate::cli::EnvCommand;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Format, Output};
use crate::places::{Places, absolute};

pub fn run(places: &Places, output: Output, command: EnvCommand) -> Result<Exit, Failure> {
    let catalog = places.catalog()?;
    let store = EnvStore::new(places.cache.clone());
    let resolve = |names: &[String]| -> Result<Vec<Series>, Failure> {
        names.iter().map(|name| Ok(catalog.resolve(name)?)).collect()
    };
    match command {
        EnvCommand::Build {
            series,
            python,
            offline,
            find_links,
            force,
            jobs,
        } => {
            let wanted = resolve(&series)?;
            let options = BuildOptions {
                python: python.map(absolute).transpose()?,
                offline,
                find_links: find_links.map(absolute).transpose()?,
                jobs: jobs.unwrap_or(0),
                force,
                stop: super::runs::stop_on_signals(output)?,
            };
            let show = |event: BuildEvent| {
                let line = event.to_string();
                match output.format {
                    Format::Json => output.json(&json!({"event": "build", "series": event.series, "line": line})),
                    Format::Text => output.progress(line),
                }
            };
            let mut failures = Vec::new();
            for (_, built) in store.build_all(&catalog, &wanted, &options, &show)? {
                match built {
                    Ok(info) => output.result(line(&info), &value(&info)),
                    Err(error) => failures.push(error.to_string()),
                }
            }
            if !failures.is_empty() {
                return Err(Failure::new(Exit::Failure, failures.join("\n")));
            }
        }
        EnvCommand::List => {
            let (mut text, mut values) = (String::new(), Vec::new());
            for found in store.list()? {
                match found {
                    Ok(info) => {
                        text.push_str(&line(&info));
                        values.push(value(&info));
                    }
                    Err(error) => {
                        text.push_str(&error.to_string());
                        values.push(json!({"error": error.to_string()}));
                    }
                }
                text.push('\n');
            }
            let text = if values.is_empty() {
                "no environments\n  next: `ffu env build SERIES`".to_owned()
            } else {
                text
            };
            output.result(text, &json!({"environments": values}));
        }
        EnvCommand::Verify { series } => {
            let wanted = if series.is_empty() {
                store
                    .list()?
                    .into_iter()
                    .map(|found| Ok(found?.series))
                    .collect::<Result<Vec<_>, Failure>>()?
            } else {
                resolve(&series)?
            };
            for series in wanted {
                let info = store.verify(&catalog, &series)?;
                output.result(
                    format!("{}: every file and version is as built", line(&info)),
                    &value(&info),
                );
            }
        }
        EnvCommand::Remove { series } => {
            for series in resolve(&series)? {
                let removed = store.remove(&series)?;
                let text = if removed {
                    format!("{series} removed")
                } else {
                    format!("{series} was not there")
                };
                output.result(text, &json!({"series": series, "removed": removed}));
            }
        }
    }
    Ok(Exit::Success)
}

fn line(info: &EnvInfo) -> String {
    let patches = if info.patches.is_empty() {
        String::new()
    } else {
        format!(", patched: {}", info.patches.join(", "))
    };
    format!(
        "{:<9} Python {}, {} packages, {} files, {} MiB, built {}{patches}",
        info.series.as_str(),
        info.python,
        info.packages.len(),
        info.files,
        info.bytes >> 20,
        info.built.strftime("%F")
    )
}

fn value(info: &EnvInfo) -> serde_json::Value {
    json!({
        "series": info.series, "directory": info.directory, "python": info.python, "lock_sha256": info.lock_sha256,
        "packages": info.packages, "patches": info.patches, "files": info.files, "bytes": info.bytes,
        "built": info.built.to_string(),
    })
}
