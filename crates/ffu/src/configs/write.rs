//! Writes configuration files: all of a call or none, each atomically, with owner and mode kept and a backup beside it.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, chown};

use camino::{Utf8Path, Utf8PathBuf};

use crate::exit::Exit;
use crate::failure::Failure;

/// A file to be written.
#[derive(Debug)]
pub struct Change {
    /// The file it was read from.
    pub source: Utf8PathBuf,
    /// The bytes that were read.
    pub before: Vec<u8>,
    /// Where the new content goes; the source itself in place.
    pub destination: Utf8PathBuf,
    /// The new content.
    pub after: Vec<u8>,
}

/// What was written.
#[derive(Debug, PartialEq, Eq, serde::Serialize)]
pub struct Written {
    /// The file.
    pub file: Utf8PathBuf,
    /// Where its former content is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup: Option<Utf8PathBuf>,
}

/// Writes every change, or none: the new contents and backups are laid beside the files first, then every source is read
/// again and must be what it was, and only then the files change their names.
///
/// # Errors
/// The file and the reason; what was laid out is removed again. A rename that fails half-way says which files are done.
pub fn write_all(changes: &[Change], backup_suffix: &str) -> Result<Vec<Written>, Failure> {
    let mut staged = Staged(Vec::new());
    for change in changes {
        staged.0.push(stage(change)?);
    }
    for change in changes {
        let now = fs::read(&change.source).map_err(|error| failed(&change.source, &error))?;
        if now != change.before {
            return Err(Failure::new(
                Exit::Failure,
                format!(
                    "{}: somebody changed it while it was migrated; nothing was written\n  next: run the command again",
                    change.source
                ),
            ));
        }
    }
    let mut written: Vec<Written> = Vec::new();
    for (change, temporary) in changes.iter().zip(&staged.0) {
        let backup = (change.source == change.destination)
            .then(|| free_name(&change.source, backup_suffix))
            .transpose()?;
        let moved = match &backup {
            // A second name of the old file: owner, mode and times are its own, and there is no moment without the file.
            Some(backup) => fs::hard_link(&change.source, backup).or_else(|_| keep_copy(&change.source, backup)),
            None => Ok(()),
        }
        .and_then(|()| fs::rename(temporary, &change.destination));
        if let Err(error) = moved {
            let done: Vec<_> = written.iter().map(|one| one.file.as_str()).collect();
            let done = if done.is_empty() {
                "no file was changed".to_owned()
            } else {
                format!("already written: {}", done.join(", "))
            };
            return Err(Failure::new(
                Exit::Failure,
                format!("{}: {error}; {done}", change.destination),
            ));
        }
        written.push(Written {
            file: change.destination.clone(),
            backup,
        });
    }
    Ok(written)
}

/// Temporary files, removed with it where they still are.
struct Staged(Vec<Utf8PathBuf>);

impl Drop for Staged {
    fn drop(&mut self) {
        for path in &self.0 {
            let _ = fs::remove_file(path);
        }
    }
}

fn stage(change: &Change) -> Result<Utf8PathBuf, Failure> {
    let at = &change.destination;
    if let Some(parent) = at.parent() {
        fs::create_dir_all(parent).map_err(|error| failed(parent, &error))?;
    }
    // A link stays a link: what it points to is replaced.
    let name = at.file_name().unwrap_or("file");
    let temporary = at.with_file_name(format!(".{name}.ffu-new-{}", std::process::id()));
    let like = fs::metadata(&change.source).map_err(|error| failed(&change.source, &error))?;
    if let Err(error) = lay(&temporary, &change.after, like.mode() & 0o7777, Some(&like)) {
        let _ = fs::remove_file(&temporary);
        return Err(failed(at, &error));
    }
    Ok(temporary)
}

