//! Three-way merges of paste and rootwrap files: base, the operator's and the target's, separated by 0xff.

#![no_main]

use ffu_config::merge::{Kind, Request, merge};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut parts = bytes.splitn(3, |byte| *byte == 0xff);
    let (Some(base), Some(mine), Some(theirs)) = (parts.next(), parts.next(), parts.next()) else {
        return;
    };
    let to = "2024.1".parse().expect("a series");
    for kind in [Kind::Paste, Kind::Rootwrap] {
        let ask = |base, mine, theirs| {
            merge(&Request {
                kind,
                name: "api-paste.ini",
                base: Some(base),
                mine,
                theirs: Some(theirs),
                to: &to,
            })
        };
        let _ = ask(base, mine, theirs);
        if let Ok(same) = ask(base, mine, base) {
            assert!(same.bytes == mine, "upstream changed nothing, but the file is another one");
        }
    }
});
