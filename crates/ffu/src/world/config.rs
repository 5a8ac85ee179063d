//! Stages the target's configuration, and puts it in place.
//!
//! A staged file is the operator's file, carried to the target (`ffu-config`; byte for byte where the plan says so), with what
//! the plan sets appended in sections of their own: oslo.config merges sections of the same name and takes the last value of
//! an option (oslo_config/iniparser.py, cfg.py `_Namespace`).

use std::fmt::Write as _;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};

use camino::{Utf8Path, Utf8PathBuf};
use ffu_engine::Performed;
use ffu_model::digest::sha256_hex;
use ffu_model::step::StagedFile;

use super::carry::{Carried, Means};
use crate::configs::write::lay;

/// Where a file is staged: its absolute path below the staging directory.
pub fn staged_path(directory: &Utf8Path, destination: &Utf8Path) -> Utf8PathBuf {
    directory.join(destination.as_str().trim_start_matches('/'))
}

/// Replaces `{staged}` by the run's staging directory.
pub fn expand(directory: &Utf8Path, file: &Utf8Path) -> Utf8PathBuf {
    match file.strip_prefix("{staged}") {
        Ok(inside) => directory.join(inside),
        Err(_) => file.to_owned(),
    }
}

/// Writes every staged file. May be repeated.
pub fn stage(directory: &Utf8Path, files: &[StagedFile], means: Means<'_>) -> Performed {
    let mut new = 0;
    let mut carried = Carried::default();
    for file in files {
        if let Err(reason) = stage_one(directory, file, means, &mut carried) {
            return Performed::failed(format!(
                "{}: {reason}\n  next: mend it, then `ffu resume`",
                file.destination
            ));
        }
        new += usize::from(file.source.is_none());
    }
    if let Err(reason) = carried.settle(means.catalog, directory, files) {
        return Performed::failed(format!("{reason}\n  next: mend it, then `ffu resume`"));
    }
    if let Err(reason) = carried.write_report(directory) {
        return Performed::failed(format!("{reason}\n  next: mend it, then `ffu resume`"));
    }
    let staged = format!("{} files staged, {new} of them new at the target", files.len());
    carried.performed(&staged, directory)
}

fn stage_one(directory: &Utf8Path, file: &StagedFile, means: Means<'_>, carried: &mut Carried) -> Result<(), String> {
    let mut bytes = match &file.source {
        Some(source) => fs::read(source).map_err(|error| format!("{source}: {error}"))?,
        None => b"# Made by ffu from the configuration of the series before.\n".to_vec(),
    };
    bytes = carried.carry(means, file, bytes)?;
    let mut added = String::new();
    for copied in &file.copied_sections {
        let text = fs::read_to_string(&copied.file).map_err(|error| format!("{}: {error}", copied.file))?;
        let body = section(&text, &copied.section)
            .ok_or_else(|| format!("{} has no [{}] section to take over", copied.file, copied.section))?;
        let _ = write!(added, "\n[{}]\n{body}", copied.section);
    }
    for connection in &file.connections {
        let url = ffu_db::resolve(&connection.connection).map_err(|error| error.to_string())?;
        let _ = write!(
            added,
            "\n[{}]\n{} = {}\n",
            connection.section,
            connection.option,
            url.to_url().expose()
        );
    }
    for set in &file.set {
        let reason = set.reason.replace(['\n', '\r'], " ");
        let _ = write!(
            added,
            "\n[{}]\n# ffu: {reason}\n{} = {}\n",
            set.section,
            set.option,
            expand(directory, Utf8Path::new(&set.value))
        );
    }
    if !added.is_empty() && !bytes.is_empty() && !bytes.ends_with(b"\n") {
        bytes.push(b'\n');
    }
    bytes.extend_from_slice(added.as_bytes());
    let path = staged_path(directory, &file.destination);
    let parent = path.parent().ok_or("it has no directory")?;
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(parent)
        .map_err(|error| format!("{parent}: {error}"))?;
    write_whole(&path, &bytes, 0o600, None).map_err(|error| format!("{path}: {error}"))
}

/// The lines of a section, all its occurrences one after the other.
fn section(text: &str, name: &str) -> Option<String> {
    let (mut inside, mut found, mut body) = (false, false, String::new());
    for line in text.lines() {
        if let Some(header) = line
            .strip_prefix('[')
            .and_then(|rest| rest.trim_end().strip_suffix(']'))
        {
            inside = header == name;
            found |= inside;
        } else if inside {
            body.push_str(line);
            body.push('\n');
        }
    }
    found.then_some(body)
}

