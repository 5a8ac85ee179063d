//! The text that a rule tells the operator to write, filled with the values that the files have.

use ffu_catalog::rules::split_name;
use ffu_model::secret::mask;

use super::work::Work;
use crate::era::Era;
use crate::values::{Value, python_str};

/// The lines of a rule with their places filled; `None` where it has none.
///
/// `{group.name}` stands for the effective value of that option, a secret one for a note of where it stands. Of alternatives
/// apart by ` | ` the first is taken whose options all have a value.
pub(super) fn text(work: &Work<'_, '_>, lines: &[String]) -> Option<String> {
    let filled: Vec<String> = lines
        .iter()
        .filter_map(|line| line.split(" | ").find_map(|one| fill(work, one.trim())))
        .collect();
    // A URL may hold a password though its option is none that is secret.
    (!filled.is_empty()).then(|| mask(&filled.join("; "), &[]))
}

fn fill(work: &Work<'_, '_>, line: &str) -> Option<String> {
    let mut text = String::new();
    let mut rest = line;
    while let Some((before, behind)) = rest.split_once('{') {
        let (name, after) = behind.split_once('}')?;
        text.push_str(before);
        let (group, option) = split_name(name)?;
        let secret = work.is_secret(group, option);
        match work.reading.effective(group, option)?.value.ok()? {
            Value::None => return None,
            Value::Text(value) if value.is_empty() => return None,
            _ if secret => text.push_str(&format!("(the value that {option} has)")),
            value => text.push_str(&python_str(&value, Era::NEWEST)),
        }
        rest = after;
    }
    text.push_str(rest);
    Some(text)
}
