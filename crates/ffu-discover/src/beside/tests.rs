use super::*;
use std::fs;

struct Tree {
    _dir: tempfile::TempDir,
    etc: Utf8PathBuf,
}

impl Tree {
    fn of(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let etc = Utf8PathBuf::from_path_buf(dir.path().join("etc")).unwrap();
        for (name, text) in files {
            let path = etc.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text.replace("ETC", etc.as_str())).unwrap();
        }
        Tree { _dir: dir, etc }
    }

    fn seen(&self, project: &str, options: &[&str]) -> (Vec<String>, Vec<Finding>) {
        let mut files: Vec<ConfigFile> = options
            .iter()
            .map(|name| ConfigFile {
                path: self.etc.join(name),
                sha256: String::new(),
                kind: FileKind::Options,
            })
            .collect();
        let mut findings = Vec::new();
        add(&self.etc, project, &mut files, &mut findings);
        let shown = files
            .iter()
            .filter(|file| !file.kind.is_options())
            .map(|file| format!("{:?} {}", file.kind, file.path.strip_prefix(&self.etc).unwrap()))
            .collect();
        (shown, findings)
    }
}

#[test]
fn what_a_service_reads_beside_its_options_is_found_where_it_looks() {
    let tree = Tree::of(&[
        ("nova/nova.conf", "[DEFAULT]\ndebug = true\n"),
        ("nova/policy.json", "{}"),
        ("nova/policy.d/20-b.yaml", "a: b\n"),
        ("nova/policy.d/10-a.json", "{}"),
        ("nova/policy.d/.hidden", "{}"),
        ("nova/api-paste.ini", "[composite:x]\n"),
        (
            "nova/rootwrap.conf",
            "[DEFAULT]\nfilters_path=ETC/nova/more,/usr/share/nova/rootwrap\n",
        ),
        ("nova/rootwrap.d/compute.filters", "[Filters]\n"),
        ("nova/more/own.filters", "[Filters]\n"),
        ("nova/nova-compute.conf", "[DEFAULT]\n"),
        ("nova/server.key", "x"),
    ]);
    let (seen, findings) = tree.seen("nova", &["nova/nova.conf"]);
    assert_eq!(
        seen,
        [
            "Policy nova/policy.json",
            "PolicyDirectory nova/policy.d/10-a.json",
            "PolicyDirectory nova/policy.d/20-b.yaml",
            "Paste nova/api-paste.ini",
            "Rootwrap nova/rootwrap.conf",
            "Rootwrap nova/rootwrap.d/compute.filters",
            "Rootwrap nova/more/own.filters",
        ]
    );
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert!(
        findings[0].id == "config-not-carried" && findings[0].message.contains("nova-compute.conf"),
        "{}",
        findings[0]
    );
}

#[test]
fn files_that_options_name_are_the_ones_that_count() {
    let tree = Tree::of(&[
        (
            "neutron/neutron.conf",
            "[DEFAULT]\nmine = rules\napi_paste_config = pipes.ini\n[oslo_policy]\npolicy_file = $mine.yaml\npolicy_dirs = one.d\n",
        ),
        (
            "neutron/plugins/ml2/ml2_conf.ini",
            "[oslo_policy]\npolicy_dirs = ETC/neutron/two.d\n",
        ),
        ("neutron/policy.json", "{}"),
        ("neutron/plugins/ml2/rules.yaml", "a: b\n"),
        ("neutron/one.d/a", "{}"),
        ("neutron/two.d/b", "{}"),
        ("neutron/pipes.ini", ""),
    ]);
    let (seen, findings) = tree.seen("neutron", &["neutron/neutron.conf", "neutron/plugins/ml2/ml2_conf.ini"]);
    // `$mine.yaml` is group `mine`, option `yaml` to oslo.config: nothing of that name, so no policy file at all.
    assert_eq!(
        seen,
        [
            "PolicyDirectory neutron/one.d/a",
            "PolicyDirectory neutron/two.d/b",
            "Paste neutron/pipes.ini"
        ]
    );
    assert!(findings[0].message.contains("policy.json"), "{}", findings[0]);

    fs::write(
        tree.etc.join("neutron/neutron.conf"),
        "[DEFAULT]\nmine = rules\n[oslo_policy]\npolicy_file = ${DEFAULT.mine}.yaml\n",
    )
    .unwrap();
    let (seen, _) = tree.seen("neutron", &["neutron/neutron.conf", "neutron/plugins/ml2/ml2_conf.ini"]);
    assert_eq!(seen[0], "PolicyNamed neutron/plugins/ml2/rules.yaml", "{seen:?}");
}

#[test]
fn a_file_that_is_no_text_is_a_blocker_and_names_the_next_command() {
    let tree = Tree::of(&[("nova/nova.conf", ""), ("nova/policy.json", "")]);
    fs::write(tree.etc.join("nova/policy.json"), [0xff, 0xfe]).unwrap();
    let (seen, findings) = tree.seen("nova", &["nova/nova.conf"]);
    assert!(seen.is_empty(), "{seen:?}");
    let blocker = findings.iter().find(|f| f.severity == Severity::Blocker).unwrap();
    assert!(
        blocker.message.contains("policy.json") && blocker.remedy.contains("ffu discover"),
        "{blocker}"
    );
}
