use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use camino::{Utf8Path, Utf8PathBuf};
use ffu_model::watch::{Fate, Outcome, Target, Targets};

use super::*;
use crate::Entry;

fn entries(from: u32) -> Vec<Entry> {
    (from..from + 50)
        .map(|seq| {
            Entry::Fate(Fate {
                target: 0,
                seq,
                sent: u64::from(seq) * 1000,
                outcome: Outcome::Lost,
            })
        })
        .collect()
}

fn directory() -> (tempfile::TempDir, Utf8PathBuf) {
    let holder = tempfile::tempdir().expect("a directory");
    let path = Utf8PathBuf::from_path_buf(holder.path().join("record")).expect("UTF-8");
    (holder, path)
}

fn seqs(reader: &mut Reader) -> Vec<u32> {
    let mut seqs = Vec::new();
    while let Some(batch) = reader.next_batch().expect("reads") {
        seqs.extend(batch.iter().map(|entry| {
            if let Entry::Fate(fate) = entry {
                fate.seq
            } else {
                u32::MAX
            }
        }));
    }
    seqs
}

fn targets() -> Targets {
    let target: Target = serde_json::from_str(r#"{"name": "a", "address": "192.0.2.1"}"#).expect("a target");
    Targets {
        interval_ms: 100,
        timeout_ms: 1000,
        targets: vec![target],
        ..Targets::default()
    }
}

fn append_raw(path: &Utf8Path, bytes: &[u8]) {
    let mut file = OpenOptions::new().append(true).open(path.join(FRAMES)).expect("opens");
    file.write_all(bytes).expect("writes");
}

#[test]
fn a_record_is_read_while_it_is_written() {
    let (_holder, path) = directory();
    let mut writer = Writer::create(&path, &targets()).expect("begins");
    let mut reader = Reader::open(&path).expect("opens");
    assert_eq!((seqs(&mut reader), reader.targets()), (Vec::new(), &targets()));
    assert_eq!(writer.append(&entries(0)), &State::Recording);
    let first = writer.length();
    assert_eq!(seqs(&mut reader), (0..50).collect::<Vec<_>>());
    // A frame that comes in two halves.
    let frame = crate::frame::encode(&entries(50), 1, 1);
    append_raw(&path, &frame[..frame.len() / 2]);
    let (halfway, before) = (seqs(&mut reader), reader.offset());
    append_raw(&path, &frame[frame.len() / 2..]);
    writer.append(&entries(100));
    assert_eq!((halfway.len(), before), (0, first));
    assert_eq!(seqs(&mut reader), (50..150).collect::<Vec<_>>());
    assert_eq!(
        seqs(&mut Reader::open_at(&path, before).expect("opens")),
        (50..150).collect::<Vec<_>>()
    );
    assert_eq!(reader.skipped(), 0);
}

#[test]
fn a_torn_end_is_cut_and_the_record_goes_on() {
    let (_holder, path) = directory();
    let mut writer = Writer::create(&path, &targets()).expect("begins");
    writer.append(&entries(0));
    let whole = writer.length();
    assert!(
        Writer::reopen(&path)
            .err()
            .expect("it is locked")
            .to_string()
            .contains("another watch writes to it")
    );
    drop(writer);
    for torn in [1, 3, 20, 40] {
        append_raw(&path, &crate::frame::encode(&entries(7), 1, 1)[..torn]);
        let writer = Writer::reopen(&path).expect("goes on");
        assert_eq!(writer.length(), whole);
        assert_eq!(std::fs::metadata(path.join(FRAMES)).expect("is there").len(), whole);
    }
    Writer::reopen(&path).expect("goes on").append(&entries(50));
    assert_eq!(
        seqs(&mut Reader::open(&path).expect("opens")),
        (0..100).collect::<Vec<_>>()
    );
    let error = Writer::create(&path, &targets())
        .err()
        .expect("it is there")
        .to_string();
    assert!(error.contains("ffu watch replay"), "{error}");
}

#[test]
fn what_a_disk_spoiled_is_skipped_and_counted() {
    let (_holder, path) = directory();
    let mut writer = Writer::create(&path, &targets()).expect("begins");
    writer.append(&entries(0));
    let first = writer.length() as usize;
    writer.append(&entries(50));
    writer.append(&entries(100));
    drop(writer);
    let mut bytes = std::fs::read(path.join(FRAMES)).expect("reads");
    for (at, value) in [(first + 40, 0xaa), (first + 8, 0xff), (first, b'x')] {
        bytes[at] ^= value;
        std::fs::write(path.join(FRAMES), &bytes).expect("writes");
        let mut reader = Reader::open(&path).expect("opens");
        assert_eq!(seqs(&mut reader), (0..50).chain(100..150).collect::<Vec<_>>());
        assert_eq!(reader.skipped(), first as u64);
    }
}

#[test]
fn a_full_disk_ends_the_record_and_not_the_watch() {
    let (_holder, path) = directory();
    std::fs::create_dir_all(&path).expect("makes");
    // A file system of 64 KiB; mounting needs root.
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=64k", "ffut-full", path.as_str()])
        .status();
    if !mounted.is_ok_and(|status| status.success()) {
        #[allow(clippy::print_stderr)]
        {
            eprintln!("SKIPPED: the kernel does not allow a file system to be mounted (needs root)");
        }
        return;
    }
    let mut writer = Writer::create(&path, &targets()).expect("begins");
    let mut batches = 0;
    while writer.append(&entries(batches * 50)) == &State::Recording && batches < 10_000 {
        batches += 1;
    }
    let state = writer.append(&entries(0)).clone();
    drop(writer);
    let mut reader = Reader::open(&path).expect("opens");
    let read = seqs(&mut reader);
    drop(reader);
    let unmounted = Command::new("umount").arg(path.as_str()).status().expect("umount");
    assert!(unmounted.success());
    assert_eq!(read, (0..batches * 50).collect::<Vec<_>>());
    let State::Broken(why) = state else {
        panic!("64 KiB hold no {batches} batches")
    };
    assert!(why.contains("No space left") && why.contains("df -h"), "{why}");
}

/// Not a test of its own: the process that the next test kills.
#[test]
fn writes_until_it_is_killed() {
    let Ok(path) = std::env::var("FFUT_RECORD") else { return };
    let mut writer = Writer::create(Utf8Path::new(&path), &targets()).expect("begins");
    for batch in 0.. {
        writer.append(&entries(batch * 50));
    }
}

#[test]
fn a_killed_writer_leaves_whole_batches() {
    let (_holder, path) = directory();
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "record::tests::writes_until_it_is_killed"])
        .env("FFUT_RECORD", &path)
        .stdout(Stdio::null())
        .spawn()
        .expect("starts");
    let size = || std::fs::metadata(path.join(FRAMES)).map_or(0, |metadata| metadata.len());
    while size() < 200_000 {
        assert_eq!(child.try_wait().expect("waits"), None, "it writes for ever");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    child.kill().expect("kills");
    assert_eq!(child.wait().expect("ends").signal(), Some(9));
    let read = seqs(&mut Reader::open(&path).expect("opens"));
    assert!(read.len() > 1000 && read.len().is_multiple_of(50));
    assert_eq!(read, (0..read.len() as u32).collect::<Vec<_>>());
    Writer::reopen(&path)
        .expect("goes on")
        .append(&entries(read.len() as u32));
    assert_eq!(seqs(&mut Reader::open(&path).expect("opens")).len(), read.len() + 50);
}

#[test]
fn a_record_of_another_version_is_refused_and_left_as_it_is() {
    let (_holder, path) = directory();
    let mut writer = Writer::create(&path, &targets()).expect("begins");
    writer.append(&entries(0));
    drop(writer);
    append_raw(&path, &crate::frame::of_version(9));
    let length = std::fs::metadata(path.join(FRAMES)).expect("is there").len();
    let mut reader = Reader::open(&path).expect("opens");
    assert!(reader.next_batch().expect("the first").is_some());
    let error = reader.next_batch().expect_err("version").to_string();
    assert!(
        error.contains("version 9") && error.contains("next: read it with the version of ffu that wrote it"),
        "{error}"
    );
    assert!(Writer::reopen(&path).is_err());
    assert_eq!(std::fs::metadata(path.join(FRAMES)).expect("is there").len(), length);
    let error = Reader::open(Utf8Path::new("/ffut-none"))
        .err()
        .expect("none")
        .to_string();
    assert!(
        error.contains("cannot read /ffut-none/targets.json") && error.contains("next: name the directory"),
        "{error}"
    );
}
