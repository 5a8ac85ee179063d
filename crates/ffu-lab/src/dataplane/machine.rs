//! One guest can be a real machine: a kernel of its own under QEMU, with its card plugged into the bridge that the others are at. What a
//! process in a namespace cannot show is seen with it: that a machine restarted although its process, its address and its host stayed.
//!
//! QEMU emulates it everywhere, also where there is a KVM: it boots in seconds, and KVM within a cloud's machine may be there and not work.

mod console;
mod initrd;
mod qmp;

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

use super::DataPlane;
use super::error::DataPlaneError;
use super::guest::{HTTP_PORT, Identity};
use super::kernel::{in_namespace, now, program};
use super::wiring;

const QEMU: &str = "qemu-system-x86_64";
const PACKAGE: &str = "qemu-system-x86";
/// How long it may take to boot: on a busy machine it is a minute rather than three seconds.
const PATIENCE: Duration = Duration::from_secs(150);
const CONSOLE: &str = "console.log";
/// Its memory, in MiB: at least what kernel and archive need, at most what a lab can spare.
const MEMORY_MIB: std::ops::RangeInclusive<u32> = 96..=1024;

/// What a guest that is a machine is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    /// A directory with `vmlinuz`, `busybox` and `modules/`, as `scripts/setup-guest` makes it.
    pub parts: Utf8PathBuf,
    /// Its memory, in MiB, 96 to 1024.
    pub memory_mib: u32,
}

/// What the machine answers at `/identity`.
#[derive(Deserialize)]
struct Answer {
    name: String,
    boot_id: String,
}

impl Machine {
    /// One with 128 MiB.
    pub fn new(parts: Utf8PathBuf) -> Machine {
        Machine { parts, memory_mib: 128 }
    }

    /// Whether it can be started here: the program, its parts, the device for its card.
    ///
    /// # Errors
    /// [`DataPlaneError::NoProgram`], [`DataPlaneError::NoGuestParts`].
    pub fn check(&self) -> Result<(), DataPlaneError> {
        program(QEMU, PACKAGE)?;
        let absent = ["vmlinuz", "busybox", "modules"]
            .into_iter()
            .find(|part| !self.parts.join(part).exists());
        if let Some(missing) = absent {
            return Err(DataPlaneError::NoGuestParts {
                missing: missing.to_owned(),
                dir: self.parts.clone(),
            });
        }
        let tap = "/dev/net/tun";
        File::open(tap).map(drop).map_err(DataPlaneError::io("open", tap))
    }

    /// What is wrong with its figures.
    pub(super) fn refusal(&self) -> Option<String> {
        let (least, most) = (MEMORY_MIB.start(), MEMORY_MIB.end());
        (!MEMORY_MIB.contains(&self.memory_mib) || !self.parts.is_absolute())
            .then(|| format!("a QEMU guest has {least} to {most} MiB, and parts with an absolute path"))
    }
}

