//! The least of DNS that a probe needs: one question, and whether an answer is one.

/// A query for the A record of a name, with the id 0 in its first two bytes; `None` if it is no name.
pub(crate) fn query(name: &str) -> Option<Vec<u8>> {
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.len() > 253 {
        return None;
    }
    // id, flags (recursion desired), one question, nothing else.
    let mut packet = vec![0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    if !name.is_empty() {
        for label in name.split('.') {
            let length = u8::try_from(label.len())
                .ok()
                .filter(|length| (1..=63).contains(length))?;
            packet.push(length);
            packet.extend_from_slice(label.as_bytes());
        }
    }
    packet.extend_from_slice(&[0, 0, 1, 0, 1]);
    Some(packet)
}

/// The id of a message that is an answer to a plain query, whatever its code.
pub(crate) fn answer_id(packet: &[u8]) -> Option<u16> {
    let header: &[u8; 12] = packet.first_chunk()?;
    let is_answer = header[2] & 0x80 != 0 && header[2] & 0x78 == 0;
    // A server that cannot read the query (FORMERR) may leave the question out.
    let questions = u16::from_be_bytes([header[4], header[5]]);
    (is_answer && questions <= 1).then(|| u16::from_be_bytes([header[0], header[1]]))
}

/// The id of a query that comes back inside an ICMP error.
pub(crate) fn query_id(packet: &[u8]) -> Option<u16> {
    let header: &[u8; 12] = packet.first_chunk()?;
    (header[2] & 0x80 == 0).then(|| u16::from_be_bytes([header[0], header[1]]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_questions() {
        let packet = query("www.example.org.").expect("a name");
        assert_eq!(&packet[12..], b"\x03www\x07example\x03org\0\0\x01\0\x01");
        assert_eq!(query(".").expect("the root")[12..], [0, 0, 1, 0, 1]);
        for bad in ["a..b", &"x".repeat(64), &"a.".repeat(200)] {
            assert_eq!(query(bad), None);
        }
    }

    #[test]
    fn only_answers_are_answers() {
        let mut packet = query("a.b").expect("a name");
        packet[..2].copy_from_slice(&[7, 9]);
        assert_eq!((answer_id(&packet), query_id(&packet)), (None, Some(0x0709)));
        packet[2] |= 0x80;
        packet[3] = 0x83;
        assert_eq!((answer_id(&packet), query_id(&packet)), (Some(0x0709), None));
        assert_eq!(answer_id(&packet[..11]), None);
    }
}
