//! The lab's scripted hosts, spoken to by the real client over real SSH.

use crate::sshd::host;
use infra::{
    lab::{
        backend::{Backend, VmShare, VmSpec},
        scripted::{ScriptedHosts, ScriptedNode, ScriptedOptions},
    },
    model::{
        facts::FactsRequest,
        ids::{HostName, SystemName, Vmid},
        resource::Reaction,
    },
    providers::{
        host::{FileWrite, HostError, HostRead, HostWrite, UnitVerb},
        shell::{Command, Shell, ShellError},
        ssh::{HostKey, KnownHosts, Person, SshHost, Target},
        zfs::{Zfs, ZfsWrite},
    },
    seed::{HostKey as SeedKey, SeedSpec},
};
use rand::{SeedableRng, rngs::StdRng};
use std::{collections::BTreeMap, fs, path::PathBuf};
use tempfile::TempDir;

/// A lab of one node and, when started, one guest.
struct Lab {
    folder: TempDir,
    hosts: ScriptedHosts,
    operator: String,
}

const VMID: u32 = 110;

impl Lab {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("temp dir");
        crate::sshd::keygen(&folder.path().join("operator"), "ed25519", "");
        let operator = fs::read_to_string(folder.path().join("operator.pub")).expect("there");
        let node = ScriptedNode {
            bridges: BTreeMap::from([("vmbr0".to_owned(), vec!["192.168.1.10/24".to_owned()])]),
            zpools: vec!["tank".to_owned()],
        };
        let hosts = ScriptedHosts::start(&ScriptedOptions {
            nodes: BTreeMap::from([(host("pve"), node)]),
            externals: BTreeMap::from([(host("pi"), "admin".to_owned())]),
            guests: vec![host("intranet")],
            operator_public_key: operator.trim().to_owned(),
            clock: 0.0,
        })
        .expect("started");
        let known = hosts.known_hosts().join("\n") + "\n";
        fs::write(folder.path().join("known_hosts"), known).expect("written");
        Self {
            folder,
            hosts,
            operator: operator.trim().to_owned(),
        }
    }

    fn known_hosts(&self) -> KnownHosts {
        KnownHosts::at(self.folder.path().join("known_hosts"))
    }

    fn shell(&self, name: &str, user: &str) -> SshHost {
        let name: HostName = host(name);
        let address = self.hosts.ssh()[&name];
        SshHost::new(Target {
            host: name,
            address: address.ip().to_string(),
            port: address.port(),
            user: user.to_owned(),
            identity: Some(self.folder.path().join("operator")),
            jump: None,
            known_hosts: self.known_hosts(),
            person: Person::default(),
        })
    }

    /// Writes a seed as infra does and pins its key.
    fn seed(&self, instance: &str, user: &str) -> PathBuf {
        let key = SeedKey::generate(
            &mut StdRng::seed_from_u64(instance.bytes().map(u64::from).sum()),
            instance,
        )
        .expect("a key");
        let public: HostKey = key.public().parse().expect("a public key");
        self.known_hosts()
            .pin(&["intranet".to_owned()], &public)
            .expect("pinned");
        let spec = SeedSpec {
            instance_id: instance.to_owned(),
            hostname: host("intranet"),
            user: user.to_owned(),
            authorized_keys: vec![self.operator.clone()],
            host_key: Some(key),
            timezone: "UTC".to_owned(),
            nameservers: Vec::new(),
            nics: Vec::new(),
            packages: vec!["qemu-guest-agent".to_owned()],
        };
        let path = self.folder.path().join(format!("{instance}.iso"));
        fs::write(&path, spec.seed().iso()).expect("written");
        path
    }

    async fn power_on(&self, seed: PathBuf) {
        let spec = VmSpec {
            vmid: Vmid::new(VMID).expect("valid"),
            name: "intranet".to_owned(),
            node: "pve".to_owned(),
            cores: 4,
            memory_mib: 8192,
            nics: Vec::new(),
            seed: Some(seed),
            image: None,
            disk_bytes: 64 << 30,
            shares: vec![VmShare {
                tag: "tank-media".to_owned(),
                path: "/mnt/tank/media".into(),
            }],
        };
        self.hosts.start(spec).await.expect("on");
    }
}

fn vmid() -> Vmid {
    Vmid::new(VMID).expect("valid")
}

/// The guest listens a moment after it is on: asks until it does.
async fn reached(shell: &SshHost) {
    while let Err(error) = shell.demand(Command::new(["true"])).await {
        assert!(matches!(error, ShellError::Unreachable { .. }), "{error}");
        tokio::task::yield_now().await;
    }
}

