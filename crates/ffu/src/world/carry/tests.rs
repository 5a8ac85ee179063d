use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use camino::{Utf8Path, Utf8PathBuf};
use ffu_catalog::Catalog;
use ffu_engine::Performed;
use ffu_hopenv::EnvStore;
use ffu_model::step::{Carriage, FileMigration, StagedFile};

use super::Means;
use crate::world::config;

struct Run {
    _dir: tempfile::TempDir,
    root: Utf8PathBuf,
    catalog: Catalog,
}

impl Run {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::from_path_buf(dir.path().to_owned()).unwrap();
        Run {
            _dir: dir,
            root,
            catalog: Catalog::embedded().unwrap(),
        }
    }

    fn write(&self, name: &str, text: &str) -> Utf8PathBuf {
        let path = self.root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    fn file(&self, source: &Utf8Path, destination: &str, carriage: Carriage) -> StagedFile {
        StagedFile {
            project: "nova".into(),
            source: Some(source.to_owned()),
            destination: self.root.join(destination),
            set: Vec::new(),
            copied_sections: Vec::new(),
            connections: Vec::new(),
            migration: Some(FileMigration {
                service: "nova".into(),
                carriage,
                path: self
                    .catalog
                    .series
                    .iter()
                    .map(|entry| entry.id.clone())
                    .skip_while(|series| series.as_str() != "train")
                    .collect(),
                read_with: Vec::new(),
                read_after: Vec::new(),
                settings: Vec::new(),
                accept_loss: false,
            }),
            kept: String::new(),
        }
    }

    fn stage(&self, files: &[StagedFile]) -> Performed {
        let environments = EnvStore::new(self.root.join("no-environments"));
        let means = Means {
            catalog: &self.catalog,
            environments: &environments,
        };
        config::stage(&self.root.join("staged"), files, means)
    }

    fn staged(&self, name: &str) -> String {
        fs::read_to_string(config::staged_path(&self.root.join("staged"), &self.root.join(name))).unwrap()
    }
}

#[test]
fn a_policy_file_is_carried_to_the_name_that_the_target_reads() {
    let run = Run::new();
    let json = "{\n    \"os_compute_api:os-instance-actions\": \"role:ops\",\n    \"os_compute_api:servers:create\": \"role:ops\"\n}\n";
    let source = run.write("nova/policy.json", json);
    fs::set_permissions(&source, fs::Permissions::from_mode(0o640)).unwrap();
    let file = run.file(&source, "nova/policy.yaml", Carriage::Policy);
    let files = std::slice::from_ref(&file);
    let done = run.stage(files);
    assert!(done.result.is_good(), "{}", done.detail);
    assert!(done.detail.contains("policy rules"), "{}", done.detail);
    assert!(done.figures["policy-rules"] > 100, "{:?}", done.figures);
    let staged = run.staged("nova/policy.yaml");
    assert!(
        staged.contains("\"os_compute_api:servers:create\": \"role:ops\""),
        "{staged}"
    );
    assert!(
        serde_json::from_str::<serde_json::Value>(&staged).is_err(),
        "no JSON any more: {staged}"
    );
    let told = fs::read_to_string(run.root.join("staged/findings.txt")).unwrap();
    assert!(told.contains("policy.json away once the target is accepted"), "{told}");
    assert!(!told.contains("policy-file-not-read"), "{told}");

    assert!(config::install(&run.root.join("staged"), files).result.is_good());
    assert_eq!(fs::read_to_string(&file.destination).unwrap(), staged);
    let mode = fs::metadata(&file.destination).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o640, "as private as the file it came from");
    assert_eq!(fs::read_to_string(&source).unwrap(), json, "the old one stays");
    assert!(run.stage(files).result.is_good(), "it may be repeated");
}

#[test]
fn files_of_a_policy_directory_are_compared_with_the_policy_file_and_counted_once() {
    let run = Run::new();
    let conf = run.write("nova/nova.conf", "[oslo_policy]\npolicy_file = rules.yaml\n");
    let first = run.write("nova/rules.yaml", "\"os_compute_api:servers:create\": \"role:a\"\n");
    let second = run.write(
        "nova/policy.d/10.yaml",
        "\"os_compute_api:servers:create\": \"role:b\"\n",
    );
    let mut files = [
        run.file(&first, "nova/rules.yaml", Carriage::Policy),
        run.file(&second, "nova/policy.d/10.yaml", Carriage::Policy),
    ];
    for (file, before, after) in [(0, vec![], vec![second.clone()]), (1, vec![first.clone()], vec![])] {
        let migration = files[file].migration.as_mut().unwrap();
        migration.settings = vec![conf.clone()];
        (migration.read_with, migration.read_after) = (before, after);
    }
    let done = run.stage(&files);
    assert!(done.result.is_good(), "{}", done.detail);
    let alone = run.stage(&files[..1]);
    assert_eq!(done.figures["policy-rules"], alone.figures["policy-rules"]);
    assert!(run.staged("nova/policy.d/10.yaml").contains("role:b"));
    let told = fs::read_to_string(run.root.join("staged/findings.txt")).unwrap();
    assert!(!told.contains("policy-file-"), "{told}");
}

