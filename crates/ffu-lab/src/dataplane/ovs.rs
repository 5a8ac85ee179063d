//! Open vSwitch instead of Linux bridges: a private database server and switch in the fabric's namespace, with the userspace
//! datapath, since the kernel's is a module that not every machine has. Nothing of a system's own Open vSwitch is touched.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use camino::Utf8PathBuf;

use super::DataPlane;
use super::error::DataPlaneError;
use super::kernel::{in_namespace, program, run};
use super::wiring;

const PACKAGE: &str = "openvswitch-switch";
const SCHEMA: &str = "/usr/share/openvswitch/vswitch.ovsschema";
/// How long each of the two servers may take to come up, and an order to be carried out.
const PATIENCE: Duration = Duration::from_secs(20);
const GRACE: Duration = Duration::from_secs(3);
/// The two servers; the switch first, for it is the first to be ended.
const SERVERS: [&str; 2] = ["ovs-vswitchd", "ovsdb-server"];

/// Whether its programs are there.
///
/// # Errors
/// [`DataPlaneError::NoProgram`].
pub(super) fn check() -> Result<(), DataPlaneError> {
    for name in SERVERS
        .into_iter()
        .chain(["ovsdb-tool", "ovs-vsctl", "ovs-ofctl", "ovs-appctl"])
    {
        program(name, PACKAGE)?;
    }
    program("ethtool", "ethtool").map(drop)
}

impl DataPlane {
    fn rundir(&self) -> Utf8PathBuf {
        self.place().join("ovs")
    }

    fn server_lock(&self, server: &str) -> Utf8PathBuf {
        self.rundir().join(format!("{server}.lock"))
    }

    /// Starts both servers and makes the bridges, with every port of the fabric.
    pub(super) fn start_switch(&self) -> Result<(), DataPlaneError> {
        let directory = self.rundir();
        std::fs::create_dir_all(&directory).map_err(DataPlaneError::io("create", &directory))?;
        let database = directory.join("conf.db");
        run(
            Command::new(program("ovsdb-tool", PACKAGE)?).args(["create", database.as_str(), SCHEMA]),
            "",
        )?;
        let remote = format!("--remote=punix:{directory}/db.sock");
        self.start_server("ovsdb-server", &[database.as_str(), &remote])?;
        self.configure(&["--no-wait", "init"])?;
        self.start_server("ovs-vswitchd", &[&format!("unix:{directory}/db.sock")])?;
        let mut orders: Vec<String> = Vec::new();
        for at in 0..self.spec().networks.len() {
            let bridge = wiring::bridge(at);
            // Secure: without flows it forwards nothing, as neutron's agent wants it.
            let made = format!("-- add-br {bridge} -- set bridge {bridge} datapath_type=netdev fail_mode=secure");
            orders.extend(made.split(' ').map(str::to_owned));
            for port in wiring::ports_of(self.spec(), at) {
                orders.extend(["--", "add-port", &bridge, &port].map(str::to_owned));
            }
        }
        let orders: Vec<&str> = orders.iter().map(String::as_str).collect();
        self.configure(&orders)?;
        (0..self.spec().networks.len()).try_for_each(|at| self.fill_flows(at))
    }

    /// A userspace switch passes on what it reads, so the ends must fill in their checksums themselves.
    pub(super) fn fill_checksums(&self) -> Result<(), DataPlaneError> {
        let ethtool = program("ethtool", "ethtool")?;
        let off = |namespace: &str, interface: &str| {
            in_namespace(namespace, || {
                run(Command::new(&ethtool).args(["-K", interface, "tx", "off"]), "").map(drop)
            })
        };
        let (names, spec) = (self.names(), self.spec());
        for at in 0..spec.networks.len() {
            off(&names.router(), &wiring::leg(at))?;
            off(&names.inside(at), "eth0")?;
        }
        // What the outside sends is passed on by the router as it comes.
        off(&names.outside(), "eth0")?;
        spec.spaces().try_for_each(|(at, _)| off(&names.guest(at), "eth0"))
    }

