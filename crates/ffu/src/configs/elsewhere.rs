//! Options that leave the files of one service for those of another, collected while files are carried.

use ffu_catalog::Catalog;
use ffu_config::finding::Finding;
use ffu_config::migrate::{Departure, InputFile, Proof, Reception, receive};
use ffu_model::Series;

use super::known;

/// Departures, each once.
#[derive(Debug, Default)]
pub struct Leaving(Vec<Left>);

/// One departure.
#[derive(Debug)]
pub struct Left {
    /// What leaves.
    pub departure: Departure,
    /// All series of the way.
    pub path: Vec<Series>,
    /// How often it was met: a file is read with every set that it belongs to.
    times: usize,
    arrived: bool,
}

impl Leaving {
    /// Adds those of one migration.
    pub fn extend(&mut self, departures: Vec<Departure>, path: &[Series]) {
        for departure in departures {
            match self.0.iter_mut().find(|one| one.departure == departure) {
                Some(known) => known.times += 1,
                None => self.0.push(Left {
                    departure,
                    path: path.to_vec(),
                    times: 1,
                    arrived: false,
                }),
            }
        }
    }

    /// Services and files that options wait for, in the order in which they were met.
    pub fn waiting(&self) -> Vec<(String, String)> {
        let mut waiting: Vec<(String, String)> = Vec::new();
        for one in self.0.iter().filter(|one| !one.arrived) {
            let key = (one.departure.service.clone(), one.departure.file.clone());
            if !waiting.contains(&key) {
                waiting.push(key);
            }
        }
        waiting
    }

    /// Whether a finding tells of one that has not arrived with its value.
    pub fn is_about(&self, finding: &Finding) -> bool {
        self.0.iter().any(|one| {
            let told = &one.departure.finding;
            (&told.file, told.line, &told.subject) == (&finding.file, finding.line, &finding.subject)
        })
    }

    /// What waits for a file.
    pub fn bound_for<'a>(&'a self, service: &'a str, file: &'a str) -> impl Iterator<Item = &'a Left> {
        self.0
            .iter()
            .filter(move |one| one.departure.service == service && one.departure.file == file && !one.arrived)
    }

    /// Puts what waits for a file into it, and says in `findings` and `proof` what became of it. The file's new bytes.
    ///
    /// # Errors
    /// A file that cannot be read, a service without a catalog.
    pub fn arrive(
        &mut self,
        catalog: &Catalog,
        (service, file): (&str, &str),
        (label, bytes): (&str, Vec<u8>),
        findings: &mut [Finding],
        proof: &mut Proof,
    ) -> Result<Vec<u8>, String> {
        let options = known(catalog, service, catalog.options(service))?;
        let departures: Vec<Departure> = self.bound_for(service, file).map(|one| one.departure.clone()).collect();
        let path = self
            .bound_for(service, file)
            .next()
            .map(|one| one.path.clone())
            .unwrap_or_default();
        let files = [InputFile {
            label: label.to_owned(),
            bytes: bytes.clone(),
        }];
        let Reception { files, arrived } =
            receive(options, catalog.config_rules(), &path, &files, &departures).map_err(|error| error.to_string())?;
        let waiting = self
            .0
            .iter_mut()
            .filter(|one| one.departure.service == service && one.departure.file == file && !one.arrived);
        for (left, now) in waiting.zip(arrived) {
            left.arrived = true;
            for finding in findings
                .iter_mut()
                .filter(|finding| **finding == left.departure.finding)
            {
                *finding = now.finding.clone();
            }
            if now.equal {
                proof.proven_equal += left.times;
                proof.named = proof.named.saturating_sub(left.times);
            }
        }
        Ok(files.into_iter().next().map_or(bytes, |file| file.bytes))
    }
}
