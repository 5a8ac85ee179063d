//! The bytes in which entries travel from an agent and rest in a record: batches that check themselves.
//!
//! ```text
//! magic "ffuW" | version u8 | kind u8 | 2 bytes 0 | length u32 | CRC-32 u32 | boot-time clock u64 | wall clock i64 | body
//! ```
//! All little-endian; the CRC is over everything behind it and the 8 bytes before it. A body of entries is compressed (zstd, level 1) and
//! holds columns, one value an entry: what is alike stands together. Round-trip times keep their seven highest bits, so they are wrong by
//! 0.8 % at most; send times are exact.

mod body;
mod columns;

use ffu_model::watch::Nanos;

use crate::Entry;

/// The version of the format. A reader refuses others.
pub const VERSION: u8 = 1;

/// Bytes before the body.
pub const HEADER: usize = 32;

/// The longest body, in bytes.
pub const MAX_BODY: usize = 16 << 20;

/// The most entries of one frame; writers make several of more.
pub const MAX_ENTRIES: usize = 100_000;

const MAGIC: &[u8; 4] = b"ffuW";

/// One frame, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The writer's boot-time clock when it was made.
    pub boot: Nanos,
    /// The writer's wall clock at the same time: nanoseconds since 1970.
    pub wall: i64,
    /// What is in it.
    pub content: Content,
}

/// What is in a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// What an agent saw; none at all means that it is alive.
    Entries(Vec<Entry>),
    /// The answer to a question for the clock, with the asker's time in it.
    Clock(u64),
}

/// What the first bytes of a buffer are.
#[derive(Debug, PartialEq, Eq)]
pub enum Decoded {
    /// A frame, and its length in bytes.
    Frame(Frame, usize),
    /// The beginning of a frame: more bytes are needed.
    Partial,
    /// No frame; in words, why not.
    Broken(String),
}

/// The frames of these entries, in order; one without entries if there are none.
pub fn encode(entries: &[Entry], boot: Nanos, wall: i64) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut chunks = entries.chunks(MAX_ENTRIES).peekable();
    if chunks.peek().is_none() {
        seal(0, &body::pack(&[]), boot, wall, &mut bytes);
    }
    for chunk in chunks {
        seal(0, &body::pack(chunk), boot, wall, &mut bytes);
    }
    bytes
}

/// The frame that answers a question for the clock.
pub fn encode_clock(asked: u64, boot: Nanos, wall: i64) -> Vec<u8> {
    let mut bytes = Vec::new();
    seal(1, &asked.to_le_bytes(), boot, wall, &mut bytes);
    bytes
}

fn seal(kind: u8, body: &[u8], boot: Nanos, wall: i64, bytes: &mut Vec<u8>) {
    let start = bytes.len();
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&[VERSION, kind, 0, 0]);
    bytes.extend_from_slice(&(body.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&boot.to_le_bytes());
    bytes.extend_from_slice(&wall.to_le_bytes());
    bytes.extend_from_slice(body);
    let sum = checksum(&bytes[start..]);
    bytes[start + 12..start + 16].copy_from_slice(&sum.to_le_bytes());
}

/// Over everything but the magic and the checksum itself. `frame` has a whole header.
fn checksum(frame: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&frame[4..12]);
    hasher.update(&frame[16..]);
    hasher.finalize()
}

fn word<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes
        .get(at..)
        .and_then(|rest| rest.first_chunk())
        .copied()
        .unwrap_or([0; N])
}

/// The length of the frame at the beginning of `bytes`, if its header says that there is one.
fn length(bytes: &[u8]) -> Result<Option<usize>, String> {
    let known = bytes.len().min(4);
    if bytes[..known] != MAGIC[..known] {
        return Err("here is no frame".to_owned());
    }
    if bytes.len() < HEADER {
        return Ok(None);
    }
    let body = u32::from_le_bytes(word(bytes, 8)) as usize;
    if body > MAX_BODY {
        return Err(format!("a frame of {body} bytes is too long"));
    }
    Ok(Some(HEADER + body))
}

/// Reads the frame at the beginning of `bytes`. No bytes make it panic or take more than about 300 MB of memory.
pub fn decode(bytes: &[u8]) -> Decoded {
    let length = match length(bytes) {
        Err(why) => return Decoded::Broken(why),
        Ok(Some(length)) if bytes.len() >= length => length,
        Ok(_) => return Decoded::Partial,
    };
    let frame = &bytes[..length];
    if checksum(frame) != u32::from_le_bytes(word(frame, 12)) {
        return Decoded::Broken("the checksum of a frame is wrong".to_owned());
    }
    if frame[4] != VERSION {
        return Decoded::Broken(format!("a frame is of version {}, this ffu reads {VERSION}", frame[4]));
    }
    let content = match frame[5] {
        0 => body::unpack(&frame[HEADER..]).map(Content::Entries),
        1 if length == HEADER + 8 => Ok(Content::Clock(u64::from_le_bytes(word(frame, HEADER)))),
        kind => Err(format!("a frame is of kind {kind}, which this ffu does not know")),
    };
    match content {
        Ok(content) => {
            let (boot, wall) = (u64::from_le_bytes(word(frame, 16)), i64::from_le_bytes(word(frame, 24)));
            Decoded::Frame(Frame { boot, wall, content }, length)
        }
        Err(why) => Decoded::Broken(why),
    }
}

/// Whether `bytes` begin with a frame that some ffu wrote whole, even if this one cannot read it.
pub(crate) fn is_whole(bytes: &[u8]) -> bool {
    let Ok(Some(length)) = length(bytes) else { return false };
    bytes
        .get(..length)
        .is_some_and(|frame| checksum(frame) == u32::from_le_bytes(word(frame, 12)))
}

/// Where the next frame may begin in `bytes`, behind the first byte: its magic, or what may be the beginning of it at the end.
pub(crate) fn next_candidate(bytes: &[u8]) -> usize {
    (1..bytes.len())
        .find(|at| MAGIC.starts_with(&bytes[*at..bytes.len().min(at + 4)]))
        .unwrap_or(bytes.len())
}

/// A whole frame of another version.
#[cfg(test)]
pub(crate) fn of_version(version: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    seal(0, &[], 0, 0, &mut bytes);
    bytes[4] = version;
    let sum = checksum(&bytes);
    bytes[12..16].copy_from_slice(&sum.to_le_bytes());
    bytes
}

#[cfg(test)]
#[path = "frame/tests.rs"]
mod tests;