/// Puts the staged files in place: atomically, with owner and mode of the file that was there. May be repeated.
pub fn install(directory: &Utf8Path, files: &[StagedFile]) -> Performed {
    let mut changed = 0;
    for file in files {
        let staged = staged_path(directory, &file.destination);
        match install_one(&staged, file) {
            Ok(true) => changed += 1,
            Ok(false) => {}
            Err(reason) => {
                return Performed::failed(format!(
                    "{}: {reason}\n  next: mend it, then `ffu resume`; `ffu rollback` brings the old files back",
                    file.destination
                ));
            }
        }
    }
    Performed::succeeded(format!("{changed} of {} files changed", files.len()))
}

fn install_one(staged: &Utf8Path, file: &StagedFile) -> Result<bool, String> {
    let bytes = fs::read(staged).map_err(|error| format!("its staged form {staged}: {error}"))?;
    if fs::read(&file.destination).is_ok_and(|present| sha256_hex(&present) == sha256_hex(&bytes)) {
        return Ok(false);
    }
    // A new file is as private as the file or the sections it was made from.
    let like = if file.destination.exists() {
        Some(file.destination.clone())
    } else {
        let copied = file.copied_sections.first().map(|copied| copied.file.clone());
        file.source.clone().or(copied)
    };
    let like = like
        .map(|path| fs::metadata(&path).map_err(|error| format!("{path}: {error}")))
        .transpose()?;
    let mode = like.as_ref().map_or(0o640, |m| m.permissions().mode() & 0o7777);
    if let Some(parent) = file.destination.parent() {
        fs::create_dir_all(parent).map_err(|error| format!("{parent}: {error}"))?;
    }
    let temporary = Utf8PathBuf::from(format!("{}.ffu-new", file.destination));
    write_whole(&temporary, &bytes, mode, like.as_ref()).map_err(|error| format!("{temporary}: {error}"))?;
    fs::rename(&temporary, &file.destination).map_err(|error| error.to_string())?;
    Ok(true)
}

/// Whether every file in place is its staged form.
pub fn is_installed(directory: &Utf8Path, files: &[StagedFile]) -> bool {
    files.iter().all(|file| {
        let staged = fs::read(staged_path(directory, &file.destination));
        staged.is_ok_and(|staged| fs::read(&file.destination).is_ok_and(|present| present == staged))
    })
}

