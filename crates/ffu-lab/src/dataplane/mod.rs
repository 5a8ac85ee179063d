//! The lab's data plane: real workloads that stay up through a run, in network namespaces that belong to the lab alone.
//!
//! Guests are processes behind bridges, with the addresses of the neutron ports they stand for; a router translates floating
//! addresses; vantage points are outside and in every network. Nothing on the host's own interfaces changes, so two labs may
//! have the same addresses. [`fault`] breaks things on demand and says when, to the fraction of a millisecond.

mod cidr;
mod dns;
mod error;
pub mod fault;
mod guest;
mod guests;
mod kernel;
mod latency;
mod machine;
mod netlink;
mod ovs;
mod rows;
mod spec;
mod stream;
mod targets;
mod wiring;

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

pub use cidr::Cidr;
pub use error::DataPlaneError;
pub use guest::{DNS_PORT, ECHO_PORT, GuestFile, HTTP_PORT, Identity, StreamState, run_guest};
pub use guests::GuestStatus;
pub use kernel::{check_privileges, in_namespace};
pub use machine::{Machine, parts_in};
pub use rows::Wanted;
pub use spec::{External, GuestSpec, MOST_GUESTS, NetworkSpec, Spec, Subnet, Switch};

use crate::layout::write_file;
use wiring::Names;

/// The format of the state file.
const FORMAT: u32 = 1;

/// Kernel parameters of every namespace, before it has any link: nobody wants router solicitations there, and unprivileged ICMP
/// works from every vantage point.
const PARAMETERS: [(&str, &str); 2] = [
    ("ipv6/conf/default/disable_ipv6", "1"),
    ("ipv4/ping_group_range", "0 2147483647"),
];

/// What is kept of a data plane: written before anything is made, so that whatever a crash leaves can be removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    format: u32,
    /// Six hexadecimal digits of this data plane alone.
    id: String,
    ready: bool,
    spec: Spec,
}

/// A data plane that exists.
#[derive(Clone, Debug)]
pub struct DataPlane {
    dir: Utf8PathBuf,
    state: State,
}

/// Whether a data plane can be made here at all: privileges and programs.
///
/// # Errors
/// [`DataPlaneError::Privileges`], [`DataPlaneError::NoProgram`].
pub fn check_possible(switch: Switch) -> Result<(), DataPlaneError> {
    check_privileges()?;
    kernel::check_programs()?;
    match switch {
        Switch::Bridge => Ok(()),
        Switch::OpenVswitch => ovs::check(),
    }
}

impl DataPlane {
    /// Builds a data plane, in `DIR/dataplane`, and writes `DIR/targets.toml`. What a failure leaves is removed.
    ///
    /// # Errors
    /// [`DataPlaneError`].
    pub fn up(spec: Spec, dir: &Utf8Path) -> Result<DataPlane, DataPlaneError> {
        spec.check()?;
        check_possible(spec.switch)?;
        spec.machines().try_for_each(Machine::check)?;
        std::fs::create_dir_all(dir).map_err(DataPlaneError::io("create", dir))?;
        let dir = dir.canonicalize_utf8().map_err(DataPlaneError::io("read", dir))?;
        if DataPlane::exists(&dir) {
            return Err(DataPlaneError::AlreadyUp { dir });
        }
        for part in ["guests", "log", "faults"] {
            let part = dir.join("dataplane").join(part);
            std::fs::create_dir_all(&part).map_err(DataPlaneError::io("create", part))?;
        }
        let mut plane = DataPlane {
            state: State {
                format: FORMAT,
                id: free_id(&spec.prefix)?,
                ready: false,
                spec,
            },
            dir,
        };
        plane.save()?;
        if let Err(error) = plane.build() {
            // The first error is the one to tell; what cannot be removed now, `down` meets again.
            let _ = DataPlane::down(&plane.dir);
            return Err(error);
        }
        Ok(plane)
    }

