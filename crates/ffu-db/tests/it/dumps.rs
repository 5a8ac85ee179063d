//! Dumps in several files, and dumps that are encrypted.

use std::fs;
use std::process::{Command, Stdio};

use camino::Utf8Path;
use ffu_db::checkpoint::{self, DumpKey, Manifest, Means, Target, Thoroughness};
use ffu_db::testing::{TestDatabase, shared_server};
use ffu_db::{DbError, Fingerprint, Options};
use ffu_model::plan::CheckpointProof;

use crate::checkpoint::{fingerprint, seed, target};
use crate::scratch;

/// Tables tied to each other both ways and to themselves, views of views, and a trigger that writes into another table.
fn entangle(db: &TestDatabase) {
    seed(db);
    let mut statements = vec![
        "CREATE TABLE tree (id INT PRIMARY KEY, up INT NULL, CONSTRAINT up FOREIGN KEY (up) REFERENCES tree (id) ON DELETE CASCADE)".to_owned(),
        "INSERT INTO tree VALUES (1, NULL), (2, 1), (3, 2)".to_owned(),
        "CREATE TABLE egg (id INT PRIMARY KEY, hen INT NULL)".to_owned(),
        "CREATE TABLE hen (id INT PRIMARY KEY, egg INT NULL, CONSTRAINT egg FOREIGN KEY (egg) REFERENCES egg (id) ON UPDATE CASCADE)".to_owned(),
        "ALTER TABLE egg ADD CONSTRAINT hen FOREIGN KEY (hen) REFERENCES hen (id) ON DELETE SET NULL".to_owned(),
        "INSERT INTO egg VALUES (1, NULL)".to_owned(),
        "INSERT INTO hen VALUES (1, 1)".to_owned(),
        "UPDATE egg SET hen = 1".to_owned(),
        "CREATE TABLE log (what INT)".to_owned(),
        "CREATE TRIGGER logs AFTER INSERT ON hen FOR EACH ROW INSERT INTO log VALUES (NEW.id)".to_owned(),
        "CREATE VIEW a_view_of_views AS SELECT v.name, tree.id FROM v JOIN tree".to_owned(),
        "CREATE TABLE `odd.na``me -- x` (id INT PRIMARY KEY, `a b` TEXT)".to_owned(),
        "INSERT INTO `odd.na``me -- x` VALUES (1, 'x')".to_owned(),
    ];
    for number in 0..12 {
        statements.push(format!(
            "CREATE TABLE leaf{number} (id INT AUTO_INCREMENT PRIMARY KEY, tree INT, up INT, CONSTRAINT leaf{number} FOREIGN KEY (tree) REFERENCES tree (id) ON DELETE CASCADE)"
        ));
        statements.push(format!(
            "INSERT INTO leaf{number} (tree, up) VALUES (1, {number}), (3, 1)"
        ));
    }
    let statements: Vec<&str> = statements.iter().map(String::as_str).collect();
    db.run(&statements).unwrap();
}

fn made(dir: &Utf8Path, targets: &[Target], means: Means) -> Manifest {
    checkpoint::make_with(dir, targets, &[], means, &options()).unwrap()
}

/// Every table in a file of its own.
const EACH: Means = Means {
    thoroughness: Thoroughness::Sufficient,
    key: None,
    own_file: 1,
};

fn options() -> Options<'static> {
    Options {
        lanes: 4,
        ..Options::default()
    }
}

