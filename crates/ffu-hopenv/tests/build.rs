//! Real environments of a recipe with two small packages: built, verified, tampered with, interrupted, rebuilt offline.
//!
//! The tools venv must be there (`scripts/setup-tools`, which `make test` runs); its absence fails these tests.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use ffu_catalog::Catalog;
use ffu_hopenv::{BuildEvent, BuildEventKind, BuildOptions, EnvError, EnvStore, ProjectCommand};
use ffu_hosts::{Exit, StopFlag};
use ffu_model::Series;
use ffu_model::secret::Secret;
use ffu_model::step::{CommandAction, ConfigStyle, ExitMeaning, Meaning, Purpose};

const SERIES: &str = "2025.1";
const LOCK: &str = "\
# A lock of two small packages.
iso8601==2.1.0 \\
    --hash=sha256:6b1d3829ee8921c4301998c909f7829fa9ed3cbdac0d3b16af2d743aed1ba8df \\
    --hash=sha256:aac4145c4dcb66ad8b648a02830f5e2ff6c24af20f4f482689be402db2429242
six==1.17.0 \\
    --hash=sha256:4721f391ed90541fddacab5acf947aa0d3dc7d27b2e1e8eda2be8970586c3274 \\
    --hash=sha256:ff70335d468e7eb6ec65b95b99d3a2836546063f63acc5171de367e834932a81
";
const PATCH: &str = "\
id = \"test-six\"
series = [\"2025.1\"]
package = \"six\"
file = \"six.py\"
find = 'Utilities for writing code that runs on Python 2 and 3'
replace = 'Patched by a test'
reason = \"to see a patch applied\"
bug = \"https://bugs.launchpad.net/bugs/1\"
";

fn series() -> Series {
    SERIES.parse().unwrap()
}

fn cache() -> Utf8PathBuf {
    let home = || Utf8PathBuf::from(std::env::var("HOME").unwrap()).join(".cache");
    let cache = std::env::var("XDG_CACHE_HOME").ok().filter(|dir| !dir.is_empty());
    cache.map_or_else(home, Utf8PathBuf::from).join("ffu")
}

/// The Python that the tools venv was made with: whatever else the machine has, it has that one.
fn python() -> (Utf8PathBuf, String) {
    let path = cache().join("tools/bin/python");
    let question = "import sys; print('%d.%d' % sys.version_info[:2])";
    let output = std::process::Command::new(&path).args(["-c", question]).output();
    let output = output.unwrap_or_else(|error| panic!("{path}: {error}: run scripts/setup-tools first"));
    (path, String::from_utf8(output.stdout).unwrap().trim().to_owned())
}

/// The catalog with the recipe of one series replaced by one of two packages and a patch.
fn catalog(installer: &str, lock: &str) -> Catalog {
    let real = Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("../../catalog/environments.toml");
    let real = std::fs::read_to_string(real).unwrap();
    let mut recipes: String = real
        .split_inclusive("[[environment]]\n")
        .map(|block| block.to_owned())
        .collect::<Vec<_>>()
        .join("");
    let begin = recipes.find(&format!("[[environment]]\nseries = \"{SERIES}\"")).unwrap();
    let end = recipes[begin + 1..].find("\n[[").map_or(recipes.len(), |at| begin + 1 + at);
    let recipe = format!(
        "[[environment]]\nseries = \"{SERIES}\"\npython = \"{}\"\ninstaller = \"{installer}\"\nlocks = \"{SERIES}.lock\"\n\
         disk_mib = 40\npackages = []\n",
        python().1
    );
    recipes.replace_range(begin..end, &recipe);
    let overlay: BTreeMap<String, Vec<u8>> = [
        ("environments.toml".to_owned(), recipes.into_bytes()),
        (format!("locks/{SERIES}.lock"), lock.as_bytes().to_vec()),
        ("patches/test-six.toml".to_owned(), PATCH.as_bytes().to_vec()),
    ]
    .into();
    Catalog::with_overlay(&overlay).unwrap_or_else(|errors| panic!("{errors}"))
}

/// A store in a directory of its own, with the machine's tools.
struct Place {
    _directory: tempfile::TempDir,
    root: Utf8PathBuf,
    store: EnvStore,
    events: Mutex<Vec<BuildEventKind>>,
}

impl Place {
    fn new() -> Place {
        let directory = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::from_path_buf(directory.path().to_owned()).unwrap();
        let _ = std::os::unix::fs::symlink(cache().join("tools"), root.join("tools"));
        Place {
            _directory: directory,
            store: EnvStore::new(&root),
            root,
            events: Mutex::default(),
        }
    }

    fn options(&self) -> BuildOptions {
        BuildOptions {
            python: Some(python().0),
            ..BuildOptions::default()
        }
    }

    fn build(&self, catalog: &Catalog, options: &BuildOptions) -> Result<Utf8PathBuf, EnvError> {
        self.events.lock().unwrap().clear();
        let note = |event: BuildEvent| self.events.lock().unwrap().push(event.kind);
        self.store.build(catalog, &series(), options, &note).map(|info| info.directory)
    }

    fn told(&self, wanted: impl Fn(&BuildEventKind) -> bool) -> bool {
        self.events.lock().unwrap().iter().any(wanted)
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.root.join("envs")).unwrap().flatten();
        let mut names: Vec<String> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
        names.retain(|name| !name.starts_with(".locks"));
        names.sort();
        names
    }
}