    fn build(&mut self) -> Result<(), DataPlaneError> {
        let (spec, names) = (&self.state.spec, self.names());
        let all = names.all(spec);
        let add: String = all.iter().map(|name| format!("netns add {name}\n")).collect();
        kernel::ip_locked(&self.making(), &add)?;
        for name in &all {
            kernel::set_parameters(name, &PARAMETERS)?;
        }
        // Redirects would teach guests ways around the router.
        let forward = [
            ("ipv4/conf/all/send_redirects", "0"),
            ("ipv4/conf/default/send_redirects", "0"),
        ];
        kernel::set_parameters(&names.router(), &[forward[0], forward[1], ("ipv4/ip_forward", "1")])?;
        for script in std::iter::once(wiring::uplink(&names)).chain(wiring::scripts(spec, &names)) {
            kernel::ip(Some(&script.namespace), &script.text, false)?;
        }
        let rules = wiring::translation(spec);
        kernel::in_namespace(&names.router(), || kernel::nft(&["-f", "-"], &rules).map(drop))?;
        if spec.switch == Switch::OpenVswitch {
            self.start_switch()?;
            self.fill_checksums()?;
        }
        self.start_guests()?;
        let path = self.targets_path();
        let failed = |error: toml::ser::Error| DataPlaneError::io("write", &path)(std::io::Error::other(error));
        let text = toml::to_string(&self.targets()).map_err(failed)?;
        self.write(&path, text.as_bytes())?;
        self.state.ready = true;
        self.save()
    }

    /// What makes the namespaces holds its lock.
    fn making(&self) -> Utf8PathBuf {
        self.place().join("making")
    }

    /// Whether a directory has one, finished or not.
    pub fn exists(dir: &Utf8Path) -> bool {
        state_path(dir).exists()
    }

    /// Opens the data plane of a directory.
    ///
    /// # Errors
    /// [`DataPlaneError::None`], [`DataPlaneError::Unfinished`].
    pub fn open(dir: &Utf8Path) -> Result<DataPlane, DataPlaneError> {
        let plane = DataPlane::read(dir)?;
        if !plane.state.ready {
            return Err(DataPlaneError::Unfinished { dir: plane.dir });
        }
        Ok(plane)
    }

    fn read(dir: &Utf8Path) -> Result<DataPlane, DataPlaneError> {
        let none = |why: String| DataPlaneError::None {
            dir: dir.to_owned(),
            why,
        };
        let dir = dir.canonicalize_utf8().map_err(|error| none(error.to_string()))?;
        let text = std::fs::read_to_string(state_path(&dir)).map_err(|error| none(error.to_string()))?;
        let state: State = serde_json::from_str(&text).map_err(|error| none(error.to_string()))?;
        state.spec.check().map_err(|error| none(error.to_string()))?;
        let is_id = state.id.len() == 6 && state.id.chars().all(|c| c.is_ascii_hexdigit());
        if state.format != FORMAT || !is_id {
            return Err(none(format!("its state file is not of format {FORMAT}")));
        }
        Ok(DataPlane { dir, state })
    }