#[test]
fn every_table_in_a_file_of_its_own_comes_back_side_by_side() {
    let db = shared_server().database("pieces").unwrap();
    entangle(&db);
    let (_guard, root) = scratch();
    let dir = root.join("c");
    let before = fingerprint(&db);
    let manifest = made(&dir, &[target("api", db.admin_access())], EACH);
    let saved = manifest.databases[0].saved.as_ref().unwrap();
    assert_eq!(saved.pieces.len(), before.tables.len() + 1);
    assert!(saved.pieces.iter().all(|piece| dir.join(&piece.file).exists()));
    assert_eq!(saved.pieces.last().unwrap().table, None);
    let report = checkpoint::prove(&dir, CheckpointProof::Restore, &options()).unwrap();
    assert!(
        report.databases[0].sentence.contains("scratch schema, 19 tables"),
        "{report:?}"
    );
    checkpoint::prove(&dir, CheckpointProof::Read, &options()).unwrap();
    db.run(&[
        "DROP TABLE leaf3",
        "DELETE FROM child",
        "ALTER TABLE parent ADD COLUMN new INT",
    ])
    .unwrap();
    for _ in 0..3 {
        checkpoint::restore_databases(&dir, &options()).unwrap();
        assert_eq!(fingerprint(&db), before);
    }
    // One file of many that is gone or changed is enough to stop it before anything is touched.
    let piece = dir.join(&saved.pieces[4].file);
    let bytes = fs::read(&piece).unwrap();
    fs::write(&piece, &bytes[..bytes.len() - 1]).unwrap();
    db.run(&["DELETE FROM child"]).unwrap();
    let error = checkpoint::restore_databases(&dir, &options()).unwrap_err();
    assert!(matches!(error, DbError::BadCheckpoint { .. }), "{error}");
    assert_ne!(fingerprint(&db), before);
    assert!(fingerprint(&db).tables["child"].rows == 0 && fingerprint(&db).tables.len() == before.tables.len());
    checkpoint::forget(&dir).unwrap();
    let left: Vec<_> = fs::read_dir(&dir)
        .unwrap()
        .flatten()
        .map(|entry| entry.file_name())
        .collect();
    assert_eq!(left, ["files"], "no dump is left behind");
}

#[test]
fn an_encrypted_dump_comes_back_with_its_key_and_no_other() {
    let db = shared_server().database("sealed").unwrap();
    seed(&db);
    let secret = "transport_url-rabbit://nova:s3cretpw@host";
    db.run(&[&format!("INSERT INTO parent (name) VALUES ('{secret}')")])
        .unwrap();
    let (_guard, root) = scratch();
    let dir = root.join("c");
    let key = DumpKey::generate(&root.join("key")).unwrap();
    let other = DumpKey::generate(&root.join("other")).unwrap();
    let before = fingerprint(&db);
    let means = |key| Means { key: Some(key), ..EACH };
    let manifest = made(&dir, &[target("api", db.admin_access())], means(&key));
    let saved = manifest.databases[0].saved.as_ref().unwrap();
    assert_eq!(
        (saved.sealed.clone(), manifest.sealed()),
        (key.recipients(), key.recipients())
    );
    assert_eq!(saved.pieces.len(), 3);
    for piece in &saved.pieces {
        let bytes = fs::read(dir.join(&piece.file)).unwrap();
        assert!(bytes.starts_with(b"age-encryption.org/v1\n"), "{}", piece.file);
        assert!(zstd_text(&bytes).is_err());
    }
    opens_without_ffu(&dir, &root.join("key"), &manifest, secret);
    loads_without_ffu(&dir, &root.join("key"), &manifest, &before);

    for proof in [CheckpointProof::Restore, CheckpointProof::Read] {
        let error = checkpoint::prove(&dir, proof, &options()).unwrap_err();
        assert!(matches!(&error, DbError::DumpKeyMissing { .. }), "{error}");
        let error = checkpoint::prove_with(&dir, proof, Some(&other), &options()).unwrap_err();
        assert!(matches!(&error, DbError::DumpKey { .. }), "{error}");
        checkpoint::prove_with(&dir, proof, Some(&key), &options()).unwrap();
    }
    db.run(&["DELETE FROM child"]).unwrap();
    let changed = fingerprint(&db);
    let error = checkpoint::restore_databases(&dir, &options()).unwrap_err().to_string();
    assert!(
        error.contains(&key.recipients()[0]) && error.contains("--dump-key"),
        "{error}"
    );
    let error = checkpoint::restore_with(&dir, means(&other), &options())
        .unwrap_err()
        .to_string();
    assert!(error.contains(&other.recipients()[0]), "{error}");
    assert_eq!(fingerprint(&db), changed, "nothing was touched");
    checkpoint::restore_with(&dir, means(&key), &options()).unwrap();
    assert_eq!(fingerprint(&db), before);
    checkpoint::drop_checkpoint(&dir).unwrap();
    assert!(!dir.exists(), "no key is needed to give it up");
}

