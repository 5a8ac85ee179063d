//! The program that a guest is: `ffu lab-guest FILE`. It enters its namespace, leaves the session of whoever started it, and
//! serves until it is ended: echo over UDP and TCP, HTTP, DNS, and a stream to another guest that it watches itself.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use ffu_model::watch::Nanos;
use serde::{Deserialize, Serialize};

use super::error::DataPlaneError;
use super::kernel::{enter, now};
use super::{dns, stream};
use crate::layout::write_file;

/// Where guests echo what they get, over UDP and TCP (RFC 862).
pub const ECHO_PORT: u16 = 7;
/// Where guests answer HTTP: `/identity` says who it is, everything else `ok`.
pub const HTTP_PORT: u16 = 80;
/// Where guests answer DNS over UDP: their own address, whatever is asked for.
pub const DNS_PORT: u16 = 53;
/// Connections at a time.
const MOST_CONNECTIONS: usize = 512;
/// A stream that has said nothing for so long belongs to nobody any more.
const IDLE: Duration = Duration::from_secs(3600);
const STACK: usize = 128 << 10;

/// What a guest is told: its configuration file, in JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GuestFile {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its address.
    pub address: Ipv4Addr,
    /// The guest that it keeps a stream to.
    pub peer: Option<Ipv4Addr>,
    /// Where its process id goes when it serves.
    pub pid_file: Utf8PathBuf,
    /// Where its [`Identity`] goes when it serves.
    pub identity_file: Utf8PathBuf,
}

/// Who a guest is: what `/identity` answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Its name.
    pub name: String,
    /// Random, made when it starts: another one means that it restarted.
    pub boot_id: String,
    /// Its process.
    pub pid: u32,
    /// Clock ticks from the machine's boot to that process' start.
    pub start_ticks: u64,
    /// When it began to serve, on the boot-time clock.
    pub started: Nanos,
    /// Its stream to another guest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<StreamState>,
}

/// How a guest's stream to another guest is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamState {
    /// The other one.
    pub peer: SocketAddr,
    /// Whether it is established.
    pub connected: bool,
    /// Lines that came back.
    pub lines: u64,
    /// How often an established stream ended.
    pub breaks: u64,
    /// The longest time between two lines that came back, in milliseconds; they are sent every 100 ms.
    pub longest_gap_ms: u64,
}

/// Is a guest, until the process is ended. To be called by a process that has no other threads and does nothing else.
///
/// # Errors
/// The file is not one, the namespace is gone, a port cannot be had.
pub fn run_guest(file: &Utf8Path) -> Result<std::convert::Infallible, DataPlaneError> {
    let text = std::fs::read_to_string(file).map_err(DataPlaneError::io("read", file))?;
    let config: GuestFile =
        serde_json::from_str(&text).map_err(|error| DataPlaneError::io("read", file)(error.into()))?;
    // Ctrl-C at the terminal of whoever started it is not meant for it. It may lead a session already.
    let _ = nix::unistd::setsid();
    enter(&config.namespace)?;
    let on = |port: u16| SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port);
    let listening = |error| DataPlaneError::Kernel {
        action: "listen on the guest's ports".to_owned(),
        namespace: config.namespace.clone(),
        source: error,
    };
    let udp = UdpSocket::bind(on(ECHO_PORT)).map_err(listening)?;
    let names = UdpSocket::bind(on(DNS_PORT)).map_err(listening)?;
    let tcp = TcpListener::bind(on(ECHO_PORT)).map_err(listening)?;
    let http = TcpListener::bind(on(HTTP_PORT)).map_err(listening)?;
    let pid = std::process::id();
    let peer = config.peer.map(|address| SocketAddr::from((address, ECHO_PORT)));
    let identity = Identity {
        name: config.name.clone(),
        boot_id: boot_id().map_err(DataPlaneError::io("read", "/proc/sys/kernel/random/uuid"))?,
        pid,
        start_ticks: ffu_hosts::ticks_at_start(pid).unwrap_or(0),
        started: now(),
        stream: peer.map(stream::fresh),
    };
    let shared = Arc::new(Mutex::new(identity.clone()));
    spawn("udp", move || echo_datagrams(&udp))?;
    let own = config.address;
    spawn("dns", move || answer_names(&names, own))?;
    spawn("tcp", move || serve(&tcp, &|stream| echo(&stream)))?;
    if let Some(peer) = peer {
        let shared = Arc::clone(&shared);
        spawn("stream", move || stream::keep(peer, &shared))?;
    }
    // Ports are taken, so it serves: now it may be known. The process id comes last, it is what is waited for.
    record(
        &config.identity_file,
        &serde_json::to_vec(&identity).unwrap_or_default(),
    )?;
    record(&config.pid_file, format!("{pid}\n").as_bytes())?;
    serve(&http, &|stream| answer_http(&stream, &shared));
    Err(listening(io::Error::other("the listening socket ended")))
}