fn file(path: &str, text: &str) -> FileWrite {
    FileWrite {
        path: path.to_owned(),
        owner: "root".to_owned(),
        group: "root".to_owned(),
        mode: 0o644,
        bytes: text.into(),
    }
}

#[tokio::test]
async fn the_first_connection_to_a_new_guest_is_already_trusted() {
    let lab = Lab::new();
    let shell = lab.shell("intranet", "root");
    let early = shell
        .run(Command::new(["true"]))
        .await
        .expect_err("it does not exist yet");
    assert!(matches!(early, ShellError::Unreachable { .. }), "{early}");
    lab.power_on(lab.seed("one", "root")).await;
    assert!(lab.hosts.is_running(vmid()));
    reached(&shell).await;
    assert_eq!(
        shell
            .demand(Command::new(["hostname"]))
            .await
            .expect("it runs")
            .text(),
        "intranet\n"
    );
    let pong = lab
        .hosts
        .agent(vmid(), serde_json::json!({"execute": "guest-ping"}))
        .await
        .expect("asked");
    assert_eq!(pong, Some(serde_json::json!({"return": {}})));
}

#[tokio::test]
async fn a_recreated_guest_has_another_key_and_a_restarted_one_has_not() {
    let lab = Lab::new();
    lab.power_on(lab.seed("one", "root")).await;
    let shell = lab.shell("intranet", "root");
    reached(&shell).await;
    shell
        .write_files(&[file("/root/note", "kept")])
        .await
        .expect("written");
    let before = shell
        .facts(&FactsRequest::default())
        .await
        .expect("answered")
        .boot_id;

    lab.hosts.stop(vmid(), true).await.expect("off");
    let gone = shell
        .run(Command::new(["true"]))
        .await
        .expect_err("it is off");
    assert!(
        matches!(
            gone,
            ShellError::Unreachable { .. } | ShellError::Lost { .. }
        ),
        "{gone}"
    );
    lab.power_on(lab.folder.path().join("one.iso")).await;
    reached(&shell).await;
    assert_eq!(
        shell
            .demand(Command::new(["cat", "/root/note"]))
            .await
            .expect("there")
            .text(),
        "kept"
    );
    let after = shell
        .facts(&FactsRequest::default())
        .await
        .expect("answered")
        .boot_id;
    assert_ne!(before, after);

    lab.hosts.stop(vmid(), false).await.expect("off");
    lab.hosts.destroy(vmid()).await.expect("gone");
    let pinned = fs::read(lab.folder.path().join("known_hosts")).expect("there");
    lab.power_on(lab.seed("two", "root")).await;
    reached(&lab.shell("intranet", "root")).await;
    // With the old pin the new guest is a stranger.
    fs::write(lab.folder.path().join("known_hosts"), pinned).expect("written");
    let stranger = lab
        .shell("intranet", "root")
        .run(Command::new(["true"]))
        .await
        .expect_err("changed");
    assert!(matches!(stranger, ShellError::HostKey { .. }), "{stranger}");
}

#[tokio::test]
async fn sudo_is_asked_without_a_password_and_its_refusal_is_told() {
    let lab = Lab::new();
    let admin = lab.shell("pi", "admin");
    assert_eq!(
        admin
            .demand(Command::new(["hostname"]))
            .await
            .expect("it runs")
            .text(),
        "pi\n"
    );
    let refused = lab
        .shell("pi", "root")
        .run(Command::new(["true"]))
        .await
        .expect_err("no such login");
    assert!(matches!(refused, ShellError::Refused { .. }), "{refused}");

    lab.power_on(lab.seed("one", "ada")).await;
    let ada = lab.shell("intranet", "ada");
    reached(&ada).await;
    ada.write_files(&[file("/etc/x", "y")])
        .await
        .expect("through sudo");
    let denied = ada
        .run(Command::new(["rm", "-f", "/etc/x"]).unprivileged())
        .await
        .expect("it ran");
    assert_eq!(denied.code, 1);
}

#[tokio::test]
async fn what_is_not_known_is_a_missing_command() {
    let lab = Lab::new();
    let shell = lab.shell("pve", "root");
    let output = shell
        .run(Command::new(["nonsense", "--now"]))
        .await
        .expect("it ran");
    assert_eq!(output.code, 127);
    let output = shell
        .run(Command::script("infra-unheard-of", "exit 0"))
        .await
        .expect("it ran");
    assert_eq!(
        output.code, 127,
        "a script is known by its name, not believed by its text"
    );
}

