//! Measures that are taken again: what the server knows not to have been written since it was measured is not read.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Mutex;

use super::{Measure, measure_in};
use crate::control::{Control, Options};
use crate::error::DbError;
use crate::server::Server;
use crate::writes::{self, Evidence, Moment, Now, is_settled, unwritten};

/// What is to be measured.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// What it is called.
    pub id: String,
    /// Where its table is, by an account that may read it. With the PROCESS privilege less is read the next time.
    pub server: Server,
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
    /// They will be taken again.
    Kept,
    /// They will not.
    Spared,
}

/// Measures by their ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// All that were wanted.
    pub measures: BTreeMap<String, Measure>,
    /// Those whose rows were not read, because the server knows of no write since they were.
    pub known: BTreeSet<String>,
}

/// What could not be measured.
#[derive(Debug)]
pub struct NotMeasured {
    /// Its id, or its schema.
    pub what: String,
    /// Why.
    pub error: Box<DbError>,
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
    let places = observe(wanted, witness, &control)?;
    let mut taken = Taken::default();
    let mut left = Vec::new();
    for one in wanted {
        let place = places.iter().find(|place| place.holds(one));
        match (place, earlier.get(&one.id)) {
            (Some(place), Some(measure)) if place.is_still(&one.table, measure) => {
                taken.measures.insert(one.id.clone(), measure.clone());
                taken.known.insert(one.id.clone());
            }
            (place, measure) => left.push((one, place, measure.map_or(0, |measure| measure.rows))),
        }
    }
    // The largest first, as far as that is known: then the lanes end at about the same time.
    left.sort_by_key(|(_, _, rows)| Reverse(*rows));
    let read = each(
        &left,
        &control,
        |(one, ..)| &one.id,
        |(one, place, _)| read(one, *place, witness, &control),
    )?;
    let ids = left.iter().map(|(one, ..)| one.id.clone());
    taken.measures.extend(ids.zip(read));
    Ok(taken)
}

/// [`Control::each`], with the name of what failed.
fn each<T: Sync, R: Send>(
    items: &[T],
    control: &Control,
    name: impl Fn(&T) -> &str + Sync,
    work: impl Fn(&T) -> Result<R, DbError> + Sync,
) -> Result<Vec<R>, NotMeasured> {
    let failed = Mutex::new(String::new());
    let done = control.each(items, |item| {
        work(item).inspect_err(|_| name(item).clone_into(&mut failed.lock().unwrap_or_else(|e| e.into_inner())))
    });
    done.map_err(|error| NotMeasured {
        what: failed.into_inner().unwrap_or_else(|e| e.into_inner()),
        error: Box::new(error),
    })
}

fn read(one: &Wanted, place: Option<&Place<'_>>, witness: Witness, control: &Control) -> Result<Measure, DbError> {
    control.check(&format!("measuring {}.{}", one.schema, one.table))?;
    let mut session = one.server.open_schema(&one.schema)?;
    let mut measure = measure_in(&mut session, &one.schema, &one.table, &one.filter, &one.key)?;
    if witness == Witness::Kept {
        let evidence = place.and_then(|place| place.evidence(&one.table));
        // Another node of a cluster may not have had the same rows yet.
        measure.evidence = match evidence {
            Some(evidence) if writes::node(&mut session)? == evidence.at.node => Some(evidence),
            _ => None,
        };
    }
    Ok(measure)
}

/// Asks for the times of all tables first, for open transactions then, a server once.
fn observe<'a>(wanted: &'a [Wanted], witness: Witness, control: &Control) -> Result<Vec<Place<'a>>, NotMeasured> {
    let mut at: Vec<(&Server, &str)> = Vec::new();
    for one in wanted {
        let is_same =
            |(server, schema): &(&Server, &str)| *schema == one.schema && server.address() == one.server.address();
        if !at.iter().any(is_same) {
            at.push((&one.server, &one.schema));
        }
    }
    let observed = each(
        &at,
        control,
        |(_, schema)| schema,
        |(server, schema)| {
            control.check(&format!("asking what is known of writes to {schema}"))?;
            let mut session = server.open_schema(schema)?;
            let now = writes::now(&mut session, server, schema)?;
            Ok((session, now))
        },
    )?;
    // By node: several databases are on one, as a rule.
    let mut asked: BTreeMap<String, Option<i64>> = BTreeMap::new();
    let mut places: Vec<Place<'a>> = Vec::new();
    for ((server, schema), (mut session, now)) in at.into_iter().zip(observed) {
        let oldest = match &now {
            Some(now) if witness == Witness::Kept => match asked.get(&now.moment.node) {
                Some(oldest) => *oldest,
                None => {
                    let oldest = writes::oldest_transaction(&mut session).map_err(|error| NotMeasured {
                        what: schema.to_owned(),
                        error: Box::new(error),
                    })?;
                    asked.insert(now.moment.node.clone(), oldest);
                    oldest
                }
            },
            _ => None,
        };
        places.push(Place {
            server,
            schema,
            now,
            oldest,
        });
    }
    Ok(places)
}
