//! Building an environment, from finding the interpreter to giving it its name.

use std::time::Instant;

use camino::{Utf8Path, Utf8PathBuf};
use ffu_catalog::{Catalog, EnvironmentEntry};
use ffu_hosts::{StopFlag, StopLevel, end_holders};
use ffu_model::Series;
use ffu_model::digest::sha256_hex;

use crate::distributions::{installed, locked};
use crate::error::EnvError;
use crate::event::{BuildEvent, BuildEventKind, Stage};
use crate::install::Job;
use crate::manifest::{FORMAT, FileEntry, Manifest, hash_all, list};
use crate::store::{EnvInfo, EnvStore, remove_tree};
use crate::{check, disk, interpreter, patches, record, variables};

/// How an environment is built.
#[derive(Clone, Debug, Default)]
pub struct BuildOptions {
    /// The interpreter to use; otherwise one is searched.
    pub python: Option<Utf8PathBuf>,
    /// Nothing is fetched: uv takes packages from its cache, pip from `find_links`.
    pub offline: bool,
    /// A directory of packages (wheels, source archives) that is searched too, or, offline, only.
    pub find_links: Option<Utf8PathBuf>,
    /// How many environments are built side by side; 0 for as many as there are cores.
    pub jobs: usize,
    /// Built anew even if it is there and sound.
    pub force: bool,
    /// The operator's wish to stop.
    pub stop: StopFlag,
}

type Progress<'a> = &'a (dyn Fn(BuildEvent) + Sync);

impl EnvStore {
    /// Builds one environment, unless it is there, current and sound.
    ///
    /// # Errors
    /// [`EnvError`]; then nothing of the build is left that looks finished, and an older environment is as it was.
    pub fn build(
        &self,
        catalog: &Catalog,
        series: &Series,
        options: &BuildOptions,
        progress: Progress<'_>,
    ) -> Result<EnvInfo, EnvError> {
        self.build_one(catalog, series, options, cores(), progress)
    }

    /// Builds several side by side. Room for all of them is checked before the first one begins. uv itself keeps two builds
    /// from building one source package at the same time. The result has the order of `list`.
    ///
    /// # Errors
    /// Nothing was begun: there is no recipe for one of them, or no room for all of them.
    #[allow(clippy::type_complexity)]
    pub fn build_all(
        &self,
        catalog: &Catalog,
        list: &[Series],
        options: &BuildOptions,
        progress: Progress<'_>,
    ) -> Result<Vec<(Series, Result<EnvInfo, EnvError>)>, EnvError> {
        let side_by_side = match options.jobs {
            0 => cores(),
            jobs => jobs,
        }
        .clamp(1, list.len().max(1));
        self.room_for_all(catalog, list, options)?;
        let next = std::sync::atomic::AtomicUsize::new(0);
        let results: Vec<_> = list.iter().map(|_| std::sync::Mutex::new(None)).collect();
        let compile_jobs = (cores() / side_by_side).max(1);
        std::thread::scope(|scope| {
            for _ in 0..side_by_side {
                scope.spawn(|| {
                    loop {
                        let at = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                        let (Some(series), Some(slot)) = (list.get(at), results.get(at)) else {
                            break;
                        };
                        let result = self.build_one(catalog, series, options, compile_jobs, progress);
                        if let Ok(mut slot) = slot.lock() {
                            *slot = Some(result);
                        }
                    }
                });
            }
        });
        Ok(list
            .iter()
            .zip(results)
            .map(|(series, slot)| {
                let absent = || {
                    Err(EnvError::Absent {
                        series: series.to_string(),
                    })
                };
                (series.clone(), slot.into_inner().ok().flatten().unwrap_or_else(absent))
            })
            .collect())
    }

    fn room_for_all(&self, catalog: &Catalog, list: &[Series], options: &BuildOptions) -> Result<(), EnvError> {
        let mut need = 0;
        let mut names = Vec::new();
        for series in list {
            if !options.force && self.target(series)?.is_some() {
                continue;
            }
            need += disk::needed_mib(recipe(catalog, series)?.0.disk_mib);
            names.push(series.as_str());
        }
        let place = self.directory();
        std::fs::create_dir_all(&place).map_err(EnvError::io("make the directory", &place))?;
        let free = (self.free_bytes)(&place).map_err(EnvError::io("ask for the free space of", &place))?;
        disk::check(&names.join(", "), need, free, &place).map(drop)
    }