#[tokio::test]
async fn packages_files_units_and_settings_change_and_are_seen() {
    let lab = Lab::new();
    lab.power_on(lab.seed("one", "root")).await;
    let shell = lab.shell("intranet", "root");
    reached(&shell).await;
    let list = |names: &[&str]| names.iter().map(|&n| n.to_owned()).collect::<Vec<_>>();
    shell
        .install_packages(&list(&["docker.io", "docker-cli", "ufw"]))
        .await
        .expect("installed");
    let unknown = shell.install_packages(&list(&["no-such-package"])).await;
    assert!(
        matches!(unknown, Err(HostError::PackageUnknown { .. })),
        "{unknown:?}"
    );
    let unit = "[Mount]\nWhat=tank-media\nWhere=/mnt/tank/media\nType=virtiofs\nOptions=nosuid\n";
    let foreign = unit
        .replace("tank-media", "tank-other")
        .replace("/media", "/other");
    shell
        .write_files(&[
            file("/etc/systemd/system/mnt-tank-media.mount", unit),
            file("/etc/systemd/system/mnt-tank-other.mount", &foreign),
            file(
                "/etc/sysctl.d/60-x.conf",
                "# ours\nnet.ipv4.ip_forward = 1\n",
            ),
        ])
        .await
        .expect("written");
    shell
        .react(&[
            Reaction::DaemonReload,
            Reaction::Sysctl,
            Reaction::Reload("sshd.service".into()),
        ])
        .await
        .expect("done");
    let start = |unit: &str| {
        vec![
            (UnitVerb::Enable, unit.to_owned()),
            (UnitVerb::Start, unit.to_owned()),
        ]
    };
    shell
        .set_units(&start("mnt-tank-media.mount"))
        .await
        .expect("mounted");
    let refused = shell.set_units(&start("mnt-tank-other.mount")).await;
    assert!(
        matches!(&refused, Err(HostError::Step { step, .. }) if step == "start mnt-tank-other.mount"),
        "{refused:?}"
    );
    let path = "/etc/sysctl.d/60-x.conf".to_owned();
    let facts = shell
        .facts(&FactsRequest {
            packages: list(&["docker.io", "containerd", "fail2ban"]),
            paths: vec![path.clone(), "/nowhere".to_owned()],
            units: list(&[
                "docker.service",
                "sshd.service",
                "mnt-tank-media.mount",
                "none.service",
            ]),
            sysctls: list(&["net.ipv4.ip_forward"]),
            docker: true,
            ..FactsRequest::default()
        })
        .await
        .expect("answered");
    assert!(facts.packages["docker.io"].is_some() && facts.packages["containerd"].is_some());
    assert_eq!(facts.packages["fail2ban"], None);
    assert!(
        facts.paths[&path]
            .as_ref()
            .is_some_and(|p| p.sha256.is_some() && p.owner == "root")
    );
    assert_eq!(facts.units["mnt-tank-media.mount"].active, "active");
    assert_eq!(facts.units["sshd.service"].enabled, "enabled");
    assert_eq!(facts.units["none.service"].load, "not-found");
    assert_eq!(facts.sysctls["net.ipv4.ip_forward"].as_deref(), Some("1"));
    assert_eq!(facts.mounts["/mnt/tank/media"].fstype, "virtiofs");
    assert!(facts.docker.is_some());
    assert_eq!(shell.counts().connections, 1);
}

#[tokio::test]
async fn datasets_are_made_and_seen_on_the_node() {
    let lab = Lab::new();
    let shell = lab.shell("pve", "root");
    let system: SystemName = "home".parse().expect("valid");
    let properties = BTreeMap::from([
        ("recordsize".to_owned(), "1M".to_owned()),
        ("mountpoint".to_owned(), "/mnt/tank/media".to_owned()),
    ]);
    let dataset = "tank/media".parse().expect("valid");
    Zfs(&shell)
        .create(&dataset, &system, &properties)
        .await
        .expect("created");
    let request = FactsRequest {
        zpools: vec!["tank".to_owned()],
        ..FactsRequest::default()
    };
    let facts = shell.facts(&request).await.expect("answered");
    assert_eq!(facts.zpools["tank"].health, "ONLINE");
    assert_eq!(
        facts.datasets[&dataset].properties["recordsize"].value,
        "1048576"
    );
    assert_eq!(facts.mounts["/mnt/tank/media"].fstype, "zfs");
    assert!(
        Zfs(&shell)
            .create(&dataset, &system, &properties)
            .await
            .is_err()
    );
}
