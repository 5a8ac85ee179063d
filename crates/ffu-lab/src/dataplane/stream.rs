//! The stream that a guest keeps to another one: a line every 100 ms that must come back. It counts its own breaks.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::guest::{Identity, StreamState};

const EVERY: Duration = Duration::from_millis(100);
/// Silence after which it is given up. TCP itself repeats what is lost, so a short outage is a gap and no break.
const PATIENCE: Duration = Duration::from_secs(600);
const CONNECTING: Duration = Duration::from_secs(1);

/// A stream that was never established.
pub(super) fn fresh(peer: SocketAddr) -> StreamState {
    StreamState {
        peer,
        connected: false,
        lines: 0,
        breaks: 0,
        longest_gap_ms: 0,
    }
}

/// Keeps it, for ever.
pub(super) fn keep(peer: SocketAddr, identity: &Mutex<Identity>) {
    let change = |to: &dyn Fn(&mut StreamState)| {
        let mut guard: MutexGuard<'_, Identity> = identity.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(state) = guard.stream.as_mut() {
            to(state);
        }
    };
    loop {
        if let Ok(stream) = TcpStream::connect_timeout(&peer, CONNECTING) {
            change(&|state| state.connected = true);
            let _ = talk(&stream, |gap| {
                change(&|state| {
                    state.lines += 1;
                    state.longest_gap_ms = state.longest_gap_ms.max(gap);
                });
            });
            // `talk` never ends well.
            change(&|state| {
                state.connected = false;
                state.breaks += 1;
            });
        }
        std::thread::sleep(EVERY);
    }
}

/// Sends lines and waits for each; tells of each that came back how many milliseconds after the one before it did.
fn talk(mut stream: &TcpStream, heard: impl Fn(u64)) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut before: Option<Instant> = None;
    for number in 0u64.. {
        let line = format!("{number}\n");
        stream.write_all(line.as_bytes())?;
        let mut back = vec![0; line.len()];
        stream.read_exact(&mut back)?;
        if back != line.as_bytes() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "another line came back"));
        }
        let gap = before.map_or(0, |before| {
            u64::try_from(before.elapsed().as_millis()).unwrap_or(u64::MAX)
        });
        before = Some(Instant::now());
        heard(gap);
        std::thread::sleep(EVERY);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn lines_and_a_break_are_counted() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let peer = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut byte = [0];
            for _ in 0..6 {
                stream.read_exact(&mut byte).unwrap();
                stream.write_all(&byte).unwrap();
            }
        });
        let lines = Mutex::new(0);
        let stream = TcpStream::connect(peer).unwrap();
        talk(&stream, |_| *lines.lock().unwrap() += 1).unwrap_err();
        server.join().unwrap();
        assert_eq!(*lines.lock().unwrap(), 3, "three lines of two bytes");
    }
}