    fn build_one(
        &self,
        catalog: &Catalog,
        series: &Series,
        options: &BuildOptions,
        compile_jobs: usize,
        progress: Progress<'_>,
    ) -> Result<EnvInfo, EnvError> {
        let begun = Instant::now();
        let tell = |kind: BuildEventKind| {
            progress(BuildEvent {
                series: series.clone(),
                kind,
            });
        };
        let (entry, lock) = recipe(catalog, series)?;
        let envs = self.directory();
        for directory in [&envs, &self.logs()] {
            std::fs::create_dir_all(directory).map_err(EnvError::io("make the directory", directory))?;
        }
        let _building = self.lock(series, &options.stop, || tell(BuildEventKind::Waiting))?;
        let stopped = || EnvError::Stopped {
            series: series.to_string(),
        };
        if options.stop.level() > StopLevel::Run {
            return Err(stopped());
        }
        // The tool of a build whose ffu was killed may still write.
        end_holders(&self.command_lock(series), std::time::Duration::from_secs(5))?;
        let directories = self.clean(series)?;
        if directories > 0 {
            tell(BuildEventKind::Cleaned { directories });
        }
        if !options.force
            && let Ok(info) = self.verify(catalog, series)
        {
            tell(BuildEventKind::UpToDate);
            return Ok(info);
        }
        let tool_variables = variables::for_tools(&self.variables, &self.cache_root, series.as_str());
        let python = interpreter::find(
            series.as_str(),
            &entry.python,
            options.python.as_deref(),
            &self.variables,
        )?;
        tell(BuildEventKind::Interpreter {
            path: python.path.clone(),
            version: python.version.clone(),
        });
        let need_mib = disk::needed_mib(entry.disk_mib);
        let free = (self.free_bytes)(&envs).map_err(EnvError::io("ask for the free space of", &envs))?;
        let free_mib = disk::check(series.as_str(), need_mib, free, &envs)?;
        tell(BuildEventKind::Disk { need_mib, free_mib });

        let lock_sha256 = sha256_hex(lock.as_bytes());
        let unfinished = Unfinished(Some(envs.join(fresh_name(series, &lock_sha256))));
        let directory = unfinished.path();
        let logs = self.logs();
        let command_lock = self.command_lock(series);
        let job = Job {
            series,
            installer: entry.installer,
            python: &python,
            directory,
            tools: &self.tools(),
            variables: &tool_variables,
            logs: &logs,
            command_lock: &command_lock,
            offline: options.offline,
            find_links: options.find_links.as_deref(),
            compile_jobs,
            stop: &options.stop,
            progress,
        };
        let (site_packages, mut files) = self.fill(&job, catalog, lock, &tell)?;
        let found = installed(&directory.join(&site_packages))?;
        check::versions(catalog, series, lock, &found)?;

        let mut changed = Vec::new();
        let mut applied = std::collections::BTreeMap::new();
        for (at, patch) in catalog.patches_for(series).enumerate() {
            if at == 0 {
                tell(BuildEventKind::Stage(Stage::Patch));
            }
            patches::apply(series, &directory.join(&site_packages), patch)?;
            changed.push(site_packages.join(&patch.file).into_string());
            applied.insert(patch.id.clone(), patches::digest(patch));
            tell(BuildEventKind::Patched {
                id: patch.id.clone(),
                file: patch.file.clone(),
                reason: patch.reason.clone(),
                bug: patch.bug.clone(),
            });
        }
        tell(BuildEventKind::Stage(Stage::Compile));
        job.compile(&directory.join(&site_packages))?;
        tell(BuildEventKind::Stage(Stage::Seal));
        check::refresh(directory, &mut files, &changed, &python.version)?;
        let manifest = Manifest {
            format: FORMAT,
            series: series.clone(),
            built: jiff::Timestamp::now(),
            lock_sha256,
            patches: applied,
            python: python.version.clone(),
            interpreter: python.path.clone(),
            site_packages,
            asked: locked(lock),
            found,
            bytes: size_of(directory)?,
            files,
        };
        manifest.write(directory)?;
        if options.stop.is_now() {
            return Err(stopped());
        }
        self.name(series, directory)?;
        let directory = unfinished.keep();
        // What the link named before is a leftover now.
        self.clean(series)?;
        tell(BuildEventKind::Done {
            seconds: begun.elapsed().as_secs(),
            mib: manifest.bytes >> 20,
            files: manifest.files.len(),
        });
        Ok(EnvInfo::of(&manifest, &directory))
    }

