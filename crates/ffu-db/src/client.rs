//! The dump and load programs, with streams. Passwords reach them through an option file (0600) that is deleted afterwards,
//! never through arguments or the environment.

use std::io::{Read, Write};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::control::Control;
use crate::error::DbError;
use crate::programs;
use crate::url::ConnectionUrl;

/// How much of a program's error output is kept.
const KEPT: usize = 16 << 10;

/// A call of a client program.
pub(crate) struct Call<'a> {
    pub url: &'a ConnectionUrl,
    /// Where the option file is put for as long as the program runs.
    pub private_dir: &'a Utf8Path,
    pub during: String,
    pub control: &'a Control<'a>,
}

/// What of a schema is dumped.
#[derive(Clone, Copy)]
pub(crate) enum Dumped<'a> {
    /// These tables with their rows and triggers.
    Tables(&'a [String]),
    /// Everything but the rows, definitions and triggers of these tables: views, routines and events too.
    AllBut(&'a [String]),
}

/// How a copy between a program and a stream ended.
pub(crate) enum Pumped {
    Done,
    /// Our side failed: the disk is full, the file is broken.
    Ours(std::io::Error),
    /// The program closed its side early; its exit code and words tell why.
    Theirs,
}

impl Call<'_> {
    /// Runs `mariadb-dump` for a schema, or for some of its tables, into a sink. The text locks no tables: several are loaded side
    /// by side, and a lock of one would take those that foreign keys tie to it.
    pub(crate) fn dump(&self, schema: &str, what: Dumped, sink: &mut dyn Write) -> Result<(), DbError> {
        let program = programs::find(&["mariadb-dump", "mysqldump"], "mariadb-client")?;
        let mut arguments: Vec<String> = [
            "--single-transaction",
            "--quick",
            "--triggers",
            "--hex-blob",
            "--default-character-set=utf8mb4",
            "--skip-lock-tables",
            "--skip-add-locks",
            "--skip-disable-keys",
            "--no-tablespaces",
            "--max-allowed-packet=1G",
            "--net-buffer-length=1M",
        ]
        .map(str::to_owned)
        .to_vec();
        if let Dumped::AllBut(others) = what {
            arguments.extend(["--routines".to_owned(), "--events".to_owned()]);
            arguments.extend(others.iter().map(|table| format!("--ignore-table={schema}.{table}")));
        }
        // A name that begins with a dash stays a name.
        arguments.push("--".to_owned());
        arguments.push(schema.to_owned());
        if let Dumped::Tables(tables) = what {
            arguments.extend(tables.iter().cloned());
        }
        self.run(&program, &arguments, |child, buffer| {
            let Some(mut output) = child.stdout.take() else {
                return Pumped::Theirs;
            };
            loop {
                match output.read(buffer) {
                    Ok(0) | Err(_) => return Pumped::Theirs,
                    Ok(count) => {
                        if let Err(error) = sink.write_all(&buffer[..count]) {
                            return Pumped::Ours(error);
                        }
                    }
                }
            }
        })
    }

    /// Runs `mariadb` on a schema with statements from a source.
    pub(crate) fn load(&self, schema: &str, source: &mut dyn Read) -> Result<(), DbError> {
        let program = programs::find(&["mariadb", "mysql"], "mariadb-client")?;
        let arguments = [
            "--batch",
            "--binary-mode",
            "--default-character-set=utf8mb4",
            "--max-allowed-packet=1G",
            "--init-command=SET SESSION foreign_key_checks = 0, SESSION unique_checks = 0",
            &format!("--database={schema}"),
        ]
        .map(str::to_owned);
        self.run(&program, &arguments, |child, buffer| {
            let Some(mut input) = child.stdin.take() else {
                return Pumped::Theirs;
            };
            loop {
                match source.read(buffer) {
                    Ok(0) => return Pumped::Done,
                    Err(error) => return Pumped::Ours(error),
                    Ok(count) => {
                        if input.write_all(&buffer[..count]).is_err() {
                            return Pumped::Theirs;
                        }
                    }
                }
            }
        })
    }

    fn run(
        &self,
        program: &Utf8Path,
        arguments: &[String],
        pump: impl FnOnce(&mut Child, &mut [u8]) -> Pumped,
    ) -> Result<(), DbError> {
        self.control.check(&self.during)?;
        let options = self.option_file()?;
        let mut child = Command::new(program)
            // It must be the first argument; it also keeps ~/.my.cnf and /etc/mysql out.
            .arg(format!("--defaults-file={}", options.path().display()))
            .args(arguments)
            .env_remove("MYSQL_PWD")
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(|e| DbError::io("cannot run", program, e))?;
        let group = Pid::from_raw(i32::try_from(child.id()).unwrap_or(i32::MAX));
        let errors = child.stderr.take();
        let over = AtomicBool::new(false);
        let (pumped, output, stopped) = std::thread::scope(|scope| {
            let reader = scope.spawn(move || errors.map(kept).unwrap_or_default());
            // The program is not reaped before the watcher has ended, so its group's number is still its own.
            let watcher = scope.spawn(|| {
                while !over.load(Ordering::SeqCst) {
                    if let Err(error) = self.control.check(&self.during) {
                        let _ = killpg(group, Signal::SIGKILL);
                        return Some(error);
                    }
                    std::thread::sleep(Duration::from_millis(50));
                }
                None
            });
            let mut buffer = vec![0_u8; 256 << 10];
            let pumped = pump(&mut child, &mut buffer);
            drop(child.stdin.take());
            // Its words are asked for even where it has nothing to say on the other stream.
            if let Some(mut rest) = child.stdout.take() {
                let _ = std::io::copy(&mut rest, &mut std::io::sink());
            }
            if matches!(pumped, Pumped::Ours(_)) {
                let _ = killpg(group, Signal::SIGKILL);
            }
            let output = reader.join().unwrap_or_default();
            over.store(true, Ordering::SeqCst);
            (pumped, output, watcher.join().unwrap_or_default())
        });
        let status = child.wait().map_err(|e| DbError::io("cannot wait for", program, e))?;
        if let Some(error) = stopped {
            return Err(error);
        }
        if let Pumped::Ours(source) = pumped {
            return Err(DbError::io("cannot go on with the stream of", program, source));
        }
        if status.success() {
            return Ok(());
        }
        Err(self.explain(program, &output))
    }

    fn explain(&self, program: &Utf8Path, output: &str) -> DbError {
        let output = ffu_model::secret::mask(output, &self.url.secrets());
        let lower = output.to_ascii_lowercase();
        // The programs' own error numbers: 2002/2003 cannot connect, 2006/2013/2026 lost.
        if [
            "(2013)",
            "(2006)",
            "error 2013",
            "error 2006",
            "lost connection",
            "server has gone away",
            "shutdown in progress",
        ]
        .iter()
        .any(|text| lower.contains(text))
        {
            return DbError::Lost {
                address: self.url.address(),
                during: self.during.clone(),
                reason: output,
            };
        }
        if [
            "error 2002",
            "error 2003",
            "error: 2002",
            "error: 2003",
            "can't connect",
        ]
        .iter()
        .any(|text| lower.contains(text))
        {
            return DbError::Unreachable {
                address: self.url.address(),
                reason: output,
            };
        }
        let program = program.file_name().unwrap_or_default().to_owned();
        DbError::ProgramFailed {
            program,
            during: self.during.clone(),
            output,
        }
    }

    fn option_file(&self) -> Result<tempfile::NamedTempFile, DbError> {
        let failed = |e| DbError::io("cannot write an option file in", self.private_dir, e);
        // tempfile creates files with mode 0600.
        let mut file = tempfile::Builder::new()
            .prefix(".client-")
            .suffix(".cnf")
            .tempfile_in(self.private_dir)
            .map_err(failed)?;
        file.write_all(crate::option_file::client_section(self.url).as_bytes())
            .map_err(failed)?;
        file.flush().map_err(failed)?;
        Ok(file)
    }
}

/// Option files that a killed process left behind.
pub(crate) fn remove_leftovers(private_dir: &Utf8Path) {
    let entries = std::fs::read_dir(private_dir).into_iter().flatten().flatten();
    for entry in entries.filter_map(|entry| Utf8PathBuf::from_path_buf(entry.path()).ok()) {
        let name = entry.file_name().unwrap_or_default();
        if name.starts_with(".client-") && name.ends_with(".cnf") {
            let _ = std::fs::remove_file(&entry);
        }
    }
}

/// The end of a program's error output.
fn kept(mut stream: impl Read) -> String {
    let mut all = Vec::new();
    let mut buffer = [0_u8; 4096];
    while let Ok(count) = stream.read(&mut buffer) {
        if count == 0 {
            break;
        }
        all.extend_from_slice(&buffer[..count]);
        let excess = all.len().saturating_sub(KEPT);
        all.drain(..excess);
    }
    String::from_utf8_lossy(&all).trim().to_owned()
}
