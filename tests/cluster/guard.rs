//! The guard over a node's interfaces, with real packets: a change cuts the node off, and the node itself puts it back.
//!
//! The node is a network namespace with a bridge, and the operator another one. The guard's scripts are the real ones; what
//! they keep lies in a folder instead of `/etc` and `/var`, `ifreload` and `systemctl` are stand-ins that do what the real
//! ones do for one bridge and one timer.

use infra::{
    lab::netns::{bind_tcp, inside},
    model::ids::HostName,
    providers::{
        guard::{Armed, GuardError, GuardKind, Standing, Switch},
        shell::{Command, Output, Shell, ShellError},
    },
};
use std::{
    fs,
    io::Write as _,
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

const ADDRESS: &str = "192.0.2.1";
const PORT: u16 = 8006;
/// The guard's timer. Long enough for a busy machine to see the cut before it ends.
const SECONDS: u32 = 6;

fn run(line: &str) -> bool {
    let words: Vec<&str> = line.split(' ').collect();
    let done = std::process::Command::new(words[0])
        .args(&words[1..])
        .output();
    done.is_ok_and(|output| output.status.success())
}

/// Two namespaces and a wire, gone with the test.
struct Wire {
    name: String,
    folder: tempfile::TempDir,
}

impl Drop for Wire {
    fn drop(&mut self) {
        for role in ["node", "operator"] {
            run(&format!("ip netns del {}", self.netns(role)));
        }
    }
}

impl Wire {
    /// None where namespaces cannot be made.
    fn new(name: &str) -> Option<Self> {
        let wire = Self {
            name: format!("infra-guard-{}-{name}", std::process::id()),
            folder: tempfile::tempdir().expect("a folder"),
        };
        let (node, operator) = (wire.netns("node"), wire.netns("operator"));
        if !run(&format!("ip netns add {node}")) {
            return None;
        }
        for line in [
            format!("ip netns add {operator}"),
            format!("ip -n {node} link add vmbr0 type bridge"),
            format!("ip -n {node} link add eth0 type veth peer name eth0 netns {operator}"),
            format!("ip -n {node} link set eth0 master vmbr0 up"),
            format!("ip -n {node} link set vmbr0 up"),
            format!("ip -n {node} link set lo up"),
            format!("ip -n {operator} addr add 192.0.2.50/24 dev eth0"),
            format!("ip -n {operator} link set eth0 up"),
        ] {
            assert!(run(&line), "{line}");
        }
        wire.furnish();
        Some(wire)
    }

    fn netns(&self, role: &str) -> String {
        format!("{}-{role}", self.name)
    }

    fn path(&self, role: &str) -> PathBuf {
        Path::new("/run/netns").join(self.netns(role))
    }

    fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    /// The folders, and what stands in for ifupdown2 and systemd.
    fn furnish(&self) {
        for path in ["var", "net/interfaces.d", "bin", "units"] {
            fs::create_dir_all(self.at(path)).expect("made");
        }
        let root = self.folder.path().display();
        let ifreload = format!(
            "ip addr flush dev vmbr0\n\
             for address in $(sed -n 's/^ *address //p' '{root}/net/interfaces'); do\n\
             ip addr add \"$address\" dev vmbr0\n\
             done\n"
        );
        let systemctl = format!(
            "timer='{root}/timer'\n\
             ended() {{ [ ! -e \"$timer\" ] || kill \"$(cat \"$timer\")\" 2>/dev/null; rm -f \"$timer\"; }}\n\
             case \"$1 ${{2:-}}\" in\n\
             'restart infra-guard.timer')\n\
             ended\n\
             seconds=$(sed -n 's/^OnActiveSec=\\(.*\\)s$/\\1/p' '{root}/units/infra-guard.timer')\n\
             (sleep \"$seconds\"; rm -f \"$timer\"; exec sh '{root}/var/guard/restore.sh') >/dev/null 2>&1 </dev/null &\n\
             echo $! >\"$timer\" ;;\n\
             'stop infra-guard.timer') ended ;;\n\
             'is-active infra-guard.timer') echo active ;;\n\
             esac\n\
             true\n"
        );
        for (name, text) in [("ifreload", ifreload), ("systemctl", systemctl)] {
            let path = self.at("bin").join(name);
            fs::write(&path, format!("#!/bin/sh\n{text}")).expect("written");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("set");
        }
        self.stage(ADDRESS);
        self.apply();
    }

    /// What Proxmox writes when interfaces are staged.
    fn stage(&self, address: &str) {
        let text = format!(
            "auto vmbr0\niface vmbr0 inet static\n address {address}/24\n bridge-ports eth0\n"
        );
        fs::write(self.at("net/interfaces.new"), text).expect("written");
    }

    /// What Proxmox does when they are applied.
    fn apply(&self) {
        fs::rename(self.at("net/interfaces.new"), self.at("net/interfaces")).expect("staged");
        let ifreload = self.at("bin/ifreload");
        let line = format!(
            "ip netns exec {} {}",
            self.netns("node"),
            ifreload.display()
        );
        assert!(run(&line), "{line}");
    }

    fn listen(&self) -> TcpListener {
        let address = SocketAddr::new("0.0.0.0".parse().expect("valid"), PORT);
        bind_tcp(Some(&self.path("node")), address).expect("free port")
    }

    /// A new connection from the operator.
    fn comes_in(&self) -> bool {
        let address = SocketAddr::new(ADDRESS.parse().expect("valid"), PORT);
        let limit = Duration::from_secs(1);
        inside(Some(&self.path("operator")), || {
            TcpStream::connect_timeout(&address, limit).map(drop)
        })
        .is_ok()
    }

    fn interfaces(&self) -> String {
        fs::read_to_string(self.at("net/interfaces")).expect("readable")
    }
}

/// The node's shell.
struct NodeShell<'w> {
    wire: &'w Wire,
    name: HostName,
}

