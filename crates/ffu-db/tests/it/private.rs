//! The life of a private server.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use ffu_db::{DbError, PrivateServer, Server, Settings};
use ffu_model::secret::Secret;

use crate::scratch;

#[test]
fn a_server_lives_dies_and_comes_back() {
    let (_guard, root) = scratch();
    let dir = root.join("s");
    let mut server = PrivateServer::create(
        &dir,
        &Settings {
            fast: true,
            ..Settings::default()
        },
    )
    .unwrap();
    assert!(server.is_running());
    let mode = fs::metadata(server.option_file()).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0);
    let temporary = server.admin().unwrap().query_rows(
        "mysql",
        "SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_VARIABLES WHERE VARIABLE_NAME = 'TMPDIR'",
        std::time::Duration::from_secs(5),
    );
    assert_eq!(
        temporary.unwrap(),
        [[Some(dir.join("tmp").to_string())]],
        "no other server's start may clean it up"
    );
    assert!(!dir.join("first-start.sql").exists(), "the password stays in one file");
    let password = Secret::new("pa'ss\\word");
    server.create_account("nova", &password, "nova", "utf8").unwrap();
    let url = server.url("nova", &password, "nova");
    assert!(Server::connect(&url).unwrap().schema_exists("nova").unwrap());
    assert!(
        PrivateServer::create(&dir, &Settings::default()).is_err(),
        "never over another one"
    );

    server.kill().unwrap();
    assert!(!server.is_running());
    assert!(matches!(Server::connect(&url), Err(DbError::Unreachable { .. })));
    drop(server);

    let mut again = PrivateServer::open_existing(&dir).unwrap();
    again.start().unwrap();
    assert!(Server::connect(&url).unwrap().schema_exists("nova").unwrap());
    let mut other_handle = PrivateServer::open_existing(&dir).unwrap();
    let pid = other_handle.pid().unwrap();
    assert_eq!(again.pid(), Some(pid));
    again.stop().unwrap();
    other_handle.stop().unwrap();
    assert!(!other_handle.is_running() && !fs::exists(format!("/proc/{pid}")).unwrap());
}

#[test]
fn a_directory_without_a_server_is_said_to_be_one() {
    let (_guard, dir) = scratch();
    let error = PrivateServer::open_existing(&dir).unwrap_err().to_string();
    assert!(error.contains("there is no private server here"), "{error}");
    fs::write(dir.join("server.json"), "{\"format\":1,\"port\":\"x\"}").unwrap();
    let error = PrivateServer::open_existing(&dir).unwrap_err().to_string();
    assert!(error.contains("cannot be read"), "{error}");
}
