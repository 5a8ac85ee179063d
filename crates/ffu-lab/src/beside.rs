//! What lies beside the options of a real cloud: policy overrides, and the pipelines and rootwrap filters that the packages
//! of the lab's series ship. They are what a run has to carry, too.

use camino::{Utf8Path, Utf8PathBuf};

use crate::error::LabError;
use crate::layout::write_file;

/// Projects whose packages ship such files. Keystone's pipeline belongs to its options, see [`crate::config`].
const SHIPPING: [&str; 5] = ["glance", "nova", "neutron", "cinder", "heat"];

/// One file: path below `etc` and bytes.
pub(crate) type File = (Utf8PathBuf, Vec<u8>);

/// Overrides of two projects: JSON under the name of that time, or YAML. From Ussuri on nova has a rule for each of the two
/// calls that were one (nova releasenotes, `policy-defaults-refresh`).
pub(crate) fn policies(json: bool, actions_are_two: bool) -> Vec<File> {
    let actions: &[&str] = match actions_are_two {
        true => &[
            "os_compute_api:os-instance-actions:list",
            "os_compute_api:os-instance-actions:show",
        ],
        false => &["os_compute_api:os-instance-actions"],
    };
    let mut nova = vec![("os_compute_api:servers:create", "role:admin or role:builder")];
    nova.extend(actions.iter().map(|rule| (*rule, "role:admin or role:auditor")));
    [
        (
            "keystone",
            vec![("identity:list_regions", "role:admin or role:auditor")],
        ),
        ("nova", nova),
    ]
    .into_iter()
    .map(|(project, rules)| {
        let lines: Vec<String> = rules
            .iter()
            .map(|(name, check)| format!("\"{name}\": \"{check}\""))
            .collect();
        match json {
            true => (
                format!("{project}/policy.json").into(),
                format!("{{\n    {}\n}}\n", lines.join(",\n    ")).into_bytes(),
            ),
            false => (
                format!("{project}/policy.yaml").into(),
                format!("# The lab's own.\n{}\n", lines.join("\n")).into_bytes(),
            ),
        }
    })
    .collect()
}

/// The pipelines and filters in an environment, as its packages lay them out.
///
/// # Errors
/// A file that is there and cannot be read.
pub(crate) fn shipped(environment: &Utf8Path) -> Result<Vec<File>, LabError> {
    let mut files = Vec::new();
    for project in SHIPPING {
        let directory = environment.join("etc").join(project);
        for (inside, wanted) in [
            ("", &["paste.ini", "rootwrap.conf"][..]),
            ("rootwrap.d", &[".filters"][..]),
        ] {
            let Ok(entries) = directory.join(inside).read_dir_utf8() else {
                continue;
            };
            let mut names: Vec<String> = entries
                .filter_map(Result::ok)
                .map(|entry| entry.file_name().to_owned())
                .filter(|name| wanted.iter().any(|end| name.ends_with(end)))
                .collect();
            names.sort();
            for name in names {
                let path = directory.join(inside).join(&name);
                let bytes = std::fs::read(&path).map_err(LabError::io("read", path))?;
                files.push((Utf8Path::new(project).join(inside).join(name), bytes));
            }
        }
    }
    Ok(files)
}

/// Writes them.
///
/// # Errors
/// A file cannot be written.
pub(crate) fn write(etc: &Utf8Path, files: &[File]) -> Result<(), LabError> {
    for (path, bytes) in files {
        write_file(&etc.join(path), bytes, 0o640)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_in_the_language_and_with_the_names_of_their_time() {
        let old = policies(true, false);
        let nova = old.iter().find(|(path, _)| path == "nova/policy.json").unwrap();
        let rules: serde_json::Value = serde_json::from_slice(&nova.1).unwrap();
        assert_eq!(
            rules["os_compute_api:os-instance-actions"],
            "role:admin or role:auditor"
        );
        let new = policies(false, true);
        let nova = new.iter().find(|(path, _)| path == "nova/policy.yaml").unwrap();
        assert!(String::from_utf8_lossy(&nova.1).contains("\n\"os_compute_api:os-instance-actions:show\": "));
    }

    #[test]
    fn what_the_packages_ship_is_taken_and_nothing_else() {
        let scratch = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(scratch.path()).unwrap();
        for path in [
            "nova/api-paste.ini",
            "nova/rootwrap.d/compute.filters",
            "nova/nova.conf",
            "os-brick/x.filters",
        ] {
            write_file(&root.join("etc").join(path), path.as_bytes(), 0o644).unwrap();
        }
        let files = shipped(root).unwrap();
        let names: Vec<&str> = files.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(names, ["nova/api-paste.ini", "nova/rootwrap.d/compute.filters"]);
        let to = root.join("lab");
        write(&to, &files).unwrap();
        assert_eq!(
            std::fs::read_to_string(to.join("nova/api-paste.ini")).unwrap(),
            "nova/api-paste.ini"
        );
    }
}
