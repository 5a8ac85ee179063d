use std::io::Cursor;

use super::*;
use crate::frame::{Content, Decoded, decode};

#[test]
fn a_task_that_is_none_is_told() {
    for (input, word) in [("", "EOF"), ("{}\n", "missing field"), ("nonsense\n", "expected")] {
        let error = run(Cursor::new(input), Vec::new()).expect_err("no task").to_string();
        assert!(error.contains(word) && error.contains("ffu --version"), "{error}");
    }
}

#[test]
fn questions_for_the_clock_are_answered_and_the_end_of_the_input_is_the_end() {
    let task = AgentTask {
        version: VERSION,
        vantage: "here".into(),
        interval_ms: 100,
        timeout_ms: 100,
        silence_s: None,
        targets: Vec::new(),
    };
    let mut input = serde_json::to_vec(&task).expect("JSON");
    input.extend_from_slice(b"\n{\"clock\": 77}\n{\"something\": \"newer\"}\n");
    let (before, mut output) = (clock::now(), Vec::new());
    run(Cursor::new(input), &mut output).expect("ends");
    let (mut rest, mut answers) = (&output[..], Vec::new());
    while !rest.is_empty() {
        let Decoded::Frame(frame, length) = decode(rest) else {
            panic!("{:?}", decode(rest))
        };
        assert!(frame.boot >= before && frame.boot <= clock::now());
        rest = &rest[length..];
        match frame.content {
            Content::Clock(asked) => answers.push(asked),
            Content::Entries(entries) => assert_eq!(entries, []),
        }
    }
    assert_eq!(answers, [77]);
}

#[test]
fn a_parent_that_is_gone_is_no_error() {
    struct Gone;
    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let task = AgentTask {
        version: VERSION,
        vantage: "here".into(),
        interval_ms: 100,
        timeout_ms: 100,
        silence_s: None,
        targets: Vec::new(),
    };
    let mut line = serde_json::to_vec(&task).expect("JSON");
    line.push(b'\n');
    let (reader, mut writer) = std::io::pipe().expect("a pipe");
    writer.write_all(&line).expect("writes");
    run(reader, Gone).expect("it ends although its input is open");
    drop(writer);
}

#[test]
fn other_trouble_with_the_output_is_told() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let task = AgentTask {
        version: VERSION,
        vantage: "here".into(),
        interval_ms: 100,
        timeout_ms: 100,
        silence_s: None,
        targets: Vec::new(),
    };
    let line = serde_json::to_string(&task).expect("JSON") + "\n";
    let error = run(Cursor::new(line), Full).expect_err("cannot write").to_string();
    assert!(
        error.contains("cannot write results") && error.contains("next: start the watch again"),
        "{error}"
    );
}

#[test]
fn results_that_nobody_reads_are_told_before_memory_is_full() {
    let (frames, _kept) = channel();
    let outbox = Outbox {
        frames,
        waiting: Arc::new(AtomicUsize::new(MAX_WAITING)),
    };
    outbox.put(vec![0; 9]).expect("the last one");
    let error = outbox.put(vec![0; 9]).expect_err("too much").to_string();
    assert!(
        error.contains("bytes wait") && error.contains("next: look at what stops the watch"),
        "{error}"
    );
}
