//! Commands run in a real environment: what they are given, what is kept of them, and the judgement.

#[path = "support/action.rs"]
mod action;
mod support;

use std::time::Duration;

use ffu_hopenv::ProjectCommand;
use ffu_hosts::{Exit, StopFlag};
use ffu_model::secret::Secret;
use ffu_model::step::{CommandAction, ConfigStyle, ExitMeaning, Meaning};

use support::{LOCK, Place, catalog, series};

fn action(program: &str, arguments: &[&str]) -> CommandAction {
    CommandAction {
        config_style: ConfigStyle::Environment,
        config_variable: Some("OS_TEST_CONFIG_DIR".into()),
        exit_codes: vec![ExitMeaning {
            code: 0,
            meaning: Meaning::Success,
            note: "done".into(),
        }],
        failure_texts: vec!["went wrong".into()],
        ..action::action(&series(), "nova", program, arguments)
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
    assert!(
        text.contains("mysql://nova:***@h/x and ***\n") && !text.contains("t0ken"),
        "{text}"
    );
    let verdict = ffu_hopenv::judge(&action, &finished.exit, &command.output());
    assert_eq!(verdict.meaning, Meaning::Failure);
    assert!(verdict.note.contains("it went wrong: é"), "{}", verdict.note);
    let left: Vec<_> = std::fs::read_dir(&output)
        .unwrap()
        .flatten()
        .map(|entry| entry.file_name())
        .collect();
    assert_eq!(left.len(), 2, "{left:?}");

    // What does not fit is said before anything runs.
    command.overlay_file = Some(&files[0]);
    let error = environment.run(&command, &StopFlag::new()).unwrap_err().to_string();
    assert!(
        error.contains("OS_TEST_CONFIG_DIR") && error.contains("one more file"),
        "{error}"
    );
    command.name = "../x";
    assert!(
        environment
            .run(&command, &StopFlag::new())
            .unwrap_err()
            .to_string()
            .contains("cannot name an output")
    );
    command.name = "x";
    let absent = [output.join("absent.conf")];
    command.config_files = &absent;
    assert!(
        environment
            .run(&command, &StopFlag::new())
            .unwrap_err()
            .to_string()
            .contains("absent.conf")
    );
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
    assert_eq!(
        environment.run(&command, &StopFlag::new()).unwrap().exit,
        Exit::TimedOut
    );
    let text = std::fs::read_to_string(command.output()).unwrap();
    assert_eq!(text, format!("--config-file {first} --config-file {second} db sync\n"));
    let error = environment.verify_quick().unwrap_err().to_string();
    assert!(error.contains("bin/show was added"), "{error}");
}
