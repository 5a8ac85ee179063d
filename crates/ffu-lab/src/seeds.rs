//! The Python programs that fill a lab, and the context they are given.

use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;

use crate::error::LabError;
use crate::layout::{Lab, write_file};
use crate::secrets::Secrets;

/// File name and content; all are written to `seeds/` of a lab.
pub(crate) const FILES: [(&str, &str); 12] = [
    ("ffu_seed.py", include_str!("../seeds/ffu_seed.py")),
    ("ffu_neutron_bulk.py", include_str!("../seeds/ffu_neutron_bulk.py")),
    ("ffu_nova_instances.py", include_str!("../seeds/ffu_nova_instances.py")),
    ("seed_keystone.py", include_str!("../seeds/seed_keystone.py")),
    ("seed_glance.py", include_str!("../seeds/seed_glance.py")),
    ("seed_placement.py", include_str!("../seeds/seed_placement.py")),
    ("seed_nova.py", include_str!("../seeds/seed_nova.py")),
    ("seed_neutron.py", include_str!("../seeds/seed_neutron.py")),
    ("seed_cinder.py", include_str!("../seeds/seed_cinder.py")),
    ("seed_heat.py", include_str!("../seeds/seed_heat.py")),
    ("serve.py", include_str!("../seeds/serve.py")),
    ("stand-in.sh", include_str!("../seeds/stand-in.sh")),
];

/// What a seed is told. Holds passwords, so the file is for the owner only.
#[derive(Serialize)]
struct Context<'a> {
    series: &'a str,
    size: u32,
    etc: Utf8PathBuf,
    run: Utf8PathBuf,
    images: Utf8PathBuf,
    keystone_url: String,
    placement_url: String,
    passwords: std::collections::BTreeMap<&'a str, &'a str>,
}

/// Where the context is.
pub(crate) fn context_path(lab: &Lab) -> Utf8PathBuf {
    lab.dir().join("run/seed.json")
}

/// Writes the programs and the context.
///
/// # Errors
/// A file cannot be written.
pub(crate) fn write(lab: &Lab, secrets: &Secrets) -> Result<(), LabError> {
    for (name, text) in FILES {
        write_file(&lab.dir().join("seeds").join(name), text.as_bytes(), 0o644)?;
    }
    let path = context_path(lab);
    let context = Context {
        series: lab.file().series.as_str(),
        size: lab.file().size,
        etc: lab.etc(),
        run: lab.dir().join("run"),
        images: lab.dir().join("images"),
        keystone_url: lab.keystone_url(),
        placement_url: lab.placement_url(),
        passwords: secrets
            .users()
            .iter()
            .map(|(name, secret)| (name.as_str(), secret.expose()))
            .collect(),
    };
    let text = serde_json::to_vec(&context).map_err(|error| LabError::Io {
        action: "write",
        path: path.clone(),
        source: error.into(),
    })?;
    write_file(&path, &text, 0o600)
}

/// The program that fills a project.
pub(crate) fn program(root: &Utf8Path, project: &str) -> Utf8PathBuf {
    root.join("seeds").join(format!("seed_{project}.py"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_project_has_a_seed_and_every_seed_is_embedded() {
        for project in crate::secrets::PROJECTS {
            let name = program(Utf8Path::new("/"), project);
            assert!(
                FILES.iter().any(|(file, _)| Some(*file) == name.file_name()),
                "{project}"
            );
        }
        let there = Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds");
        for entry in there.read_dir_utf8().unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name();
            let known = FILES.iter().any(|(file, _)| *file == name) || name == "keystone-paste.ini";
            assert!(known || entry.path().is_dir(), "{name} is not embedded");
        }
    }

    #[test]
    fn seeds_know_the_order_of_the_catalog() {
        let catalog = ffu_catalog::Catalog::embedded().unwrap();
        let order: Vec<&str> = catalog.series.iter().map(|entry| entry.id.as_str()).collect();
        let seed = FILES[0].1;
        let quoted = seed
            .split("ORDER = (")
            .nth(1)
            .and_then(|rest| rest.split(").split()").next())
            .unwrap();
        let names: Vec<&str> = quoted
            .split(|c: char| c == '"' || c.is_whitespace())
            .filter(|n| !n.is_empty())
            .collect();
        assert_eq!(names, order);
    }
}
