//! Configuration files on disk: finds them and what they are, reads them whole, shows what changed, writes them safely.
//! What happens to their content is decided in `ffu-config`, which never touches a file.

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
