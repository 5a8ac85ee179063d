//! The end of an output, for error texts and verdicts.

use std::io::{Read as _, Seek as _, SeekFrom};

use camino::Utf8Path;
use ffu_model::secret::{Secret, mask};

/// The last whole lines of a file, masked, of at most so many bytes. Never fails: what cannot be read is said.
pub(crate) fn tail(path: &Utf8Path, bytes: usize, secrets: &[Secret]) -> String {
    match read_end(path, bytes) {
        Ok((text, is_cut)) => {
            // Half a line may hold half a URL, which could not be masked.
            let whole = match text.split_once('\n') {
                Some((_, rest)) if is_cut => rest,
                None if is_cut => "",
                _ => &text,
            };
            mask(whole.trim_end(), secrets)
        }
        Err(error) => format!("({path} cannot be read: {error})"),
    }
}

fn read_end(path: &Utf8Path, bytes: usize) -> std::io::Result<(String, bool)> {
    let mut file = std::fs::File::open(path)?;
    let length = file.metadata()?.len();
    let start = length.saturating_sub(bytes as u64);
    file.seek(SeekFrom::Start(start))?;
    let mut read = Vec::with_capacity(bytes);
    file.take(bytes as u64).read_to_end(&mut read)?;
    Ok((String::from_utf8_lossy(&read).into_owned(), start > 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_lines_are_shown() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = Utf8Path::from_path(file.path()).unwrap();
        std::fs::write(path, b"mysql://u:hunter22@h/x\nsecond \xff line\nthird\n").unwrap();
        assert_eq!(tail(path, 1000, &[]), "mysql://u:***@h/x\nsecond \u{fffd} line\nthird");
        assert_eq!(tail(path, 30, &[]), "second \u{fffd} line\nthird");
        assert_eq!(tail(path, 3, &[]), "");
        assert!(tail(Utf8Path::new("/nonexistent/x"), 10, &[]).contains("cannot be read"));
    }
}
