use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use camino::Utf8PathBuf;
use ffu_db::oslo::{ConfigError, config_value};
use ffu_db::{DbError, option_file, resolve};
use ffu_model::ConnectionRef;

use crate::scratch;

fn value(texts: &[&str], section: &str, option: &str) -> Result<String, ConfigError> {
    let (_guard, dir) = scratch();
    let files: Vec<Utf8PathBuf> = texts
        .iter()
        .enumerate()
        .map(|(index, text)| {
            let file = dir.join(format!("{index}.conf"));
            fs::write(&file, text).unwrap();
            file
        })
        .collect();
    config_value(&files, section, option).map(|secret| secret.expose().to_owned())
}

#[test]
fn values_as_oslo_reads_them() {
    let file = "[DEFAULT]\nhost = db\n; comment\n# comment\n[database]\nconnection = 'mysql://u:p%41$$w@$host/x'\nlong = a\n  b\n\nport: 1\n";
    assert_eq!(
        value(&[file], "database", "connection").unwrap(),
        "mysql://u:p%41$w@db/x"
    );
    assert_eq!(value(&[file], "Database", "long").unwrap(), "a\nb");
    assert_eq!(value(&[file], "database", "port").unwrap(), "1");
    assert_eq!(
        value(&[file, "[database]\nconnection = other\n"], "database", "connection").unwrap(),
        "other"
    );
    let groups = "[a]\nx = ${b.y}-$b.y.\n[b]\ny = 1\n";
    assert_eq!(value(&[groups], "a", "x").unwrap(), "1-1.");
    assert_eq!(value(&["[a]\nx = p$1 $ {$}\n"], "a", "x").unwrap(), "p$1 $ {$}");
}

#[test]
fn every_absence_has_its_own_error() {
    let text = |result: Result<String, ConfigError>| result.unwrap_err().to_string();
    assert!(text(value(&["[database]\n"], "database", "connection")).contains("no option `connection`"));
    assert!(text(value(&["[other]\n"], "database", "connection")).contains("no section [database]"));
    assert!(text(value(&["[a]\nx = $y\n"], "a", "x")).contains("refers to $y"));
    assert!(text(value(&["[a]\nx = $x\n"], "a", "x")).contains("leads back to itself"));
    assert!(text(value(&["[a\n"], "a", "x")).contains("line 1"));
    assert!(text(value(&["[a]\nhushhush\n"], "a", "x")).contains("line 2"));
    assert!(!text(value(&["[a]\nhushhush\n"], "a", "x")).contains("hushhush"));
    let (_guard, dir) = scratch();
    let missing = config_value(&[dir.join("none.conf")], "a", "x");
    assert!(matches!(missing, Err(ConfigError::FileMissing { .. })));
    assert!(matches!(
        config_value(std::slice::from_ref(&dir), "a", "x"),
        Err(ConfigError::Unreadable { .. })
    ));
    let bytes = dir.join("bytes.conf");
    fs::write(&bytes, b"[a]\nx=\xff\n").unwrap();
    let not_text = Err(ConfigError::NotText {
        file: bytes.clone(),
        offset: 6,
    });
    assert_eq!(config_value(std::slice::from_ref(&bytes), "a", "x"), not_text);
    fs::set_permissions(&bytes, fs::Permissions::from_mode(0o000)).unwrap();
    if fs::read(&bytes).is_err() {
        // Root may read everything.
        assert!(matches!(
            config_value(&[bytes], "a", "x"),
            Err(ConfigError::NoPermission { .. })
        ));
    }
}

#[test]
fn references_lead_to_connections() {
    let (_guard, dir) = scratch();
    let file = dir.join("nova.conf");
    fs::write(
        &file,
        "[api_database]\nconnection = mysql+pymysql://u:hushhush@h/nova_api\n",
    )
    .unwrap();
    let config = |section: &str| ConnectionRef::Config {
        file: file.clone(),
        section: section.to_owned(),
        option: "connection".to_owned(),
    };
    assert_eq!(resolve(&config("api_database")).unwrap().schema(), Some("nova_api"));
    assert!(matches!(
        resolve(&config("database")),
        Err(DbError::Config(ConfigError::SectionMissing { .. }))
    ));
    let same = ConnectionRef::SameServer {
        file: file.clone(),
        section: "api_database".to_owned(),
        option: "connection".to_owned(),
        schema: "placement".to_owned(),
    };
    assert_eq!(resolve(&same).unwrap().schema(), Some("placement"));
    let elsewhere = ffu_db::resolve_in(&config("api_database"), &|_| dir.join("gone.conf"));
    assert!(elsewhere.unwrap_err().to_string().contains("gone.conf"));
}

#[test]
fn option_files_name_an_account() {
    let (_guard, dir) = scratch();
    let file = dir.join("my.cnf");
    fs::write(
        &file,
        "[mysqld]\nuser=mysql\n[client]\nuser = \"root\"\npassword = 'a\\\\b\"c'\nsocket=/run/x.sock\n",
    )
    .unwrap();
    let url = option_file::read(&file).unwrap();
    assert_eq!((url.user(), url.password().unwrap().expose()), ("root", "a\\b\"c"));
    assert_eq!(url.address(), "unix:/run/x.sock");
    for (text, expected) in [
        ("[client]\nhost=h\n", "no user"),
        ("[client]\nuser=root\n", "neither host nor socket"),
        ("[client]\nuser=root\nhost=h\nport=x\n", "port"),
        ("[mysql]\nuser=root\nhost=h\n", "no user"),
    ] {
        fs::write(&file, text).unwrap();
        let error = option_file::read(&file).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    assert!(
        option_file::read(&dir.join("none.cnf"))
            .unwrap_err()
            .to_string()
            .contains("does not exist")
    );
}
