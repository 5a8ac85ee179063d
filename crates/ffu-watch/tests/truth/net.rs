//! Guests behind a bridge, and outages of them that are sharp: a route is put into a guest that swallows its answers, by one netlink
//! request that the kernel acknowledges. A link that goes down and up again would take the bridge tens of milliseconds to forward
//! to, so that nobody could say when the outage was over.

use std::fmt::Write as _;
use std::io::Write as _;
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use ffu_model::watch::Nanos;
use nix::sched::{CloneFlags, setns};
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket};

use crate::common::now;

const VANTAGE: [u8; 4] = [10, 78, 0, 1];

/// A vantage point, a switch and guests, each in a network namespace of its own.
pub struct Segment {
    pub here: String,
    spaces: Vec<String>,
    guests: Vec<OwnedFd>,
}

/// The address of a guest.
pub fn address(guest: usize) -> String {
    format!("10.78.0.{}", 10 + guest)
}

impl Segment {
    /// `None`, loudly, where the kernel refuses.
    #[allow(clippy::print_stderr)]
    pub fn new(count: usize) -> Option<Segment> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = format!("{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let (here, switch) = (format!("ffut-tv{number}"), format!("ffut-ts{number}"));
        let made = Command::new("ip").args(["netns", "add", &here]).output();
        if !made.is_ok_and(|output| output.status.success()) {
            eprintln!("SKIPPED: the kernel does not allow network namespaces here (needs root)");
            return None;
        }
        let names = (0..count).map(|guest| format!("ffut-tg{number}-{guest}"));
        let spaces: Vec<String> = [here.clone(), switch.clone()].into_iter().chain(names).collect();
        let mut segment = Segment {
            here,
            spaces,
            guests: Vec::new(),
        };
        let guests = segment.spaces[2..].to_vec();
        batch(
            None,
            &guests.iter().chain([&switch]).fold(String::new(), |mut all, space| {
                let _ = writeln!(all, "netns add {space}");
                all
            }),
        );
        let mut plugs = "link add br0 type bridge forward_delay 0\nlink set br0 up\n".to_owned();
        let mut neighbours = String::new();
        for (number, space) in (0..).zip(segment.spaces.iter().filter(|space| **space != switch)) {
            let (mac, _) = end(number);
            let _ = writeln!(
                plugs,
                "link add p{number} type veth peer name eth0 netns {space} address {mac}"
            );
            let _ = writeln!(plugs, "link set p{number} master br0 up");
        }
        batch(Some(&switch), &plugs);
        // Nobody has to ask for a hardware address while an answer cannot come.
        for (guest, space) in guests.iter().enumerate() {
            let (mac, address) = end(guest + 1);
            let _ = writeln!(neighbours, "neigh add {address} lladdr {mac} dev eth0 nud permanent");
            let (mac, vantage) = end(0);
            batch(
                Some(space),
                &format!(
                    "link set lo up\nlink set eth0 up\naddr add {address}/24 dev eth0\n\
                     neigh add {vantage} lladdr {mac} dev eth0 nud permanent\n"
                ),
            );
        }
        let (_, vantage) = end(0);
        batch(
            Some(&segment.here),
            &format!("link set lo up\nlink set eth0 up\naddr add {vantage}/24 dev eth0\n{neighbours}"),
        );
        segment.guests = guests.iter().map(|space| routes_of(space)).collect();
        Some(segment)
    }

    /// Begins (or ends) an outage of a guest: before this instant it had not begun (ended), after that one it had.
    pub fn swallow(&self, guest: usize, begin: bool) -> (Nanos, Nanos) {
        let request = route_request(begin);
        let socket = self.guests[guest].as_raw_fd();
        let mut answer = [0; 256];
        let before = now();
        send(socket, &request, MsgFlags::empty()).expect("asks the kernel");
        let length = recv(socket, &mut answer, MsgFlags::empty()).expect("the kernel answers");
        let after = now();
        assert!(length >= 20 && answer[16..20] == [0; 4], "errno {:?}", &answer[16..20]);
        (before, after)
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        self.guests.clear();
        for space in &self.spaces {
            let _ = Command::new("ip").args(["netns", "del", space]).output();
        }
    }
}

/// Hardware address and address of the vantage point (0) or a guest (from 1).
fn end(number: usize) -> (String, String) {
    let address = if number == 0 {
        "10.78.0.1".to_owned()
    } else {
        address(number - 1)
    };
    (format!("02:00:00:00:00:{number:02x}"), address)
}

fn batch(space: Option<&str>, commands: &str) {
    let mut command = Command::new("ip");
    if let Some(space) = space {
        command.args(["-n", space]);
    }
    let mut child = command.args(["-batch", "-"]).stdin(Stdio::piped()).spawn().expect("ip");
    child
        .stdin
        .take()
        .expect("stdin")
        .write_all(commands.as_bytes())
        .expect("it reads");
    assert!(child.wait().expect("it ends").success(), "{space:?}: {commands}");
}

/// A netlink socket for the routes of a namespace. It stays there, whoever uses it.
fn routes_of(space: &str) -> OwnedFd {
    let space = std::fs::File::open(format!("/run/netns/{space}")).expect("the namespace");
    let made = std::thread::spawn(move || {
        setns(space, CloneFlags::CLONE_NEWNET).expect("enters it");
        let (family, kind) = (AddressFamily::Netlink, SockType::Raw);
        socket(family, kind, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkRoute).expect("a netlink socket")
    });
    made.join().expect("a socket")
}

/// RTM_NEWROUTE (or RTM_DELROUTE) of a blackhole for the vantage point's address, to be acknowledged.
fn route_request(add: bool) -> Vec<u8> {
    let (kind, flags): (u16, u16) = if add {
        (24, 0x1 | 0x4 | 0x200 | 0x400)
    } else {
        (25, 0x1 | 0x4)
    };
    let mut bytes = Vec::with_capacity(36);
    bytes.extend_from_slice(&36_u32.to_ne_bytes());
    bytes.extend_from_slice(&kind.to_ne_bytes());
    bytes.extend_from_slice(&flags.to_ne_bytes());
    bytes.extend_from_slice(&[0; 8]);
    // IPv4, /32, main table, static, universe, blackhole.
    bytes.extend_from_slice(&[2, 32, 0, 0, 254, 4, 0, 6, 0, 0, 0, 0]);
    bytes.extend_from_slice(&8_u16.to_ne_bytes());
    bytes.extend_from_slice(&1_u16.to_ne_bytes());
    bytes.extend_from_slice(&VANTAGE);
    bytes
}