#[test]
fn an_environment_is_built_patched_verified_and_removed() {
    let place = Place::new();
    let catalog = catalog("uv", LOCK);
    let store = &place.store;
    assert!(matches!(store.open(&series()), Err(EnvError::Absent { .. })));
    let directory = place.build(&catalog, &place.options()).unwrap();
    assert!(place.told(|kind| matches!(kind, BuildEventKind::Patched { id, .. } if id == "test-six")));
    assert!(place.told(|kind| matches!(kind, BuildEventKind::Disk { need_mib: 48, .. })));
    let info = store.verify(&catalog, &series()).unwrap();
    assert_eq!((info.packages["six"].as_str(), info.packages["iso8601"].as_str()), ("1.17.0", "2.1.0"));
    assert_eq!(info.patches, ["test-six"]);
    store.verify_quick(&catalog, &series()).unwrap();
    assert_eq!(store.list().unwrap().len(), 1);
    assert_eq!(place.names(), [SERIES, directory.file_name().unwrap()]);

    // Once more: nothing to do. With another lock: out of date.
    assert_eq!(place.build(&catalog, &place.options()).unwrap(), directory);
    assert!(place.told(|kind| *kind == BuildEventKind::UpToDate));
    let other = self::catalog("uv", &format!("{LOCK}# changed\n"));
    let error = store.verify(&other, &series()).unwrap_err();
    assert!(matches!(error, EnvError::Stale { .. }), "{error}");

    // While it is open, it is neither removed nor taken away by a rebuild.
    let open = store.open(&series()).unwrap();
    assert!(matches!(store.remove(&series()), Err(EnvError::InUse { .. })));
    let newer = place.build(&other, &place.options()).unwrap();
    assert_ne!(newer, directory);
    assert!(open.site_packages().join("six.py").is_file());
    drop(open);
    assert!(store.remove(&series()).unwrap());
    assert!(!store.remove(&series()).unwrap());
    assert!(place.names().is_empty(), "{:?}", place.names());
}

#[test]
fn a_changed_file_is_named_and_a_rebuild_does_not_bring_it_back() {
    let place = Place::new();
    let catalog = catalog("uv", LOCK);
    let directory = place.build(&catalog, &place.options()).unwrap();
    let site = place.store.open(&series()).unwrap().site_packages();
    let file = site.join("iso8601/iso8601.py");
    // Written in place, through the link into uv's cache, with the same length and time.
    let time = std::fs::metadata(&file).unwrap().modified().unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replacen("import", "imp0rt", 1)).unwrap();
    std::fs::File::options().write(true).open(&file).unwrap().set_modified(time).unwrap();
    place.store.verify_quick(&catalog, &series()).unwrap();
    let error = place.store.verify(&catalog, &series()).unwrap_err().to_string();
    assert!(error.contains("iso8601/iso8601.py has changed"), "{error}");
    assert!(error.contains("ffu env build 2025.1 --force"), "{error}");

    let newer = place.build(&catalog, &place.options()).unwrap();
    assert_ne!(newer, directory);
    let cache_was_mended = place.told(|kind| matches!(kind, BuildEventKind::CacheRepaired { packages } if *packages == ["iso8601"]));
    // uv copies instead of linking where it cannot link; then its cache is sound.
    use std::os::unix::fs::MetadataExt as _;
    let now = newer.join(file.strip_prefix(&directory).unwrap());
    assert_eq!(cache_was_mended, std::fs::metadata(&now).unwrap().nlink() > 1);
    assert_eq!(std::fs::read_to_string(&now).unwrap(), text);
    place.store.verify(&catalog, &series()).unwrap();

    let site = place.store.open(&series()).unwrap().site_packages();
    std::fs::write(site.join("added.pth"), "import os").unwrap();
    std::fs::remove_file(site.join("six.py")).unwrap();
    for error in [
        place.store.verify(&catalog, &series()).unwrap_err(),
        place.store.verify_quick(&catalog, &series()).unwrap_err(),
    ] {
        let text = error.to_string();
        assert!(matches!(error, EnvError::Tampered { .. }), "{text}");
        assert!(text.contains("added.pth was added") && text.contains("six.py is missing"), "{text}");
    }
}