    fn start_server(&self, name: &str, arguments: &[&str]) -> Result<(), DataPlaneError> {
        let directory = self.rundir();
        let control = directory.join(format!("{name}.ctl"));
        let ill = |why: String| DataPlaneError::Server {
            server: name.to_owned(),
            why,
            log: directory.join(format!("{name}.log")),
        };
        let lock = ffu_hosts::take_lock(&self.server_lock(name)).map_err(|error| ill(error.to_string()))?;
        let output = directory.join(format!("{name}.out"));
        let log = OpenOptions::new().append(true).create(true).mode(0o600).open(&output);
        let log = log.map_err(DataPlaneError::io("write", &output))?;
        let errors = log.try_clone().map_err(DataPlaneError::io("write", &output))?;
        let mut command = Command::new(program(name, PACKAGE)?);
        command
            .args(arguments)
            .arg(format!("--unixctl={control}"))
            .arg(format!("--log-file={directory}/{name}.log"))
            .args(["-vconsole:off", "--no-chdir"])
            .env_clear()
            .env("LC_ALL", "C.UTF-8")
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::from(lock))
            .stdout(log)
            .stderr(errors);
        for variable in ["OVS_RUNDIR", "OVS_DBDIR", "OVS_LOGDIR", "OVS_SYSCONFDIR"] {
            command.env(variable, &directory);
        }
        let mut child = in_namespace(&self.names().fabric(), || {
            command.spawn().map_err(|error| ill(error.to_string()))
        })?;
        let begun = Instant::now();
        while !control.exists() {
            match child.try_wait() {
                Ok(None) if begun.elapsed() < PATIENCE => std::thread::sleep(Duration::from_millis(5)),
                Ok(None) => return Err(ill(format!("it does not answer after {} s", PATIENCE.as_secs()))),
                Ok(Some(status)) => return Err(ill(format!("it ended: {status}"))),
                Err(error) => return Err(ill(error.to_string())),
            }
        }
        std::thread::spawn(move || {
            let _ = child.wait();
        });
        Ok(())
    }

    fn configure(&self, orders: &[&str]) -> Result<(), DataPlaneError> {
        let database = format!("--db=unix:{}/db.sock", self.rundir());
        let mut command = Command::new(program("ovs-vsctl", PACKAGE)?);
        command
            .arg(database)
            .arg(format!("--timeout={}", PATIENCE.as_secs()))
            .args(orders);
        run(&mut command, "").map(drop)
    }

    /// The network's switch forwards as one that learns.
    pub(super) fn fill_flows(&self, network: usize) -> Result<(), DataPlaneError> {
        self.flows("add-flow", network, &["priority=0,actions=NORMAL"])
    }

    /// The network's switch forgets its flows and what it learned; without flows it forwards nothing.
    pub(super) fn drop_flows(&self, network: usize) -> Result<(), DataPlaneError> {
        self.flows("del-flows", network, &[])?;
        let control = format!("{}/ovs-vswitchd.ctl", self.rundir());
        let mut command = Command::new(program("ovs-appctl", PACKAGE)?);
        command.args(["-t", &control, "fdb/flush", &wiring::bridge(network)]);
        run(&mut command, "").map(drop)
    }

    fn flows(&self, order: &str, network: usize, more: &[&str]) -> Result<(), DataPlaneError> {
        let bridge = format!("unix:{}/{}.mgmt", self.rundir(), wiring::bridge(network));
        let mut command = Command::new(program("ovs-ofctl", PACKAGE)?);
        command.args(["--timeout=20", order, &bridge]).args(more);
        run(&mut command, "").map(drop)
    }

    /// Ends both servers, if there are any.
    pub(super) fn end_switch(&self) -> Result<(), DataPlaneError> {
        SERVERS.iter().try_for_each(|server| {
            let ended = ffu_hosts::end_holders(&self.server_lock(server), GRACE);
            ended.map(drop).map_err(|error| DataPlaneError::StillThere {
                what: (*server).to_owned(),
                why: error.to_string(),
            })
        })
    }
}
