//! A limit to how often the same thing is said of one file: a million equal lines are one mistake, not a million findings.

use foldhash::HashMap;

use super::{Finding, Severity};

/// How often one thing is said of one option of one file, each time with its line; then only how often more.
const MOST: usize = 100;

/// Kind of finding, subject, and file.
type Key = (String, String, Option<String>);

/// Counts what was said.
#[derive(Debug, Default)]
pub(crate) struct Limit {
    said: HashMap<Key, (usize, Severity)>,
}

impl Limit {
    /// Whether a finding is still to be told line by line.
    pub fn admits(&mut self, finding: &Finding) -> bool {
        let key = (finding.id.clone(), finding.subject.clone(), finding.file.clone());
        let (count, _) = self.said.entry(key).or_insert((0, finding.severity));
        *count += 1;
        *count <= MOST
    }

    /// One finding for each thing that was said too often.
    pub fn rest(self) -> impl Iterator<Item = Finding> {
        let often = self.said.into_iter().filter(|(_, (count, _))| *count > MOST);
        often.map(|((id, subject, file), (count, severity))| {
            let message = format!("the same on {} further lines of the file", count - MOST);
            let mut finding = Finding::new(id, severity, subject, message);
            finding.file = file;
            finding
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_too_often_is_counted() {
        let mut limit = Limit::default();
        let finding =
            |line| Finding::new("overridden", Severity::Info, "DEFAULT.debug", "x").at(Some("a.conf"), line, 1);
        let told = (1..=1000).filter(|line| limit.admits(&finding(*line))).count();
        assert_eq!(told, MOST);
        assert!(limit.admits(&finding(1).at(Some("b.conf"), 1, 1)), "another file");
        let rest: Vec<Finding> = limit.rest().collect();
        assert_eq!(rest.len(), 1);
        assert_eq!(
            rest[0].to_string(),
            "a.conf: note: DEFAULT.debug: the same on 900 further lines of the file"
        );
    }
}
