//! Probes as bytes and answers read back: ICMP, UDP echo and ARP. Pure.
//!
//! Every echo carries a magic, the agent's nonce, the target and the number, so that what others send is never taken for an answer.

use std::net::Ipv4Addr;

const MAGIC: &[u8; 4] = b"ffuw";

/// Bytes of an echo's payload.
pub(crate) const PAYLOAD: usize = 24;

/// Bytes of an ICMP header.
pub(crate) const ICMP: usize = 8;

/// Appends the payload of a probe. `slot` is the target's place in the agent.
pub(crate) fn put_payload(bytes: &mut Vec<u8>, nonce: u64, slot: u32, seq: u32) {
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&nonce.to_be_bytes());
    bytes.extend_from_slice(&slot.to_be_bytes());
    bytes.extend_from_slice(&seq.to_be_bytes());
    bytes.extend_from_slice(&[0; 4]);
}

/// Slot and number of a payload of this agent.
pub(crate) fn payload(bytes: &[u8], nonce: u64) -> Option<(u32, u32)> {
    let bytes: &[u8; PAYLOAD] = bytes.first_chunk()?;
    let word = |at: usize| u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let theirs = u64::from(word(4)) << 32 | u64::from(word(8));
    (bytes[..4] == MAGIC[..] && theirs == nonce).then(|| (word(12), word(16)))
}

/// Writes an echo request. ICMPv6 leaves the checksum to the kernel.
pub(crate) fn put_icmp(bytes: &mut Vec<u8>, v6: bool, nonce: u64, slot: u32, seq: u32) {
    let start = bytes.len();
    bytes.extend_from_slice(&[if v6 { 128 } else { 8 }, 0, 0, 0]);
    bytes.extend_from_slice(&ident(nonce).to_be_bytes());
    bytes.extend_from_slice(&(seq as u16).to_be_bytes());
    put_payload(bytes, nonce, slot, seq);
    if !v6 {
        let sum = checksum(&bytes[start..]);
        bytes[start + 2..start + 4].copy_from_slice(&sum.to_be_bytes());
    }
}

/// The identifier in the ICMP headers of an agent.
pub(crate) fn ident(nonce: u64) -> u16 {
    nonce as u16
}

/// The internet checksum of an even number of bytes.
fn checksum(bytes: &[u8]) -> u16 {
    let mut sum: u32 = bytes
        .chunks_exact(2)
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// The payload of an echo reply. `with_ip`: an IPv4 header stands before it.
pub(crate) fn icmp_answer(packet: &[u8], v6: bool, with_ip: bool) -> Option<&[u8]> {
    let header = if with_ip {
        usize::from(packet.first()? & 0x0f) * 4
    } else {
        0
    };
    let icmp = packet.get(header..)?;
    let reply = if v6 { 129 } else { 0 };
    (*icmp.first()? == reply).then(|| icmp.get(ICMP..)).flatten()
}

/// An ARP request as an Ethernet frame to everybody.
pub(crate) fn put_arp(bytes: &mut Vec<u8>, mac: [u8; 6], source: Ipv4Addr, target: Ipv4Addr) {
    bytes.extend_from_slice(&[0xff; 6]);
    bytes.extend_from_slice(&mac);
    // ARP; Ethernet, IPv4, their lengths, request.
    bytes.extend_from_slice(&[0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1]);
    bytes.extend_from_slice(&mac);
    bytes.extend_from_slice(&source.octets());
    bytes.extend_from_slice(&[0; 6]);
    bytes.extend_from_slice(&target.octets());
}

/// Who says in an ARP reply to this address that it is there.
pub(crate) fn arp_answer(frame: &[u8], mac: [u8; 6]) -> Option<Ipv4Addr> {
    let frame: &[u8; 42] = frame.first_chunk()?;
    let ours = frame[12..22] == [0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 2] && frame[32..38] == mac;
    ours.then(|| Ipv4Addr::new(frame[28], frame[29], frame[30], frame[31]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn echoes_are_known_again_and_those_of_others_not() {
        let mut request = Vec::new();
        put_icmp(&mut request, false, 0x1122_3344_5566_7788, 7, 0x1_0009);
        assert_eq!(checksum(&request), 0, "the sum over a right checksum");
        assert_eq!(request[..2], [8, 0]);
        assert_eq!(request[4..8], [0x77, 0x88, 0, 9]);
        assert_eq!(icmp_answer(&request, false, false), None, "a request is no answer");
        let mut reply = vec![0x46; 24];
        reply.extend_from_slice(&request);
        reply[24] = 0;
        let inner = icmp_answer(&reply, false, true).expect("a reply");
        assert_eq!(payload(inner, 0x1122_3344_5566_7788), Some((7, 0x1_0009)));
        assert_eq!(payload(inner, 1), None);
        for cut in 0..reply.len() {
            assert_eq!(
                icmp_answer(&reply[..cut], false, true).and_then(|inner| payload(inner, 1)),
                None
            );
        }
    }

    #[test]
    fn arp_replies_to_us_count() {
        let (mac, us, them) = (
            [2, 0, 0, 0, 0, 1],
            Ipv4Addr::new(10, 0, 0, 1),
            Ipv4Addr::new(10, 0, 0, 2),
        );
        let mut request = Vec::new();
        put_arp(&mut request, mac, us, them);
        assert_eq!((request.len(), arp_answer(&request, mac)), (42, None));
        let mut reply = request.clone();
        reply[21] = 2;
        reply[22..28].copy_from_slice(&[2, 0, 0, 0, 0, 2]);
        reply[28..32].copy_from_slice(&them.octets());
        reply[32..38].copy_from_slice(&mac);
        assert_eq!(arp_answer(&reply, mac), Some(them));
        assert_eq!(arp_answer(&reply, [9; 6]), None);
        assert_eq!(arp_answer(&reply[..41], mac), None);
    }
}
