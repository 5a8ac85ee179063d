//! What the tests of data planes share. They need root: namespaces are real. Without it they say so and test nothing.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream, UdpSocket};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use ffu_hosts::StopFlag;
use ffu_lab::dataplane::fault::{Fault, Injected, inject};
use ffu_lab::dataplane::{
    Cidr, DataPlane, DataPlaneError, ECHO_PORT, External, GuestSpec, HTTP_PORT, Machine, NetworkSpec, Spec, Subnet,
    Switch, in_namespace, parts_in,
};
use nix::time::{ClockId, clock_gettime};

/// False, loudly, where the kernel would refuse.
pub fn possible() -> bool {
    possible_with(Switch::Bridge)
}

/// As [`possible`], with networks of this kind.
pub fn possible_with(switch: Switch) -> bool {
    or_skip(ffu_lab::dataplane::check_possible(switch)).is_some()
}

fn or_skip<T>(outcome: Result<T, DataPlaneError>) -> Option<T> {
    let said = |error| writeln!(std::io::stderr(), "SKIPPED, NOTHING WAS TESTED: {error}");
    outcome.map_err(said).ok()
}

/// Four guests, the first of which is a machine; `None`, loudly, where that cannot be.
pub fn with_machine(switch: Switch) -> Option<Spec> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let cache = variable("XDG_CACHE_HOME").unwrap_or_else(|| variable("HOME").unwrap() + "/.cache");
    let machine = Machine::new(parts_in(&Utf8PathBuf::from(cache).join("ffu")));
    if !possible_with(switch) {
        return None;
    }
    or_skip(machine.check())?;
    let mut spec = four();
    spec.switch = switch;
    spec.guests[0].machine = Some(machine);
    Some(spec)
}

/// Guests of two networks are reached at their own addresses, at the switch.
pub fn fixed_addresses(plane: &DataPlane) {
    for (network, to) in [("red", "10.1.3.4"), ("blue", "10.2.0.5")] {
        in_namespace(&plane.inside(network).unwrap(), || {
            everything(address(to));
            Ok(())
        })
        .unwrap();
    }
}

/// What every test binary with a data plane has as its test `guest_program`: the guest's process is this binary again.
pub fn be_a_guest() {
    let last = std::env::args().next_back().unwrap_or_default();
    if last.starts_with('/') && last.ends_with(".json") {
        let error = ffu_lab::dataplane::run_guest(Utf8Path::new(&last)).unwrap_err();
        panic!("{error}");
    }
}

/// What a test binary that kills an `up` has as its test `up_program`: told a file with a description, it brings that up.
pub fn be_an_up() {
    let last = std::env::args().next_back().unwrap_or_default();
    if last.starts_with('/') && last.ends_with(".spec") {
        let spec: Spec = serde_json::from_slice(&std::fs::read(&last).unwrap()).unwrap();
        DataPlane::up(spec, &Utf8Path::new(&last).with_extension("d")).unwrap();
    }
}

