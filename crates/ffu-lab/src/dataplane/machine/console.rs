//! What a machine's console and QEMU's log say at their ends.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};

use camino::Utf8Path;

/// What the guest's script says on its console when it serves; behind it is its boot id.
const SERVES: &str = "ffu guest: serves, boot_id=";
/// So much of a file's end is looked at: more than a boot says.
const TAIL: u64 = 64 << 10;

/// The end of a file.
pub(super) fn tail(path: &Utf8Path) -> Option<String> {
    let mut file = File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL))).ok()?;
    let mut bytes = Vec::new();
    file.take(TAIL).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// The last line with letters, without what moves a cursor.
pub(super) fn last_line(text: &str) -> Option<String> {
    let lines = text.lines().rev().filter(|line| line.chars().any(char::is_alphabetic));
    let plain = lines.map(|line| line.chars().filter(|c| !c.is_control()).take(300).collect());
    plain.into_iter().next()
}

/// The boot id in the last whole line that says one.
pub(super) fn last_boot_id(console: &str) -> Option<String> {
    let (whole, _) = console.rsplit_once('\n')?;
    let said = whole.lines().rev().find_map(|line| line.split_once(SERVES))?.1.trim();
    (said.len() == 36).then(|| said.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_boot_that_serves_is_the_one() {
        let id = |digit: &str| digit.repeat(36);
        let console = format!(
            "SeaBIOS\r\n[  0.1] x\r\n{SERVES}{}\r\nBIOS\r\n{SERVES}{}\r\n{SERVES}{}",
            id("a"),
            id("b"),
            "c"
        );
        assert_eq!(last_boot_id(&console), Some(id("b")));
        for nothing in ["", "x\n", SERVES, &format!("{SERVES}short\n")] {
            assert_eq!(last_boot_id(nothing), None);
        }
    }

    #[test]
    fn last_words_are_one_plain_line() {
        assert_eq!(
            last_line("a\n\x1b[2Jno kernel\r\n[ ]\n").as_deref(),
            Some("[2Jno kernel")
        );
        assert_eq!(last_line(&"x".repeat(1000)).unwrap().len(), 300);
        assert_eq!((last_line(""), tail(Utf8Path::new("/ffut/none"))), (None, None));
    }
}
