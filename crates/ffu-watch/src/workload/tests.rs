use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, sync_channel};

use camino::Utf8PathBuf;
use ffu_model::watch::Target;

use super::*;

fn sleeper() -> Child {
    Command::new("sleep").arg("60").spawn().expect("sleeps")
}

fn next(receiver: &Receiver<Vec<Entry>>) -> (u32, String, String) {
    match receiver
        .recv_timeout(Duration::from_secs(10))
        .expect("an identity")
        .as_slice()
    {
        [
            Entry::Notice(Notice::Identity {
                target, kind, value, ..
            }),
        ] => (*target, kind.clone(), value.clone()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_process_that_restarts_is_another_one() {
    let directory = tempfile::tempdir().expect("a directory");
    let pid_file = Utf8PathBuf::from_path_buf(directory.path().join("guest.pid")).expect("UTF-8");
    let mut first = sleeper();
    std::fs::write(&pid_file, format!("{}\n", first.id())).expect("writes");
    let plain: Target = serde_json::from_str(r#"{"name": "a", "address": "192.0.2.1"}"#).expect("a target");
    let guest = Target {
        workload: Some(Workload::Process {
            pid_file: pid_file.clone(),
        }),
        ..plain.clone()
    };
    let targets = Targets {
        targets: vec![plain, guest],
        ..Targets::default()
    };
    let (sender, receiver) = sync_channel(4);
    let poller = Poller::start(&targets, Duration::from_millis(20), sender);

    let (target, kind, value) = next(&receiver);
    assert_eq!((target, kind.as_str()), (1, "started"));
    assert!(value.contains(&format!(" {} ", first.id())), "{value}");
    assert!(
        receiver.recv_timeout(Duration::from_millis(200)).is_err(),
        "it is told once"
    );
    first.kill().expect("kills");
    // A zombie is gone, too.
    assert_eq!(next(&receiver).2, GONE);
    first.wait().expect("ends");
    let mut second = sleeper();
    std::fs::write(&pid_file, second.id().to_string()).expect("writes");
    let (_, _, other) = next(&receiver);
    assert!(
        other != value && other.contains(&format!(" {} ", second.id())),
        "{other}"
    );
    std::fs::remove_file(&pid_file).expect("removes");
    assert_eq!(next(&receiver).2, GONE);
    poller.stop();
    assert!(receiver.recv().is_err(), "the poller is gone");
    second.kill().expect("kills");
    second.wait().expect("ends");
}
