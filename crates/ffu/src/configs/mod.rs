//! Configuration files on disk: finds them and what they are, reads them whole, shows what changed, writes them safely.
//! What happens to their content is decided in `ffu-config`, which never touches a file.

use std::fmt::Display;

use ffu_catalog::Catalog;

pub mod elsewhere;
pub mod find;
pub mod kind;
pub mod merge;
pub mod policy;
pub mod sarif;
pub mod show;
pub mod told;
pub mod verify;
pub mod write;

/// What a look into the catalog of a service's options has found, or in words why there is none.
pub fn known<T, E: Display>(catalog: &Catalog, service: &str, found: Option<Result<T, E>>) -> Result<T, String> {
    match found {
        Some(found) => found.map_err(|error| format!("the option catalog of {service}: {error}")),
        None => Err(format!(
            "{service}: no such service in the catalog of options; there are {}",
            catalog.option_services().collect::<Vec<_>>().join(", ")
        )),
    }
}
