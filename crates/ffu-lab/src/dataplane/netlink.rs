//! Requests to the kernel over netlink, in the namespace of the calling thread: a link up or down, and a router's memory of
//! connections cleared. One system call each, so that a fault's time is known better than a program's start would let.

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, setsockopt, socket, sockopt,
};
use nix::sys::time::TimeVal;

// linux/rtnetlink.h, linux/netlink.h, linux/if.h, linux/if_bridge.h, linux/netfilter/nfnetlink*.h
const RTM_NEWLINK: u16 = 16;
const RTM_SETLINK: u16 = 19;
const AF_BRIDGE: u8 = 7;
const IFLA_PROTINFO_NESTED: u16 = 12 | 0x8000;
const IFLA_BRPORT_STATE: u16 = 1;
const BR_STATE_DISABLED: u8 = 0;
const BR_STATE_FORWARDING: u8 = 3;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;
const NLMSG_ERROR: u16 = 2;
const IFF_UP: u32 = 1;
const CTNETLINK_DELETE: u16 = (1 << 8) | 2;
pub(super) const HEADER: usize = 16;

/// Sets a link of the calling thread's namespace up or down.
pub(crate) fn set_link(name: &str, up: bool) -> io::Result<()> {
    let index = nix::net::if_::if_nametoindex(name)?;
    request(SockProtocol::NetlinkRoute, &link_message(index, up))
}

/// Lets a port of a bridge forward, or nothing pass through it. Unlike a link that comes up this has its effect at once: no
/// worker of the kernel has to see a carrier first.
pub(crate) fn set_port(name: &str, forward: bool) -> io::Result<()> {
    let index = nix::net::if_::if_nametoindex(name)?;
    request(SockProtocol::NetlinkRoute, &port_message(index, forward))
}

/// Forgets every tracked connection of the calling thread's namespace.
pub(crate) fn forget_connections() -> io::Result<()> {
    // nfgenmsg: any family, version 0, no resource; without a tuple it means all of them.
    request(SockProtocol::NetlinkNetFilter, &message(CTNETLINK_DELETE, &[0; 4]))
}

fn link_message(index: u32, up: bool) -> Vec<u8> {
    message(RTM_NEWLINK, &link_header(0, index, if up { IFF_UP } else { 0 }, IFF_UP))
}

fn port_message(index: u32, forward: bool) -> Vec<u8> {
    let state = if forward {
        BR_STATE_FORWARDING
    } else {
        BR_STATE_DISABLED
    };
    let mut body = link_header(AF_BRIDGE, index, 0, 0);
    body.extend(attribute(IFLA_PROTINFO_NESTED, &attribute(IFLA_BRPORT_STATE, &[state])));
    message(RTM_SETLINK, &body)
}

/// ifinfomsg: family, padding, type, index, flags, which flags change.
fn link_header(family: u8, index: u32, flags: u32, change: u32) -> Vec<u8> {
    let mut bytes = vec![family, 0, 0, 0];
    bytes.extend([index, flags, change].into_iter().flat_map(u32::to_ne_bytes));
    bytes
}

/// An attribute of a message: length, kind, value, padding.
pub(super) fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = u16::try_from(4 + value.len()).unwrap_or(4).to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// A request that is acknowledged.
pub(super) fn message(kind: u16, body: &[u8]) -> Vec<u8> {
    with_flags(kind, NLM_F_REQUEST | NLM_F_ACK, body)
}

/// A request that is not.
pub(super) fn silent(kind: u16, body: &[u8]) -> Vec<u8> {
    with_flags(kind, NLM_F_REQUEST, body)
}

fn with_flags(kind: u16, flags: u16, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(HEADER + body.len()).unwrap_or(0);
    let mut bytes = length.to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend(1u32.to_ne_bytes());
    bytes.extend(0u32.to_ne_bytes());
    bytes.extend(body);
    bytes
}

fn request(protocol: SockProtocol, message: &[u8]) -> io::Result<()> {
    exchange(&open(protocol)?, message)
}

/// A socket to the kernel.
pub(super) fn open(protocol: SockProtocol) -> io::Result<OwnedFd> {
    let socket = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)?;
    setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::new(5, 0))?;
    Ok(socket)
}

/// Sends a request and waits for what the kernel says of it.
pub(super) fn exchange(socket: &OwnedFd, message: &[u8]) -> io::Result<()> {
    send(socket, message)?;
    let mut answer = [0; 4096];
    let length = recv(socket.as_raw_fd(), &mut answer, MsgFlags::empty())?;
    acknowledged(&answer[..length])
}

/// Sends a request.
pub(super) fn send(socket: &OwnedFd, message: &[u8]) -> io::Result<()> {
    sendto(socket.as_raw_fd(), message, &NetlinkAddr::new(0, 0), MsgFlags::empty())?;
    Ok(())
}

/// What an answer says: the kernel sends 0 or a negative error number.
fn acknowledged(answer: &[u8]) -> io::Result<()> {
    let strange = || io::Error::new(io::ErrorKind::InvalidData, "an answer that is no acknowledgement");
    let kind = answer
        .get(4..6)
        .and_then(|bytes| bytes.try_into().ok())
        .map(u16::from_ne_bytes);
    let code = answer
        .get(HEADER..HEADER + 4)
        .and_then(|bytes| bytes.try_into().ok())
        .map(i32::from_ne_bytes);
    match (kind, code) {
        (Some(NLMSG_ERROR), Some(0)) => Ok(()),
        (Some(NLMSG_ERROR), Some(code)) => Err(Errno::from_raw(code.saturating_neg()).into()),
        _ => Err(strange()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_have_the_kernel_s_layout() {
        let down = link_message(7, false);
        assert_eq!(down.len(), 32);
        assert_eq!(down[..4], 32u32.to_ne_bytes());
        assert_eq!(down[20..24], 7u32.to_ne_bytes());
        assert_eq!(
            (&down[24..28], &down[28..32]),
            (&0u32.to_ne_bytes()[..], &1u32.to_ne_bytes()[..])
        );
        let off = port_message(7, false);
        assert_eq!((off.len(), off[16]), (44, AF_BRIDGE));
        assert_eq!(off[32..], attribute(IFLA_PROTINFO_NESTED, &[5, 0, 1, 0, 0, 0, 0, 0]));
        assert_eq!(message(CTNETLINK_DELETE, &[0; 4])[4..6], 0x102u16.to_ne_bytes());
    }

    #[test]
    fn answers_are_read_with_care() {
        let answer = |kind: u16, code: i32| {
            let mut bytes = message(kind, &code.to_ne_bytes());
            bytes.extend([0; 16]);
            bytes
        };
        acknowledged(&answer(NLMSG_ERROR, 0)).unwrap();
        let refused = acknowledged(&answer(NLMSG_ERROR, -1)).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
        for bad in [&[][..], &[0; 10], &answer(3, 0)] {
            assert_eq!(acknowledged(bad).unwrap_err().kind(), io::ErrorKind::InvalidData);
        }
        acknowledged(&answer(NLMSG_ERROR, i32::MIN)).unwrap_err();
    }
}
