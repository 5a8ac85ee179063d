//! The key that dumps are encrypted with, if that was asked for: an identity file of age (age-encryption.org/v1), the same that
//! `age-keygen` makes, so that a dump can be opened without this program: `age -d -i KEY DUMP | zstd -d`.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, Read, Write};
use std::os::unix::fs::PermissionsExt as _;

use age::secrecy::ExposeSecret as _;
use age::x25519::{Identity, Recipient};
use age::{DecryptError, Decryptor, Encryptor};
use camino::{Utf8Path, Utf8PathBuf};

use crate::error::DbError;

/// A key is a line or two.
const MAX_BYTES: u64 = 64 << 10;

/// The secret keys of a file, each of which opens what is encrypted for all of them.
pub struct DumpKey {
    file: Utf8PathBuf,
    identities: Vec<Identity>,
}

impl std::fmt::Debug for DumpKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DumpKey({})", self.file)
    }
}

impl DumpKey {
    /// Makes a key in a file that must not exist yet and that only its owner may read.
    ///
    /// # Errors
    /// [`DbError::Io`] if the file is there or cannot be written.
    pub fn generate(file: &Utf8Path) -> Result<Self, DbError> {
        let identity = Identity::generate();
        let (secret, public) = (identity.to_string(), identity.to_public());
        let text = format!(
            "# Opens the dumps of checkpoints that are encrypted for it.\n# public key: {public}\n{}\n",
            secret.expose_secret()
        );
        crate::files::write_private(file, text.as_bytes())?;
        Ok(DumpKey {
            file: file.to_owned(),
            identities: vec![identity],
        })
    }

    /// Reads a key that is to be that of these; what is wrong with it says so.
    ///
    /// # Errors
    /// Those of [`DumpKey::read`].
    pub fn read_that_of(file: &Utf8Path, recipients: &[String]) -> Result<Self, DbError> {
        DumpKey::read(file).map_err(|error| match error {
            DbError::DumpKey { file, reason } => DbError::DumpKey {
                file,
                reason: format!("{reason}; wanted is the key of {}", recipients.join(", ")),
            },
            other => other,
        })
    }

    /// Reads a key.
    ///
    /// # Errors
    /// [`DbError::DumpKey`] if it is not there, others than its owner may read it, or it is no key; its content is never shown.
    pub fn read(file: &Utf8Path) -> Result<Self, DbError> {
        let wrong = |reason: String| DbError::DumpKey {
            file: file.to_owned(),
            reason,
        };
        let metadata = match fs::metadata(file) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(wrong("it is not there".to_owned()));
            }
            Err(error) => return Err(wrong(format!("cannot be read: {error}"))),
            Ok(metadata) => metadata,
        };
        if !metadata.is_file() || metadata.len() > MAX_BYTES {
            return Err(wrong("it is not a file of at most 64 KiB, so no key".to_owned()));
        }
        if metadata.permissions().mode() & 0o077 != 0 {
            return Err(wrong(format!(
                "others than its owner may read or change it: `chmod 600 {file}`"
            )));
        }
        let text = fs::read_to_string(file).map_err(|error| wrong(format!("cannot be read: {error}")))?;
        let mut identities = Vec::new();
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let identity = line.parse::<Identity>().map_err(|_| {
                wrong(format!(
                    "line {} is no secret key of age (AGE-SECRET-KEY-1…): `ffu dump-key` or `age-keygen` makes one",
                    at + 1
                ))
            })?;
            identities.push(identity);
        }
        if identities.is_empty() {
            return Err(wrong(
                "it has no secret key: `ffu dump-key` or `age-keygen` makes one".to_owned(),
            ));
        }
        Ok(DumpKey {
            file: file.to_owned(),
            identities,
        })
    }

    /// Its public halves, `age1…`, sorted: no secrets.
    pub fn recipients(&self) -> Vec<String> {
        let public: BTreeSet<String> = self.identities.iter().map(|i| i.to_public().to_string()).collect();
        public.into_iter().collect()
    }

    /// That it is the one which a plan was made with.
    ///
    /// # Errors
    /// [`DbError::DumpKey`] if it is another.
    pub fn is_that_of(&self, recipients: &[String]) -> Result<(), DbError> {
        if self.recipients() == recipients {
            return Ok(());
        }
        Err(self.is_another(recipients))
    }

    /// That it opens what is encrypted for these.
    ///
    /// # Errors
    /// [`DbError::DumpKey`] if it does not.
    pub fn opens(&self, recipients: &[String]) -> Result<(), DbError> {
        if self.recipients().iter().any(|own| recipients.contains(own)) {
            return Ok(());
        }
        Err(self.is_another(recipients))
    }

    /// Encrypts what is written; [`age::stream::StreamWriter::finish`] ends it.
    pub(super) fn encrypting<W: Write>(&self, sink: W) -> Result<age::stream::StreamWriter<W>, std::io::Error> {
        let recipients: Vec<Recipient> = self.identities.iter().map(Identity::to_public).collect();
        let each = recipients.iter().map(|recipient| recipient as &dyn age::Recipient);
        let encryptor = Encryptor::with_recipients(each).map_err(std::io::Error::other)?;
        encryptor.wrap_output(sink)
    }

    /// Decrypts what is read; every 64 KiB of it are authenticated before they are given.
    pub(super) fn decrypting<R: BufRead>(
        &self,
        path: &Utf8Path,
        source: R,
    ) -> Result<age::stream::StreamReader<R>, DbError> {
        let each = self.identities.iter().map(|identity| identity as &dyn age::Identity);
        let opened = Decryptor::new_buffered(source).and_then(|decryptor| decryptor.decrypt(each));
        opened.map_err(|error| match error {
            DecryptError::Io(source) => DbError::io("cannot read", path, source),
            DecryptError::NoMatchingKeys => self.wrong(format!("it does not open {path}")),
            other => DbError::BadCheckpoint {
                path: path.to_owned(),
                reason: format!("it cannot be decrypted ({other})"),
            },
        })
    }

    fn is_another(&self, wanted: &[String]) -> DbError {
        let own = self.recipients().join(", ");
        self.wrong(format!(
            "it is the key of {own}; wanted is that of {}",
            wanted.join(", ")
        ))
    }

    fn wrong(&self, reason: String) -> DbError {
        DbError::DumpKey {
            file: self.file.clone(),
            reason,
        }
    }
}