fn zstd_text(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut child = Command::new("zstd")
        .args(["-d", "-c"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut input = child.stdin.take().unwrap();
    let bytes = bytes.to_vec();
    let writer = std::thread::spawn(move || {
        use std::io::Write as _;
        // It may have given up at the first bytes.
        let _ = input.write_all(&bytes);
    });
    let output = child.wait_with_output()?;
    writer.join().unwrap();
    if !output.status.success() {
        return Err(std::io::Error::other("zstd failed"));
    }
    Ok(output.stdout)
}

/// Debian's `age` and `zstd` give the SQL text, all of it.
fn opens_without_ffu(dir: &Utf8Path, key: &Utf8Path, manifest: &Manifest, secret: &str) {
    let mut seen = 0;
    for piece in &manifest.databases[0].saved.as_ref().unwrap().pieces {
        let opened = Command::new("age")
            .args(["-d", "-i", key.as_str(), dir.join(&piece.file).as_str()])
            .output()
            .unwrap();
        assert!(opened.status.success(), "{}", String::from_utf8_lossy(&opened.stderr));
        let text = zstd_text(&opened.stdout).unwrap();
        assert_eq!(text.len() as u64, piece.raw_bytes);
        seen += usize::from(String::from_utf8_lossy(&text).contains(secret));
    }
    assert_eq!(seen, 1);
}

/// What docs/guides/dumps.md says to type, in the order that it says.
fn loads_without_ffu(dir: &Utf8Path, key: &Utf8Path, manifest: &Manifest, before: &Fingerprint) {
    let empty = shared_server().database("by_hand").unwrap();
    let options = empty.admin_access().admin.unwrap();
    let saved = manifest.databases[0].saved.as_ref().unwrap();
    let (charset, collation) = (&saved.charset, &saved.collation);
    let made = format!(
        "ALTER DATABASE {} CHARACTER SET {charset} COLLATE {collation}",
        empty.schema
    );
    shared_server().admin().unwrap().execute(None, &made).unwrap();
    let tables = saved.pieces.iter().filter(|piece| piece.table.is_some());
    for piece in tables.chain(saved.pieces.iter().filter(|piece| piece.table.is_none())) {
        let script = format!(
            "age -d -i '{key}' '{}' | zstd -d | mariadb --defaults-file='{options}' --binary-mode --max-allowed-packet=1G \
             --init-command='SET foreign_key_checks = 0' {}",
            dir.join(&piece.file),
            empty.schema
        );
        let loaded = Command::new("bash")
            .args(["-o", "pipefail", "-c", &script])
            .output()
            .unwrap();
        assert!(loaded.status.success(), "{}", String::from_utf8_lossy(&loaded.stderr));
    }
    assert_eq!(before.diff(&fingerprint(&empty)), [] as [&str; 0]);
}

#[test]
fn a_key_of_age_keygen_does_as_well() {
    let db = shared_server().database("keygen").unwrap();
    seed(&db);
    let (_guard, root) = scratch();
    let file = root.join("key");
    let made_key = Command::new("age-keygen").args(["-o", file.as_str()]).output().unwrap();
    assert!(made_key.status.success());
    let key = DumpKey::read(&file).unwrap();
    let said = String::from_utf8_lossy(&made_key.stderr).into_owned();
    assert!(said.contains(&key.recipients()[0]), "{said}");
    let dir = root.join("c");
    let means = Means {
        key: Some(&key),
        ..Means::default()
    };
    made(&dir, &[target("api", db.admin_access())], means);
    let before = fingerprint(&db);
    db.run(&["DELETE FROM child"]).unwrap();
    checkpoint::restore_with(&dir, means, &options()).unwrap();
    assert_eq!(fingerprint(&db), before);
}

#[test]
fn what_must_be_loaded_in_order_is() {
    let db = shared_server().database("order").unwrap();
    seed(&db);
    db.run(&["CREATE EVENT sweep ON SCHEDULE EVERY 1 SECOND DO DELETE FROM child"])
        .unwrap();
    let (_guard, root) = scratch();
    let targets = [target("api", db.admin_access())];
    let there_and_back = |name: &str, files: usize| {
        let (dir, before) = (root.join(name), fingerprint(&db));
        let saved = made(&dir, &targets, EACH).databases.remove(0).saved.unwrap();
        assert_eq!(saved.pieces.len(), files, "{name}");
        checkpoint::prove(&dir, CheckpointProof::Restore, &options()).unwrap();
        db.run(&["DELETE FROM child"]).unwrap();
        checkpoint::restore_databases(&dir, &options()).unwrap();
        assert_eq!(fingerprint(&db), before);
    };
    there_and_back("event", 3);
    // A table that counts with a sequence cannot be made before it, so all is in one file.
    db.run(&[
        "DROP VIEW v",
        "CREATE SEQUENCE counts",
        "CREATE TABLE counted (id INT NOT NULL DEFAULT NEXTVAL(counts) PRIMARY KEY, x INT)",
        "INSERT INTO counted (x) VALUES (1), (2)",
    ])
    .unwrap();
    there_and_back("sequence", 1);
}

#[test]
fn a_checkpoint_of_format_1_is_gone_back_to() {
    let db = shared_server().database("before").unwrap();
    seed(&db);
    let (_guard, root) = scratch();
    let (dir, before) = (root.join("c"), fingerprint(&db));
    made(&dir, &[target("api", db.admin_access())], Means::default());
    let file = dir.join("checkpoint.json");
    let mut manifest: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    manifest["format"] = 1.into();
    let saved = manifest["databases"][0]["saved"].as_object_mut().unwrap();
    let pieces = saved.remove("pieces").unwrap();
    saved.extend(pieces[0].as_object().unwrap().clone());
    fs::write(&file, serde_json::to_vec(&manifest).unwrap()).unwrap();
    db.run(&["DELETE FROM child"]).unwrap();
    checkpoint::check_whole(&dir, None).unwrap();
    checkpoint::restore_databases(&dir, &options()).unwrap();
    assert_eq!(fingerprint(&db), before);
}

#[test]
fn a_look_finds_what_a_way_back_would_lack() {
    let db = shared_server().database("look").unwrap();
    seed(&db);
    let (_guard, root) = scratch();
    let (dir, conf) = (root.join("c"), root.join("nova.conf"));
    fs::write(&conf, "[DEFAULT]\n").unwrap();
    let targets = [target("api", db.admin_access())];
    checkpoint::make(&dir, &targets, std::slice::from_ref(&conf), &options()).unwrap();
    checkpoint::check_whole(&dir, None).unwrap();
    for name in ["nova-api.sql.zst", "connections.json", "files/0000", "checkpoint.json"] {
        let path = dir.join(name);
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        let error = checkpoint::check_whole(&dir, None).unwrap_err().to_string();
        assert!(error.contains(path.as_str()), "{error}");
        fs::remove_file(&path).unwrap();
        let error = checkpoint::check_whole(&dir, None).unwrap_err().to_string();
        assert!(error.contains(path.as_str()), "{error}");
        fs::write(&path, &bytes).unwrap();
        checkpoint::check_whole(&dir, None).unwrap();
    }
}
