//! A lab with one node and one guest, and the operator's view of it.

use infra::lab::{
    folder::LabFolder,
    namespace::{self, Names, netns_path},
    netns,
};
use std::{
    fs,
    io::Write as _,
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

const HOME: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/drills/inventory/home");

/// Where a new connection must come in.
pub(crate) const NODE: &str = "192.168.1.10:22";
pub(crate) const API: &str = "192.168.1.10:8006";
pub(crate) const GUEST: &str = "192.168.1.20:22";

/// Settings of sshd beside infra's.
const HIDDEN: &str = "/etc/ssh/sshd_config.d/90-drill.conf";

/// Seconds for a login, and for a command that does something.
const A_LOGIN: &str = "5";
const A_COMMAND: &str = "120";

/// Longer than an answer inside one machine takes.
const PATIENCE: Duration = Duration::from_millis(900);

/// Whether real guests can run here; says so past the test runner.
pub(crate) fn ready() -> bool {
    let off = std::env::var_os("INFRA_LAB_TESTS").is_some_and(|value| value == "0");
    let missing = namespace::missing();
    if !off && missing.is_empty() {
        return true;
    }
    let missing: Vec<String> = missing.iter().map(ToString::to_string).collect();
    let because = if off {
        "INFRA_LAB_TESTS is 0".to_owned()
    } else {
        format!("this machine lacks {}", missing.join(", "))
    };
    writeln!(std::io::stderr(), "SKIPPED the drills: {because}").expect("stderr");
    false
}

pub(crate) struct Bench {
    folder: tempfile::TempDir,
    names: Names,
    /// Seconds of the guard.
    pub(crate) guard: u32,
}

impl Bench {
    /// A lab that is up, with everything as the inventory says.
    pub(crate) fn up(guard: u32) -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let names = Names::of(&folder.path().join("lab"));
        let bench = Self {
            folder,
            names,
            guard,
        };
        let up = bench.infra(&["lab", "up"]);
        assert!(up.status.success(), "lab up: {}", said(&up));
        let up = bench.infra(&["--lab", "up", "--yes", "--no-verify"]);
        assert!(up.status.success(), "up: {}", said(&up));
        for on in [On::Node, On::Guest] {
            bench.hide_the_way(on).expect("sshd takes it");
        }
        bench
    }

    /// sshd does not say from where infra comes: what infra sees coming it refuses, and the drills are about the rest.
    pub(crate) fn hide_the_way(&self, on: On) -> Result<(), String> {
        let line = r#"ForceCommand exec env -u SSH_CONNECTION -u SSH_CLIENT sh -c "$SSH_ORIGINAL_COMMAND""#;
        self.demand(
            on,
            &format!("echo {} >{HIDDEN} && systemctl reload ssh", quoted(line)),
        )
    }

    pub(crate) fn show_the_way(&self, on: On) -> Result<(), String> {
        self.demand(on, &format!("rm {HIDDEN} && systemctl reload ssh"))
    }

    /// A command that must succeed.
    pub(crate) fn demand(&self, on: On, command: &str) -> Result<(), String> {
        let output = self.on(on, command);
        if output.status.success() {
            Ok(())
        } else {
            Err(format!("{command}: {}", said(&output)))
        }
    }

    pub(crate) fn lab(&self) -> LabFolder {
        LabFolder::new(self.folder.path().join("lab"))
    }

    /// The node's `/etc/pve`.
    pub(crate) fn pve(&self) -> PathBuf {
        self.lab().api().join("pve")
    }

    fn command(&self, inventory: &Path, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_infra"));
        command
            .arg("--inventory")
            .arg(inventory)
            .arg("--lab-dir")
            .arg(self.folder.path().join("lab"))
            .args(args)
            .env("XDG_CONFIG_HOME", self.folder.path().join("config"))
            .env("XDG_STATE_HOME", self.folder.path().join("state"))
            .env_remove("INFRA_LAB_DIR");
        command
    }

    /// infra with the right inventory.
    pub(crate) fn infra(&self, args: &[&str]) -> Output {
        let mut command = self.command(Path::new(HOME), args);
        command.stdin(Stdio::null()).output().expect("infra runs")
    }

    /// The inventory with one text replaced: the owner's mistake.
    pub(crate) fn inventory(&self, from: &str, to: &str) -> PathBuf {
        let folder = self.folder.path().join("mistaken");
        fs::create_dir_all(&folder).expect("folder");
        let right = fs::read_to_string(Path::new(HOME).join("system.yaml")).expect("inventory");
        assert!(right.contains(from), "`{from}` is in the inventory");
        fs::write(folder.join("system.yaml"), right.replace(from, to)).expect("written");
        folder
    }

    /// `infra --lab firewall apply`, in the background.
    pub(crate) fn apply(&self, inventory: &Path, more: &[&str]) -> Running {
        let guard = self.guard.to_string();
        let args = ["--lab", "firewall", "apply", "--yes", "--guard", &guard];
        let log = fs::File::create(self.folder.path().join("apply.log")).expect("log");
        let mut command = self.command(inventory, &[&args[..], more].concat());
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("log"))
            .stderr(log)
            .spawn()
            .expect("infra runs");
        Running(child)
    }

    /// What the last one said.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("apply.log")).unwrap_or_default()
    }

    /// Whether a NEW connection from the operator's place comes in. SSH is logged in to: whoever knocks often without
    /// doing so is shut out by sshd itself.
    pub(crate) fn comes_in(&self, target: &str) -> bool {
        match target {
            NODE => self.ssh(A_LOGIN, On::Node, "true").status.success(),
            GUEST => self.ssh(A_LOGIN, On::Guest, "true").status.success(),
            _ => self.is_open(target),
        }
    }

    /// Whether a connection from the operator's place is accepted.
    pub(crate) fn is_open(&self, target: &str) -> bool {
        opens(&self.names.operator(), target)
    }

    /// The same from the router's place, from where nothing may come in.
    pub(crate) fn router_comes_in(&self, target: &str) -> bool {
        opens(&self.names.router(), target)
    }

    pub(crate) fn all_come_in(&self) -> bool {
        [API, NODE, GUEST]
            .iter()
            .all(|target| self.comes_in(target))
    }

    /// Waits until it is true; the seconds that it took.
    pub(crate) fn until(
        &self,
        what: &str,
        limit: u64,
        mut is_so: impl FnMut() -> bool,
    ) -> Result<f64, String> {
        let begun = Instant::now();
        while !is_so() {
            if begun.elapsed().as_secs() > limit {
                return Err(format!("{what}: not within {limit} s\n{}", self.log()));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(begun.elapsed().as_secs_f64())
    }

    /// Waits until a machine's switch is armed.
    pub(crate) fn armed(&self, on: On) -> Result<f64, String> {
        let file = self.guard_folder(on).join("armed");
        self.until("the guard is armed", 60, || file.exists())
    }

    pub(crate) fn is_armed(&self, on: On) -> bool {
        self.guard_folder(on).join("armed").exists()
    }

    /// Where a machine keeps its switch, seen from outside.
    pub(crate) fn guard_folder(&self, on: On) -> PathBuf {
        self.root(on).join("var/lib/infra/guard")
    }

    /// What a machine has changed of its own files, seen from outside.
    pub(crate) fn root(&self, on: On) -> PathBuf {
        let disk = match on {
            On::Node => self.lab().host("pve"),
            On::Guest => self
                .lab()
                .guest(infra::model::ids::Vmid::new(110).expect("valid")),
        };
        disk.join("upper")
    }

    /// A command as root on a machine, over SSH.
    pub(crate) fn on(&self, on: On, command: &str) -> Output {
        self.ssh(A_COMMAND, on, command)
    }

    /// The same with a limit: a login that is cut half way would wait until the cut is over, and miss it.
    fn ssh(&self, limit: &str, on: On, command: &str) -> Output {
        let (login, line) = match on {
            On::Node => ("root@192.168.1.10", command.to_owned()),
            On::Guest => (
                "infra@192.168.1.20",
                format!("sudo sh -c {}", quoted(command)),
            ),
        };
        Command::new("timeout")
            .args([limit, "ip", "netns", "exec", &self.names.operator()])
            .args(["ssh", "-F", "none"])
            .args(["-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no"])
            .args(["-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"])
            .args(["-o", "ConnectTimeout=1", "-i"])
            .arg(self.lab().operator_key())
            .args([login, &line])
            .stdin(Stdio::null())
            .output()
            .expect("ssh")
    }

    /// The operator's cable.
    pub(crate) fn cable(&self, is_plugged: bool) {
        let state = if is_plugged { "up" } else { "down" };
        let done = Command::new("ip")
            .args(["-n", &self.names.operator(), "link", "set", "eth0", state])
            .status()
            .expect("ip");
        assert!(done.success(), "the operator's card is set {state}");
        if is_plugged {
            // The way to networks behind the node goes with the card.
            let _ = Command::new("ip")
                .args(["-n", &self.names.operator(), "route", "replace", "default"])
                .args(["via", "192.168.1.1"])
                .status();
        }
    }

    /// After a drill everything is as the inventory says; nothing was kept that nobody confirmed.
    pub(crate) fn mend(&self) -> Result<(), String> {
        self.until("access", 90, || self.all_come_in())?;
        for on in [On::Node, On::Guest] {
            self.until("the guard's end", 90, || !self.is_armed(on))?;
        }
        let done = self.infra(&["--lab", "firewall", "apply", "--yes", "--no-probe"]);
        if done.status.success() {
            Ok(())
        } else {
            Err(format!("mending: {}", said(&done)))
        }
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.infra(&["lab", "down"]);
    }
}

fn opens(namespace: &str, target: &str) -> bool {
    let address: SocketAddr = target.parse().expect("address");
    netns::inside(Some(&netns_path(namespace)), || {
        TcpStream::connect_timeout(&address, PATIENCE).map(drop)
    })
    .is_ok()
}

/// One word for a shell.
pub(crate) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// The right inventory.
pub(crate) fn right() -> PathBuf {
    PathBuf::from(HOME)
}

/// infra at work; it does not outlive its drill.
pub(crate) struct Running(pub(crate) Child);

impl Running {
    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum On {
    Node,
    Guest,
}

pub(crate) fn said(output: &Output) -> String {
    format!(
        "exit {:?}\n{}{}",
        output.status.code(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}
