//! `ffu config migrate`: options that belong into another service's file now are carried into it; into a new one beside where
//! the call writes and names none.

use camino::{Utf8Path, Utf8PathBuf};
use ffu_catalog::Catalog;

use super::carried::Carried;
use crate::cli::config::MigrateArguments;
use crate::configs::elsewhere::{Leaving, Left};
use crate::configs::find::Findings;
use crate::configs::kind::Kind;
use crate::exit::Exit;
use crate::failure::Failure;

/// How a file begins that a call makes.
const NEW: &str = "# Made by ffu: these options stood in the file of another service.\n";

/// A file that a call makes.
#[derive(Debug)]
pub struct Created {
    /// The file, as an index of [`Findings::files`], whose options it gets: its owner and mode are the new one's.
    pub like: usize,
    /// Where it goes.
    pub path: Utf8PathBuf,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// Carries what has left its files.
pub fn settle(
    catalog: &Catalog,
    arguments: &MigrateArguments,
    found: &Findings,
    leaving: &mut Leaving,
    carried: &mut Carried,
) -> Result<(), Failure> {
    for (service, file) in leaving.waiting() {
        let name = file.rsplit('/').next().unwrap_or(&file).to_owned();
        let there = found.files.iter().position(|one| {
            one.service == service && one.kind == Kind::Options && one.path.file_name() == Some(name.as_str())
        });
        let bad = |error| Failure::new(Exit::BadInput, error);
        let (service, file) = (service.as_str(), file.as_str());
        if let Some(at) = there {
            let label = found.files.get(at).map_or("", |one| one.path.as_str());
            let bytes = carried.after(at).unwrap_or_else(|| carried.before(at)).to_vec();
            let (told, proof) = (&mut carried.told.findings, &mut carried.proof);
            let bytes = leaving
                .arrive(catalog, (service, file), (label, bytes), told, proof)
                .map_err(bad)?;
            carried.replace(at, bytes);
            carried.received.push(at);
            continue;
        }
        let Some(mut created) = leaving
            .bound_for(service, file)
            .find_map(|one| beside(one, found, arguments.output.as_deref(), &name))
        else {
            continue;
        };
        if arguments.output.is_none() && created.path.exists() {
            let remedy = format!("name {} in the same call, and it is carried there", created.path);
            let bound: Vec<_> = leaving
                .bound_for(service, file)
                .map(|one| one.departure.finding.clone())
                .collect();
            for finding in carried
                .told
                .findings
                .iter_mut()
                .filter(|finding| bound.contains(finding))
            {
                finding.remedy.clone_from(&remedy);
            }
            continue;
        }
        if !arguments.in_place && arguments.output.is_none() {
            continue;
        }
        let (told, proof) = (&mut carried.told.findings, &mut carried.proof);
        created.bytes = leaving
            .arrive(
                catalog,
                (service, file),
                (created.path.as_str(), NEW.into()),
                told,
                proof,
            )
            .map_err(bad)?;
        carried.created.push(created);
    }
    Ok(())
}

/// The place of a new file: in the tree where its service's directory would be beside the other's, else beside the file.
fn beside(left: &Left, found: &Findings, output: Option<&Utf8Path>, name: &str) -> Option<Created> {
    let label = left.departure.finding.file.as_deref()?;
    let like = found.files.iter().position(|one| one.path.as_str() == label)?;
    let source = found.files.get(like)?;
    let place = |path: &Utf8PathBuf| {
        let parent = path.parent();
        let own = parent.is_some_and(|parent| parent.file_name() == Some(source.service.as_str()));
        match parent.and_then(|parent| parent.parent()).filter(|_| own) {
            Some(above) => above.join(&left.departure.file),
            None => path.with_file_name(name),
        }
    };
    Some(Created {
        like,
        path: match output {
            Some(directory) => directory.join(place(&source.inside)),
            None => place(&source.path),
        },
        bytes: Vec::new(),
    })
}
