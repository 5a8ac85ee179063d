//! A checkpoint that was not verified is not one: its dumps are loaded into scratch schemas, or at least read back.

use std::cmp::Reverse;
use std::io::{Read as _, Write as _};

use camino::Utf8Path;
use ffu_model::plan::CheckpointProof;
use ffu_model::{Finding, Severity};

use super::dump::Tail;
use super::manifest::{SavedDatabase, SavedDump};
use super::restore::Loading;
use super::{DatabaseProof, DumpKey, dump, manifest, restore, standby};
use crate::control::{Control, Options};
use crate::error::DbError;
use crate::lanes::Slots;
use crate::server::Server;
use crate::url::Access;

/// What was proven, and what could not be.
#[derive(Clone, Debug, PartialEq)]
pub struct ProofReport {
    /// One entry a database.
    pub databases: Vec<DatabaseProof>,
    /// `checkpoint-not-restored` where only reading was possible; `checkpoint-by-dump` where a copy was begun and not taken.
    pub findings: Vec<Finding>,
}

/// Verifies a checkpoint. With [`CheckpointProof::Restore`] every dump is loaded into a scratch schema whose fingerprint
/// must be the database's; where the accounts may not create one, it is read back, and a finding says so.
///
/// With [`CheckpointProof::Read`] the live databases are fingerprinted once more: whoever wrote meanwhile is noticed.
///
/// # Errors
/// [`DbError::BadCheckpoint`], [`DbError::FingerprintDiffers`], [`DbError::WrittenMeanwhile`], and those of servers and programs.
pub fn prove(dir: &Utf8Path, proof: CheckpointProof, options: &Options) -> Result<ProofReport, DbError> {
    prove_with(dir, proof, None, options)
}

/// [`prove`], with the key of encrypted dumps.
///
/// # Errors
/// Those of [`prove`], and [`DbError::DumpKey`] or [`DbError::DumpKeyMissing`].
pub fn prove_with(
    dir: &Utf8Path,
    proof: CheckpointProof,
    key: Option<&DumpKey>,
    options: &Options,
) -> Result<ProofReport, DbError> {
    let control = Control::start(options);
    let manifest = super::load(dir)?;
    let mut databases = manifest::reached(dir, &manifest)?;
    super::saved::check(dir, &manifest.files)?;
    restore::check_key(dir, &manifest, key)?;
    // The largest is begun first.
    databases.sort_by_key(|(database, _)| Reverse(database.saved.as_ref().map_or(0, SavedDump::raw_bytes)));
    let slots = Slots::new(control.lanes());
    let loading = Loading {
        dir,
        key,
        slots: &slots,
        control: &control,
    };
    let mut proven = slots.each(&databases, |(database, access)| {
        prove_one(database, access, proof, loading)
    })?;
    proven.sort_by_key(|(proof, _)| manifest.databases.iter().position(|database| database.key == proof.key));
    let (databases, findings): (Vec<_>, Vec<_>) = proven.into_iter().unzip();
    let mut findings: Vec<Finding> = findings.into_iter().flatten().collect();
    let begun = standby::begun(dir)?;
    let dumped = manifest.databases.iter().filter(|database| database.saved.is_some());
    findings.extend(dumped.filter(|database| begun.contains(&database.key)).map(not_copied));
    Ok(ProofReport { databases, findings })
}

/// The early copy was promised before the freeze; what came in between is said here.
fn not_copied(database: &SavedDatabase) -> Finding {
    Finding {
        id: "checkpoint-by-dump".to_owned(),
        severity: Severity::Warning,
        project: Some(database.key.project.clone()),
        message: format!(
            "{} was dumped although a copy had been begun: {} is another server, or another schema, than before the freeze",
            database.key, database.server
        ),
        remedy: "expect the way back of this database to take as long as loading its dump".to_owned(),
        source: String::new(),
    }
}

