//! Policy files and check strings.

#![no_main]

use ffu_config::policy::check;
use ffu_config::policy::file::{Format, PolicyFile};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for format in [Format::Auto, Format::Json, Format::Yaml] {
        if let Ok(file) = PolicyFile::parse(bytes, format) {
            for entry in &file.entries {
                assert!(file.text.get(entry.span.clone()).is_some(), "an entry outside of its file");
            }
        }
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = check::parse(text);
    }
});
