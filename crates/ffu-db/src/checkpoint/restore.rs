//! Back to the checkpoint. Everything here may be repeated after whatever ended it.

use std::io::Read;
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use sha2::{Digest as _, Sha256};

use super::manifest::{Manifest, Piece, SavedDatabase, SavedDump};
use super::{DatabaseProof, DumpKey, Means, Thoroughness, dump, manifest, saved, standby};
use crate::client::Call;
use crate::control::{Control, Options};
use crate::error::DbError;
use crate::lanes::{Slots, side_by_side};
use crate::quote::identifier;
use crate::server::Server;
use crate::url::{Access, ConnectionUrl};

/// Databases that are renamed at once, whatever the lanes: a rename is a handful of syncs of the disk, and those of several
/// databases are done together.
const RENAMING: usize = 8;

/// Brings all databases back: those with a copy by renaming (see [`super::standby`] for what that proves); each other one is
/// dropped, created with its character set, loaded, and compared with its fingerprint.
/// Databases that did not exist are dropped. Nothing but the directory is needed.
///
/// # Errors
/// [`DbError::BadCheckpoint`] before a database is touched if a dump is not what the manifest says, or no key opens it,
/// [`DbError::FingerprintDiffers`] if the result is not what it was, and those of servers and programs.
pub fn restore_databases(dir: &Utf8Path, options: &Options) -> Result<Vec<DatabaseProof>, DbError> {
    restore_with(dir, Means::default(), options)
}

/// [`restore_databases`], with a choice of how much is read, and the key of encrypted dumps.
///
/// # Errors
/// See [`restore_databases`].
pub fn restore_with(dir: &Utf8Path, means: Means, options: &Options) -> Result<Vec<DatabaseProof>, DbError> {
    let control = Control::start(options);
    let manifest = super::load(dir)?;
    crate::client::remove_leftovers(dir);
    let databases = manifest::reached(dir, &manifest)?;
    // All dumps are looked at before the first database goes.
    check_key(dir, &manifest, means.key)?;
    verify_dumps(dir, &manifest, means.key, &control)?;
    let mut copies = Vec::new();
    let mut dumps = Vec::new();
    for (database, access) in &databases {
        match &database.copied {
            Some(copied) => copies.push((*database, copied, access)),
            None => dumps.push((*database, access)),
        }
    }
    // The one with most tables takes longest, so that it is begun first.
    copies.sort_by_key(|(_, copied, _)| std::cmp::Reverse(copied.fingerprint.tables.len()));
    // Likewise.
    dumps.sort_by_key(|(database, _)| std::cmp::Reverse(database.saved.as_ref().map_or(0, SavedDump::raw_bytes)));
    let full = means.thoroughness == Thoroughness::Full;
    let slots = Slots::new(control.lanes());
    let mut proofs = side_by_side(RENAMING, &copies, |(database, copied, access)| {
        standby::swap(dir, database, copied, access, full, &control)
    })?;
    let loading = Loading {
        dir,
        key: means.key,
        slots: &slots,
        control: &control,
    };
    proofs.extend(slots.each(&dumps, |(database, access)| restore(database, access, loading))?);
    proofs.sort_by_key(|proof| manifest.databases.iter().position(|database| database.key == proof.key));
    Ok(proofs)
}

/// Brings all files back, with mode and owner. Returns those that had to be changed or removed.
///
/// # Errors
/// [`DbError::BadCheckpoint`] if a copy was changed (before any file is touched), [`DbError::Io`].
pub fn restore_files(dir: &Utf8Path) -> Result<Vec<Utf8PathBuf>, DbError> {
    let manifest = super::load(dir)?;
    saved::check(dir, &manifest.files)?;
    let mut changed = Vec::new();
    for file in &manifest.files {
        if saved::put_back(dir, file)? {
            changed.push(file.path.clone());
        }
    }
    Ok(changed)
}

