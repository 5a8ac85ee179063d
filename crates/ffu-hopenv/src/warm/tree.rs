//! The processes of one warm series: the interpreter as it starts, one that has imported what the projects share, and one
//! for each project that has imported the project's programs.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::json;

use super::also::ALSO;
use super::cold::Cold;
use super::link::{Door, Link, Said};
use super::memory;
use crate::command::HopEnv;

const SERVER: &str = concat!(
    include_str!("ending.py"),
    include_str!("resting.py"),
    include_str!("libraries.py"),
    include_str!("server.py")
);
/// native/rest.rs, compiled.
const REST_LIBRARY: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/rest.so"));
/// Reads the server from standard input, which needs no file that somebody would have to remove.
const BOOTSTRAP: &str = "import os\ns = b''\nwhile True:\n    d = os.read(0, 65536)\n    if not d:\n        break\n    s += d\n\
                         exec(compile(s, '<ffu warm>', 'exec'), {'__name__': 'ffu_warm'})";
/// An interpreter that has not said hello after so long hangs.
const HELLO: Duration = Duration::from_secs(30);
/// Imports on a busy machine with cold caches.
const IMPORTS: Duration = Duration::from_secs(180);
/// A fork takes milliseconds.
const ANSWER: Duration = Duration::from_secs(10);

/// What all projects but nova import at their start (neutron up to Xena: when it loads its models), so that importing it
/// once in a common parent changes only the order. Nova patches the standard library before it loads any of it, and so has
/// no common parent. Measured on the modules that each project's programs load in the environments of Pike to 2026.2.
pub(super) const COMMON: &[&str] = &[
    "oslo_config.cfg",
    "oslo_log.log",
    "oslo_utils.timeutils",
    "oslo_utils.uuidutils",
    "oslo_serialization.jsonutils",
    "oslo_db.options",
    "oslo_db.sqlalchemy.enginefacade",
    "oslo_db.sqlalchemy.models",
    "oslo_db.sqlalchemy.utils",
    "oslo_concurrency.lockutils",
    "oslo_context.context",
    "oslo_middleware",
    "sqlalchemy.orm",
    "sqlalchemy.dialects.mysql",
    "cryptography.x509",
    "netaddr",
    "requests",
    "stevedore",
    "webob",
];

/// A process that waits, and the link to it.
#[derive(Debug)]
pub(super) struct Node {
    pub what: String,
    pub pid: i32,
    pub patched: bool,
    pub printed: String,
    pub holds: Vec<String>,
    /// Bytes of its memory that rest in a file.
    pub rests: u64,
    /// Why not all of it does, where that was asked.
    pub stays: Option<String>,
    link: Mutex<Link>,
}

impl Node {
    fn new(what: &str, pid: i32, link: Link, said: Said) -> Node {
        Node {
            what: what.to_owned(),
            pid,
            patched: said.patched,
            printed: said.printed,
            holds: said.holds,
            rests: said.rests.unwrap_or_default(),
            stays: said.stays.as_deref().map(cut),
            link: Mutex::new(link),
        }
    }

    fn link(&self) -> MutexGuard<'_, Link> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks it to fork; the child's number.
    pub(super) fn fork(&self, request: &serde_json::Value) -> Result<i32, Cold> {
        let mut link = self.link();
        link.say(request)?;
        let said = link.hear(ANSWER, &|| false)?;
        match (said.forked, said.failed) {
            (Some(pid), _) if pid > 1 => Ok(pid),
            (_, Some(why)) => Err(Cold::Unfit {
                what: self.what.clone(),
                why: cut(&why),
            }),
            _ => Err(link.protocol("no number of a child")),
        }
    }

    /// Asks it to reap a child that has ended; its status as wait(2) gives it.
    pub(super) fn reap(&self, pid: i32) -> Result<i32, Cold> {
        let mut link = self.link();
        link.say(&json!({"do": "reap", "pid": pid}))?;
        let said = link.hear(ANSWER, &|| false)?;
        said.status.ok_or_else(|| link.protocol("no status of a child"))
    }