impl Shell for NodeShell<'_> {
    fn host(&self) -> &HostName {
        &self.name
    }

    async fn run(&self, command: Command) -> Result<Output, ShellError> {
        let root = self.wire.folder.path().display().to_string();
        let moved = |text: &String| {
            text.replace("/var/lib/infra/guard", &format!("{root}/var/guard"))
                .replace("/etc/network", &format!("{root}/net"))
                .replace("/etc/systemd/system", &format!("{root}/units"))
                .replace(
                    "PATH=/usr/local/sbin:",
                    &format!("PATH={root}/bin:/usr/local/sbin:"),
                )
        };
        let path = std::env::var("PATH").unwrap_or_default();
        let output = tokio::process::Command::new("ip")
            .args(["netns", "exec", &self.wire.netns("node")])
            .args(command.argv.iter().map(moved))
            .env("PATH", format!("{root}/bin:{path}"))
            .output()
            .await
            .expect("run");
        Ok(Output {
            code: output.status.code().unwrap_or(-1),
            signal: None,
            stdout: output.stdout,
            stderr: output.stderr,
        })
    }
}

fn wire(name: &str) -> Option<Wire> {
    let wire = Wire::new(name);
    if wire.is_none() {
        writeln!(std::io::stderr(), "skipped: namespaces take root").expect("stderr");
    }
    wire
}

fn switch<'w>(wire: &'w Wire, token: &str) -> Switch<NodeShell<'w>> {
    let name = "pve".parse().expect("a name");
    Switch::new(NodeShell { wire, name }, GuardKind::Network, token, SECONDS)
}

/// Looks until it is so; the guard's timer ends long before the limit.
async fn until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_mins(1);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_cuts_the_node_off_is_taken_back_by_the_node_itself() {
    let Some(wire) = wire("cut") else { return };
    let _listener = wire.listen();
    let before = wire.interfaces();
    assert!(wire.comes_in(), "there is a way in");
    let guard = switch(&wire, "first");
    assert_eq!(guard.arm().await.expect("armed"), Armed::Now);
    wire.stage("198.51.100.1");
    wire.apply();
    assert!(!wire.comes_in(), "the change cuts the operator off");
    // Nobody can reach the node now, and nobody has to.
    until("the node comes back by itself", || wire.comes_in()).await;
    assert_eq!(wire.interfaces(), before);
    let told = guard.look(Duration::from_secs(10)).await.expect("answers");
    assert_eq!(told, Standing::Reverted);
    let late = guard.confirm().await;
    assert!(matches!(late, Err(GuardError::Fired { .. })), "{late:?}");
    assert!(wire.comes_in());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_new_connections_prove_stays() {
    let Some(wire) = wire("keep") else { return };
    let _listener = wire.listen();
    let guard = switch(&wire, "second");
    assert_eq!(guard.arm().await.expect("armed"), Armed::Now);
    wire.stage(&format!("203.0.113.7/24\n address {ADDRESS}"));
    wire.apply();
    assert!(wire.comes_in(), "a new connection proves it");
    guard.renew(Duration::from_secs(10)).await.expect("in time");
    guard.hold().await.expect("in time");
    guard.confirm().await.expect("in time");
    let after = wire.interfaces();
    // Past the end of its timer nothing happens any more.
    let end = Instant::now() + Duration::from_secs(u64::from(SECONDS) + 2);
    until("the timer's time is over", || Instant::now() > end).await;
    assert_eq!(wire.interfaces(), after);
    assert!(wire.comes_in());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_died_under_its_guard_is_put_back_by_the_next_one() {
    let Some(wire) = wire("died") else { return };
    let _listener = wire.listen();
    let before = wire.interfaces();
    let dead = switch(&wire, "dead");
    assert_eq!(dead.arm().await.expect("armed"), Armed::Now);
    wire.stage("198.51.100.1");
    wire.apply();
    let next = switch(&wire, "next");
    assert_eq!(next.arm().await.expect("answers"), Armed::EarlierPutBack);
    assert_eq!(wire.interfaces(), before);
    assert!(wire.comes_in());
    assert!(!wire.at("net/interfaces.new").exists());
}
