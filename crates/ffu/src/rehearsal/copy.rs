//! The databases of a cloud in a private server of the rehearsal's own.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use camino::Utf8Path;
use ffu_db::snapshot::{self, Source};
use ffu_db::{Access, ConnectionUrl, DbError, Options, PrivateServer, Settings, resolve};
use ffu_engine::StopFlag;
use ffu_hosts::StopLevel;
use ffu_model::plan::CheckpointProof;
use ffu_model::rehearsal::{CopiedDatabase, CopyFigures};
use ffu_model::secret::Secret;
use ffu_model::{Cloud, DatabaseKey, Plan};

/// What a server, its logs and its system tables take.
const SERVER_BYTES: u64 = 300 << 20;
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

/// One schema of the cloud.
pub struct Found {
    /// Every database of the cloud that it is.
    pub keys: Vec<DatabaseKey>,
    /// How it is reached.
    pub access: Access,
    /// The name of its copy: its own, unless two servers have schemas of one name.
    pub copy: String,
    /// Data and index bytes now.
    pub bytes: u64,
}

/// The schemas of a cloud, each once, measured now.
///
/// # Errors
/// In words, with the database.
pub fn find(cloud: &Cloud) -> Result<Vec<Found>, String> {
    let mut found: Vec<Found> = Vec::new();
    let mut at: BTreeMap<(String, String), usize> = BTreeMap::new();
    let mut names = BTreeSet::new();
    for (key, database) in cloud.databases() {
        let named = |error: DbError| format!("{key}: {error}");
        let service = resolve(&database.connection).map_err(named)?;
        let schema = service.schema().unwrap_or_default().to_owned();
        let place = (database.server.clone(), schema.clone());
        if let Some(known) = at.get(&place).and_then(|index| found.get_mut(*index)) {
            known.keys.push(key);
            continue;
        }
        let access = Access {
            service,
            admin: cloud
                .server(&database.server)
                .and_then(|server| server.admin_option_file.clone()),
        };
        let facts = access
            .strongest()
            .and_then(|server| server.schema_facts(&schema))
            .map_err(named)?;
        let copy = match names.insert(schema.clone()) {
            true => schema,
            false => format!("{schema}_{}", database.server),
        };
        names.insert(copy.clone());
        at.insert(place, found.len());
        found.push(Found {
            keys: vec![key],
            access,
            copy,
            bytes: facts.map_or(0, |facts| facts.bytes),
        });
    }
    Ok(found)
}

/// Bytes that a rehearsal needs and the file system has: the copy, the tables that an ALTER builds anew beside the old ones,
/// and the way back with its proof.
///
/// # Errors
/// If the file system cannot be asked.
pub fn room(dir: &Utf8Path, plan: &Plan, found: &[Found]) -> Result<(u64, u64), String> {
    let bytes = found.iter().fold(0_u64, |sum, found| sum.saturating_add(found.bytes));
    let largest = found.iter().map(|found| found.bytes).max().unwrap_or(0);
    let way_back = match plan.policy.checkpoint_proof {
        CheckpointProof::Restore => bytes.saturating_mul(2),
        CheckpointProof::Read => bytes,
    };
    let free = ffu_db::free_bytes(dir).map_err(|error| format!("{dir}: {error}"))?;
    let needed = bytes.saturating_add(largest).saturating_add(way_back);
    Ok((needed.saturating_add(SERVER_BYTES), free))
}

/// Starts a server that is like the cloud's first one. Gives remarks about what is not.
///
/// # Errors
/// Those of the server.
pub fn server(dir: &Utf8Path, cloud: &Cloud, found: &[Found]) -> Result<(PrivateServer, Vec<String>), String> {
    let mut remarks = Vec::new();
    let bytes: u64 = found.iter().map(|found| found.bytes).sum();
    let pool = (bytes + bytes / 4).clamp(64 << 20, (memory() / 4).max(64 << 20)) >> 20;
    let own = vec![format!("--innodb-buffer-pool-size={pool}M")];
    let mut like = Vec::new();
    if let Some(first) = found.first() {
        like = snapshot::settings_like(&first.access).map_err(|error| error.to_string())?;
    }
    let made = PrivateServer::create(
        dir,
        &Settings {
            fast: false,
            extra: own.iter().chain(&like).cloned().collect(),
        },
    );
    let server = match made {
        Ok(server) => server,
        Err(error) if like.is_empty() => return Err(error.to_string()),
        Err(_) => {
            // A setting of another version, which this one does not know.
            let _ = std::fs::remove_dir_all(dir);
            remarks.push(format!(
                "the private server does not take the cloud's settings and has its own: {}",
                like.join(" ")
            ));
            let settings = Settings {
                fast: false,
                extra: own,
            };
            PrivateServer::create(dir, &settings).map_err(|error| error.to_string())?
        }
    };
    let facts = server.admin().map_err(|error| error.to_string())?;
    let (major, minor, _) = facts.facts().version_number;
    for other in &cloud.servers {
        if other.flavor != facts.facts().flavor || !other.version.starts_with(&format!("{major}.{minor}.")) {
            remarks.push(format!(
                "{} runs {} {}, the copy {} {}: DDL may take another time there",
                other.address,
                other.flavor,
                other.version,
                facts.facts().flavor,
                facts.facts().version
            ));
        }
    }
    Ok((server, remarks))
}