/// Kills an `up` with SIGKILL as soon as each of these files is there, and sees that `down` leaves nothing of it.
pub fn killed_while_it_came_up(spec: &Spec, marks: &[&str]) {
    let own = std::env::current_exe().unwrap();
    for mark in marks {
        let place = Plane::place();
        let (file, dir) = (place.dir.join("x.spec"), place.dir.join("x.d"));
        std::fs::write(&file, serde_json::to_vec(spec).unwrap()).unwrap();
        let mut child = Command::new(&own)
            .args(["--exact", "up_program", "--nocapture", file.as_str()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let begun = Instant::now();
        while !dir.join("dataplane").join(mark).exists() && child.try_wait().unwrap().is_none() {
            assert!(begun.elapsed() < Duration::from_secs(60), "{mark} never came");
            std::thread::sleep(Duration::from_millis(1));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let state = std::fs::read_to_string(dir.join("dataplane/state.json")).unwrap();
        let state: serde_json::Value = serde_json::from_str(&state).unwrap();
        let stem = format!("{}-{}-", spec.prefix, state["id"].as_str().unwrap());
        assert_eq!(state["ready"], false, "it came in time to disturb it: {mark}");
        let opened = DataPlane::open(&dir);
        assert!(matches!(opened, Err(DataPlaneError::Unfinished { .. })), "{mark}");
        assert!(DataPlane::down(&dir).unwrap(), "{mark}");
        let left = (namespaces_of(&stem), processes_of(dir.as_str()));
        assert_eq!(left, (vec![], 0), "{mark}");
        assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 0, "{mark}");
    }
}

pub fn program() -> Vec<String> {
    let own = std::env::current_exe().unwrap().into_os_string().into_string().unwrap();
    vec![
        own,
        "--exact".to_owned(),
        "guest_program".to_owned(),
        "--nocapture".to_owned(),
    ]
}

pub fn address(text: &str) -> Ipv4Addr {
    text.parse().unwrap()
}

fn subnet(cidr: &str, gateway: &str) -> Subnet {
    Subnet {
        cidr: cidr.parse::<Cidr>().unwrap(),
        gateway: address(gateway),
    }
}

/// Four guests on two networks; the first has a floating address.
pub fn four() -> Spec {
    let guest = |n: u8, network: &str, ip: &str| GuestSpec {
        name: format!("server-{n}"),
        network: network.to_owned(),
        address: address(ip),
        mac: format!("fa:16:3e:00:00:{n:02x}"),
        floating: (n == 1).then(|| address("203.0.113.20")),
        machine: None,
        groups: BTreeMap::from([("az".to_owned(), format!("az-{}", n % 2))]),
    };
    Spec {
        prefix: "ffut".to_owned(),
        program: program(),
        switch: Switch::Bridge,
        external: External {
            subnet: subnet("203.0.113.0/24", "203.0.113.1"),
            router: address("203.0.113.9"),
        },
        networks: vec![
            NetworkSpec {
                name: "red".to_owned(),
                subnets: vec![subnet("10.1.0.0/16", "10.1.255.254")],
                vantage: address("10.1.255.253"),
            },
            NetworkSpec {
                name: "blue".to_owned(),
                subnets: vec![subnet("10.2.0.0/24", "10.2.0.1")],
                vantage: address("10.2.0.254"),
            },
        ],
        guests: vec![
            guest(1, "red", "10.1.0.2"),
            guest(2, "blue", "10.2.0.3"),
            guest(3, "red", "10.1.3.4"),
            guest(4, "blue", "10.2.0.5"),
        ],
    }
}

/// A data plane in a scratch directory, taken down when the test ends, also by a panic.
pub struct Plane {
    pub dir: Utf8PathBuf,
    scratch: tempfile::TempDir,
}

impl Plane {
    pub fn place() -> Plane {
        let scratch = tempfile::Builder::new().prefix("ffut-plane-").tempdir().unwrap();
        let dir = Utf8Path::from_path(scratch.path())
            .unwrap()
            .canonicalize_utf8()
            .unwrap();
        Plane { dir, scratch }
    }
}

impl Drop for Plane {
    fn drop(&mut self) {
        let _ = DataPlane::down(&self.dir);
    }
}

pub fn now() -> u64 {
    let time = clock_gettime(ClockId::CLOCK_BOOTTIME).unwrap();
    u64::try_from(time.tv_sec() * 1_000_000_000 + time.tv_nsec()).unwrap()
}

/// A datagram that was sent: when, and the nanoseconds after which it came back.
#[derive(Clone, Copy, Debug)]
pub struct Ping {
    pub sent: u64,
    pub back: Option<u64>,
}

/// Sends a datagram every 2 ms from a namespace until told to end, then waits for the last answers.
pub fn probe(namespace: &str, to: Ipv4Addr, end: &AtomicBool) -> Vec<Ping> {
    in_namespace(namespace, || {
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        socket.connect((to, ECHO_PORT)).unwrap();
        socket.set_nonblocking(true).unwrap();
        let mut pings: Vec<Ping> = Vec::new();
        let mut last = None;
        while last.is_none_or(|last: std::time::Instant| last.elapsed() < Duration::from_millis(300)) {
            if end.load(Ordering::SeqCst) {
                last.get_or_insert_with(std::time::Instant::now);
            } else {
                let number = u32::try_from(pings.len()).unwrap();
                let sent = now();
                // A refused datagram is a lost one.
                let _ = socket.send(&number.to_be_bytes());
                pings.push(Ping { sent, back: None });
            }
            let mut buffer = [0; 16];
            loop {
                match socket.recv(&mut buffer) {
                    Ok(4) => {
                        let ping = &mut pings[u32::from_be_bytes(buffer[..4].try_into().unwrap()) as usize];
                        ping.back = Some(now() - ping.sent);
                    }
                    Ok(_) => panic!("something else came back"),
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
                    // What the kernel heard of an earlier datagram.
                    Err(_) => {}
                }
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(pings)
    })
    .unwrap()
}

/// The first and the last lost datagram.
pub fn gap(pings: &[Ping]) -> Option<(u64, u64)> {
    let lost = || pings.iter().filter(|ping| ping.back.is_none()).map(|ping| ping.sent);
    Some((lost().min()?, lost().max()?))
}

/// Does a fault while datagrams go to these addresses from outside.
pub fn measured(plane: &DataPlane, fault: &Fault, milliseconds: u64, to: &[&str]) -> (Injected, Vec<Vec<Ping>>) {
    let (end, outside) = (AtomicBool::new(false), plane.outside());
    std::thread::scope(|scope| {
        let probers: Vec<_> = to
            .iter()
            .map(|to| scope.spawn(|| probe(&outside, address(to), &end)))
            .collect();
        std::thread::sleep(Duration::from_millis(300));
        let lasting = Duration::from_millis(milliseconds);
        let done = inject(plane, fault, lasting, &StopFlag::new(), &|_| {});
        // Longer than the kernel needs to ask for a neighbour again that it had lost.
        std::thread::sleep(Duration::from_millis(1500));
        end.store(true, Ordering::SeqCst);
        let pings = probers.into_iter().map(|prober| prober.join().unwrap()).collect();
        (done.unwrap(), pings)
    })
}

/// It answers in every way that a guest does, here in this namespace.
pub fn everything(to: Ipv4Addr) {
    icmp(to).unwrap();
    udp(to).unwrap();
    echo_and_http(to);
}

/// What a machine answers, too.
pub fn echo_and_http(to: Ipv4Addr) {
    assert_eq!(tcp(to, ECHO_PORT, "a line\n").unwrap(), "a line\n");
    let page = tcp(to, HTTP_PORT, "GET / HTTP/1.0\r\n\r\n").unwrap();
    assert!(page.ends_with("\r\n\r\nok\n"), "{page}");
}

pub fn namespaces_of(stem: &str) -> Vec<String> {
    let entries = std::fs::read_dir("/run/netns").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.starts_with(stem))
        .collect()
}

pub fn stem(plane: &DataPlane) -> String {
    plane.outside().trim_end_matches("out").to_owned()
}

pub fn processes_of(dir: &str) -> usize {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = entries.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    lines.filter(|line| String::from_utf8_lossy(line).contains(dir)).count()
}

pub fn udp(to: Ipv4Addr) -> std::io::Result<()> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.set_read_timeout(Some(Duration::from_secs(2)))?;
    socket.send_to(b"who is there", (to, ECHO_PORT))?;
    let mut buffer = [0; 64];
    let (length, from) = socket.recv_from(&mut buffer)?;
    assert_eq!((&buffer[..length], from.ip()), (&b"who is there"[..], to.into()));
    Ok(())
}

pub fn tcp(to: Ipv4Addr, port: u16, send: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&(to, port).into(), Duration::from_secs(2))?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    stream.write_all(send.as_bytes())?;
    stream.shutdown(std::net::Shutdown::Write)?;
    let mut back = String::new();
    stream.read_to_string(&mut back)?;
    Ok(back)
}

pub fn icmp(to: Ipv4Addr) -> std::io::Result<()> {
    use nix::sys::socket::{
        AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, recv, sendto, setsockopt, socket,
        sockopt,
    };
    use std::os::fd::AsRawFd as _;
    let socket = socket(
        AddressFamily::Inet,
        SockType::Datagram,
        SockFlag::empty(),
        SockProtocol::Icmp,
    )?;
    setsockopt(&socket, sockopt::ReceiveTimeout, &nix::sys::time::TimeVal::new(2, 0))?;
    let to = SockaddrIn::from(std::net::SocketAddrV4::new(to, 0));
    sendto(socket.as_raw_fd(), &[8, 0, 0, 0, 0, 0, 0, 1], &to, MsgFlags::empty())?;
    let mut answer = [0; 64];
    recv(socket.as_raw_fd(), &mut answer, MsgFlags::empty())?;
    assert_eq!(answer[0], 0, "an echo reply");
    Ok(())
}

pub fn streams_go_on(plane: &DataPlane) {
    let lines = |guest: &str| plane.identity(guest).unwrap().stream.unwrap();
    let begun = Instant::now();
    for guest in ["server-1", "server-2", "server-3", "server-4"] {
        while lines(guest).lines < 3 {
            assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", lines(guest));
            std::thread::sleep(Duration::from_millis(50));
        }
        assert!(lines(guest).connected && lines(guest).breaks == 0);
    }
}
