//! How many option names survive each way from one series to another: the numbers of the documentation's table.

use ffu_catalog::options::{OptionSet, ServiceOptions};
use ffu_catalog::rules::Rule;
use ffu_model::Series;
use foldhash::HashMap;
use serde::Serialize;

use crate::fate::{Branch, End, Lineage, LineageError, advance, meanings};

/// What becomes of the names and old spellings that a series accepts, on the way to another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Carry {
    /// Where the files come from.
    pub from: Series,
    /// Where they go to.
    pub to: Series,
    /// Names that the target has too.
    pub unchanged: usize,
    /// Names whose value goes on under another name, or as a part of another option.
    pub moved: usize,
    /// Names that are gone; upstream announced it in a series of the path, or a curated rule tells what happened.
    pub gone_with_notice: usize,
    /// Names that are gone, and nobody said so.
    pub gone_without_notice: usize,
}

/// The numbers of every pair of series in which a service was dumped; `order` is all series, oldest first.
///
/// # Errors
/// [`LineageError`] where the service was not dumped in any of them.
pub fn carry_table(service: &ServiceOptions, rules: &[Rule], order: &[Series]) -> Result<Vec<Carry>, LineageError> {
    let dumped: Vec<&Series> = order
        .iter()
        .filter(|series| service.position(series).is_some())
        .collect();
    let (Some(first), Some(last)) = (dumped.first(), dumped.last()) else {
        return Err(LineageError::NoPath);
    };
    let start = order.iter().position(|series| series == *first).unwrap_or(0);
    let end = order.iter().position(|series| series == *last).unwrap_or(0);
    let lineage = Lineage::new(service, order.get(start..=end).unwrap_or(&[]), rules)?;
    let mut table = Vec::new();
    for at in 0..lineage.steps().len() {
        from(&lineage, at, &mut table);
    }
    Ok(table)
}

fn from(lineage: &Lineage<'_>, start: usize, table: &mut Vec<Carry>) {
    let steps = lineage.steps();
    let Some(first) = steps.get(start) else { return };
    let spellings = spellings(&first.set);
    let mut lines: HashMap<(&str, &str), Vec<Branch<'_>>> = first
        .set
        .iter()
        .map(|option| {
            (
                (option.group.as_str(), option.name.as_str()),
                vec![Branch::start(option)],
            )
        })
        .collect();
    for (at, step) in steps.iter().enumerate().skip(start + 1) {
        for branches in lines.values_mut() {
            *branches = advance(std::mem::take(branches), at, step);
        }
        let mut carry = Carry {
            from: first.set.series().clone(),
            to: step.set.series().clone(),
            unchanged: 0,
            moved: 0,
            gone_with_notice: 0,
            gone_without_notice: 0,
        };
        for (spelling, meant) in &spellings {
            let branches = || meant.iter().filter_map(|key| lines.get(key)).flatten();
            if branches().any(|branch| branch.is_alive() && branch.key() == *spelling) {
                carry.unchanged += 1;
            } else if branches().any(|branch| branch.is_alive() || branch.is_absorbed()) {
                carry.moved += 1;
            } else if branches().any(|branch| branch.announced.is_some() || matches!(branch.end, End::Rule(..))) {
                carry.gone_with_notice += 1;
            } else {
                carry.gone_without_notice += 1;
            }
        }
        table.push(carry);
    }
}

/// A spelling with the current names of the options that it sets.
type Spelling<'a> = ((&'a str, &'a str), Vec<(&'a str, &'a str)>);

fn spellings<'a>(set: &OptionSet<'a>) -> Vec<Spelling<'a>> {
    let mut names: Vec<(&'a str, &'a str)> = Vec::new();
    for option in set.iter() {
        names.push((&option.group, &option.name));
        names.extend(option.aliases.iter().map(|old| (old.group.as_str(), old.name.as_str())));
    }
    names.sort_unstable();
    names.dedup();
    names
        .into_iter()
        .map(|(group, name)| {
            let meant = meanings(set, group, name);
            let keys = meant
                .iter()
                .map(|option| (option.group.as_str(), option.name.as_str()))
                .collect();
            ((group, name), keys)
        })
        .collect()
}