    /// Ends every process of a data plane and removes its namespaces and files, whatever state it is in. Returns whether
    /// there was one.
    ///
    /// # Errors
    /// [`DataPlaneError`]; what is left can be removed by another `down`.
    pub fn down(dir: &Utf8Path) -> Result<bool, DataPlaneError> {
        if !DataPlane::exists(dir) {
            return Ok(false);
        }
        check_privileges()?;
        let plane = DataPlane::read(dir)?;
        // Whoever was killed may have left an `ip` that still makes namespaces.
        kernel::wait_unlocked(&plane.making())?;
        plane.end_guests()?;
        plane.end_switch()?;
        let names = plane.names();
        let there = kernel::namespaces(&names.stem);
        // A namespace lives on for as long as somebody else's process is in it; its links to the others must not.
        let cut = |namespace: String, links: String| match there.contains(&namespace) {
            true => kernel::ip(Some(&namespace), &links, true).or_else(|error| match error {
                // A link that is not there (any more) is what is wanted.
                DataPlaneError::Command { .. } => Ok(()),
                other => Err(other),
            }),
            false => Ok(()),
        };
        let spec = &plane.state.spec;
        let legs = (1..=spec.networks.len()).map(|at| format!("link del r{at}\nlink del v{at}\n"));
        let ports = (0..spec.guests.len()).map(|at| format!("link del {}\n", wiring::port(at)));
        cut(names.fabric(), legs.chain(ports).collect())?;
        cut(names.router(), "link del ext\n".to_owned())?;
        let delete: String = there.iter().map(|name| format!("netns del {name}\n")).collect();
        kernel::ip(None, &delete, false)?;
        let gone = |path: Utf8PathBuf, outcome: std::io::Result<()>| match outcome {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(DataPlaneError::io("remove", path)(error))
            }
            _ => Ok(()),
        };
        gone(plane.targets_path(), std::fs::remove_file(plane.targets_path()))?;
        for part in ["guests", "log", "faults", "ovs"] {
            let part = plane.place().join(part);
            gone(part.clone(), std::fs::remove_dir_all(&part))?;
        }
        // The state file goes last: until then another `down` knows what this is.
        gone(plane.place(), std::fs::remove_dir_all(plane.place()))?;
        Ok(true)
    }

    /// What it was built from.
    pub fn spec(&self) -> &Spec {
        &self.state.spec
    }

    /// The directory it was built in.
    pub fn dir(&self) -> &Utf8Path {
        &self.dir
    }

    /// Where the targets file for the watch is.
    pub fn targets_path(&self) -> Utf8PathBuf {
        self.dir.join("targets.toml")
    }

    /// The namespace of the vantage point outside.
    pub fn outside(&self) -> String {
        self.names().outside()
    }

    /// The namespace of the vantage point in a network.
    ///
    /// # Errors
    /// [`DataPlaneError::NoSuch`].
    pub fn inside(&self, network: &str) -> Result<String, DataPlaneError> {
        Ok(self.names().inside(self.network_at(network)?))
    }

    /// The namespace of a guest's process: its own, or that of the bridges where it is a machine.
    ///
    /// # Errors
    /// [`DataPlaneError::NoSuch`].
    pub fn namespace_of(&self, guest: &str) -> Result<String, DataPlaneError> {
        let at = self.guest_at(guest)?;
        Ok(self.names().of(at, &self.state.spec.guests[at]))
    }

    /// All its namespaces.
    pub fn namespaces(&self) -> Vec<String> {
        self.names().all(&self.state.spec)
    }

    fn names(&self) -> Names {
        Names::new(&self.state.spec.prefix, &self.state.id)
    }

    fn place(&self) -> Utf8PathBuf {
        self.dir.join("dataplane")
    }

    fn guest_at(&self, name: &str) -> Result<usize, DataPlaneError> {
        let guests = &self.state.spec.guests;
        let known = || guests.iter().map(|guest| guest.name.as_str()).collect();
        self.state
            .spec
            .guest(name)
            .map(|(at, _)| at)
            .ok_or_else(|| self.no_such("guest", name, known()))
    }

    fn network_at(&self, name: &str) -> Result<usize, DataPlaneError> {
        let networks = &self.state.spec.networks;
        let known = || networks.iter().map(|network| network.name.as_str()).collect();
        self.state
            .spec
            .network(name)
            .map(|(at, _)| at)
            .ok_or_else(|| self.no_such("network", name, known()))
    }

    fn no_such(&self, kind: &'static str, name: &str, known: Vec<&str>) -> DataPlaneError {
        DataPlaneError::NoSuch {
            kind,
            name: name.chars().take(80).collect(),
            known: known.join(", "),
            dir: self.dir.clone(),
        }
    }

    fn save(&self) -> Result<(), DataPlaneError> {
        let path = state_path(&self.dir);
        let text = serde_json::to_vec(&self.state);
        self.write(
            &path,
            &text.map_err(|error| DataPlaneError::io("write", &path)(error.into()))?,
        )
    }

    fn write(&self, path: &Utf8Path, bytes: &[u8]) -> Result<(), DataPlaneError> {
        write_file(path, bytes, 0o644).map_err(|error| DataPlaneError::io("write", path)(std::io::Error::other(error)))
    }
}

fn state_path(dir: &Utf8Path) -> Utf8PathBuf {
    dir.join("dataplane/state.json")
}

/// An id that no data plane of this machine has.
fn free_id(prefix: &str) -> Result<String, DataPlaneError> {
    let source = "/proc/sys/kernel/random/uuid";
    loop {
        let uuid = std::fs::read_to_string(source).map_err(DataPlaneError::io("read", source))?;
        let id: String = uuid.chars().take(6).collect();
        if kernel::namespaces(&Names::new(prefix, &id).stem).is_empty() {
            return Ok(id);
        }
    }
}
