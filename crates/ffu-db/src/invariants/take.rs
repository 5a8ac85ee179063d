//! Measures that are taken again: what the server knows not to have been written since it was measured is not read.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::{Measure, measure_in};
use crate::control::{Control, Options};
use crate::error::DbError;
use crate::lanes::side_by_side;
use crate::server::{Server, Session};
use crate::writes::{self, Evidence, Moment, Now, is_settled, unwritten};

/// What is to be measured.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// What it is called.
    pub id: String,
    /// Where its table is, by the account whose rows they are.
    pub server: Server,
    /// The same by an account that may see transactions (PROCESS), if there is one: then less is read the next time. What it
    /// says counts where both reach one node.
    pub observer: Server,
    /// The table's schema.
    pub schema: String,
    /// The table.
    pub table: String,
    /// A condition; empty for all rows.
    pub filter: String,
    /// Columns that identify a row.
    pub key: Vec<String>,
}

/// Whether measures are to be kept with what the server knows of writes, so that they need not be taken again. Asking for it
/// takes a tenth of a second a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Witness {
    /// They will be taken again; what would have to be read then all the same is not measured now.
    Ahead,
    /// They will be taken again.
    Kept,
    /// They will not.
    Spared,
}

/// Measures by their ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// All that were wanted; ahead, those that are worth it.
    pub measures: BTreeMap<String, Measure>,
    /// Those whose rows were not read, because the server knows of no write since they were.
    pub known: BTreeSet<String>,
}

/// What could not be measured.
#[derive(Debug)]
pub struct NotMeasured {
    /// Its id, or its schema if it was not come to.
    pub what: String,
    /// Why.
    pub error: Box<DbError>,
}

impl NotMeasured {
    fn of(what: &str, error: DbError) -> Self {
        NotMeasured {
            what: what.to_owned(),
            error: Box::new(error),
        }
    }
}

impl fmt::Display for NotMeasured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.error)
    }
}

impl std::error::Error for NotMeasured {}

/// One database of those that are wanted, as it was observed.
struct Place<'a> {
    server: &'a Server,
    schema: &'a str,
    now: Option<Now>,
    /// For how many seconds the oldest transaction had been open just after.
    oldest: Option<i64>,
}

impl Place<'_> {
    fn holds(&self, wanted: &Wanted) -> bool {
        self.schema == wanted.schema && self.server.address() == wanted.server.address()
    }

    /// Whether an earlier measure of a table is what a new one would be.
    fn is_still(&self, table: &str, measure: &Measure) -> bool {
        let Some(now) = &self.now else { return false };
        // How many tables were made and dropped since is not asked: a time that is NULL is no evidence then.
        let moment = Moment {
            highest_id: u64::MAX,
            ..now.moment.clone()
        };
        unwritten(measure.evidence.as_ref(), Some(&moment), now.tables.get(table)).is_ok()
    }

    /// Whether a measure that is taken now may do later.
    fn may_know(&self, table: &str) -> bool {
        self.evidence(table).is_some_and(|evidence| !evidence.needs_cache())
    }

    fn evidence(&self, table: &str) -> Option<Evidence> {
        let now = self.now.as_ref()?;
        let seen = now.tables.get(table)?;
        is_settled(&now.moment, seen, self.oldest?).then(|| Evidence {
            at: now.moment.clone(),
            seen: seen.clone(),
        })
    }
}

