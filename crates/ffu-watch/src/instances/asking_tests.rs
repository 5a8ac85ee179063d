use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use ffu_model::watch::{Notice, Targets};

use super::*;
use crate::instances::compare::RUNNING;

const UUID: &str = "01234567-89ab-cdef-0123-456789abcdef";

/// Databases that are made up: what they say, and how often they were asked.
struct MadeUp {
    says: Arc<Mutex<Result<Seen, String>>>,
    asked: Arc<AtomicUsize>,
    tally: Tally,
    asking: Asking,
}

impl MadeUp {
    fn new(of_run: bool) -> MadeUp {
        let text = format!(
            "[[targets]]\nname = \"a\"\naddress = \"10.0.0.1\"\nworkload = {{ type = \"instance\", uuid = \"{UUID}\" }}\n"
        );
        let targets: Targets = crate::targets::parse(&text, "t.toml".into()).unwrap();
        let tally = Tally::new(targets, clock::now(), None);
        let says = Arc::new(Mutex::new(Ok(Seen {
            instances: vec![up()],
            unread: Vec::new(),
        })));
        let asked = Arc::new(AtomicUsize::new(0));
        let (answer, count) = (Arc::clone(&says), Arc::clone(&asked));
        let reading: Reading = Box::new(move |uuids| {
            assert_eq!(uuids, [UUID]);
            count.fetch_add(1, Ordering::SeqCst);
            answer.lock().unwrap().clone()
        });
        let asking = Asking::new(&tally, Some(reading), of_run);
        MadeUp {
            says,
            asked,
            tally,
            asking,
        }
    }

    fn say(&self, says: Result<Seen, String>) {
        *self.says.lock().unwrap() = says;
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn step(&mut self, phase: &str, is_over: bool) {
        self.asking.step(&StepMark {
            step: phase.to_owned(),
            phase: phase.to_owned(),
            begin: 1,
            end: is_over.then_some(2),
        });
    }

    /// It is time for another question: it is asked if that is sound, and answered.
    fn later(&mut self) -> Vec<(String, bool)> {
        self.asking.asked = None;
        let mut found = self.asking.turn(&self.tally);
        let until = Instant::now() + Duration::from_secs(10);
        while self.asking.under_way.is_some() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
            found.extend(self.asking.turn(&self.tally));
        }
        self.noted(found)
    }

    fn finish(&mut self, is_over: bool) -> Vec<(String, bool)> {
        let found = self.asking.finish(&self.tally, is_over);
        self.noted(found)
    }

    /// What was noted: value, and whether it is a restart.
    fn noted(&mut self, entries: Vec<Entry>) -> Vec<(String, bool)> {
        let mut noted = Vec::new();
        for entry in &entries {
            let Entry::Notice(Notice::Identity { value, explained, .. }) = entry else {
                panic!("{entry:?}")
            };
            noted.push((value.clone(), explained.is_none()));
            self.tally.take(entry);
        }
        noted
    }
}

fn up() -> Instance {
    Instance {
        uuid: UUID.to_ascii_uppercase(),
        power_state: RUNNING.to_owned(),
        host: "cmp1".to_owned(),
        ..Instance::default()
    }
}

fn on(host: &str) -> Result<Seen, String> {
    Ok(Seen {
        instances: vec![Instance {
            host: host.to_owned(),
            ..up()
        }],
        unread: Vec::new(),
    })
}

#[test]
fn the_databases_are_asked_before_the_freeze_and_after_the_hops_and_never_between() {
    let mut made = MadeUp::new(true);
    made.step("prepare", false);
    assert_eq!(made.later().len(), 7, "all that is known of it");
    made.say(on("cmp2"));
    assert_eq!(made.later(), [("cmp2".to_owned(), false)], "moved before the freeze");
    let asked = made.asked();
    for (phase, is_over) in [
        ("freeze", false),
        ("freeze", true),
        ("checkpoint", false),
        ("hops", false),
        ("hops", true),
    ] {
        made.step(phase, is_over);
        assert_eq!(made.later(), [], "{phase}");
    }
    assert_eq!(made.asked(), asked);
    made.step("checkpoint", true);
    made.step("deploy", false);
    assert_eq!(made.later(), []);
    made.say(on("cmp3"));
    assert_eq!(made.later(), [("cmp3".to_owned(), true)]);
    assert_eq!(made.asked(), asked + 2);
    made.step("rollback", false);
    assert_eq!(
        (made.later(), made.finish(false)),
        (vec![], vec![]),
        "stopped in a rollback"
    );
    assert_eq!(made.asked(), asked + 2);
    made.step("rollback", true);
    made.say(on("cmp4"));
    assert_eq!(made.finish(true), [("cmp4".to_owned(), true)], "the rollback is over");
    let words = made.asking.words();
    assert!(
        words[0].starts_with("1 instances of nova are compared") && words[0].contains(" UTC)"),
        "{words:?}"
    );
}

#[test]
fn a_watch_by_itself_asks_at_its_begin_and_its_end() {
    let mut made = MadeUp::new(false);
    assert_eq!(made.later().len(), 7);
    assert_eq!(made.later(), []);
    assert_eq!(made.asked(), 1);
    assert!(made.asking.words()[0].ends_with("have not been compared yet"));
    made.say(Ok(Seen::default()));
    assert_eq!(made.finish(false), [("gone".to_owned(), true)]);
    // Another watch that goes on with its record compares with what the first one saw.
    let mut second = MadeUp::new(false);
    second.tally = made.tally;
    let reading: Reading = Box::new(|_| {
        Ok(Seen {
            instances: vec![up()],
            ..Seen::default()
        })
    });
    second.asking = Asking::new(&second.tally, Some(reading), false);
    assert_eq!(
        second.later(),
        [("there".to_owned(), true)],
        "told, and not counted again"
    );
    assert_eq!(second.tally.snapshot(Timestamp::now(), clock::now()).totals.restarts, 1);
}

#[test]
fn what_cannot_be_read_says_nothing_of_an_instance() {
    let mut made = MadeUp::new(false);
    made.say(Err("the server is away".to_owned()));
    assert_eq!(made.later(), []);
    let words = made.asking.words().join("\n");
    assert!(
        words.contains("have not been read") && words.contains("the server is away"),
        "{words}"
    );
    made.say(on("cmp1"));
    assert_eq!(made.later().len(), 7, "tried again");
    made.say(Ok(Seen {
        instances: Vec::new(),
        unread: vec!["cell \"b\": gone".to_owned()],
    }));
    assert_eq!(made.finish(false), [], "it may be in the cell that was not read");
    assert!(made.asking.words().contains(&"not read: cell \"b\": gone".to_owned()));
    // One that no cell ever had.
    let mut made = MadeUp::new(false);
    made.say(Ok(Seen::default()));
    assert_eq!(made.later(), []);
    let words = made.asking.words().join("\n");
    assert!(
        words.contains(&format!("1 instances of the targets are in no cell of nova: {UUID}")),
        "{words}"
    );
}

#[test]
fn who_cannot_ask_says_what_to_type_and_a_reading_that_dies_is_told() {
    let tally = MadeUp::new(false).tally;
    let mut asking = Asking::new(&tally, None, false);
    assert!(asking.turn(&tally).is_empty() && asking.finish(&tally, false).is_empty());
    assert!(asking.words()[0].contains("from --cloud FILE"));
    let mut asking = Asking::new(&tally, Some(Box::new(|_| panic!("of a test"))), false);
    asking.turn(&tally);
    assert!(asking.finish(&tally, false).is_empty());
    assert!(asking.words().join("\n").contains("has ended"), "{:?}", asking.words());
}
