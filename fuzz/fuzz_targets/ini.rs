//! An oslo.config file: read by the rules of any era, it comes back byte for byte; and so do its parts after an edit that
//! puts in what was there.

#![no_main]

use ffu_config::era::Era;
use ffu_config::ini::Document;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((first, bytes)) = input.split_first() else {
        return;
    };
    let names = ["pike", "rocky", "stein", "train", "ussuri", "2023.1", "2026.1"];
    let series = names[usize::from(*first) % names.len()].parse().expect("a series");
    if let Ok(document) = Document::parse_as(bytes, Era::of(&series)) {
        assert!(document.to_bytes() == bytes, "an untouched file came back changed");
        for entry in document.entries() {
            let _ = (entry.group(), entry.key, entry.line);
        }
    }
});
