//! The guest's answer to a DNS query: its own address to whoever asks for one (RFC 1035, 4.1).

use std::net::Ipv4Addr;

const HEADER: usize = 12;
const TYPE_A: [u8; 4] = [0, 1, 0, 1];

/// The answer to a query; `None` if it is not one with a single question.
pub(super) fn answer(query: &[u8], address: Ipv4Addr) -> Option<Vec<u8>> {
    let header = query.get(..HEADER)?;
    // A query (QR 0, opcode 0) with one question.
    if header[2] & 0xf8 != 0 || header[4..6] != [0, 1] {
        return None;
    }
    let mut at = HEADER;
    loop {
        match usize::from(*query.get(at)?) {
            0 => break,
            length if length < 64 => at += length + 1,
            _ => return None,
        }
    }
    let question = query.get(HEADER..at + 5)?;
    let is_a = question.ends_with(&TYPE_A);
    let mut answer = header[..2].to_vec();
    // An authoritative answer, recursion desired as asked, no error.
    answer.extend([0x84 | (header[2] & 1), 0, 0, 1, 0, u8::from(is_a), 0, 0, 0, 0]);
    answer.extend(question);
    if is_a {
        // The name of the question, A IN, for a second, four bytes.
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4]);
        answer.extend(address.octets());
    }
    Some(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(kind: u8) -> Vec<u8> {
        let mut bytes = vec![0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        bytes.extend(b"\x03lab\x04test\x00");
        bytes.extend([0, kind, 0, 1]);
        bytes
    }

    #[test]
    fn an_address_is_answered_with_its_own() {
        let answered = answer(&query(1), Ipv4Addr::new(10, 1, 2, 3)).unwrap();
        assert_eq!(answered[..8], [0xab, 0xcd, 0x85, 0, 0, 1, 0, 1]);
        assert!(answered.ends_with(&[0, 4, 10, 1, 2, 3]));
        let other = answer(&query(28), Ipv4Addr::LOCALHOST).unwrap();
        assert_eq!((other.len(), other[7]), (query(28).len(), 0));
    }

    #[test]
    fn rubbish_gets_no_answer() {
        let whole = query(1);
        for length in 0..whole.len() {
            assert_eq!(answer(&whole[..length], Ipv4Addr::LOCALHOST), None, "{length}");
        }
        let mut response = whole.clone();
        response[2] |= 0x80;
        let mut pointer = whole;
        pointer[HEADER] = 0xc0;
        for bad in [response, pointer, vec![0xff; 600]] {
            assert_eq!(answer(&bad, Ipv4Addr::LOCALHOST), None);
        }
    }
}