/// Writes a file over one that an interrupted attempt may have left.
pub fn write_whole(path: &Utf8Path, bytes: &[u8], mode: u32, like: Option<&fs::Metadata>) -> std::io::Result<()> {
    let _ = fs::remove_file(path);
    lay(path, bytes, mode, like)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ffu_catalog::Catalog;
    use ffu_hopenv::EnvStore;
    use ffu_model::step::{Carriage, CopiedSection, FileMigration, SetOption};

    /// Stages without any hop environment.
    fn stage(directory: &Utf8Path, files: &[StagedFile], catalog: &Catalog) -> Performed {
        let environments = EnvStore::new(directory.join("no-environments"));
        super::stage(
            directory,
            files,
            Means {
                catalog,
                environments: &environments,
            },
        )
    }

    fn scratch() -> (tempfile::TempDir, Utf8PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(dir.path().to_owned()).unwrap();
        (dir, path)
    }

    fn catalog() -> Catalog {
        Catalog::embedded().unwrap()
    }

    fn file(root: &Utf8Path, source: Option<&str>) -> StagedFile {
        StagedFile {
            project: "nova".into(),
            source: source.map(|name| root.join(name)),
            destination: root.join("nova.conf"),
            set: Vec::new(),
            copied_sections: Vec::new(),
            connections: Vec::new(),
            migration: None,
            kept: String::new(),
        }
    }

    #[test]
    fn the_operator_s_bytes_stay_and_what_is_set_comes_after() {
        let (_dir, root) = scratch();
        let original = "[DEFAULT]\ndebug = true ; odd\n[workarounds]\nx = 1";
        fs::write(root.join("nova.conf"), original).unwrap();
        let mut wanted = file(&root, Some("nova.conf"));
        wanted.set.push(SetOption {
            section: "workarounds".into(),
            option: "disable_compute_service_check_for_ffu".into(),
            value: "true".into(),
            reason: "old computes".into(),
        });
        let staging = root.join("staged");
        assert!(
            stage(&staging, std::slice::from_ref(&wanted), &catalog())
                .result
                .is_good()
        );
        let staged = fs::read_to_string(staged_path(&staging, &wanted.destination)).unwrap();
        assert!(staged.starts_with(original));
        assert!(staged.ends_with("[workarounds]\n# ffu: old computes\ndisable_compute_service_check_for_ffu = true\n"));
        assert!(!is_installed(&staging, std::slice::from_ref(&wanted)));
        fs::set_permissions(root.join("nova.conf"), fs::Permissions::from_mode(0o640)).unwrap();
        assert!(install(&staging, std::slice::from_ref(&wanted)).result.is_good());
        assert!(is_installed(&staging, std::slice::from_ref(&wanted)));
        let mode = fs::metadata(root.join("nova.conf")).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o640);
    }

    #[test]
    fn a_new_file_takes_sections_over_and_a_missing_one_is_an_error() {
        let (_dir, root) = scratch();
        fs::write(root.join("old.conf"), "[a]\nx=1\n[b]\ny=2\n[a]\nz=3\n").unwrap();
        let mut wanted = file(&root, None);
        let copied = |section: &str| CopiedSection {
            file: root.join("old.conf"),
            section: section.into(),
        };
        wanted.copied_sections.push(copied("a"));
        assert!(
            stage(&root.join("staged"), std::slice::from_ref(&wanted), &catalog())
                .result
                .is_good()
        );
        let staged = fs::read_to_string(staged_path(&root.join("staged"), &wanted.destination)).unwrap();
        assert!(staged.ends_with("[a]\nx=1\nz=3\n"), "{staged}");
        wanted.copied_sections.push(copied("c"));
        let failed = stage(&root.join("staged"), &[wanted], &catalog());
        assert!(
            !failed.result.is_good() && failed.detail.contains("no [c] section"),
            "{}",
            failed.detail
        );
    }

    fn migrated(root: &Utf8Path, text: &str) -> StagedFile {
        fs::write(root.join("nova.conf"), text).unwrap();
        let mut wanted = file(root, Some("nova.conf"));
        wanted.migration = Some(FileMigration {
            service: "nova".into(),
            path: catalog()
                .series
                .iter()
                .map(|entry| entry.id.clone())
                .skip_while(|series| series.as_str() != "train")
                .collect(),
            carriage: Carriage::Options,
            read_with: Vec::new(),
            read_after: Vec::new(),
            settings: Vec::new(),
            accept_loss: false,
        });
        wanted
    }

    #[test]
    fn a_staged_file_is_carried_to_the_target_and_what_it_says_is_reported() {
        let (_dir, root) = scratch();
        let wanted = migrated(
            &root,
            "[DEFAULT]\n# ours\nvif_plugging_timeout = 30\n[database]\nidle_timeout = 7\n",
        );
        let staging = root.join("staged");
        let done = stage(&staging, std::slice::from_ref(&wanted), &catalog());
        assert!(done.result.is_good(), "{}", done.detail);
        let staged = fs::read_to_string(staged_path(&staging, &wanted.destination)).unwrap();
        assert!(staged.contains("connection_recycle_time = 7"), "{staged}");
        assert!(staged.contains("# ours\nvif_plugging_timeout = 30"), "{staged}");
        let report = fs::read_to_string(staging.join("findings.txt")).unwrap();
        assert!(report.contains("connection_recycle_time"), "{report}");
        let again = stage(&staging, std::slice::from_ref(&wanted), &catalog());
        assert!(again.result.is_good());
    }

    #[test]
    fn what_would_be_lost_stops_the_run_unless_the_plan_accepts_it() {
        let (_dir, root) = scratch();
        let mut wanted = migrated(&root, "[DEFAULT]\nosapi_compute_workers = 5\n");
        let failed = stage(&root.join("staged"), std::slice::from_ref(&wanted), &catalog());
        assert!(!failed.result.is_good(), "{}", failed.detail);
        assert!(
            failed.detail.contains("ffu config migrate --service nova --from train"),
            "{}",
            failed.detail
        );
        if let Some(migration) = &mut wanted.migration {
            migration.accept_loss = true;
        }
        let done = stage(&root.join("staged"), std::slice::from_ref(&wanted), &catalog());
        assert!(done.result.is_good() && !done.findings.is_empty(), "{}", done.detail);
    }

    #[test]
    fn a_missing_source_is_named() {
        let (_dir, root) = scratch();
        let failed = stage(&root, &[file(&root, Some("gone.conf"))], &catalog());
        assert!(
            failed.detail.contains("gone.conf") && failed.detail.contains("next:"),
            "{}",
            failed.detail
        );
    }
}