/// That the dumps of a checkpoint can be opened: no dump is encrypted, or this key opens it.
pub(super) fn check_key(dir: &Utf8Path, manifest: &Manifest, key: Option<&DumpKey>) -> Result<(), DbError> {
    let recipients = manifest.sealed();
    match key {
        _ if recipients.is_empty() => Ok(()),
        None => Err(dump::missing(dir, &recipients)),
        Some(key) => key.opens(&recipients),
    }
}

/// That a checkpoint can be gone back to, as far as a look tells that reads no dump to its end: its files have their sizes, the key
/// opens the dumps, the connections of all databases are there, and so are the saved files, which are small and read whole.
///
/// # Errors
/// [`DbError::BadCheckpoint`], [`DbError::DumpKey`], [`DbError::DumpKeyMissing`], [`DbError::Io`].
pub fn check_whole(dir: &Utf8Path, key: Option<&DumpKey>) -> Result<(), DbError> {
    let manifest = super::load(dir)?;
    check_key(dir, &manifest, key)?;
    manifest::reached(dir, &manifest)?;
    for (dump, piece) in files(&manifest) {
        let path = dir.join(&piece.file);
        let metadata = dump::open(&path)?.metadata();
        let length = metadata.map_err(|e| DbError::io("cannot read", &path, e))?.len();
        if length != piece.bytes {
            let reason = format!("it has {length} bytes instead of {}", piece.bytes);
            return Err(DbError::BadCheckpoint { path, reason });
        }
        dump::text(dir, dump, piece, key)?;
    }
    saved::check(dir, &manifest.files)
}

/// The files of all dumps.
fn files(manifest: &Manifest) -> Vec<(&SavedDump, &Piece)> {
    let dumps = manifest.databases.iter().filter_map(|database| database.saved.as_ref());
    dumps
        .flat_map(|dump| dump.pieces.iter().map(move |piece| (dump, piece)))
        .collect()
}

/// Every dump has the size and the hash that the manifest says, and the key opens it.
fn verify_dumps(dir: &Utf8Path, manifest: &Manifest, key: Option<&DumpKey>, control: &Control) -> Result<(), DbError> {
    control.each(&files(manifest), |(dump, piece)| {
        check_file(dir, piece, control)?;
        dump::text(dir, dump, piece, key).map(drop)
    })?;
    Ok(())
}

pub(super) fn check_files(dir: &Utf8Path, saved: &SavedDump, control: &Control) -> Result<(), DbError> {
    control.each(&saved.pieces, |piece| check_file(dir, piece, control))?;
    Ok(())
}

fn check_file(dir: &Utf8Path, piece: &Piece, control: &Control) -> Result<(), DbError> {
    let path = dir.join(&piece.file);
    let mut file = dump::open(&path)?;
    let mut hash = Sha256::new();
    let mut bytes = 0_u64;
    let mut buffer = vec![0_u8; 1 << 20];
    loop {
        control.check("checking the dumps")?;
        match file
            .read(&mut buffer)
            .map_err(|e| DbError::io("cannot read", &path, e))?
        {
            0 => break,
            count => {
                hash.update(&buffer[..count]);
                bytes += count as u64;
            }
        }
    }
    if bytes != piece.bytes || ffu_model::digest::hex(&hash.finalize()) != piece.sha256 {
        let reason = format!(
            "its content is not what was written ({bytes} bytes instead of {})",
            piece.bytes
        );
        return Err(DbError::BadCheckpoint { path, reason });
    }
    Ok(())
}

/// What loading a dump takes.
#[derive(Clone, Copy)]
pub(super) struct Loading<'a> {
    pub dir: &'a Utf8Path,
    pub key: Option<&'a DumpKey>,
    pub slots: &'a Slots,
    pub control: &'a Control<'a>,
}

