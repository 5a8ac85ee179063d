//! One database into compressed files, encrypted if that was asked for: one for every large table, so that they are dumped and
//! loaded side by side, and one for all else.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::OpenOptionsExt as _;

use camino::Utf8Path;
use sha2::{Digest as _, Sha256};

use super::key::{DumpKey, Opened};
use super::manifest::{Piece, SavedDatabase, SavedDump, piece_name};
use super::{Means, Target};
use crate::client::{Call, Dumped};
use crate::control::Control;
use crate::error::DbError;
use crate::lanes::Slots;
use crate::server::Server;

/// Fast, and a fifth of the size.
const LEVEL: i32 = 3;
/// The last line of a whole dump (mysqldump and mariadb-dump write it when nothing failed).
pub(super) const TRAILER: &[u8] = b"-- Dump completed";

pub(super) fn save(
    dir: &Utf8Path,
    target: &Target,
    means: Means,
    slots: &Slots,
    control: &Control,
) -> Result<SavedDatabase, DbError> {
    let schema = target.access.schema()?.to_owned();
    let url = target.access.strongest_url()?;
    let server = Server::connect(&url)?;
    let mut saved = SavedDatabase {
        key: target.key.clone(),
        server: target.access.service.address(),
        server_version: server.facts().version.clone(),
        schema: schema.clone(),
        saved: None,
        copied: None,
    };
    let Some(facts) = server.schema_facts(&schema)? else {
        return Ok(saved);
    };
    let Some(fingerprint) = crate::fingerprint::fingerprint(&server, &schema, control)? else {
        return Ok(saved);
    };
    let large = large_tables(&server, &schema, means.own_file)?;
    let call = Call {
        url: &url,
        private_dir: dir,
        during: format!("dumping database {schema}"),
        control,
    };
    let parts: Vec<Option<usize>> = (0..large.len()).map(Some).chain([None]).collect();
    let pieces = control.each(&parts, |part| {
        let table = part.and_then(|at| large.get(at));
        let name = piece_name(&target.key, *part, means.key.is_some());
        let what = match table {
            Some(table) => Dumped::Tables(std::slice::from_ref(table)),
            None => Dumped::AllBut(&large),
        };
        slots.work(|| piece(dir, name, table, means.key, |sink| call.dump(&schema, what, sink)))
    })?;
    saved.saved = Some(SavedDump {
        charset: facts.charset,
        collation: facts.collation,
        fingerprint,
        sealed: means.key.map(DumpKey::recipients).unwrap_or_default(),
        pieces,
    });
    Ok(saved)
}

/// Tables that may be loaded beside all else, of so many bytes at least, the largest first. None where a sequence must be there
/// before tables that count with it; and none on a Galera cluster, where a table's rows and a table that refers to it are in each
/// other's way when they are written at once (MDEV-27276).
fn large_tables(server: &Server, schema: &str, bytes: u64) -> Result<Vec<String>, DbError> {
    let (mut session, during) = (server.open(None)?, "looking for large tables");
    let of = |kind: &str| {
        format!(
            "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? AND TABLE_TYPE = '{kind}' AND \
             COALESCE(DATA_LENGTH, 0) >= ? ORDER BY DATA_LENGTH DESC, TABLE_NAME"
        )
    };
    if server.facts().cluster || !session.column(&of("SEQUENCE"), &[schema, "0"], during)?.is_empty() {
        return Ok(Vec::new());
    }
    session.column(&of("BASE TABLE"), &[schema, &bytes.to_string()], during)
}