/// What is read, decrypted where it was encrypted.
pub(super) enum Opened<R> {
    Plain(R),
    Sealed(age::stream::StreamReader<R>),
}

impl<R: Read> Read for Opened<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Opened::Plain(source) => source.read(buffer),
            Opened::Sealed(source) => source.read(buffer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_key_sealed_it_opens_and_another_does_not() {
        let scratch = tempfile::tempdir().unwrap();
        let dir = Utf8Path::from_path(scratch.path()).unwrap();
        let (own, other) = (dir.join("own"), dir.join("other"));
        let key = DumpKey::generate(&own).unwrap();
        let stranger = DumpKey::generate(&other).unwrap();
        assert_eq!(fs::metadata(&own).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(DumpKey::read(&own).unwrap().recipients(), key.recipients());
        let text = vec![b'x'; 200_000];
        let mut sealed = Vec::new();
        let mut writer = key.encrypting(&mut sealed).unwrap();
        writer.write_all(&text).unwrap();
        writer.finish().unwrap();
        assert!(!sealed.windows(16).any(|part| part == &text[..16]));
        let mut back = Vec::new();
        key.decrypting(&own, &sealed[..])
            .unwrap()
            .read_to_end(&mut back)
            .unwrap();
        assert_eq!(back, text);
        let error = stranger.decrypting(&own, &sealed[..]).err().unwrap().to_string();
        assert!(error.contains("other: it does not open"), "{error}");
        // What was changed or cut off is not given.
        let mut changed = sealed.clone();
        changed[100_000] ^= 1;
        for bad in [&changed[..], &sealed[..150_000]] {
            let read = key.decrypting(&own, bad).unwrap().read_to_end(&mut Vec::new());
            assert!(read.is_err());
        }
        let error = key.decrypting(&own, &b"age-encryption.org/v1\nrubbish"[..]);
        assert!(error.err().unwrap().to_string().contains("cannot be"));
        key.is_that_of(&key.recipients()).unwrap();
        let error = stranger.is_that_of(&key.recipients()).unwrap_err().to_string();
        assert!(error.contains(&stranger.recipients()[0]), "{error}");
        key.opens(&[stranger.recipients(), key.recipients()].concat()).unwrap();
        let error = stranger.opens(&key.recipients()).unwrap_err().to_string();
        assert!(error.contains(&stranger.recipients()[0]), "{error}");
    }

    #[test]
    fn a_file_that_is_no_key_is_told_without_its_content() {
        let scratch = tempfile::tempdir().unwrap();
        let dir = Utf8Path::from_path(scratch.path()).unwrap();
        let file = dir.join("key");
        let absent = DumpKey::read(&file).unwrap_err().to_string();
        assert!(absent.contains("is not there"), "{absent}");
        let key = DumpKey::generate(&file).unwrap();
        assert!(DumpKey::generate(&file).is_err(), "a key is never overwritten");
        assert_eq!(DumpKey::read(&file).unwrap().recipients(), key.recipients());
        let good = fs::read_to_string(&file).unwrap();
        let secret = good.lines().last().unwrap();
        assert!(secret.starts_with("AGE-SECRET-KEY-1"));
        for (text, expected) in [
            (
                format!("# a\n{}\n", &secret[..secret.len() - 1]),
                "line 2 is no secret key",
            ),
            ("# nothing\n".to_owned(), "has no secret key"),
            ("x".repeat(70_000), "at most 64 KiB"),
        ] {
            fs::write(&file, text).unwrap();
            let error = DumpKey::read(&file).unwrap_err().to_string();
            assert!(error.contains(expected) && !error.contains(&secret[20..40]), "{error}");
        }
        fs::write(&file, &good).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        let error = DumpKey::read(&file).unwrap_err().to_string();
        assert!(error.contains("chmod 600"), "{error}");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o400)).unwrap();
        let read = DumpKey::read(&file).unwrap();
        assert!(!format!("{read:?}").contains("SECRET"));
    }
}