    /// A child that imports more and waits, too.
    fn grow(&self, what: &str, mut request: serde_json::Value, give_up: &dyn Fn() -> bool) -> Result<Node, Cold> {
        let door = Door::open().map_err(|error| start(what, &error))?;
        request["do"] = "node".into();
        request["door"] = door.name.clone().into();
        let pid = self.fork(&request)?;
        let (link, said) = door.admit(what, pid, IMPORTS, give_up)?;
        if let Some(spoilt) = &said.spoilt
            && without(&mut request, spoilt)
        {
            return self.grow(what, request, give_up);
        }
        if let Some(why) = said.failed.as_ref().or(said.spoilt.as_ref()) {
            return Err(Cold::Unfit {
                what: what.to_owned(),
                why: cut(why),
            });
        }
        Ok(Node::new(what, pid, link, said))
    }
}

/// Takes out of a request what cannot be imported beside the rest: the modules of an owner, or a program and those after it. False if nothing
/// would be left.
fn without(request: &mut serde_json::Value, spoilt: &str) -> bool {
    if let Some(also) = request.get_mut("also").and_then(|also| also.as_array_mut()) {
        let before = also.len();
        also.retain(|of| of.get(0).and_then(|owner| owner.as_str()) != Some(spoilt));
        if also.len() < before {
            return true;
        }
    }
    let programs = request.get_mut("programs").and_then(|programs| programs.as_array_mut());
    programs.is_some_and(|programs| {
        let at = programs.iter().position(|program| program.as_str() == Some(spoilt));
        let before = at.unwrap_or_default();
        if before > 0 {
            programs.truncate(before);
        }
        before > 0
    })
}

fn start(what: &str, error: &std::io::Error) -> Cold {
    Cold::Start {
        series: what.to_owned(),
        why: error.to_string(),
    }
}

fn cut(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(300).collect()
}

/// The processes of one series. They end with this.
#[derive(Debug)]
pub(super) struct Tree {
    child: Child,
    root: Arc<Node>,
    common: Option<Arc<Node>>,
    /// Of each project one, and if its memory may rest one more for each program that cannot be imported beside those before it.
    projects: Mutex<BTreeMap<String, Vec<Arc<Node>>>>,
    /// Where the memory of its processes rests.
    rest: Option<Utf8PathBuf>,
}