/// Writes a new file with a mode, and with the owner of another one where there is one. Until it is whole, only its writer can
/// read it.
pub fn lay(path: &Utf8Path, bytes: &[u8], mode: u32, like: Option<&fs::Metadata>) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    if let Some(like) = like {
        // Only root may give files away; an ordinary user's files are its own already.
        let _ = chown(path, Some(like.uid()), Some(like.gid()));
    }
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    file.sync_all()
}

/// A name for the backup that nobody has yet; an older backup is never written over.
fn free_name(source: &Utf8Path, suffix: &str) -> Result<Utf8PathBuf, Failure> {
    let name = source.file_name().unwrap_or("file");
    (0..1000)
        .map(|n| match n {
            0 => source.with_file_name(format!("{name}.ffu-backup-{suffix}")),
            n => source.with_file_name(format!("{name}.ffu-backup-{suffix}.{n}")),
        })
        .find(|path| !path.as_std_path().exists())
        .ok_or_else(|| {
            Failure::new(
                Exit::Failure,
                format!("{source}: there are a thousand backups of it already\n  next: remove the old ones"),
            )
        })
}

fn keep_copy(source: &Utf8Path, backup: &Utf8Path) -> std::io::Result<()> {
    let like = fs::metadata(source)?;
    fs::copy(source, backup)?;
    let _ = chown(backup, Some(like.uid()), Some(like.gid()));
    fs::set_permissions(backup, fs::Permissions::from_mode(like.mode() & 0o7777))
}

fn failed(path: &Utf8Path, error: &std::io::Error) -> Failure {
    Failure::new(Exit::Failure, format!("{path}: {error}; nothing was written"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch() -> (tempfile::TempDir, Utf8PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(dir.path().to_owned()).unwrap();
        (dir, path)
    }

    fn change(file: &Utf8Path, before: &str, after: &str) -> Change {
        Change {
            source: file.to_owned(),
            before: before.into(),
            destination: file.to_owned(),
            after: after.into(),
        }
    }

    fn names(root: &Utf8Path) -> Vec<String> {
        let mut names: Vec<_> = root
            .read_dir_utf8()
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn mode_stays_and_backups_are_never_written_over() {
        let (_dir, root) = scratch();
        let file = root.join("nova.conf");
        fs::write(&file, "one").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        write_all(&[change(&file, "one", "two")], "train").unwrap();
        let written = write_all(&[change(&file, "two", "three")], "train").unwrap();
        assert_eq!(
            written[0].backup.as_deref(),
            Some(root.join("nova.conf.ffu-backup-train.1").as_path())
        );
        assert_eq!(fs::read_to_string(&file).unwrap(), "three");
        assert_eq!(
            fs::read_to_string(root.join("nova.conf.ffu-backup-train")).unwrap(),
            "one"
        );
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o7777, 0o640);
        assert_eq!(names(&root).len(), 3);
    }

    #[test]
    fn a_file_that_changed_meanwhile_stops_all_of_them() {
        let (_dir, root) = scratch();
        let (one, two) = (root.join("one.conf"), root.join("two.conf"));
        fs::write(&one, "1").unwrap();
        fs::write(&two, "edited").unwrap();
        let failure = write_all(&[change(&one, "1", "x"), change(&two, "2", "y")], "train").unwrap_err();
        assert!(
            failure.message.contains("two.conf") && failure.message.contains("next:"),
            "{}",
            failure.message
        );
        assert_eq!(fs::read_to_string(&one).unwrap(), "1");
        assert_eq!(names(&root), ["one.conf", "two.conf"]);
    }

    #[test]
    fn a_directory_that_cannot_be_written_is_named() {
        let (_dir, root) = scratch();
        let file = root.join("nova.conf");
        fs::write(&file, "1").unwrap();
        fs::write(root.join("plain"), "").unwrap();
        let mut to_elsewhere = change(&file, "1", "x");
        to_elsewhere.destination = root.join("plain/nova.conf");
        let failure = write_all(&[to_elsewhere], "train").unwrap_err();
        assert!(failure.message.contains("nothing was written"), "{}", failure.message);
    }
}
