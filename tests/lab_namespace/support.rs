//! A lab of two guests, and what the machine looks like without it.

use infra::{
    lab::{
        backend::{VmNic, VmSpec},
        folder::LabFolder,
        namespace::{self, Key, Machine, Place, Plan, Topology},
    },
    model::{
        address::Mac,
        host::SshAccess,
        ids::{BridgeName, HostName, Vmid},
    },
    seed::{HostKey, SeedNic, SeedSpec},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// Whether real guests can and may run here. Says why not past the test runner, which keeps the words of passing tests
/// to itself: a suite that did not run must not look like one that passed.
pub(crate) fn ready() -> bool {
    let because = if std::env::var_os("INFRA_LAB_TESTS").is_some_and(|value| value == "0") {
        "INFRA_LAB_TESTS is 0".to_owned()
    } else {
        let missing = namespace::missing();
        if missing.is_empty() {
            return true;
        }
        let missing: Vec<String> = missing.iter().map(ToString::to_string).collect();
        format!("this machine lacks {}", missing.join(", "))
    };
    writeln!(std::io::stderr(), "SKIPPED real guests: {because}").expect("stderr");
    false
}

/// The cache that all labs of this user share.
pub(crate) fn cache() -> PathBuf {
    let home = std::env::var_os("HOME").expect("HOME");
    std::env::var_os("XDG_CACHE_HOME")
        .map_or_else(|| Path::new(&home).join(".cache"), PathBuf::from)
        .join("infra/lab")
}

pub(crate) fn vmid(number: u32) -> Vmid {
    Vmid::new(number).expect("valid")
}

fn bridge(name: &str) -> BridgeName {
    BridgeName::new(name).expect("valid")
}

/// A LAN with a router and an operator, and a second network behind the node.
pub(crate) fn topology() -> Topology {
    let pve = HostName::new("pve").expect("valid");
    let net = |text: &str| text.parse().expect("network");
    let address = |text: &str| text.parse().expect("address");
    let routes = vec![(net("10.10.10.0/24"), address("192.168.1.10"))];
    Topology {
        node: Some(pve.clone()),
        node_address: Some(address("192.168.1.10")),
        bridges: BTreeMap::from([
            (bridge("vmbr0"), vec![net("192.168.1.10/24")]),
            (bridge("vmbr1"), vec![net("10.10.10.1/24")]),
        ]),
        node_gateways: vec![address("192.168.1.1")],
        router: vec![Place {
            bridge: bridge("vmbr0"),
            addresses: vec![net("192.168.1.1/24")],
            gateways: vec![],
            routes: routes.clone(),
        }],
        internet: BTreeSet::from([namespace::PUBLIC_ADDRESS.into()]),
        operator: Some(Place {
            bridge: bridge("vmbr0"),
            addresses: vec![net("192.168.1.50/24")],
            gateways: vec![address("192.168.1.1")],
            routes,
        }),
        hosts: BTreeMap::new(),
        disks: BTreeMap::new(),
        zpools: BTreeMap::from([(
            pve.clone(),
            BTreeSet::from(["tank".parse().expect("valid")]),
        )]),
        access: BTreeMap::from([(
            pve,
            SshAccess {
                user: "root".to_owned(),
                port: 22,
                jump: None,
                identity: None,
            },
        )]),
    }
}

/// A guest with its address and the host key that its seed brings.
pub(crate) struct TestGuest {
    pub(crate) spec: VmSpec,
    pub(crate) address: &'static str,
    known: String,
}

impl TestGuest {
    pub(crate) fn new(
        lab: &TestLab,
        number: u32,
        on: &str,
        address: &'static str,
        gateway: &str,
    ) -> Self {
        let name = format!("guest{number}");
        let mac = Mac([
            0xBC,
            0x24,
            0x11,
            0,
            0,
            u8::try_from(number % 100).expect("small"),
        ]);
        let host_key = HostKey::generate(&mut rand::rngs::OsRng, &name).expect("key");
        let known = format!("{address} {}", host_key.public());
        let seed = SeedSpec {
            instance_id: name.clone(),
            hostname: HostName::new(&name).expect("valid"),
            user: "ops".to_owned(),
            authorized_keys: vec![lab.plan.operator.public().to_owned()],
            host_key: Some(host_key),
            timezone: "Europe/Paris".to_owned(),
            nameservers: vec!["192.168.1.1".parse().expect("address")],
            nics: vec![SeedNic {
                mac,
                addresses: vec![format!("{address}/24").parse().expect("network")],
                gateways: vec![gateway.parse().expect("address")],
            }],
            extra: infra::model::cloud_init::CloudInit::default(),
        };
        let image = lab.plan.folder.root().join(format!("{name}.iso"));
        fs::write(&image, seed.seed().iso()).expect("written");
        Self {
            spec: VmSpec {
                vmid: vmid(number),
                name,
                node: "pve".to_owned(),
                cores: 1,
                memory_mib: 512,
                nics: vec![VmNic {
                    index: 0,
                    bridge: on.to_owned(),
                    mac: mac.to_string(),
                    firewall: true,
                    vlan: None,
                }],
                seed: Some(image),
                image: None,
                disk_bytes: 4 << 30,
                graphics: false,
                disks: Vec::new(),
                shares: Vec::new(),
            },
            address,
            known,
        }
    }

    /// Runs a command in the guest, over SSH from the operator's namespace, trusting the given host key only.
    pub(crate) fn ssh(&self, lab: &TestLab, command: &str) -> Output {
        lab.ssh(&format!("ops@{}", self.address), &self.known, command)
    }

    /// The command's output, which must succeed.
    pub(crate) fn demand(&self, lab: &TestLab, command: &str) -> String {
        text(&self.ssh(lab, command))
    }

    /// Asks until SSH answers; returns the seconds that it took.
    pub(crate) fn wait_for_ssh(&self, lab: &TestLab) -> f64 {
        let begun = std::time::Instant::now();
        while !self.ssh(lab, "true").status.success() {
            assert!(
                begun.elapsed().as_secs() < 60,
                "guest {} does not answer:\n{}",
                self.spec.vmid,
                fs::read_to_string(lab.plan.folder.guest(self.spec.vmid).join("console.log"))
                    .unwrap_or_default()
            );
        }
        begun.elapsed().as_secs_f64()
    }
}

pub(crate) fn text(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// A lab in a folder of its own.
pub(crate) struct TestLab {
    pub(crate) machine: Machine,
    pub(crate) plan: Plan,
}

impl TestLab {
    pub(crate) fn build(folder: &Path) -> Self {
        let image = namespace::build_image(&cache(), &|line| println!("{line}")).expect("image");
        let folder = LabFolder::new(folder);
        let plan = Plan {
            operator: Key::at(&folder.operator_key(), "infra-lab").expect("key"),
            folder,
            image,
            topology: topology(),
            ca: None,
            program: Some(PathBuf::from(env!("CARGO_BIN_EXE_infra"))),
        };
        let machine = Machine::build(plan.clone()).unwrap_or_else(|error| {
            let _ = namespace::sweep(&plan.folder);
            panic!("{}", error.chain())
        });
        Self { machine, plan }
    }

    /// Runs a command on a host, from the operator's namespace.
    pub(crate) fn ssh(&self, login: &str, known: &str, command: &str) -> Output {
        let hosts = self.plan.folder.root().join("known_hosts");
        fs::write(&hosts, format!("{known}\n")).expect("written");
        Command::new("ip")
            .args([
                "netns",
                "exec",
                &self.machine.names().operator(),
                "ssh",
                "-F",
                "none",
                "-i",
            ])
            .arg(self.plan.operator.path())
            .args([
                "-o",
                "BatchMode=yes",
                "-o",
                "StrictHostKeyChecking=yes",
                "-o",
                "ConnectTimeout=1",
            ])
            .arg("-o")
            .arg(format!("UserKnownHostsFile={}", hosts.display()))
            .args([login, command])
            .output()
            .expect("ssh")
    }

    /// Runs a command on the node.
    pub(crate) fn on_node(&self, command: &str) -> String {
        text(&self.ssh(
            "root@192.168.1.10",
            &self.machine.known_hosts().join("\n"),
            command,
        ))
    }
}

/// A folder whose name says that a lab is in it, so that labs of other tests can be told from what one left behind.
pub(crate) fn lab_folder() -> tempfile::TempDir {
    tempfile::Builder::new()
        .prefix("lab-")
        .tempdir()
        .expect("folder")
}

/// What the machine holds that a lab could have left: namespaces, mounts, loop devices, cgroups, interfaces, processes.
/// Other labs, and images that are being built in the shared cache, may come and go at the same time and are left out.
pub(crate) fn machine_now(own: &str, folder: &Path) -> BTreeSet<String> {
    let folder = folder.display().to_string();
    let run = |argv: &[&str]| {
        let output = Command::new(argv[0])
            .args(&argv[1..])
            .output()
            .expect("runs");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let mut found = BTreeSet::new();
    let mut add = |what: &str, text: String| {
        found.extend(text.lines().map(|line| format!("{what}: {}", line.trim())));
    };
    add("netns", run(&["ip", "netns", "list"]));
    add(
        "mount",
        run(&[
            "findmnt",
            "--list",
            "--noheadings",
            "--output",
            "TARGET,SOURCE",
        ]),
    );
    add(
        "loop",
        run(&[
            "losetup",
            "--list",
            "--noheadings",
            "--output",
            "NAME,BACK-FILE",
        ]),
    );
    add(
        "cgroup",
        run(&[
            "find",
            "/sys/fs/cgroup",
            "-maxdepth",
            "3",
            "-type",
            "d",
            "-name",
            "infra-lab*",
        ]),
    );
    add(
        "link",
        run(&["ip", "-o", "link", "show"])
            .lines()
            .map(|l| l.split(" mtu").next().unwrap_or(l).to_owned() + "\n")
            .collect(),
    );
    add(
        "nspawn",
        run(&["find", "/run/systemd/nspawn", "-mindepth", "2"]),
    );
    add(
        "process",
        run(&["pgrep", "--list-full", "--full", "infra-[0-9a-f]{6}-"]),
    );
    found.retain(|line| {
        let other = line
            .split("infra-")
            .skip(1)
            .map(|rest| rest.trim_start_matches("lab-"))
            .any(|rest| {
                rest.len() >= 6
                    && !rest.starts_with(own)
                    && rest[..6].bytes().all(|b| b.is_ascii_hexdigit())
            });
        let of_a_lab = line.starts_with("mount:") || line.starts_with("loop:");
        let elsewhere = of_a_lab && line.contains("/lab") && !line.contains(&folder);
        !other && !elsewhere && !line.contains("pgrep") && !line.contains("/.cache/infra/")
    });
    found
}

/// A test that fails must not leave guests behind.
impl Drop for TestLab {
    fn drop(&mut self) {
        let torn_down = self.machine.tear_down();
        if !std::thread::panicking() {
            torn_down.expect("torn down");
        }
    }
}
