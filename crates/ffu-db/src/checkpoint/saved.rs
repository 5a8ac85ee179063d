//! Configuration and unit files: copied with mode and owner, put back atomically.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use camino::{Utf8Component, Utf8Path, Utf8PathBuf};
use ffu_model::digest::sha256_hex;

use super::manifest::{SavedContent, SavedFile};
use crate::error::DbError;

/// Configuration is small; anything larger was named by mistake.
const MAX_BYTES: u64 = 64 << 20;

fn broken(path: &Utf8Path, reason: impl Into<String>) -> DbError {
    DbError::BadCheckpoint {
        path: path.to_owned(),
        reason: reason.into(),
    }
}

/// Copies files into the checkpoint; a file that does not exist is recorded as absent.
pub(super) fn copy_all(dir: &Utf8Path, files: &[Utf8PathBuf]) -> Result<Vec<SavedFile>, DbError> {
    files
        .iter()
        .enumerate()
        .map(|(index, path)| copy(dir, index, path))
        .collect()
}

fn copy(dir: &Utf8Path, index: usize, path: &Utf8Path) -> Result<SavedFile, DbError> {
    let odd = path.components().any(|part| matches!(part, Utf8Component::ParentDir));
    if !path.is_absolute() || odd || path.as_str().contains('\0') {
        return Err(broken(path, "a saved file must have an absolute path without `..`"));
    }
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            return Ok(SavedFile {
                path: path.to_owned(),
                saved: None,
            });
        }
        Err(e) => return Err(DbError::io("cannot read", path, e)),
    };
    if !metadata.is_file() || metadata.len() > MAX_BYTES {
        return Err(broken(path, "only regular files of at most 64 MiB are saved"));
    }
    let bytes = fs::read(path).map_err(|e| DbError::io("cannot read", path, e))?;
    let copy = format!("files/{index:04}");
    crate::files::write_private(&dir.join(&copy), &bytes).map_err(|error| match error {
        DbError::Io { source, path, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
            DbError::DiskFull { path, written: 0 }
        }
        other => other,
    })?;
    Ok(SavedFile {
        path: path.to_owned(),
        saved: Some(SavedContent {
            copy,
            sha256: sha256_hex(&bytes),
            mode: metadata.mode() & 0o7777,
            uid: metadata.uid(),
            gid: metadata.gid(),
        }),
    })
}

/// The content of a saved file, checked.
pub(super) fn content(dir: &Utf8Path, saved: &SavedContent) -> Result<Vec<u8>, DbError> {
    let copy = dir.join(&saved.copy);
    let bytes = fs::read(&copy).map_err(|e| DbError::io("cannot read", &copy, e))?;
    if sha256_hex(&bytes) != saved.sha256 {
        return Err(broken(&copy, "the copy was changed since the checkpoint"));
    }
    Ok(bytes)
}

/// That no copy was changed.
pub(super) fn check(dir: &Utf8Path, files: &[SavedFile]) -> Result<(), DbError> {
    let mut saved = files.iter().filter_map(|file| file.saved.as_ref());
    saved.try_for_each(|saved| content(dir, saved).map(drop))
}

/// Brings one file back. Returns whether anything had to be done.
pub(super) fn put_back(dir: &Utf8Path, file: &SavedFile) -> Result<bool, DbError> {
    // What a symbolic link points to is replaced, not the link.
    let path = fs::canonicalize(&file.path)
        .ok()
        .and_then(|real| Utf8PathBuf::from_path_buf(real).ok())
        .unwrap_or_else(|| file.path.clone());
    let Some(saved) = &file.saved else {
        return match fs::remove_file(&file.path) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(DbError::io("cannot remove", &file.path, e)),
        };
    };
    let bytes = content(dir, saved)?;
    if let (Ok(now), Ok(metadata)) = (fs::read(&path), fs::metadata(&path))
        && now == bytes
        && (metadata.mode() & 0o7777, metadata.uid(), metadata.gid()) == (saved.mode, saved.uid, saved.gid)
    {
        return Ok(false);
    }
    let directory = path.parent().unwrap_or(Utf8Path::new("/"));
    fs::create_dir_all(directory).map_err(|e| DbError::io("cannot create", directory, e))?;
    let write = || -> std::io::Result<()> {
        let mut new = tempfile::Builder::new().prefix(".ffu-").tempfile_in(directory)?;
        new.write_all(&bytes)?;
        let owner = new.as_file().metadata()?;
        if (owner.uid(), owner.gid()) != (saved.uid, saved.gid) {
            std::os::unix::fs::fchown(new.as_file(), Some(saved.uid), Some(saved.gid))?;
        }
        // After the owner: changing the owner clears set-id bits.
        new.as_file().set_permissions(fs::Permissions::from_mode(saved.mode))?;
        new.as_file().sync_all()?;
        new.persist(&path).map_err(|e| e.error)?;
        File::open(directory)?.sync_all()
    };
    write().map_err(|e| DbError::io("cannot bring back", path.clone(), e))?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_come_back_with_mode_and_new_ones_go() {
        let scratch = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(scratch.path()).unwrap();
        let dir = root.join("checkpoint");
        fs::create_dir_all(dir.join("files")).unwrap();
        let (conf, new) = (root.join("nova.conf"), root.join("placement.conf"));
        fs::write(&conf, "[database]\n").unwrap();
        fs::set_permissions(&conf, fs::Permissions::from_mode(0o640)).unwrap();
        let saved = copy_all(&dir, &[conf.clone(), new.clone()]).unwrap();
        fs::write(&conf, "changed").unwrap();
        fs::set_permissions(&conf, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&new, "x").unwrap();
        for expected in [true, false] {
            for file in &saved {
                assert_eq!(put_back(&dir, file).unwrap(), expected, "{}", file.path);
            }
        }
        assert_eq!(fs::read_to_string(&conf).unwrap(), "[database]\n");
        assert_eq!(fs::metadata(&conf).unwrap().mode() & 0o777, 0o640);
        assert!(!new.exists());

        fs::write(dir.join("files/0000"), "tampered").unwrap();
        fs::write(&conf, "changed").unwrap();
        assert!(
            put_back(&dir, &saved[0])
                .unwrap_err()
                .to_string()
                .contains("changed since the checkpoint")
        );
        assert_eq!(
            fs::read_to_string(&conf).unwrap(),
            "changed",
            "a bad copy replaces nothing"
        );
    }

    #[test]
    fn only_plain_absolute_files_are_saved() {
        let scratch = tempfile::tempdir().unwrap();
        let dir = Utf8Path::from_path(scratch.path()).unwrap();
        for bad in ["relative", "/etc/../etc/passwd", "/etc", "/dev/null"] {
            assert!(copy_all(dir, &[bad.into()]).is_err(), "{bad}");
        }
    }
}
