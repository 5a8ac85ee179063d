//! The body of a frame of entries: one column for each property of a fate, then the notices with their places.

use ffu_model::watch::{Fate, Notice, Outcome};

use super::columns::{DeltaReader, Deltas, get, put, scale, unscale};
use super::{MAX_BODY, MAX_ENTRIES};
use crate::Entry;

const LOST: u8 = 0xfe;
const UNSENT: u8 = 0xff;
const BLURRED: u8 = 0x80;

const JSON: u64 = 0;
const DUPLICATE: u64 = 1;
const REORDERED: u64 = 2;

/// The entries, compressed. At most [`MAX_ENTRIES`].
pub(super) fn pack(entries: &[Entry]) -> Vec<u8> {
    let (mut targets, mut seqs, mut times) = (Deltas::default(), Deltas::default(), Deltas::default());
    let (mut outcomes, mut lows, mut notices) = (Vec::new(), Vec::new(), Vec::new());
    let fates = |entry: &Entry| {
        if let Entry::Fate(fate) = entry {
            Some(*fate)
        } else {
            None
        }
    };
    let unit = if entries.iter().filter_map(fates).all(|fate| fate.sent % 1000 == 0) {
        1000
    } else {
        1
    };
    let mut count = 0u64;
    let mut noticed = 0u64;
    for entry in entries {
        match entry {
            Entry::Fate(fate) => {
                count += 1;
                targets.put(u64::from(fate.target));
                seqs.put(u64::from(fate.seq));
                times.put(fate.sent / unit);
                match fate.outcome {
                    Outcome::Answered { rtt, blurred } => {
                        let (power, low) = scale(rtt);
                        outcomes.push(power | if blurred { BLURRED } else { 0 });
                        lows.push(low);
                    }
                    Outcome::Lost => outcomes.push(LOST),
                    Outcome::Unsent => outcomes.push(UNSENT),
                }
            }
            Entry::Notice(notice) => {
                noticed += 1;
                put(count, &mut notices);
                note(notice, &mut notices);
            }
        }
    }
    let mut body = Vec::with_capacity(entries.len() * 8 + 64);
    for number in [unit, count, noticed] {
        put(number, &mut body);
    }
    for column in [&targets.bytes, &seqs.bytes, &times.bytes, &outcomes, &lows, &notices] {
        put(column.len() as u64, &mut body);
        body.extend_from_slice(column);
    }
    // A compressor in memory has nothing that could fail; if it did, the batch would be told as one that cannot be read.
    zstd::bulk::compress(&body, 1).unwrap_or_default()
}

fn note(notice: &Notice, bytes: &mut Vec<u8>) {
    let (kind, target, at) = match notice {
        Notice::Duplicate { target, at } => (DUPLICATE, *target, *at),
        Notice::Reordered { target, at } => (REORDERED, *target, *at),
        other => {
            // Its fields are texts and numbers: there is nothing that JSON could not say.
            let json = serde_json::to_vec(other).unwrap_or_default();
            put(JSON, bytes);
            put(json.len() as u64, bytes);
            bytes.extend_from_slice(&json);
            return;
        }
    };
    for number in [kind, u64::from(target), at] {
        put(number, bytes);
    }
}

/// The entries of a body; in words, what is wrong with it.
pub(super) fn unpack(body: &[u8]) -> Result<Vec<Entry>, String> {
    let body =
        zstd::bulk::decompress(body, 4 * MAX_BODY).map_err(|error| format!("a frame does not unpack: {error}"))?;
    read(&body).ok_or_else(|| "a frame holds what no ffu writes".to_owned())
}

fn column<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(get(bytes)?).ok()?;
    let (column, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(column)
}

fn read(mut bytes: &[u8]) -> Option<Vec<Entry>> {
    let (unit, count, noticed) = (get(&mut bytes)?, get(&mut bytes)?, get(&mut bytes)?);
    if count.checked_add(noticed)? > MAX_ENTRIES as u64 {
        return None;
    }
    let mut targets = DeltaReader::new(column(&mut bytes)?);
    let mut seqs = DeltaReader::new(column(&mut bytes)?);
    let mut times = DeltaReader::new(column(&mut bytes)?);
    let outcomes = column(&mut bytes)?;
    let mut lows = column(&mut bytes)?.iter();
    let mut notices = column(&mut bytes)?;
    if outcomes.len() as u64 != count {
        return None;
    }
    let mut entries = Vec::with_capacity((count + noticed) as usize);
    let place = |notices: &mut &[u8]| {
        if notices.is_empty() {
            Some(u64::MAX)
        } else {
            get(notices)
        }
    };
    let mut next = place(&mut notices)?;
    for (number, outcome) in outcomes.iter().enumerate() {
        while next == number as u64 {
            entries.push(Entry::Notice(noted(&mut notices)?));
            next = place(&mut notices)?;
        }
        let outcome = match *outcome {
            LOST => Outcome::Lost,
            UNSENT => Outcome::Unsent,
            code => Outcome::Answered {
                rtt: unscale(code & !BLURRED, *lows.next()?)?,
                blurred: code & BLURRED != 0,
            },
        };
        let (target, seq) = (u32::try_from(targets.get()?).ok()?, u32::try_from(seqs.get()?).ok()?);
        entries.push(Entry::Fate(Fate {
            target,
            seq,
            sent: times.get()?.checked_mul(unit)?,
            outcome,
        }));
    }
    while next == count {
        entries.push(Entry::Notice(noted(&mut notices)?));
        next = place(&mut notices)?;
    }
    (entries.len() as u64 == count + noticed).then_some(entries)
}

fn noted(bytes: &mut &[u8]) -> Option<Notice> {
    let kind = get(bytes)?;
    if kind == JSON {
        return serde_json::from_slice(column(bytes)?).ok();
    }
    let (target, at) = (u32::try_from(get(bytes)?).ok()?, get(bytes)?);
    match kind {
        DUPLICATE => Some(Notice::Duplicate { target, at }),
        REORDERED => Some(Notice::Reordered { target, at }),
        _ => None,
    }
}
