//! Two words of QEMU's machine protocol (QMP): lines of JSON over a Unix socket, a greeting first.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use camino::Utf8Path;
use serde_json::{Value, json};

/// Where it listens, below the machine's directory.
pub(super) const SOCKET: &str = "qmp.sock";
const PATIENCE: Duration = Duration::from_secs(10);
/// Events may come in between; more than this many lines are no answer.
const MOST_LINES: usize = 100;
const LONGEST_ANSWER: u64 = 1 << 20;

/// Presses the machine's reset button: what runs in it does not hear of it before it is gone.
pub(super) fn reset(directory: &Utf8Path) -> io::Result<()> {
    // A socket's path may have 107 bytes, a lab's directory more: it is reached by way of the open directory.
    let open = File::open(directory)?;
    let stream = UnixStream::connect(format!("/proc/self/fd/{}/{SOCKET}", open.as_raw_fd()))?;
    order(&stream, &["qmp_capabilities", "system_reset"])
}

fn order(stream: &UnixStream, orders: &[&str]) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut lines = BufReader::new(stream.take(LONGEST_ANSWER));
    until(&mut lines, |answer| answer.get("QMP").is_some())?;
    for execute in orders {
        let mut line = json!({ "execute": execute }).to_string();
        line.push('\n');
        (&*stream).write_all(line.as_bytes())?;
        until(&mut lines, |answer| answer.get("return").is_some())?;
    }
    Ok(())
}

fn until(lines: &mut impl BufRead, wanted: impl Fn(&Value) -> bool) -> io::Result<()> {
    for _ in 0..MOST_LINES {
        let mut line = String::new();
        if lines.read_line(&mut line)? == 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "it closed its control socket",
            ));
        }
        let answer: Value = serde_json::from_str(&line)?;
        if let Some(error) = answer.get("error") {
            let said = error.get("desc").and_then(Value::as_str).unwrap_or("it refused");
            return Err(io::Error::other(said.chars().take(300).collect::<String>()));
        }
        if wanted(&answer) {
            return Ok(());
        }
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidData,
        "no answer from its control socket",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers with these lines, whatever it hears.
    fn with(answers: &'static str) -> io::Result<()> {
        let (here, there) = UnixStream::pair().unwrap();
        let server = std::thread::spawn(move || {
            let _ = (&there).write_all(answers.as_bytes());
            let mut heard = String::new();
            let _ = BufReader::new(&there).read_line(&mut heard);
            heard
        });
        let outcome = order(&here, &["qmp_capabilities"]);
        drop(here);
        let heard = server.join().unwrap();
        assert!(
            outcome.is_err() || heard == "{\"execute\":\"qmp_capabilities\"}\n",
            "{heard}"
        );
        outcome
    }

    #[test]
    fn events_are_passed_over_and_refusals_are_told() {
        with("{\"QMP\":{}}\n{\"event\":\"RESET\"}\n{\"return\":{}}\n").unwrap();
        let refused = with("{\"QMP\":{}}\n{\"error\":{\"class\":\"x\",\"desc\":\"not now\"}}\n").unwrap_err();
        assert_eq!(refused.to_string(), "not now");
        assert_eq!(
            with("{\"QMP\":{}}\nnonsense\n").unwrap_err().kind(),
            io::ErrorKind::InvalidData
        );
    }

    #[test]
    fn a_machine_that_is_gone_is_said() {
        let scratch = tempfile::tempdir().unwrap();
        let directory = Utf8Path::from_path(scratch.path()).unwrap();
        assert_eq!(reset(directory).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(
            reset(&directory.join("none")).unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
    }
}