    /// Makes the venv and installs the lock; if the package cache turns out damaged, once more with fresh packages.
    fn fill(
        &self,
        job: &Job<'_>,
        catalog: &Catalog,
        lock: &str,
        tell: &dyn Fn(BuildEventKind),
    ) -> Result<(Utf8PathBuf, std::collections::BTreeMap<String, FileEntry>), EnvError> {
        let packages = locked(lock).len();
        let mut repaired = false;
        loop {
            tell(BuildEventKind::Stage(Stage::Create));
            job.create()?;
            tell(BuildEventKind::Stage(Stage::Install { packages }));
            job.install(lock, catalog.build_constraints(job.series))?;
            tell(BuildEventKind::Stage(Stage::Check));
            let site_packages = Utf8PathBuf::from(format!("lib/python{}/site-packages", job.python.minor()));
            let files = hash_all(
                job.directory,
                &list(job.directory, &site_packages)?,
                &job.python.version,
            )?;
            let damaged = record::damaged(
                &job.directory.join(&site_packages),
                &files,
                &format!("{site_packages}/"),
            )?;
            let Some(first) = damaged.values().next() else {
                return Ok((site_packages, files));
            };
            if repaired {
                return Err(EnvError::Damaged {
                    series: job.series.to_string(),
                    file: first.clone(),
                });
            }
            repaired = true;
            let packages: Vec<String> = damaged.into_keys().collect();
            tell(BuildEventKind::CacheRepaired {
                packages: packages.clone(),
            });
            job.clean_cache(&packages)?;
            remove_tree(job.directory)?;
        }
    }

    /// Gives a whole environment its name, atomically.
    fn name(&self, series: &Series, directory: &Utf8Path) -> Result<(), EnvError> {
        let link = self.directory().join(series.as_str());
        let new = self.directory().join(format!(".{series}.{}.new", std::process::id()));
        let target = directory.file_name().unwrap_or_default();
        let make = || {
            let _ = std::fs::remove_file(&new);
            std::os::unix::fs::symlink(target, &new)?;
            std::fs::rename(&new, &link)
        };
        make().map_err(EnvError::io("replace", &link))
    }
}

fn recipe<'a>(catalog: &'a Catalog, series: &Series) -> Result<(&'a EnvironmentEntry, &'a str), EnvError> {
    let entry = catalog.environment(series).ok_or_else(|| EnvError::NoRecipe {
        series: series.to_string(),
        known: catalog
            .environments
            .iter()
            .map(|entry| entry.series.to_string())
            .collect::<Vec<_>>()
            .join(", "),
    })?;
    let lock = catalog.lock(series).ok_or_else(|| EnvError::NoLock {
        series: series.to_string(),
    })?;
    Ok((entry, lock))
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// A name no other build has: it tells the lock, the process and the moment.
fn fresh_name(series: &Series, lock_sha256: &str) -> String {
    let lock: String = lock_sha256.chars().take(8).collect();
    let moment = jiff::Timestamp::now().as_nanosecond();
    format!("{series}@{lock}-{:x}{moment:x}", std::process::id())
}

/// Bytes that a directory takes on disk, files linked elsewhere included.
fn size_of(directory: &Utf8Path) -> Result<u64, EnvError> {
    use std::os::unix::fs::MetadataExt as _;
    let mut bytes = 0;
    let mut directories = vec![directory.as_std_path().to_owned()];
    while let Some(current) = directories.pop() {
        for entry in std::fs::read_dir(&current).map_err(EnvError::io("read", directory))? {
            let entry = entry.map_err(EnvError::io("read", directory))?;
            let meta = entry.metadata().map_err(EnvError::io("read", directory))?;
            bytes += meta.blocks() * 512;
            if meta.is_dir() {
                directories.push(entry.path());
            }
        }
    }
    Ok(bytes)
}

/// The directory of a build, removed unless it is kept: errors and panics leave nothing behind.
struct Unfinished(Option<Utf8PathBuf>);

impl Unfinished {
    fn path(&self) -> &Utf8Path {
        self.0.as_deref().unwrap_or(Utf8Path::new(""))
    }

    fn keep(mut self) -> Utf8PathBuf {
        self.0.take().unwrap_or_default()
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            // What cannot be removed now has no name, and the next build removes it.
            let _ = remove_tree(path);
        }
    }
}