impl Tree {
    /// Starts the interpreter and imports what is common. To be called by a thread that lives as long as the tree is
    /// wanted: the kernel ends the processes with the thread that started them. `rest`: a directory for the memory of those that wait.
    pub(super) fn plant(
        environment: &HopEnv,
        modules: &[&str],
        rest: Option<&Utf8Path>,
        give_up: &dyn Fn() -> bool,
    ) -> Result<Tree, Cold> {
        let series = environment.series().to_string();
        let door = Door::open().map_err(|error| start(&series, &error))?;
        let mut child = Command::new(environment.directory().join("bin/python"))
            .args(["-c", BOOTSTRAP, &door.name, &std::process::id().to_string()])
            .env_clear()
            .envs(environment.variables(Utf8Path::new("/nonexistent")))
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| start(&series, &error))?;
        // If it is gone already, that is said below.
        let server = format!("REST_LIBRARY = '{}'\n{SERVER}", ffu_model::digest::hex(REST_LIBRARY));
        let _ = child.stdin.take().map(|mut stdin| stdin.write_all(server.as_bytes()));
        let pid = child.id().cast_signed();
        let root = match door.admit(&series, pid, HELLO, give_up) {
            Ok((link, said)) => Arc::new(Node::new(&series, pid, link, said)),
            Err(cold) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(cold);
            }
        };
        let mut tree = Tree {
            child,
            root,
            common: None,
            projects: Mutex::default(),
            rest: rest.map(Utf8Path::to_owned),
        };
        let request = json!({"modules": modules, "rest": tree.rest});
        tree.common = match tree
            .root
            .grow(&format!("{series}: what projects share"), request, give_up)
        {
            // What it prints would come first in every output, where it is not in a plain run.
            Ok(node) if node.printed.is_empty() && !node.patched => Some(Arc::new(node)),
            Ok(_) | Err(Cold::Unfit { .. }) => None,
            Err(cold) => return Err(cold),
        };
        Ok(tree)
    }

    /// Warms a project.
    pub(super) fn add(
        &self,
        environment: &HopEnv,
        project: &str,
        programs: &[String],
        give_up: &dyn Fn() -> bool,
    ) -> Result<(), Cold> {
        let what = format!("{project} of {}", environment.series());
        let paths: Vec<String> = programs
            .iter()
            .filter_map(|program| environment.program(program).ok())
            .map(String::from)
            .collect();
        let mut left = paths.clone();
        loop {
            let grown = self.grow(&what, project, &left, give_up);
            let mut projects = self.projects.lock().unwrap_or_else(PoisonError::into_inner);
            match grown {
                Ok(node) => {
                    left.retain(|program| !node.holds.contains(program));
                    let none = node.holds.is_empty();
                    projects.entry(project.to_owned()).or_default().push(Arc::new(node));
                    // In memory that does not rest, it is not worth a second process.
                    if none || left.is_empty() || self.rest.is_none() {
                        return Ok(());
                    }
                }
                // Those that are left import what they need when they begin.
                Err(_) if projects.contains_key(project) => return Ok(()),
                Err(cold) => return Err(cold),
            }
        }
    }

    /// A process with as many of a project's programs as can be imported beside each other, the first at least.
    fn grow(&self, what: &str, project: &str, paths: &[String], give_up: &dyn Fn() -> bool) -> Result<Node, Cold> {
        let request = json!({"programs": paths, "also": ALSO, "rest": self.rest});
        let mut parent = self.common.as_ref().filter(|_| project != "nova").unwrap_or(&self.root);
        let mut node = parent.grow(what, request.clone(), give_up)?;
        if node.patched && !Arc::ptr_eq(parent, &self.root) {
            // It has to find the libraries unloaded when it patches, as in a plain run.
            parent = &self.root;
            node = parent.grow(what, request, give_up)?;
        }
        if !node.printed.is_empty() {
            // A program that would print something else when it is imported alone must not share.
            let alone = |program: &String| -> Result<bool, Cold> {
                let alone = parent.grow(what, json!({"programs": [program]}), give_up)?;
                let (pid, same) = (alone.pid, alone.printed == node.printed);
                drop(alone);
                parent.reap(pid)?;
                Ok(same)
            };
            let mut holds = Vec::new();
            for program in &node.holds {
                if paths.first() == Some(program) || alone(program)? {
                    holds.push(program.clone());
                }
            }
            node.holds = holds;
        }
        Ok(node)
    }

    /// Ends the process of a project, when no command is being forked from it any more.
    pub(super) fn drop_project(&self, project: &str) {
        let mut projects = self.projects.lock().unwrap_or_else(PoisonError::into_inner);
        // It ends when nobody listens to it any more.
        projects.remove(project);
    }

    /// The process to fork a program of a project from, once the project is warm: its own, or the one before it, if the
    /// program cannot be imported beside the project's others.
    pub(super) fn node(&self, project: &str, program: &Utf8Path) -> Option<Arc<Node>> {
        let projects = self.projects.lock().unwrap_or_else(PoisonError::into_inner);
        let nodes = projects.get(project)?;
        let holds = |node: &&Arc<Node>| node.holds.iter().any(|held| held == program);
        if let Some(node) = nodes.iter().find(holds) {
            return Some(Arc::clone(node));
        }
        let before = self.common.as_ref().filter(|_| !nodes.iter().any(|node| node.patched));
        Some(Arc::clone(before.unwrap_or(&self.root)))
    }

    /// Whether somebody holds one of its processes, to run a command.
    pub(super) fn is_busy(&self) -> bool {
        let projects = self.projects.lock().unwrap_or_else(PoisonError::into_inner);
        let mut nodes = projects
            .values()
            .flatten()
            .chain(self.common.iter())
            .chain(std::iter::once(&self.root));
        nodes.any(|node| Arc::strong_count(node) > 1)
    }

    pub(super) fn pids(&self) -> Vec<i32> {
        let projects = self.projects.lock().unwrap_or_else(PoisonError::into_inner);
        std::iter::once(self.root.pid)
            .chain(self.common.as_ref().map(|node| node.pid))
            .chain(projects.values().flatten().map(|node| node.pid))
            .collect()
    }

    /// Bytes of memory that lie in no file.
    pub(super) fn memory(&self) -> u64 {
        self.pids().into_iter().map(memory::held).sum()
    }

    /// Bytes that rest in files, and why not everything does, where that was asked.
    pub(super) fn rests(&self) -> (u64, Option<String>) {
        let projects = self.projects.lock().unwrap_or_else(PoisonError::into_inner);
        let nodes = || projects.values().flatten().chain(self.common.iter());
        (
            nodes().map(|node| node.rests).sum(),
            nodes().find_map(|node| node.stays.clone()),
        )
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        // The others die with their parent.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
