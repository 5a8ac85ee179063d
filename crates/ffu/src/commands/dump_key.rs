//! `ffu dump-key`: a key for encrypted dumps.

use ffu_db::checkpoint::DumpKey;
use serde_json::json;

use crate::cli::runs::DumpKeyArguments;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;

pub fn run(output: Output, arguments: DumpKeyArguments) -> Result<Exit, Failure> {
    let file = arguments.file;
    let key = DumpKey::generate(&file).map_err(|error| {
        Failure::new(
            Exit::BadInput,
            format!("no key was made: {error}\n  next: name a file that is not there yet, in a directory that is"),
        )
    })?;
    let public = key.recipients().join(", ");
    output.result(
        format!(
            "{file}: the key of {public}\nkeep a copy of it somewhere else: without it nobody opens the dumps\n  next: ffu plan --dump-key \
             {file} …"
        ),
        &json!({"file": file, "recipients": key.recipients()}),
    );
    Ok(Exit::Success)
}