impl DataPlane {
    /// Starts a machine; it is not waited for.
    pub(super) fn spawn_machine(&self, at: usize, machine: &Machine) -> Result<u32, DataPlaneError> {
        // One that was started by an `ffu` that was killed before it served: nobody knows who it is.
        self.end(at)?;
        let directory = self.machine_directory(at);
        std::fs::create_dir_all(&directory).map_err(DataPlaneError::io("create", &directory))?;
        for old in [directory.join(CONSOLE), directory.join(qmp::SOCKET), self.pid_file(at)] {
            match std::fs::remove_file(&old) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(DataPlaneError::io("remove", old)(error));
                }
                _ => {}
            }
        }
        let archive = directory.join("initrd");
        self.write(&archive, &initrd::build(&machine.parts)?)?;
        let lock = ffu_hosts::take_lock(&self.file(at, "lock")).map_err(|error| self.ill(at, error.to_string()))?;
        let log_path = self.log(at);
        let opened = OpenOptions::new().append(true).create(true).mode(0o600).open(&log_path);
        let log = opened.map_err(DataPlaneError::io("write", &log_path))?;
        let errors = log.try_clone().map_err(DataPlaneError::io("write", &log_path))?;
        let mut command = Command::new(program(QEMU, PACKAGE)?);
        command
            .args(self.arguments(at, machine)?)
            .arg("-initrd")
            .arg(&archive)
            .env_clear()
            .env("LC_ALL", "C.UTF-8")
            // Paths of its own are below this: they have no commas, which would divide its options.
            .current_dir(&directory)
            // Ctrl-C at the terminal of whoever started it is not meant for it.
            .process_group(0)
            .stdin(Stdio::from(lock))
            .stdout(log)
            .stderr(errors);
        let mut child = in_namespace(&self.names().fabric(), || {
            command
                .spawn()
                .map_err(|error| self.ill(at, format!("{QEMU}: {error}")))
        })?;
        let pid = child.id();
        std::thread::spawn(move || {
            let _ = child.wait();
        });
        Ok(pid)
    }

    fn arguments(&self, at: usize, machine: &Machine) -> Result<Vec<String>, DataPlaneError> {
        let guest = &self.spec().guests[at];
        let mut arguments: Vec<String> = [
            "-accel tcg,tb-size=32 -nodefaults -no-user-config -display none -monitor none -smp 1 -serial file:console.log",
            "-sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
        ]
        .iter()
        .flat_map(|line| line.split(' ').map(str::to_owned))
        .collect();
        let options = [
            ("-name", format!("guest={}", guest.name)),
            ("-m", machine.memory_mib.to_string()),
            ("-qmp", format!("unix:{},server=on,wait=off", qmp::SOCKET)),
            // Without headers of virtio the card fills in every checksum, as a userspace switch needs it.
            (
                "-netdev",
                format!(
                    "tap,id=card,ifname={},script=no,downscript=no,vnet_hdr=off",
                    wiring::port(at)
                ),
            ),
            (
                "-device",
                format!("virtio-net-pci,netdev=card,mac={},romfile=", guest.mac),
            ),
            ("-kernel", machine.parts.join("vmlinuz").into_string()),
            ("-append", self.kernel_line(at)?),
        ];
        arguments.extend(options.into_iter().flat_map(|(name, value)| [name.to_owned(), value]));
        Ok(arguments)
    }

    /// The kernel's command line: what it does not know itself becomes the environment of its first program.
    fn kernel_line(&self, at: usize) -> Result<String, DataPlaneError> {
        let spec = self.spec();
        let guest = &spec.guests[at];
        let subnet = spec
            .subnet_of(guest)
            .ok_or_else(|| self.ill(at, "it is in no subnet".to_owned()))?;
        let known = wiring::neighbours_of(spec, at);
        let known: Vec<String> = known.iter().map(|(address, mac)| format!("{address}@{mac}")).collect();
        Ok(format!(
            "console=ttyS0 quiet panic=2 ipv6.disable=1 FFU_NAME={} FFU_ADDRESS={}/{} FFU_GATEWAY={} FFU_NEIGHBOURS={}",
            guest.name,
            guest.address,
            subnet.cidr.length(),
            subnet.gateway,
            known.join(",")
        ))
    }

    /// Waits until the machine with this process serves with another boot id than `before`, and writes down who it is.
    pub(super) fn wait_for_machine(
        &self,
        at: usize,
        pid: u32,
        before: Option<&str>,
    ) -> Result<Identity, DataPlaneError> {
        let begun = Instant::now();
        loop {
            let Some(start_ticks) = ffu_hosts::ticks_at_start(pid) else {
                return Err(self.ill(at, format!("its process has ended; {}", self.last_words(at))));
            };
            if let Some(boot_id) = self
                .console_boot_id(at)
                .filter(|boot_id| Some(boot_id.as_str()) != before)
            {
                let identity = Identity {
                    name: self.spec().guests[at].name.clone(),
                    boot_id,
                    pid,
                    start_ticks,
                    started: now(),
                    stream: None,
                };
                let path = self.file(at, "identity.json");
                let text = serde_json::to_vec(&identity);
                self.write(
                    &path,
                    &text.map_err(|error| DataPlaneError::io("write", &path)(error.into()))?,
                )?;
                self.write(&self.pid_file(at), format!("{pid}\n").as_bytes())?;
                return Ok(identity);
            }
            if begun.elapsed() > PATIENCE {
                let waited = PATIENCE.as_secs();
                return Err(self.ill(
                    at,
                    format!("it does not serve after {waited} s; {}", self.last_words(at)),
                ));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Resets a machine.
    pub(super) fn reset_machine(&self, at: usize) -> Result<(), DataPlaneError> {
        qmp::reset(&self.machine_directory(at)).map_err(|error| self.ill(at, format!("it was not reset: {error}")))
    }

    /// Asks a machine, from the vantage point in its network, who it is.
    pub(super) fn ask_machine(&self, at: usize) -> Result<Identity, DataPlaneError> {
        let guest = &self.spec().guests[at];
        let known = self
            .living(at)
            .ok_or_else(|| self.ill(at, "it does not run".to_owned()))?;
        in_namespace(&self.inside(&guest.network)?, || {
            let body = super::guests::body_of((guest.address, HTTP_PORT).into(), "/identity");
            let body = body.map_err(|error| self.ill(at, error.to_string()))?;
            let answer: Answer = serde_json::from_str(&body).map_err(|error| self.ill(at, error.to_string()))?;
            Ok(Identity {
                name: answer.name,
                boot_id: answer.boot_id,
                ..known
            })
        })
    }

    fn machine_directory(&self, at: usize) -> Utf8PathBuf {
        self.file(at, "machine")
    }

    /// The boot id that its console told last.
    pub(super) fn console_boot_id(&self, at: usize) -> Option<String> {
        console::last_boot_id(&console::tail(&self.machine_directory(at).join(CONSOLE))?)
    }

    /// The last line of what QEMU said, or else of its console: an `up` that fails removes both.
    fn last_words(&self, at: usize) -> String {
        let files = [self.log(at), self.machine_directory(at).join(CONSOLE)];
        let lines = files
            .iter()
            .filter_map(|file| console::last_line(&console::tail(file)?));
        lines.into_iter().next().unwrap_or_else(|| "it said nothing".to_owned())
    }
}

/// Where `scripts/setup-guest` puts the parts, below the cache of `ffu`.
pub fn parts_in(cache: &Utf8Path) -> Utf8PathBuf {
    cache.join("guest")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_with_the_command_that_gets_it() {
        let scratch = tempfile::tempdir().unwrap();
        let machine = Machine::new(parts_in(Utf8Path::from_path(scratch.path()).unwrap()));
        assert_eq!(machine.refusal(), None);
        let said = machine.check().unwrap_err().to_string();
        assert!(
            said.contains("\n  next: ") && (said.contains("setup-guest") || said.contains(PACKAGE)),
            "{said}"
        );
        for spoilt in [
            Machine {
                memory_mib: 8,
                ..machine.clone()
            },
            Machine {
                memory_mib: 65_536,
                ..machine.clone()
            },
            Machine::new("relative".into()),
        ] {
            assert!(spoilt.refusal().is_some());
        }
    }
}