#[test]
fn what_is_said_of_the_policy_file_s_name_is_said_once_and_of_that_file() {
    let run = Run::new();
    let first = run.write("nova/policy.json", "{\"os_compute_api:servers:create\": \"role:a\"}\n");
    let second = run.write(
        "nova/policy.d/10.json",
        "{\"os_compute_api:servers:delete\": \"role:b\"}\n",
    );
    let mut files = [
        run.file(&first, "nova/policy.yaml", Carriage::Policy),
        run.file(&second, "nova/policy.d/10.json", Carriage::Policy),
    ];
    files[0].migration.as_mut().unwrap().read_after = vec![second.clone()];
    files[1].migration.as_mut().unwrap().read_with = vec![first];
    let done = run.stage(&files);
    assert!(done.result.is_good(), "{}", done.detail);
    let told = fs::read_to_string(run.root.join("staged/findings.txt")).unwrap();
    assert_eq!(told.matches("from now on").count(), 1, "{told}");
    assert!(told.contains("policy.yaml from now on"), "{told}");
}

#[test]
fn a_policy_file_that_the_target_would_not_read_stops_the_run() {
    let run = Run::new();
    let source = run.write("nova/mine.json", "{\"os_compute_api:servers:create\": \"role:a\"}\n");
    let mut file = run.file(&source, "nova/mine.json", Carriage::Policy);
    let failed = run.stage(std::slice::from_ref(&file));
    assert!(
        !failed.result.is_good() && failed.detail.contains("ffu policy migrate --service nova --from train"),
        "{}",
        failed.detail
    );
    file.migration.as_mut().unwrap().accept_loss = true;
    let done = run.stage(&[file]);
    assert!(done.result.is_good() && !done.findings.is_empty(), "{}", done.detail);
}

#[test]
fn a_policy_file_that_cannot_be_read_is_named() {
    let run = Run::new();
    let source = run.write("nova/policy.json", "{\"a\": \n");
    let failed = run.stage(&[run.file(&source, "nova/policy.yaml", Carriage::Policy)]);
    assert!(
        !failed.result.is_good() && failed.detail.contains("policy.json") && failed.detail.contains("next:"),
        "{}",
        failed.detail
    );
}

#[test]
fn a_pipeline_stops_the_run_while_upstream_s_is_not_at_hand() {
    let run = Run::new();
    let source = run.write("nova/api-paste.ini", "[composite:metadata]\nuse = egg:Paste#urlmap\n");
    let mut file = run.file(&source, "nova/api-paste.ini", Carriage::Merge);
    let failed = run.stage(std::slice::from_ref(&file));
    assert!(
        !failed.result.is_good() && failed.detail.contains("ffu env build train"),
        "{}",
        failed.detail
    );
    file.migration.as_mut().unwrap().accept_loss = true;
    let done = run.stage(&[file]);
    assert!(done.result.is_good() && done.findings.len() == 1, "{}", done.detail);
    assert!(run.staged("nova/api-paste.ini").contains("egg:Paste#urlmap"));
}

#[test]
fn options_of_another_service_are_staged_in_its_file_or_stop_the_run() {
    let run = Run::new();
    let nova = run.write("nova/nova.conf", "[placement_database]\n# ours\nmax_pool_size = 7\n");
    let mut file = run.file(&nova, "nova/nova.conf", Carriage::Options);
    let migration = file.migration.as_mut().unwrap();
    migration.path.insert(0, "stein".parse().unwrap());
    let failed = run.stage(std::slice::from_ref(&file));
    assert!(
        !failed.result.is_good() && failed.detail.contains("[placement_database] max_pool_size = 7"),
        "{}",
        failed.detail
    );
    let mut placement = run.file(&nova, "placement/placement.conf", Carriage::Options);
    (placement.source, placement.migration) = (None, None);
    let done = run.stage(&[file, placement]);
    assert!(done.result.is_good(), "{}", done.detail);
    assert_eq!(
        (done.figures["options-proven-equal"], done.figures["options-named"]),
        (1, 0)
    );
    assert!(
        run.staged("placement/placement.conf")
            .contains("# ours\nmax_pool_size = 7\n")
    );
    let told = fs::read_to_string(run.root.join("staged/findings.txt")).unwrap();
    assert!(told.contains("max_pool_size is there now, in"), "{told}");
}