/// Bytes of memory; 0 if the system does not say.
pub fn memory() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib: Option<u64> = line.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    kib.unwrap_or(0) << 10
}

/// Where the copies are: by address and schema of the source, the account's connection to the copy.
pub struct Copies {
    /// See [`Copies`].
    pub by_place: BTreeMap<(String, String), ConnectionUrl>,
    /// What was copied.
    pub figures: CopyFigures,
    /// What could not be as in the cloud.
    pub remarks: Vec<String>,
}

impl Copies {
    /// The copy of a database of the cloud.
    pub fn of(&self, url: &ConnectionUrl) -> Option<&ConnectionUrl> {
        self.by_place.get(&(url.address(), url.schema()?.to_owned()))
    }
}

/// Copies everything and gives every schema the account that it has in the cloud, with a password of the copy's own.
///
/// # Errors
/// See [`snapshot::copy`].
pub fn copy(
    cloud: &Cloud,
    found: &[Found],
    to: &PrivateServer,
    limit: Option<u64>,
    stop: &StopFlag,
) -> Result<Copies, DbError> {
    let sources: Vec<Source> = found
        .iter()
        .map(|found| Source {
            access: found.access.clone(),
            copy: found.copy.clone(),
        })
        .collect();
    let stopped = || stop.level() > StopLevel::Run;
    let options = Options {
        stop: Some(&stopped),
        timeout: LONGEST,
        ..Options::default()
    };
    let begun = Instant::now();
    // While it is filled nothing in it is worth a wait for the disk; what is rehearsed then waits as it does in the cloud.
    let admin = to.admin()?;
    admin.execute(None, "SET GLOBAL innodb_flush_log_at_trx_commit = 0")?;
    let made = snapshot::copy(&sources, to, limit, &options)?;
    admin.execute(None, "SET GLOBAL innodb_flush_log_at_trx_commit = 1")?;
    let mut copies = Copies {
        by_place: BTreeMap::new(),
        figures: CopyFigures {
            ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
            limit,
            snapshots: made.transactions,
            databases: Vec::new(),
        },
        remarks: Vec::new(),
    };
    let mut passwords: BTreeMap<String, Secret> = BTreeMap::new();
    for (found, copied) in found.iter().zip(&made.copies) {
        let service = &found.access.service;
        if !passwords.contains_key(service.user()) {
            passwords.insert(service.user().to_owned(), snapshot::new_password(to.dir())?);
        }
        let Some(password) = passwords.get(service.user()) else {
            continue;
        };
        let url = snapshot::account(to, service, password, &found.copy)?;
        let schema = service.schema().unwrap_or_default().to_owned();
        for key in &found.keys {
            // The same server may be known by several addresses.
            let place = |address: String| (address, schema.clone());
            copies.by_place.insert(place(service.address()), url.clone());
            if let Some(database) = cloud.database(key) {
                if let Some(server) = cloud.server(&database.server) {
                    copies.by_place.insert(place(server.address.clone()), url.clone());
                }
                if let Ok(other) = resolve(&database.connection) {
                    copies.by_place.insert(place(other.address()), url.clone());
                }
            }
            copies.figures.databases.push(CopiedDatabase {
                database: key.clone(),
                tables: copied.tables,
                rows: copied.rows,
                carried_bytes: copied.bytes,
                source_bytes: found.bytes,
                ms: copied.ms,
            });
        }
        copies.remarks.extend(copied.remarks.iter().cloned());
    }
    cells(cloud, found, to, &mut copies)?;
    Ok(copies)
}

/// The copied cell mappings lead to the copied cells.
fn cells(cloud: &Cloud, found: &[Found], to: &PrivateServer, copies: &mut Copies) -> Result<(), DbError> {
    let key = DatabaseKey::new("nova", "api");
    let Some(api) = found.iter().find(|found| found.keys.contains(&key)) else {
        return Ok(());
    };
    let base = cloud.database(&key).and_then(|database| match &database.connection {
        ffu_model::ConnectionRef::Config { file, .. } => resolve(&ffu_model::ConnectionRef::Config {
            file: file.clone(),
            section: "database".to_owned(),
            option: "connection".to_owned(),
        })
        .ok(),
        _ => None,
    });
    let mut lost = Vec::new();
    snapshot::rewrite_cells(to, &api.copy, &mut |uuid, connection| {
        let whole = match &base {
            Some(base) if connection.contains('{') => base.fill_template(connection).ok(),
            _ => Some(Secret::new(connection.to_owned())),
        };
        let url = whole.and_then(|whole| ConnectionUrl::parse(whole.expose()).ok());
        let copy = url.as_ref().and_then(|url| copies.of(url)).map(ConnectionUrl::to_url);
        if copy.is_none() {
            lost.push(format!(
                "cell {uuid} is not among the plan's databases: its mapping leads nowhere in the copy"
            ));
        }
        copy
    })?;
    copies.remarks.extend(lost);
    Ok(())
}
