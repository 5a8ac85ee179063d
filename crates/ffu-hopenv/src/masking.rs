//! Takes secrets out of an output file, whatever its size, by writing it anew beside itself.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, BufWriter, Write as _};
use std::os::unix::fs::PermissionsExt as _;

use camino::Utf8Path;
use ffu_model::secret::{Secret, mask};

/// Longest piece of a line that is masked at once, in bytes.
const LONGEST_PIECE: usize = 1 << 20;
/// How far before the end of such a piece it is cut, so that a secret that goes on behind it stays whole.
const MARGIN: usize = 64 << 10;

/// Masks secrets and passwords in URLs in a file, which is replaced atomically; a file without any is left as it is. Bytes
/// that are not UTF-8 are replaced in lines in which something is masked.
///
/// # Errors
/// The file cannot be read, or its replacement not be written; then it is as it was.
pub fn mask_file(path: &Utf8Path, secrets: &[Secret]) -> io::Result<()> {
    let mut reader = BufReader::with_capacity(256 << 10, File::open(path)?);
    let directory = path
        .parent()
        .filter(|parent| !parent.as_str().is_empty())
        .unwrap_or(Utf8Path::new("."));
    let mut masked = tempfile::NamedTempFile::new_in(directory)?;
    let mut changed = false;
    {
        let mut writer = BufWriter::with_capacity(256 << 10, masked.as_file_mut());
        let mut piece = Vec::new();
        while fill(&mut reader, &mut piece)? {
            let rest = if piece.ends_with(b"\n") || piece.len() < LONGEST_PIECE {
                Vec::new()
            } else {
                piece.split_off(cut(&piece, secrets))
            };
            changed |= write_masked(&piece, secrets, &mut writer)?;
            piece = rest;
        }
        writer.flush()?;
    }
    if changed {
        masked
            .as_file()
            .set_permissions(std::fs::Permissions::from_mode(0o600))?;
        masked.as_file().sync_all()?;
        masked.persist(path).map_err(|error| error.error)?;
    }
    Ok(())
}

/// Adds to a piece up to the end of the line or to [`LONGEST_PIECE`]; `false` at the end when nothing is left.
fn fill(reader: &mut BufReader<File>, piece: &mut Vec<u8>) -> io::Result<bool> {
    while piece.len() < LONGEST_PIECE {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            break;
        }
        let room = LONGEST_PIECE - piece.len();
        let end = buffer
            .iter()
            .position(|byte| *byte == b'\n')
            .map_or(buffer.len(), |at| at + 1);
        let take = end.min(room);
        piece.extend(buffer.iter().take(take));
        reader.consume(take);
        if piece.ends_with(b"\n") {
            break;
        }
    }
    Ok(!piece.is_empty())
}

/// Where a piece of an endless line can be cut: at white space if there is some near its end, never within a known secret.
fn cut(piece: &[u8], secrets: &[Secret]) -> usize {
    let from = piece.len().saturating_sub(MARGIN);
    let tail = piece.get(from..).unwrap_or_default();
    let at = tail
        .iter()
        .rposition(u8::is_ascii_whitespace)
        .map_or(from, |at| from + at + 1);
    let mut at = at.max(1);
    for secret in secrets {
        let bytes = secret.expose().as_bytes();
        let start = at.saturating_sub(bytes.len());
        let end = (at + bytes.len()).min(piece.len());
        let around = piece.get(start..end).unwrap_or_default();
        if bytes.len() >= 4
            && let Some(found) = around.windows(bytes.len()).position(|window| window == bytes)
        {
            at = (start + found).max(1);
        }
    }
    at
}

fn write_masked(piece: &[u8], secrets: &[Secret], writer: &mut impl io::Write) -> io::Result<bool> {
    let text = String::from_utf8_lossy(piece);
    let masked = mask(&text, secrets);
    if masked == text {
        writer.write_all(piece)?;
        return Ok(false);
    }
    writer.write_all(masked.as_bytes())?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use camino::Utf8PathBuf;

    fn masked(content: &[u8], secrets: &[&str]) -> Vec<u8> {
        let directory = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(directory.path().join("out")).unwrap();
        std::fs::write(&path, content).unwrap();
        let secrets: Vec<Secret> = secrets.iter().map(|secret| Secret::new(*secret)).collect();
        mask_file(&path, &secrets).unwrap();
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
        std::fs::read(&path).unwrap()
    }

    #[test]
    fn secrets_and_passwords_in_urls_go_and_the_rest_stays() {
        let text = b"one \xff two\nmysql://nova:pw12@h/nova\nadmin hunter22 end";
        assert_eq!(
            masked(text, &["hunter22"]),
            b"one \xff two\nmysql://nova:***@h/nova\nadmin *** end"
        );
        assert_eq!(masked(b"", &["hunter22"]), b"");
    }

    #[test]
    fn a_secret_across_the_pieces_of_an_endless_line_goes_too() {
        for shift in (0..20).step_by(4) {
            let mut text = vec![b'x'; LONGEST_PIECE - MARGIN - 10 + shift];
            text.extend_from_slice(b"hunter22-hunter22");
            text.extend(vec![b'y'; LONGEST_PIECE]);
            let out = masked(&text, &["hunter22"]);
            assert!(!out.windows(8).any(|window| window == b"hunter22"), "{shift}");
            assert_eq!(out.len(), text.len() - 2 * 5);
        }
    }

    #[test]
    fn a_missing_file_is_an_error() {
        assert!(mask_file(Utf8Path::new("/nonexistent/out"), &[]).is_err());
    }
}