#[test]
fn pip_builds_the_same_and_offline_needs_a_directory_of_packages() {
    let place = Place::new();
    let catalog = catalog("pip", LOCK);
    place.build(&catalog, &place.options()).unwrap();
    let info = place.store.verify(&catalog, &series()).unwrap();
    assert_eq!(info.packages["six"], "1.17.0");
    let mut offline = place.options();
    (offline.offline, offline.force) = (true, true);
    let variables: BTreeMap<String, String> = std::env::vars().filter(|(name, _)| name != "PIP_FIND_LINKS").collect();
    let store = place.store.clone().with_variables(variables);
    let error = store.build(&catalog, &series(), &offline, &|_| {}).unwrap_err();
    assert!(matches!(error, EnvError::OfflineNeedsPackages { .. }), "{error}");
    // The older one is as it was.
    place.store.verify(&catalog, &series()).unwrap();
}

#[test]
fn uv_builds_offline_from_its_cache_and_says_when_it_cannot() {
    let place = Place::new();
    let catalog = catalog("uv", LOCK);
    let mut options = place.options();
    options.offline = true;
    let error = place.build(&catalog, &options).unwrap_err();
    assert!(matches!(error, EnvError::Install { .. }), "{error}");
    assert!(place.names().is_empty(), "{:?}", place.names());
    options.offline = false;
    let first = place.build(&catalog, &options).unwrap();
    (options.offline, options.force) = (true, true);
    assert_ne!(place.build(&catalog, &options).unwrap(), first);
    place.store.verify(&catalog, &series()).unwrap();
}

/// Run again as a child by the next test, which kills it with SIGKILL.
#[test]
fn helper_builds_an_environment() {
    let Ok(root) = std::env::var("FFU_HOPENV_TEST_ROOT") else {
        // Called as a test of its own it has nothing to do but to prove that the variable decides.
        assert!(std::env::var("FFU_HOPENV_TEST_ROOT").is_err());
        return;
    };
    let options = BuildOptions {
        python: Some(python().0),
        ..BuildOptions::default()
    };
    let _ = EnvStore::new(root).build(&catalog("uv", LOCK), &series(), &options, &|_| {});
}

#[test]
fn a_killed_build_leaves_nothing_that_looks_finished() {
    let place = Place::new();
    let mut child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "helper_builds_an_environment"])
        .env("FFU_HOPENV_TEST_ROOT", &place.root)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    let begun = || place.root.join("envs").exists() && place.names().iter().any(|name| name.contains('@'));
    while !begun() {
        assert!(Instant::now() < deadline, "the build never began");
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let leftovers = place.names();
    assert!(!leftovers.is_empty() && leftovers.iter().all(|name| name.contains('@')), "{leftovers:?}");
    assert!(place.store.list().unwrap().is_empty());
    let catalog = catalog("uv", LOCK);
    assert!(matches!(place.store.verify(&catalog, &series()), Err(EnvError::Absent { .. })));
    let directory = place.build(&catalog, &place.options()).unwrap();
    assert!(place.told(|kind| *kind == BuildEventKind::Cleaned { directories: 1 }));
    assert_eq!(place.names(), [SERIES, directory.file_name().unwrap()]);
    place.store.verify(&catalog, &series()).unwrap();
}

#[test]
fn what_cannot_be_built_is_said_and_nothing_is_left() {
    let place = Place::new();
    let sound = catalog("uv", LOCK);
    let unknown: Series = "austin".parse().unwrap();
    let error = place.store.build(&sound, &unknown, &place.options(), &|_| {}).unwrap_err().to_string();
    assert!(error.contains("no hop environment for austin") && error.contains("2025.1"), "{error}");

    let forged = catalog("uv", &LOCK.replace("4721f391", "00000000").replace("ff70335d", "00000000"));
    let error = place.build(&forged, &place.options()).unwrap_err();
    assert!(matches!(error, EnvError::Install { .. }), "{error}");
    assert!(error.to_string().contains("six"), "{error}");
    assert!(place.names().is_empty(), "{:?}", place.names());

    let mut options = place.options();
    options.python = Some("/bin/sh".into());
    let error = place.build(&sound, &options).unwrap_err();
    assert!(matches!(error, EnvError::WrongInterpreter { .. }), "{error}");

    let stopped = place.options();
    stopped.stop.raise();
    let error = place.build(&sound, &stopped).unwrap_err();
    assert!(matches!(error, EnvError::Stopped { .. }), "{error}");
    assert!(place.names().is_empty(), "{:?}", place.names());
}

