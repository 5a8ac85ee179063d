//! A run as its journal tells it, read while it is written.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};

use camino::Utf8PathBuf;
use ffu_model::Plan;
use ffu_model::event::{Event, EventKind, RunState};
use ffu_model::watch::StepMark;
use ffu_watch::session::Run;

/// Follows a journal.
pub struct JournalTail {
    path: Utf8PathBuf,
    /// Bytes of whole lines that were read.
    offset: u64,
    phases: BTreeMap<String, String>,
    open: BTreeMap<String, StepMark>,
    over: bool,
}

impl JournalTail {
    /// From the begin.
    pub fn new(journal: Utf8PathBuf, plan: &Plan) -> JournalTail {
        let phase = |step: &ffu_model::Step| (step.id.clone(), step.phase.to_string());
        JournalTail {
            path: journal,
            offset: 0,
            phases: plan.steps.iter().map(phase).collect(),
            open: BTreeMap::new(),
            over: false,
        }
    }

    /// Whole lines that are new. What cannot be read now is read later.
    fn lines(&mut self) -> Vec<Event> {
        let mut bytes = Vec::new();
        let read = File::open(&self.path).and_then(|mut file| {
            file.seek(SeekFrom::Start(self.offset))?;
            file.read_to_end(&mut bytes)
        });
        if read.is_err() {
            return Vec::new();
        }
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        self.offset += whole as u64;
        let lines = bytes.get(..whole).unwrap_or_default().split(|byte| *byte == b'\n');
        lines.filter_map(|line| serde_json::from_slice(line).ok()).collect()
    }

    fn take(&mut self, event: &Event) -> Option<StepMark> {
        match &event.kind {
            EventKind::Intent { step, .. } => {
                let phase = self.phases.get(step).map_or("rollback", String::as_str);
                let mark = StepMark {
                    step: step.clone(),
                    phase: phase.to_owned(),
                    begin: event.boot,
                    end: None,
                };
                self.open.insert(step.clone(), mark.clone());
                Some(mark)
            }
            EventKind::Outcome { step, .. } => {
                let mark = self.open.remove(step)?;
                Some(StepMark {
                    end: Some(event.boot.max(mark.begin)),
                    ..mark
                })
            }
            EventKind::Attached { .. } => {
                self.over = false;
                None
            }
            EventKind::Ended { state, .. } => {
                self.over = matches!(state, RunState::RolledBack | RunState::Finished);
                None
            }
            _ => None,
        }
    }
}

impl Run for JournalTail {
    fn news(&mut self) -> Vec<StepMark> {
        let events = self.lines();
        events.iter().filter_map(|event| self.take(event)).collect()
    }

    fn is_over(&mut self) -> bool {
        self.over
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn steps_come_as_they_are_written_and_a_torn_line_waits() {
        let scratch = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(scratch.path().join("journal.jsonl")).unwrap();
        let mut tail = JournalTail {
            path: path.clone(),
            offset: 0,
            phases: BTreeMap::from([("hops.a".to_owned(), "hops".to_owned())]),
            open: BTreeMap::new(),
            over: false,
        };
        assert!(tail.news().is_empty(), "there is no journal yet");
        let mut file = File::create(&path).unwrap();
        let line =
            |boot: u64, rest: &str| format!("{{\"seq\":1,\"at\":\"2026-01-01T00:00:00Z\",\"boot\":{boot},{rest}}}\n");
        let intent = line(5, r#""event":"intent","step":"hops.a","attempt":1"#);
        file.write_all(intent.as_bytes()).unwrap();
        let news = tail.news();
        assert_eq!(
            (news.len(), news[0].begin, news[0].end, news[0].phase.as_str()),
            (1, 5, None, "hops")
        );
        let outcome = line(
            9,
            r#""event":"outcome","step":"hops.a","attempt":1,"result":"succeeded","detail":"","duration_ms":0"#,
        );
        let (first, rest) = outcome.split_at(30);
        file.write_all(first.as_bytes()).unwrap();
        assert!(tail.news().is_empty(), "a torn line");
        file.write_all(rest.as_bytes()).unwrap();
        assert_eq!(tail.news()[0].end, Some(9));
        assert!(!tail.is_over());
        let back = line(10, r#""event":"intent","step":"rollback.databases","attempt":1"#);
        let over = line(11, r#""event":"ended","state":"rolled-back","detail":"""#);
        file.write_all((back + &over).as_bytes()).unwrap();
        assert_eq!(tail.news()[0].phase, "rollback");
        assert!(tail.is_over());
    }
}