fn piece(
    dir: &Utf8Path,
    name: String,
    table: Option<&String>,
    key: Option<&DumpKey>,
    produce: impl FnOnce(&mut dyn Write) -> Result<(), DbError>,
) -> Result<Piece, DbError> {
    let path = dir.join(&name);
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .map_err(|e| DbError::io("cannot create", &path, e))?;
    match write_dump(&path, file, key, |file| file.sync_all(), produce) {
        Ok(written) => Ok(Piece {
            table: table.cloned(),
            file: name,
            sha256: written.sha256,
            bytes: written.bytes,
            raw_bytes: written.raw_bytes,
        }),
        Err(error) => {
            // What is there is no dump; a removal that fails leaves rubbish without a manifest, which is harmless.
            let _ = std::fs::remove_file(&path);
            Err(error)
        }
    }
}

struct Written {
    sha256: String,
    bytes: u64,
    raw_bytes: u64,
}

/// Compresses what `produce` writes into a file, encrypts it if there is a key, and makes sure that it is whole and on the disk.
fn write_dump<W: Write>(
    path: &Utf8Path,
    file: W,
    key: Option<&DumpKey>,
    sync: impl FnOnce(&mut W) -> io::Result<()>,
    produce: impl FnOnce(&mut dyn Write) -> Result<(), DbError>,
) -> Result<Written, DbError> {
    let full = |error: &io::Error| matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
    let mut hashed = Hashed {
        inner: file,
        hash: Sha256::new(),
        bytes: 0,
    };
    let result = match key {
        None => compress(path, &mut hashed, produce),
        Some(key) => (|| {
            let mut sealing = key
                .encrypting(&mut hashed)
                .map_err(|e| DbError::io("cannot write", path, e))?;
            let passed = compress(path, &mut sealing, produce)?;
            sealing.finish().map_err(|e| DbError::io("cannot write", path, e))?;
            Ok(passed)
        })(),
    };
    let (tail, raw_bytes) = result.map_err(|error| match error {
        DbError::Io { source, .. } if full(&source) => DbError::DiskFull {
            path: path.to_owned(),
            written: hashed.bytes,
        },
        other => other,
    })?;
    sync(&mut hashed.inner).map_err(|error| {
        if full(&error) {
            DbError::DiskFull {
                path: path.to_owned(),
                written: hashed.bytes,
            }
        } else {
            DbError::io("cannot write", path, error)
        }
    })?;
    if !is_whole(&tail) {
        let reason = "the dump program ended without its last line, `-- Dump completed`".to_owned();
        return Err(DbError::BadCheckpoint {
            path: path.to_owned(),
            reason,
        });
    }
    Ok(Written {
        sha256: ffu_model::digest::hex(&hashed.hash.finalize()),
        bytes: hashed.bytes,
        raw_bytes,
    })
}

/// Compresses what `produce` writes. Gives the end of that, and its length.
fn compress(
    path: &Utf8Path,
    sink: impl Write,
    produce: impl FnOnce(&mut dyn Write) -> Result<(), DbError>,
) -> Result<(Vec<u8>, u64), DbError> {
    let mut encoder = zstd::Encoder::new(sink, LEVEL).map_err(|e| DbError::io("cannot compress", path, e))?;
    let mut tail = Tail {
        inner: &mut encoder,
        tail: Vec::new(),
        bytes: 0,
    };
    produce(&mut tail)?;
    let (tail, raw_bytes) = (std::mem::take(&mut tail.tail), tail.bytes);
    encoder.finish().map_err(|e| DbError::io("cannot write", path, e))?;
    Ok((tail, raw_bytes))
}

/// Whether the last line is the trailer.
pub(super) fn is_whole(tail: &[u8]) -> bool {
    let text = tail.trim_ascii_end();
    let line = text.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    line.starts_with(TRAILER)
}

