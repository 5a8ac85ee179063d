//! A host that is reached by ssh only: three network namespaces in a row, home, rack and guest. An OpenSSH server with keys of its own
//! runs in the rack; the guest can be reached from there alone. Needs root, and `openssh-server` (`scripts/setup --tests`).

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::common::{Scratch, text};
use crate::watch::{Watch, until};

/// From the rack alone.
pub const GUEST: &str = "10.78.2.2";
/// From home.
pub const RACK: &str = "10.78.1.2";
const PORT: u16 = 2222;

/// The three hosts.
pub struct Far {
    pub scratch: Scratch,
    home: String,
    rack: String,
    guest: String,
    sshd: Option<Child>,
}

impl Far {
    /// `None`, loudly, where the kernel refuses.
    pub fn new() -> Option<Far> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let id = format!("{}-{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        let mut far = Far {
            scratch: Scratch::new(),
            home: format!("ffut-h{id}"),
            rack: format!("ffut-r{id}"),
            guest: format!("ffut-t{id}"),
            sshd: None,
        };
        let made = Command::new("ip").args(["netns", "add", &far.home]).output();
        if !made.is_ok_and(|made| made.status.success()) {
            eprintln!("SKIPPED: the kernel does not allow network namespaces here (needs root)");
            return None;
        }
        let (home, rack, guest) = (&far.home, &far.rack, &far.guest);
        sh(&format!(
            "ip netns add {rack}; ip netns add {guest}
             ip -n {home} link add va type veth peer name va netns {rack}
             ip -n {rack} link add vb type veth peer name vb netns {guest}
             for space in {home} {rack} {guest}; do ip -n $space link set lo up; done
             ip -n {home} addr add 10.78.1.1/24 dev va; ip -n {home} link set va up
             ip -n {rack} addr add {RACK}/24 dev va; ip -n {rack} link set va up
             ip -n {rack} addr add 10.78.2.1/24 dev vb; ip -n {rack} link set vb up
             ip -n {guest} addr add {GUEST}/24 dev vb; ip -n {guest} link set vb up
             ip netns exec {rack} sysctl -qw net.ipv4.ip_forward=0
             for space in {rack} {guest}; do
                 ip netns exec $space nft 'add table inet ffut; add chain inet ffut in {{ type filter hook input priority 0; }}'
             done"
        ));
        far.keys();
        far.serve();
        Some(far)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.scratch.path(name)
    }

    fn keys(&self) {
        for key in ["host_key", "other_key", "user_key"] {
            sh(&format!(
                "ssh-keygen -q -t ed25519 -N '' -C '' -f {}",
                text(&self.path(key))
            ));
        }
        let read = |name: &str| std::fs::read_to_string(self.path(name)).unwrap();
        let write = |name: &str, text: String| std::fs::write(self.path(name), text).unwrap();
        write("authorized_keys", read("user_key.pub"));
        write("known_hosts", format!("[{RACK}]:{PORT} {}", read("host_key.pub")));
        write("wrong_hosts", format!("[{RACK}]:{PORT} {}", read("other_key.pub")));
        // Start files of this machine's shells are none of the rack's.
        std::fs::create_dir(self.path("home")).unwrap();
        let dir = text(&self.path("")).trim_end_matches('/').to_owned();
        write(
            "sshd_config",
            format!(
                "Port {PORT}\nListenAddress {RACK}\nHostKey {dir}/host_key\nAuthorizedKeysFile {dir}/authorized_keys\n\
                 PidFile {dir}/sshd.pid\nStrictModes no\nUsePAM no\nPasswordAuthentication no\n\
                 KbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\nUseDNS no\nSetEnv HOME={dir}/home\n"
            ),
        );
        // What an operator's file may hold as well: settings for people who log in. Only one connection can have the forwarded port.
        write(
            "ssh_config",
            format!(
                "Host mute\n Port 2223\nHost rack wrong-key no-key mute\n HostName {RACK}\n Port {PORT}\nHost nowhere\n HostName 10.78.1.77\n\
                 Host wrong-key\n UserKnownHostsFile {dir}/wrong_hosts\nHost no-key\n IdentityFile {dir}/other_key\n\
                 Host * !no-key\n IdentityFile {dir}/user_key\nHost *\n User root\n IdentitiesOnly yes\n\
                 IdentityAgent none\n UserKnownHostsFile {dir}/known_hosts\n GlobalKnownHostsFile /dev/null\n\
                 StrictHostKeyChecking yes\n UpdateHostKeys no\n LocalForward 127.0.0.1:9 127.0.0.1:9\n\
                 ExitOnForwardFailure yes\n ControlMaster auto\n ControlPath {dir}/shared-%n\n ControlPersist 60\n"
            ),
        );
    }

    /// Starts the server. A file stands for the kernel's boot id, in a mount namespace that ends with it: a namespace cannot reboot.
    fn serve(&mut self) {
        let script = "mkdir -p /run/sshd; mount --bind \"$1\" /proc/sys/kernel/random/boot_id; exec /usr/sbin/sshd -D -f \"$2\" -E \"$3\"";
        self.boot("11111111-2222-3333-4444-555555555555");
        let files = ["boot_id", "sshd_config", "sshd.log"].map(|name| self.path(name));
        let child = Command::new("ip")
            .args(["netns", "exec", &self.rack, "sh", "-ec", script, "sshd"])
            .args(files)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        self.sshd = Some(child);
        until("a server", || self.path("sshd.pid").exists());
    }

    /// Another boot of the rack, as far as its boot id goes.
    pub fn boot(&self, id: &str) {
        std::fs::write(self.path("boot_id"), format!("{id}\n")).unwrap();
    }

    /// Starts a watch at home.
    pub fn watch(&self, targets: &str) -> Watch {
        let head = "interval_ms = 50\ntimeout_ms = 500\n[budgets]\nbaseline_s = 1\non_breach = \"continue\"\n";
        let path = self.path("targets.toml");
        std::fs::write(&path, format!("{head}{targets}")).unwrap();
        let mut command = Command::new("ip");
        command
            .args(["netns", "exec", &self.home, env!("CARGO_BIN_EXE_ffu")])
            .current_dir(self.path(""))
            .env("XDG_STATE_HOME", self.path("state"))
            .stdin(Stdio::null());
        Watch::start_by(command, &self.scratch, Some(&path), &[])
    }

    /// A vantage point of the targets file.
    pub fn vantage(&self, name: &str, host: &str, program: &Path) -> String {
        format!(
            "[vantages.{name}]\ntype = \"ssh\"\nhost = \"{host}\"\nconfig = \"{}\"\nprogram = \"{}\"\n",
            text(&self.path("ssh_config")),
            text(program)
        )
    }

    /// The agents that run in the rack, with their parents.
    pub fn agents(&self) -> Vec<(Pid, Pid)> {
        let is_agent = |pid: &i32| {
            let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.split('\0').nth(1) == Some("watch-agent")
        };
        let parent = |pid: i32| {
            let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
            let line = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
            Some((Pid::from_raw(pid), Pid::from_raw(line.trim().parse().ok()?)))
        };
        pids(&self.rack)
            .into_iter()
            .filter(is_agent)
            .filter_map(parent)
            .collect()
    }

    /// Waits for the one agent that is not `old`.
    #[track_caller]
    pub fn agent_after(&self, old: Option<Pid>) -> (Pid, Pid) {
        let mut found = None;
        until("one new agent", || {
            let agents = self.agents();
            found = agents
                .first()
                .copied()
                .filter(|(pid, _)| agents.len() == 1 && Some(*pid) != old);
            found.is_some()
        });
        found.unwrap()
    }

    /// The guest answers nobody, or again.
    pub fn guest(&self, drops: bool) {
        drop_all(&self.guest, drops, "");
    }

    /// Nothing comes in at a port of the rack, or again.
    pub fn port(&self, port: u16, drops: bool) {
        drop_all(&self.rack, drops, &format!("tcp dport {port}"));
    }

    /// The server's port: nobody gets through, or again.
    pub fn server(&self, drops: bool) {
        self.port(PORT, drops);
    }

    /// A process in the rack, with its id in a file as libvirt writes it.
    pub fn process(&self, pid_file: &str) -> Child {
        let child = Command::new("ip")
            .args(["netns", "exec", &self.rack, "sleep", "600"])
            .spawn()
            .unwrap();
        std::fs::write(self.path(pid_file), child.id().to_string()).unwrap();
        child
    }

    /// Whether home has a way to an address.
    pub fn has_way(&self, address: &str) -> bool {
        let asked = Command::new("ip")
            .args(["-n", &self.home, "route", "get", address])
            .output();
        asked.unwrap().status.success()
    }
}

impl Drop for Far {
    fn drop(&mut self) {
        for space in [&self.home, &self.rack, &self.guest] {
            for pid in pids(space) {
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
            let _ = Command::new("ip").args(["netns", "del", space]).output();
        }
        if let Some(mut sshd) = self.sshd.take() {
            let _ = sshd.kill();
            let _ = sshd.wait();
        }
    }
}

fn drop_all(space: &str, drops: bool, what: &str) {
    let change = if drops {
        format!("add rule inet ffut in {what} drop")
    } else {
        "flush chain inet ffut in".to_owned()
    };
    sh(&format!("ip netns exec {space} nft '{change}'"));
}

/// The processes in a namespace.
fn pids(space: &str) -> Vec<i32> {
    let listed = Command::new("ip").args(["netns", "pids", space]).output().unwrap();
    String::from_utf8_lossy(&listed.stdout)
        .lines()
        .filter_map(|line| line.trim().parse().ok())
        .collect()
}

#[track_caller]
fn sh(script: &str) {
    let ran = Command::new("sh").args(["-ec", script]).output().unwrap();
    assert!(
        ran.status.success(),
        "{script}: {}",
        String::from_utf8_lossy(&ran.stderr)
    );
}
