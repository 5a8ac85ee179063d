//! Opening the sockets of the datagram engine: as the kernel allows, with errors that say what would help.

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;

use nix::ifaddrs::getifaddrs;
use nix::sys::socket::{LinkAddr, bind, setsockopt, sockopt};
use socket2::{Domain, Protocol, SockFilter, Socket, Type};

use super::super::wire;
use super::{BATCH, Kind, Port, READ};
use crate::error::WatchError;

/// Wanted socket buffers, in bytes: half a second of answers at the highest rate.
const BUFFER: usize = 64 << 20;

impl Port {
    fn new(kind: Kind, socket: Socket) -> Result<Port, WatchError> {
        let set_up = || -> io::Result<()> {
            socket.set_nonblocking(true)?;
            // The forced sizes need CAP_NET_ADMIN; without it the kernel's maximum has to do.
            if setsockopt(&socket, sockopt::RcvBufForce, &BUFFER).is_err() {
                socket.set_recv_buffer_size(BUFFER)?;
            }
            if setsockopt(&socket, sockopt::SndBufForce, &BUFFER).is_err() {
                socket.set_send_buffer_size(BUFFER)?;
            }
            setsockopt(&socket, sockopt::ReceiveTimestampns, &true)?;
            setsockopt(&socket, sockopt::RxqOvfl, &1)?;
            Ok(())
        };
        set_up().map_err(WatchError::socket("set up a socket for probes"))?;
        Ok(Port {
            kind,
            socket,
            queue: Vec::new(),
            used: 0,
            buffers: vec![[0; READ]; BATCH],
            drops: 0,
            stood: None,
        })
    }

    /// ICMP: a ping socket where the kernel allows it, a raw one otherwise.
    pub(crate) fn icmp(v6: bool, nonce: u64) -> Result<Port, WatchError> {
        let (domain, protocol) = if v6 {
            (Domain::IPV6, Protocol::ICMPV6)
        } else {
            (Domain::IPV4, Protocol::ICMPV4)
        };
        let (socket, raw) = match Socket::new(domain, Type::DGRAM, Some(protocol)) {
            Ok(socket) => (socket, false),
            Err(_) => {
                let socket = Socket::new(domain, Type::RAW, Some(protocol)).map_err(|source| WatchError::NotAllowed {
                    what: "ICMP probes",
                    next: "as root, `sysctl -w net.ipv4.ping_group_range=\"0 2147483647\"`, or `setcap cap_net_raw+ep FFU` with the \
                           path of ffu",
                    source,
                })?;
                socket
                    .attach_filter(&echo_filter(v6, wire::ident(nonce)))
                    .map_err(WatchError::socket("filter ICMP"))?;
                (socket, true)
            }
        };
        receive_errors(&socket, v6)?;
        Port::new(Kind::Icmp { v6, raw }, socket)
    }

    /// UDP.
    pub(crate) fn udp(v6: bool) -> Result<Port, WatchError> {
        let domain = if v6 { Domain::IPV6 } else { Domain::IPV4 };
        let socket = Socket::new(domain, Type::DGRAM, None).map_err(WatchError::socket("open a UDP socket"))?;
        receive_errors(&socket, v6)?;
        Port::new(Kind::Udp { v6 }, socket)
    }

    /// ARP out of an interface.
    pub(crate) fn arp(interface: &str) -> Result<Port, WatchError> {
        let addresses = getifaddrs().map_err(|error| WatchError::socket("list the interfaces")(error.into()))?;
        let (mut link, mut source): (Option<LinkAddr>, _) = (None, Ipv4Addr::UNSPECIFIED);
        for entry in addresses.filter(|entry| entry.interface_name == interface) {
            let Some(address) = entry.address else { continue };
            if let Some(found) = address.as_link_addr() {
                link = Some(*found);
            } else if let Some(found) = address.as_sockaddr_in() {
                source = found.ip();
            }
        }
        let found = link.and_then(|link| link.addr().map(|mac| (link, mac)));
        let (link, mac) = found.ok_or_else(|| WatchError::NoInterface {
            interface: interface.to_owned(),
        })?;
        let protocol = Protocol::from(i32::from(0x0806u16.to_be()));
        let socket =
            Socket::new(Domain::PACKET, Type::RAW, Some(protocol)).map_err(|source| WatchError::NotAllowed {
                what: "ARP probes",
                next: "`setcap cap_net_raw+ep FFU` with the path of ffu, as root",
                source,
            })?;
        // Replies only: the operation is the half word at 20.
        let filter = [load_half(20), equal(2, 0, 1), accept(), reject()];
        socket
            .attach_filter(&filter)
            .map_err(WatchError::socket("filter ARP"))?;
        bind(socket.as_raw_fd(), &link).map_err(|error| WatchError::socket("bind to an interface")(error.into()))?;
        Port::new(Kind::Arp { mac, source }, socket)
    }
}

fn receive_errors(socket: &Socket, v6: bool) -> Result<(), WatchError> {
    let done = if v6 {
        setsockopt(socket, sockopt::Ipv6RecvErr, &true)
    } else {
        setsockopt(socket, sockopt::Ipv4RecvErr, &true)
    };
    done.map_err(|error| WatchError::socket("ask for ICMP errors")(error.into()))
}

/// Lets only echo replies with our identifier through, so that the pings of others cost nothing.
fn echo_filter(v6: bool, ident: u16) -> Vec<SockFilter> {
    let ident = u32::from(ident);
    if v6 {
        return vec![
            SockFilter::new(0x30, 0, 0, 0),
            equal(129, 0, 3),
            load_half(4),
            equal(ident, 0, 1),
            accept(),
            reject(),
        ];
    }
    // The first instruction puts the length of the IPv4 header into the index register.
    let (length, kind, half) = (
        SockFilter::new(0xb1, 0, 0, 0),
        SockFilter::new(0x50, 0, 0, 0),
        SockFilter::new(0x48, 0, 0, 4),
    );
    vec![
        length,
        kind,
        equal(0, 0, 3),
        half,
        equal(ident, 0, 1),
        accept(),
        reject(),
    ]
}

fn load_half(at: u32) -> SockFilter {
    SockFilter::new(0x28, 0, 0, at)
}

fn equal(value: u32, yes: u8, no: u8) -> SockFilter {
    SockFilter::new(0x15, yes, no, value)
}

fn accept() -> SockFilter {
    SockFilter::new(0x06, 0, 0, 0x40000)
}

fn reject() -> SockFilter {
    SockFilter::new(0x06, 0, 0, 0)
}
