//! Applies the catalog's patches to installed files.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;

use camino::Utf8Path;
use ffu_catalog::Patch;
use ffu_model::Series;
use ffu_model::digest::sha256_hex;

use crate::error::EnvError;

/// What tells one version of a patch from another.
pub(crate) fn digest(patch: &Patch) -> String {
    sha256_hex(format!("{}\0{}\0{}", patch.file, patch.find, patch.replace).as_bytes())
}

/// Applies one patch. The file is replaced, never written into: it is linked to the package cache and to other environments.
pub(crate) fn apply(series: &Series, site_packages: &Utf8Path, patch: &Patch) -> Result<(), EnvError> {
    let unfit = |why: String| EnvError::Patch {
        patch: patch.id.clone(),
        file: patch.file.clone(),
        series: series.to_string(),
        why,
    };
    if patch.file.starts_with('/') || patch.file.split('/').any(|part| part == "..") {
        return Err(unfit("the path leaves site-packages".to_owned()));
    }
    let path = site_packages.join(&patch.file);
    let text = std::fs::read_to_string(&path).map_err(|error| unfit(error.to_string()))?;
    match text.matches(&patch.find).count() {
        1 => {}
        0 => return Err(unfit("the text it replaces is not there".to_owned())),
        times => return Err(unfit(format!("the text it replaces is there {times} times"))),
    }
    let replace = || {
        let directory = path.parent().unwrap_or(site_packages);
        let mut file = tempfile::NamedTempFile::new_in(directory)?;
        file.write_all(text.replacen(&patch.find, &patch.replace, 1).as_bytes())?;
        let mode = std::fs::metadata(&path)?.permissions().mode();
        file.as_file().set_permissions(std::fs::Permissions::from_mode(mode))?;
        file.persist(&path).map_err(|error| error.error)?;
        Ok(())
    };
    replace().map_err(EnvError::io("patch", &path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use camino::Utf8PathBuf;

    fn patch(find: &str) -> Patch {
        Patch {
            id: "p1".into(),
            series: vec!["queens".parse().unwrap()],
            package: "keystone".into(),
            file: "keystone/x.py".into(),
            find: find.into(),
            replace: "new".into(),
            reason: "r".into(),
            bug: "b".into(),
        }
    }

    #[test]
    fn a_patch_fits_once_and_leaves_linked_files_alone() {
        let directory = tempfile::tempdir().unwrap();
        let site = Utf8PathBuf::from_path_buf(directory.path().to_owned()).unwrap();
        let file = site.join("keystone/x.py");
        std::fs::create_dir(site.join("keystone")).unwrap();
        std::fs::write(&file, "a old b twice twice").unwrap();
        let cached = site.join("cached.py");
        std::fs::hard_link(&file, &cached).unwrap();
        let queens: Series = "queens".parse().unwrap();
        apply(&queens, &site, &patch("old")).unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "a new b twice twice");
        assert_eq!(std::fs::read_to_string(&cached).unwrap(), "a old b twice twice");
        for (find, why) in [("old", "is not there"), ("twice", "there 2 times")] {
            let error = apply(&queens, &site, &patch(find)).unwrap_err().to_string();
            assert!(
                error.contains(why) && error.contains("p1") && error.contains("keystone/x.py"),
                "{error}"
            );
        }
        let mut escaping = patch("x");
        escaping.file = "../x.py".into();
        let error = apply(&queens, &site, &escaping).unwrap_err().to_string();
        assert!(error.contains("leaves site-packages"), "{error}");
    }
}