fn restore(database: &SavedDatabase, access: &Access, loading: Loading) -> Result<DatabaseProof, DbError> {
    let schema = &database.schema;
    let url = access.strongest_url()?.with_schema(schema);
    let server = Server::connect(&url)?;
    end_sessions(&server, schema)?;
    super::proof::drop_leftovers(loading.dir, schema, &server)?;
    let Some(saved) = &database.saved else {
        server.drop_database(schema)?;
        let sentence = format!("{schema} did not exist at the checkpoint and was dropped");
        return Ok(DatabaseProof {
            key: database.key.clone(),
            digest: String::new(),
            sentence,
        });
    };
    let place = Place {
        server: &server,
        url: &url,
        schema,
    };
    let rows = load_into(saved, place, loading)?;
    Ok(DatabaseProof {
        key: database.key.clone(),
        digest: saved.fingerprint.digest.clone(),
        sentence: format!(
            "{schema} restored: {} tables, {rows} rows, fingerprint {} as at the checkpoint",
            saved.fingerprint.tables.len(),
            saved.fingerprint.digest.chars().take(12).collect::<String>()
        ),
    })
}

/// Where a dump is loaded.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub server: &'a Server,
    /// With the schema.
    pub url: &'a ConnectionUrl,
    pub schema: &'a str,
}

/// Drops and creates a schema, loads a dump into it and compares. Returns the number of rows.
pub(super) fn load_into(saved: &SavedDump, place: Place, loading: Loading) -> Result<u64, DbError> {
    let Loading {
        dir,
        key,
        slots,
        control,
    } = loading;
    let Place { server, url, schema } = place;
    server.drop_database(schema)?;
    let mut session = server.open(None)?;
    session.run(
        &format!(
            "CREATE DATABASE {} CHARACTER SET {} COLLATE {}",
            identifier("schema", schema)?,
            saved.charset,
            saved.collation
        ),
        &format!("creating database {schema}"),
    )?;
    drop(session);
    let call = Call {
        url,
        private_dir: dir,
        during: format!("loading database {schema}"),
        control,
    };
    let load = |piece: &&Piece| slots.work(|| call.load(schema, &mut dump::text(dir, saved, piece, key)?));
    // A view is made of tables that must be there, and an event may change them as soon as it is there; foreign keys are not looked
    // at while the text is loaded.
    let after = !saved.fingerprint.views.is_empty() || !saved.fingerprint.events.is_empty();
    let (last, mut first): (Vec<&Piece>, Vec<&Piece>) =
        saved.pieces.iter().partition(|piece| after && piece.table.is_none());
    first.sort_by_key(|piece| std::cmp::Reverse(piece.raw_bytes));
    control.each(&first, load)?;
    control.each(&last, load)?;
    let now = crate::fingerprint::fingerprint(server, schema, control)?.ok_or_else(|| DbError::UnknownSchema {
        address: server.address(),
        schema: schema.to_owned(),
    })?;
    if now.digest != saved.fingerprint.digest {
        let differences = saved.fingerprint.diff(&now);
        return Err(DbError::FingerprintDiffers {
            what: format!("database {schema}"),
            differences: shown(&differences),
        });
    }
    Ok(now.rows())
}

pub(super) fn shown(differences: &[String]) -> String {
    let mut text = differences.iter().take(8).cloned().collect::<Vec<_>>().join("; ");
    if differences.len() > 8 {
        text.push_str(&format!("; and {} more", differences.len() - 8));
    }
    text
}

/// Ends other connections that use the schema: a load that a killed `ffu` left behind must not write into the new database.
pub(super) fn end_sessions(server: &Server, schema: &str) -> Result<(), DbError> {
    let during = "ending connections that are left over";
    let deadline = Instant::now() + Duration::from_secs(10);
    let mut session = server.open(None)?;
    loop {
        let others = session.column(
            "SELECT ID FROM information_schema.PROCESSLIST WHERE DB = ? AND ID <> CONNECTION_ID() AND COMMAND <> 'Binlog Dump'",
            &[schema],
            during,
        )?;
        if others.is_empty() || Instant::now() > deadline {
            return Ok(());
        }
        for id in others.iter().filter(|id| id.chars().all(|c| c.is_ascii_digit())) {
            // It may be gone, or somebody's whom this account may not end; the fingerprint will tell.
            let _ = session.run(&format!("KILL {id}"), during);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}
