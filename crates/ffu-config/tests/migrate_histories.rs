//! Properties of migrations over generated histories: options that are renamed, moved, split off, dropped, announced or
//! absent for one series, and files that use their names of all times.

#[path = "migrate/made.rs"]
#[allow(dead_code)]
mod made;

use std::collections::BTreeMap;

use ffu_catalog::options::{Opt, ServiceOptions};
use ffu_config::finding::Severity;
use ffu_config::migrate::{InputFile, Outcome};
use made::{Run, announced, multi, opt, service};
use proptest::prelude::*;

const SERIES: &str = "train ussuri victoria wallaby";
const LENGTH: u32 = 4;

/// What happens to an option when a series begins.
#[derive(Clone, Debug)]
enum Event {
    Stay,
    /// Another name; the old ones stay as old spellings, or only the last.
    Rename {
        group: u8,
        keeps_all: bool,
    },
    Announce,
    Drop,
    /// Not in this series' catalog, but in the next.
    Absent,
    /// Another option answers to its name from here on, too.
    Shadow,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        5 => Just(Event::Stay),
        3 => (0..3_u8, any::<bool>()).prop_map(|(group, keeps_all)| Event::Rename { group, keeps_all }),
        1 => Just(Event::Announce),
        1 => Just(Event::Drop),
        1 => Just(Event::Absent),
        1 => Just(Event::Shadow),
    ]
}

fn history() -> impl Strategy<Value = Vec<(Vec<Event>, bool)>> {
    prop::collection::vec(
        (prop::collection::vec(event(), LENGTH as usize - 1), any::<bool>()),
        1..6,
    )
}

fn group(number: u8) -> &'static str {
    ["DEFAULT", "one", "two"][usize::from(number) % 3]
}

/// The catalog of a history. No name is ever used for a second thing.
fn catalog(history: &[(Vec<Event>, bool)]) -> ServiceOptions {
    let mut options: Vec<Opt> = Vec::new();
    for (number, (events, several)) in history.iter().enumerate() {
        let mut names = vec![format!("{}.o{number}_0", group(number as u8))];
        let (mut is_announced, mut shadow) = (false, None);
        for at in 0..LENGTH {
            let mut absent = false;
            if at > 0 {
                match &events[at as usize - 1] {
                    Event::Stay => {}
                    Event::Rename { group: to, keeps_all } => {
                        names.insert(0, format!("{}.o{number}_{at}", group(*to)));
                        if !keeps_all {
                            names.truncate(2);
                        }
                    }
                    Event::Announce => is_announced = true,
                    Event::Drop => break,
                    Event::Absent => absent = true,
                    Event::Shadow => shadow = Some(format!("{}.s{number}_{at}", group(at as u8))),
                }
            }
            if absent {
                continue;
            }
            let old: Vec<&str> = names[1..].iter().map(String::as_str).collect();
            let mut option = opt(&names[0], 1 << at, &old);
            if is_announced {
                option = announced(option);
            }
            options.push(if *several { multi(option) } else { option });
            if let Some(shadow) = &shadow {
                let option = opt(shadow, 1 << at, &[&names[0]]);
                options.push(if *several { multi(option) } else { option });
            }
        }
    }
    service(SERIES, options)
}

/// Entries by spelling: an index into all spellings of the first series, or a name that nobody knows.
fn files(service: &ServiceOptions, picks: &[(usize, bool)]) -> Vec<InputFile> {
    let mut spellings: Vec<(String, String)> = Vec::new();
    for option in service.options.iter().filter(|option| option.series.holds(0)) {
        spellings.push((option.group.clone(), option.name.clone()));
        spellings.extend(option.aliases.iter().map(|old| (old.group.clone(), old.name.clone())));
    }
    let mut texts = [String::new(), String::new()];
    for (number, (pick, second)) in picks.iter().enumerate() {
        let (group, name) = match spellings.get(pick % (spellings.len() + 1)) {
            Some((group, name)) => (group.as_str(), name.as_str()),
            None => ("one", "nobody"),
        };
        texts[usize::from(*second)].push_str(&format!("[{group}]\n# about {number}\n{name} = value-{number}\n"));
    }
    made::input(&[&texts[0], &texts[1]])
}

fn again(outcome: &Outcome) -> Vec<InputFile> {
    let texts = made::texts(outcome);
    made::input(&texts.iter().map(String::as_str).collect::<Vec<_>>())
}

fn effective(service: &ServiceOptions, outcome: &Outcome) -> BTreeMap<String, String> {
    let target = &service.series[LENGTH as usize - 1..];
    let same = Run::of(service).path(target, &again(outcome));
    same.expectations
        .iter()
        .map(|one| (one.before.name.clone(), format!("{:?}", one.before_value)))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_without_a_word(
        history in history(),
        picks in prop::collection::vec((0..40_usize, any::<bool>()), 0..10),
        middle in 1..LENGTH as usize - 1,
    ) {
        let service = catalog(&history);
        prop_assert!(service.check().is_ok(), "{:?}", service.check());
        let run = Run::of(&service);
        let files = files(&service, &picks);
        let direct = run.path(&service.series, &files);
        let show = || format!("{:#?}\n{:#?}\n{:#?}", made::texts(&direct), direct.findings, direct.expectations);

        // The proof is whole, and no difference was left to its last resort.
        prop_assert_eq!(direct.proof.options_set, direct.proof.proven_equal + direct.proof.named);
        prop_assert!(direct.findings.iter().all(|finding| finding.id != "unproven"), "{}", show());
        // No value and no comment of the operator ever vanishes.
        let all = made::texts(&direct).concat();
        for number in 0..picks.len() {
            for kept in [format!("value-{number}\n"), format!("# about {number}\n")] {
                prop_assert!(all.contains(&kept), "{kept} {}", show());
            }
        }
        // A second run changes nothing, whatever it takes the files for.
        for path in [&service.series[..], &service.series[LENGTH as usize - 1..]] {
            let second = run.path(path, &again(&direct));
            prop_assert!(second.files.iter().all(|file| !file.changed), "{}\n{:#?}", show(), made::texts(&second));
        }
        // Two steps end where one does, or say why not.
        let half = run.path(&service.series[..=middle], &files);
        let full = run.path(&service.series[middle..], &again(&half));
        let (one, two) = (effective(&service, &direct), effective(&service, &full));
        for name in one.keys().chain(two.keys()).filter(|name| one.get(*name) != two.get(*name)) {
            let number = &name[1..name.find('_').unwrap()];
            let why = [&half, &full, &direct].into_iter().flat_map(|outcome| &outcome.findings).any(|finding| {
                let strong = finding.severity <= Severity::Decide || finding.severity == Severity::RemovedWithoutEffect;
                let about = |text: &str| text.contains(&format!("o{number}_")) || text.contains(&format!("s{number}_"));
                strong && (about(&finding.subject) || about(&finding.message))
            });
            prop_assert!(why, "{name}: {:?} or {:?}\n{}\nhalf {:#?} {:#?}", one.get(name), two.get(name), show(),
                made::texts(&half), half.findings);
        }
    }
}