/// Measures all that is wanted, but what `earlier` has and the server knows not to have been written since.
///
/// # Errors
/// As for [`measure`](super::measure), with the id; of several one.
pub fn take(
    wanted: &[Wanted],
    earlier: &BTreeMap<String, Measure>,
    witness: Witness,
    options: &Options,
) -> Result<Taken, NotMeasured> {
    let control = Control::start(options);
    let places = match (witness, earlier.is_empty()) {
        (Witness::Spared, true) => Vec::new(),
        _ => observe(wanted, witness, &control)?,
    };
    let mut taken = Taken::default();
    let mut left = Vec::new();
    for one in wanted {
        let place = places.iter().find(|place| place.holds(one));
        match (place, earlier.get(&one.id)) {
            (Some(place), Some(measure)) if place.is_still(&one.table, measure) => {
                taken.measures.insert(one.id.clone(), measure.clone());
                taken.known.insert(one.id.clone());
            }
            (place, _) if witness == Witness::Ahead && !place.is_some_and(|place| place.may_know(&one.table)) => {}
            (place, measure) => left.push((one, place, measure.map_or(0, |measure| measure.rows))),
        }
    }
    // The largest first, as far as that is known: then the lanes end at about the same time.
    left.sort_by_key(|(_, _, rows)| Reverse(*rows));
    let read = side_by_side(control.lanes(), &left, |(one, place, _)| {
        read(one, *place, witness, &control).map_err(|error| NotMeasured::of(&one.id, error))
    })?;
    let ids = left.iter().map(|(one, ..)| one.id.clone());
    taken.measures.extend(ids.zip(read));
    Ok(taken)
}

fn read(one: &Wanted, place: Option<&Place<'_>>, witness: Witness, control: &Control) -> Result<Measure, DbError> {
    control.check(&format!("measuring {}.{}", one.schema, one.table))?;
    let mut session = one.server.open_schema(&one.schema)?;
    let mut measure = measure_in(&mut session, &one.schema, &one.table, &one.filter, &one.key)?;
    if witness != Witness::Spared {
        let evidence = place.and_then(|place| place.evidence(&one.table));
        // Another node of a cluster may not have had the same rows yet.
        measure.evidence = match evidence {
            Some(evidence) if writes::node(&mut session)? == evidence.at.node => Some(evidence),
            _ => None,
        };
    }
    Ok(measure)
}

/// Asks for the times of all tables first, for open transactions then, a node once. What cannot be observed is not known.
fn observe<'a>(wanted: &'a [Wanted], witness: Witness, control: &Control) -> Result<Vec<Place<'a>>, NotMeasured> {
    let mut at: Vec<&Wanted> = Vec::new();
    for one in wanted {
        let is_same = |known: &&Wanted| known.schema == one.schema && known.server.address() == one.server.address();
        if !at.iter().any(is_same) {
            at.push(one);
        }
    }
    let observed = side_by_side(control.lanes(), &at, |one| {
        let during = format!("asking what is known of writes to {}", one.schema);
        control
            .check(&during)
            .map_err(|error| NotMeasured::of(&one.schema, error))?;
        Ok(look(one).unwrap_or_default())
    })?;
    // By node: several databases are on one, as a rule.
    let mut asked: BTreeMap<String, Option<i64>> = BTreeMap::new();
    let mut places: Vec<Place<'a>> = Vec::new();
    for (one, seen) in at.into_iter().zip(observed) {
        let (now, oldest) = match seen {
            Some((mut session, now)) if witness != Witness::Spared => {
                let oldest = asked
                    .entry(now.moment.node.clone())
                    .or_insert_with(|| writes::oldest_transaction(&mut session).unwrap_or_default());
                (Some(now), *oldest)
            }
            Some((_, now)) => (Some(now), None),
            None => (None, None),
        };
        places.push(Place {
            server: &one.server,
            schema: &one.schema,
            now,
            oldest,
        });
    }
    Ok(places)
}

/// What is known of a database's tables, if the account whose rows they are reaches the node that is asked.
fn look(one: &Wanted) -> Result<Option<(Session, Now)>, DbError> {
    let mut session = one.observer.open_schema(&one.schema)?;
    let now = writes::now(&mut session, &one.observer, &one.schema)?;
    let own = writes::node(&mut one.server.open_schema(&one.schema)?)?;
    Ok(now.filter(|now| now.moment.node == own).map(|now| (session, now)))
}
