//! One test binary, so that one private server serves all of them.

mod checkpoint;
mod config;
mod copy;
mod crash;
mod dumps;
mod galera;
mod invariants;
mod invariants_again;
mod private;
mod server;
mod snapshot;
mod standby;
mod standby_evidence;
mod standby_faults;
mod standby_memory;
mod strangers;
mod url;

use camino::Utf8PathBuf;

/// A directory that is gone after the test, and its path.
pub fn scratch() -> (tempfile::TempDir, Utf8PathBuf) {
    let dir = tempfile::Builder::new().prefix("ffu-db-").tempdir().unwrap();
    let path = Utf8PathBuf::from_path_buf(dir.path().to_owned()).unwrap();
    (dir, path)
}