fn record(path: &Utf8Path, bytes: &[u8]) -> Result<(), DataPlaneError> {
    write_file(path, bytes, 0o644).map_err(|error| DataPlaneError::io("write", path)(io::Error::other(error)))
}

/// The kernel makes a random one for whoever reads it.
fn boot_id() -> io::Result<String> {
    Ok(std::fs::read_to_string("/proc/sys/kernel/random/uuid")?
        .trim()
        .to_owned())
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), DataPlaneError> {
    let builder = std::thread::Builder::new().name(name.to_owned()).stack_size(STACK);
    builder
        .spawn(work)
        .map(drop)
        .map_err(DataPlaneError::io("start a thread", name))
}

fn echo_datagrams(socket: &UdpSocket) {
    let mut buffer = [0; 65_536 >> 2];
    loop {
        // Errors here are what a datagram of before ran into (an unreachable client): the next one is a new one.
        if let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let _ = socket.send_to(&buffer[..length], from);
        }
    }
}

fn answer_names(socket: &UdpSocket, own: Ipv4Addr) {
    let mut buffer = [0; 1024];
    loop {
        if let Ok((length, from)) = socket.recv_from(&mut buffer)
            && let Some(answer) = dns::answer(&buffer[..length], own)
        {
            let _ = socket.send_to(&answer, from);
        }
    }
}

/// A thread a connection, so many at a time; one too many is closed at once.
fn serve(listener: &TcpListener, work: &(impl Fn(TcpStream) -> io::Result<()> + Sync)) {
    let open = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for stream in listener.incoming() {
            let Ok(stream) = stream else {
                // Out of descriptors: some will be free again.
                std::thread::sleep(Duration::from_millis(10));
                continue;
            };
            if open.fetch_add(1, Ordering::SeqCst) >= MOST_CONNECTIONS {
                open.fetch_sub(1, Ordering::SeqCst);
                continue;
            }
            let open = &open;
            let one = move || {
                // How a client's connection ends is its own affair.
                let _ = work(stream);
                open.fetch_sub(1, Ordering::SeqCst);
            };
            if std::thread::Builder::new()
                .stack_size(STACK)
                .spawn_scoped(scope, one)
                .is_err()
            {
                open.fetch_sub(1, Ordering::SeqCst);
            }
        }
    });
}

fn echo(mut stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(IDLE))?;
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            length => stream.write_all(&buffer[..length])?,
        }
    }
}

fn answer_http(mut stream: &TcpStream, identity: &Mutex<Identity>) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.set_write_timeout(Some(Duration::from_secs(5)))?;
    let (mut request, mut buffer) = (Vec::new(), [0; 1024]);
    while !request.windows(4).any(|four| four == b"\r\n\r\n") && request.len() < 8192 {
        match stream.read(&mut buffer)? {
            0 => break,
            length => request.extend_from_slice(&buffer[..length]),
        }
    }
    let path = request.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
    let (kind, body) = if path == b"/identity" {
        let identity = identity.lock().unwrap_or_else(PoisonError::into_inner).clone();
        ("application/json", serde_json::to_string(&identity).unwrap_or_default())
    } else {
        ("text/plain", "ok\n".to_owned())
    };
    let length = body.len();
    let head =
        format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    stream.write_all(format!("{head}{body}").as_bytes())
}
