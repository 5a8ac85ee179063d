use ffu_model::watch::{Fate, Notice, Outcome};
use proptest::prelude::*;

use super::*;

fn outcomes() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        (any::<u64>(), 0u32..64, any::<bool>()).prop_map(|(rtt, bits, blurred)| Outcome::Answered {
            rtt: rtt >> bits,
            blurred
        }),
        Just(Outcome::Lost),
        Just(Outcome::Unsent),
    ]
}

fn entries() -> impl Strategy<Value = Entry> {
    prop_oneof![
        8 => (any::<u32>(), any::<u32>(), any::<u64>(), outcomes())
            .prop_map(|(target, seq, sent, outcome)| Entry::Fate(Fate { target, seq, sent, outcome })),
        8 => (0u32..9, 0u32..9, 0..u64::MAX / 1000, outcomes())
            .prop_map(|(target, seq, sent, outcome)| Entry::Fate(Fate { target, seq, sent: sent * 1000, outcome })),
        1 => (any::<u32>(), any::<u64>()).prop_map(|(target, at)| Entry::Notice(Notice::Duplicate { target, at })),
        1 => (any::<u32>(), any::<u64>()).prop_map(|(target, at)| Entry::Notice(Notice::Reordered { target, at })),
        1 => (any::<u64>(), any::<i64>()).prop_map(|(at, wall)| Entry::Notice(Notice::Clock { at, wall })),
        1 => ("\\PC*", any::<Option<u64>>()).prop_map(|(why, to)| {
            Entry::Notice(Notice::Blind { vantage: "here".into(), from: 7, to, why })
        }),
    ]
}

fn close(left: &Entry, right: &Entry) -> bool {
    let (Entry::Fate(left), Entry::Fate(right)) = (left, right) else {
        return left == right;
    };
    let same = (left.target, left.seq, left.sent) == (right.target, right.seq, right.sent);
    same && match (left.outcome, right.outcome) {
        (Outcome::Answered { rtt: a, blurred: x }, Outcome::Answered { rtt: b, blurred: y }) => {
            x == y && u128::from(a.abs_diff(b)) * 100 <= u128::from(a)
        }
        (a, b) => a == b,
    }
}

proptest! {
    #[test]
    fn frames_come_back(entries in prop::collection::vec(entries(), 0..200), boot in any::<u64>(), wall in any::<i64>()) {
        let bytes = encode(&entries, boot, wall);
        let Decoded::Frame(frame, length) = decode(&bytes) else { panic!("{:?}", decode(&bytes)) };
        prop_assert_eq!((length, frame.boot, frame.wall), (bytes.len(), boot, wall));
        let Content::Entries(back) = frame.content else { panic!("entries") };
        prop_assert_eq!(back.len(), entries.len());
        for (left, right) in entries.iter().zip(&back) {
            prop_assert!(close(left, right), "{:?} became {:?}", left, right);
        }
        // What was read is written the same again: a replay of a replay loses nothing more.
        prop_assert_eq!(encode(&back, boot, wall), bytes);
    }

    #[test]
    fn a_torn_frame_is_partial_and_a_changed_one_broken(
        entries in prop::collection::vec(entries(), 1..20), cut in any::<prop::sample::Index>(), bit in 0u8..8,
    ) {
        let bytes = encode(&entries, 1, 2);
        prop_assert_eq!(decode(&bytes[..cut.index(bytes.len())]), Decoded::Partial);
        let mut changed = bytes.clone();
        changed[cut.index(bytes.len())] ^= 1 << bit;
        prop_assert!(!matches!(decode(&changed), Decoded::Frame(..)));
    }

    #[test]
    fn no_bytes_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..400), kind in 0u8..3, raw in any::<bool>()) {
        decode(&bytes);
        // The same as the body of a frame that is right otherwise.
        if raw { bytes = zstd::bulk::compress(&bytes, 1).expect("compresses") }
        let mut sealed = Vec::new();
        seal(kind, &bytes, 0, 0, &mut sealed);
        decode(&sealed);
    }
}

#[test]
fn many_entries_become_several_frames() {
    let fate = |seq| {
        Entry::Fate(Fate {
            target: 1,
            seq,
            sent: 0,
            outcome: Outcome::Lost,
        })
    };
    let entries: Vec<_> = (0..MAX_ENTRIES as u32 + 1).map(fate).collect();
    let bytes = encode(&entries, 0, 0);
    let Decoded::Frame(first, length) = decode(&bytes) else {
        panic!("a frame")
    };
    let Decoded::Frame(second, rest) = decode(&bytes[length..]) else {
        panic!("a frame")
    };
    assert_eq!(length + rest, bytes.len());
    assert_eq!(first.content, Content::Entries(entries[..MAX_ENTRIES].to_vec()));
    assert_eq!(second.content, Content::Entries(entries[MAX_ENTRIES..].to_vec()));
}

#[test]
fn other_versions_and_lengths_are_told() {
    let mut bytes = of_version(9);
    assert_eq!(
        decode(&bytes),
        Decoded::Broken("a frame is of version 9, this ffu reads 1".into())
    );
    bytes[8..12].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(matches!(decode(&bytes), Decoded::Broken(why) if why.contains("too long")));
    assert!(matches!(
        decode(&encode_clock(5, 6, 7)),
        Decoded::Frame(
            Frame {
                boot: 6,
                wall: 7,
                content: Content::Clock(5)
            },
            40
        )
    ));
}