fn prove_one(
    database: &SavedDatabase,
    access: &Access,
    proof: CheckpointProof,
    loading: Loading,
) -> Result<(DatabaseProof, Option<Finding>), DbError> {
    let (dir, control) = (loading.dir, loading.control);
    let done = |digest: &str, sentence: String| DatabaseProof {
        key: database.key.clone(),
        digest: digest.to_owned(),
        sentence,
    };
    let schema = &database.schema;
    if let Some(copied) = &database.copied {
        // Nothing counts as a checkpoint that was not compared range by range when it was made: see `standby`.
        let sentence = format!(
            "{schema}: copied into {}, {} tables and {} rows equal, {} of them copied inside the window; {}",
            copied.copy,
            copied.fingerprint.tables.len(),
            copied.fingerprint.rows(),
            copied.late_rows,
            copied.reading
        );
        return Ok((done(&copied.fingerprint.digest, sentence), None));
    }
    let Some(saved) = &database.saved else {
        return Ok((done("", format!("{schema} does not exist yet")), None));
    };
    restore::check_files(dir, saved, control)?;
    let server = access.strongest()?;
    let mut finding = None;
    if proof == CheckpointProof::Restore {
        match in_scratch_schema(saved, access, &server, loading) {
            Ok(rows) => {
                let tables = saved.fingerprint.tables.len();
                let sentence =
                    format!("{schema}: dump loaded into a scratch schema, {tables} tables and {rows} rows equal");
                return Ok((done(&saved.fingerprint.digest, sentence), None));
            }
            Err(DbError::NoAccess { user, .. } | DbError::MissingPrivilege { user, .. }) => {
                finding = Some(Finding {
                    id: "checkpoint-not-restored".to_owned(),
                    severity: Severity::Warning,
                    project: Some(database.key.project.clone()),
                    message: format!(
                        "user {user:?} may not create a scratch schema on {}: the dump of {schema} was read back, not restored",
                        database.server
                    ),
                    remedy: "name an administrator's option file with --admin-option-file".to_owned(),
                    source: String::new(),
                });
            }
            Err(other) => return Err(other),
        }
    }
    read_back(saved, loading)?;
    let now = crate::fingerprint::fingerprint(&server, schema, control)?.ok_or_else(|| DbError::UnknownSchema {
        address: server.address(),
        schema: schema.clone(),
    })?;
    if now.digest != saved.fingerprint.digest {
        let differences = restore::shown(&saved.fingerprint.diff(&now));
        return Err(DbError::WrittenMeanwhile {
            what: format!("database {schema}"),
            differences,
        });
    }
    let sentence = format!(
        "{schema}: dump read back, {} bytes of SQL, the database is unchanged since",
        saved.raw_bytes()
    );
    Ok((done(&saved.fingerprint.digest, sentence), finding))
}

/// Scratch schemas of one checkpoint share a prefix, so that those of a killed proof are found and dropped.
fn scratch_prefix(dir: &Utf8Path, schema: &str) -> String {
    let digest = ffu_model::digest::sha256_hex(format!("{dir}\0{schema}").as_bytes());
    format!("ffu_proof_{}_", digest.chars().take(12).collect::<String>())
}

/// Drops what a proof that was killed left behind.
pub(super) fn drop_leftovers(dir: &Utf8Path, schema: &str, server: &Server) -> Result<(), DbError> {
    let prefix = scratch_prefix(dir, schema);
    let leftovers = server.open(None)?.column(
        "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE LEFT(SCHEMA_NAME, ?) = ?",
        &[&prefix.len().to_string(), &prefix],
        "looking for scratch schemas",
    )?;
    leftovers.iter().try_for_each(|leftover| server.drop_database(leftover))
}

fn in_scratch_schema(saved: &SavedDump, access: &Access, server: &Server, loading: Loading) -> Result<u64, DbError> {
    let dir = loading.dir;
    drop_leftovers(dir, access.schema()?, server)?;
    let prefix = scratch_prefix(dir, access.schema()?);
    let scratch = format!("{prefix}{:08x}", std::process::id());
    let url = access.strongest_url()?.with_schema(&scratch);
    let place = restore::Place {
        server,
        url: &url,
        schema: &scratch,
    };
    let loaded = restore::load_into(saved, place, loading).map_err(|error| match error {
        DbError::FingerprintDiffers { differences, .. } => DbError::WrittenMeanwhile {
            what: format!("database {}", access.service.schema().unwrap_or_default()),
            differences,
        },
        other => other,
    });
    let dropped = server.drop_database(&scratch);
    let rows = loaded?;
    dropped?;
    Ok(rows)
}

fn read_back(saved: &SavedDump, loading: Loading) -> Result<(), DbError> {
    let Loading { dir, key, control, .. } = loading;
    for piece in &saved.pieces {
        let path = dir.join(&piece.file);
        let broken = |reason: String| DbError::BadCheckpoint {
            path: path.clone(),
            reason,
        };
        let mut text = dump::text(dir, saved, piece, key)?;
        let mut tail = Tail {
            inner: std::io::sink(),
            tail: Vec::new(),
            bytes: 0,
        };
        let mut buffer = vec![0_u8; 1 << 20];
        loop {
            control.check("reading the dumps back")?;
            match text.read(&mut buffer).map_err(|e| broken(e.to_string()))? {
                0 => break,
                count => tail.write_all(&buffer[..count]).map_err(|e| broken(e.to_string()))?,
            }
        }
        if tail.bytes != piece.raw_bytes || !dump::is_whole(&tail.tail) {
            return Err(broken(format!(
                "{} bytes of SQL instead of {}, or no last line",
                tail.bytes, piece.raw_bytes
            )));
        }
    }
    Ok(())
}