fn action(program: &str, arguments: &[&str]) -> CommandAction {
    CommandAction {
        series: series(),
        project: "nova".into(),
        command: "db-sync".into(),
        purpose: Purpose::Schema,
        program: program.into(),
        arguments: arguments.iter().map(|&argument| argument.to_owned()).collect(),
        config_files: Vec::new(),
        config_style: ConfigStyle::Environment,
        config_variable: Some("OS_TEST_CONFIG_DIR".into()),
        overlay: None,
        exit_codes: vec![ExitMeaning {
            code: 0,
            meaning: Meaning::Success,
            note: "done".into(),
        }],
        failure_texts: vec!["went wrong".into()],
        expect_heads: Vec::new(),
        repeatable: true,
        needs_services: Vec::new(),
    }
}

#[test]
fn a_command_runs_clean_and_is_masked_and_judged() {
    let place = Place::new();
    let catalog = catalog("uv", LOCK);
    place.build(&catalog, &place.options()).unwrap();
    let environment = place.store.open(&series()).unwrap();
    let output = place.root.join("outputs");
    std::fs::create_dir(&output).unwrap();
    let config = output.join("nova.conf");
    std::fs::write(&config, "").unwrap();
    let script = "import os, six, sys; print(six.__doc__); print(sorted(os.environ)); print(os.environ['OS_TEST_CONFIG_DIR']); \
                  sys.stderr.write('mysql://nova:hunter22@h/x and t0ken-t0ken\\n'); print('it went wrong: \\xe9')";
    let action = action("python", &["-c", script]);
    let secrets = [Secret::new("t0ken-t0ken")];
    let files = [config];
    let mut command = ProjectCommand {
        action: &action,
        config_files: &files,
        overlay_file: None,
        output_dir: &output,
        name: "hops.nova.db-sync.1",
        timeout: Duration::from_secs(60),
        lock_file: None,
        secrets: &secrets,
    };
    let finished = environment.run(&command, &StopFlag::new()).unwrap();
    assert_eq!(finished.exit, Exit::Code(0));
    let text = std::fs::read_to_string(command.output()).unwrap();
    assert!(text.starts_with("Patched by a test\n"), "{text}");
    for name in ["CARGO", "PYTHONDONTWRITEBYTECODE", "UV_", "PIP_"] {
        assert!(!text.contains(name), "{name}: {text}");
    }
    assert!(text.contains(output.as_str()), "{text}");
    assert!(text.contains("mysql://nova:***@h/x and ***\n") && !text.contains("t0ken"), "{text}");
    let verdict = ffu_hopenv::judge(&action, &finished.exit, &command.output());
    assert_eq!(verdict.meaning, Meaning::Failure);
    assert!(verdict.note.contains("it went wrong: é"), "{}", verdict.note);
    let left: Vec<_> = std::fs::read_dir(&output).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");

    // What does not fit is said before anything runs.
    command.overlay_file = Some(&files[0]);
    let error = environment.run(&command, &StopFlag::new()).unwrap_err().to_string();
    assert!(error.contains("OS_TEST_CONFIG_DIR") && error.contains("one more file"), "{error}");
    command.name = "../x";
    assert!(environment.run(&command, &StopFlag::new()).unwrap_err().to_string().contains("cannot name an output"));
    command.name = "x";
    let absent = [output.join("absent.conf")];
    command.config_files = &absent;
    assert!(environment.run(&command, &StopFlag::new()).unwrap_err().to_string().contains("absent.conf"));
    for program in ["../python", "nova-manage", "", "a\0b"] {
        let error = environment.program(program).unwrap_err().to_string();
        assert!(error.contains("no program"), "{error}");
    }
}

#[test]
fn configuration_files_come_before_the_arguments() {
    let place = Place::new();
    let catalog = catalog("uv", LOCK);
    place.build(&catalog, &place.options()).unwrap();
    let environment = place.store.open(&series()).unwrap();
    let mut action = action("show", &["db", "sync"]);
    action.config_style = ConfigStyle::Arguments;
    let program = environment.directory().join("bin/show");
    std::fs::write(&program, "#!/bin/sh\necho \"$@\"; sleep 60\n").unwrap();
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let (first, second) = (place.root.join("a.conf"), place.root.join("b.conf"));
    std::fs::write(&first, "").unwrap();
    std::fs::write(&second, "").unwrap();
    let files = [first.clone()];
    let command = ProjectCommand {
        action: &action,
        config_files: &files,
        overlay_file: Some(&second),
        output_dir: &place.root,
        name: "show",
        timeout: Duration::from_millis(800),
        lock_file: None,
        secrets: &[],
    };
    assert_eq!(environment.run(&command, &StopFlag::new()).unwrap().exit, Exit::TimedOut);
    let text = std::fs::read_to_string(command.output()).unwrap();
    assert_eq!(text, format!("--config-file {first} --config-file {second} db sync\n"));
    let error = environment.verify_quick().unwrap_err().to_string();
    assert!(error.contains("bin/show was added"), "{error}");
}