/// Hashes and counts what goes into the file.
struct Hashed<W> {
    inner: W,
    hash: Sha256,
    bytes: u64,
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.hash.update(&bytes[..count]);
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Remembers the end of what passes.
pub(super) struct Tail<W> {
    pub inner: W,
    pub tail: Vec<u8>,
    pub bytes: u64,
}

const KEPT: usize = 256;

impl<W: Write> Write for Tail<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.bytes += count as u64;
        let passed = &bytes[..count];
        self.tail
            .extend_from_slice(&passed[passed.len().saturating_sub(KEPT)..]);
        let excess = self.tail.len().saturating_sub(KEPT);
        self.tail.drain(..excess);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// The SQL text of a dump's file.
pub(super) fn text(
    dir: &Utf8Path,
    saved: &SavedDump,
    piece: &Piece,
    key: Option<&DumpKey>,
) -> Result<impl Read + use<>, DbError> {
    let path = dir.join(&piece.file);
    let file = BufReader::with_capacity(256 << 10, open(&path)?);
    let opened = match (saved.sealed.is_empty(), key) {
        (true, _) => Opened::Plain(file),
        (false, Some(key)) => Opened::Sealed(key.decrypting(&path, file)?),
        (false, None) => return Err(missing(dir, &saved.sealed)),
    };
    zstd::Decoder::new(opened).map_err(|e| DbError::io("cannot read", &path, e))
}

/// That no key was given and one is needed.
pub(super) fn missing(dir: &Utf8Path, recipients: &[String]) -> DbError {
    DbError::DumpKeyMissing {
        path: dir.to_owned(),
        recipients: recipients.join(", "),
    }
}

/// The file of a dump, as it is.
pub(super) fn open(path: &Utf8Path) -> Result<File, DbError> {
    File::open(path).map_err(|e| DbError::io("cannot read", path, e))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Small(Vec<u8>, usize);

    impl Write for Small {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let room = self.1 - self.0.len();
            if room == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let count = bytes.len().min(room);
            self.0.extend_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn noise(sink: &mut dyn Write) -> Result<(), DbError> {
        let mut state = 1_u64;
        for _ in 0..200_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            sink.write_all(&state.to_le_bytes())
                .map_err(|e| DbError::io("cannot go on with the stream of", "dump", e))?;
        }
        sink.write_all(b"\n-- Dump completed on 2026\n")
            .map_err(|e| DbError::io("cannot write", "dump", e))
    }

    #[test]
    fn a_disk_that_fills_up_is_said_to_be_full() {
        let error = write_dump(
            Utf8Path::new("/d/x.sql.zst"),
            Small(Vec::new(), 300_000),
            None,
            |_| Ok(()),
            noise,
        );
        match error {
            Err(DbError::DiskFull { path, written }) => assert_eq!((path.as_str(), written), ("/d/x.sql.zst", 300_000)),
            other => panic!("{:?}", other.map(|w| w.bytes)),
        }
        let scratch = tempfile::tempdir().unwrap();
        let key = DumpKey::generate(&Utf8Path::from_path(scratch.path()).unwrap().join("key")).unwrap();
        let sealed = Small(Vec::new(), 300_000);
        let error = write_dump(Utf8Path::new("/d/x.sql.zst.age"), sealed, Some(&key), |_| Ok(()), noise);
        assert!(matches!(error, Err(DbError::DiskFull { written: 300_000, .. })));
        let device = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let error = write_dump(Utf8Path::new("/d/y.sql.zst"), device, None, |_| Ok(()), noise)
            .err()
            .unwrap();
        assert!(error.to_string().contains("became full"), "{error}");
    }

    #[test]
    fn a_dump_without_its_last_line_is_none() {
        let half = |sink: &mut dyn Write| {
            sink.write_all(b"-- x\nINSERT INTO t VALUES ('-- Dump completed')")
                .map_err(|e| DbError::io("w", "d", e))
        };
        let error = write_dump(Utf8Path::new("x"), Vec::new(), None, |_| Ok(()), half)
            .err()
            .unwrap();
        assert!(error.to_string().contains("without its last line"), "{error}");
        let written = write_dump(
            Utf8Path::new("x"),
            Small(Vec::new(), 4_000_000),
            None,
            |_| Ok(()),
            noise,
        )
        .unwrap();
        assert_eq!(written.raw_bytes, 1_600_027);
    }
}
