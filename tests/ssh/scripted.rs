//! The lab's scripted hosts, spoken to by the real client over real SSH.

use crate::sshd::host;
use infra::{
    lab::{
        backend::{Backend, VmShare, VmSpec},
        scripted::{ScriptedHosts, ScriptedNode, ScriptedOptions},
    },
    model::{
        address::{PortRange, Proto},
        facts::FactsRequest,
        ids::{HostName, SystemName, Vmid},
        release::{Release, ReleaseFile, ReleaseService, ReleaseUnit},
        resource::Reaction,
        secret::{Content, SecretValues},
        ufw::{Ufw, UfwAction, UfwDirection, UfwRule, UfwStep, UfwSteps},
    },
    providers::{
        compose::{Compose, ComposeWrite, Unguarded, deploy},
        host::{FileWrite, HostError, HostRead, HostWrite, UnitVerb},
        shell::{Command, Shell, ShellError},
        ssh::{HostKey, KnownHosts, Person, SshHost, Target},
        ufw::{UfwClient, UfwWrite},
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
            pve: None,
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
            extra: infra::model::cloud_init::CloudInit {
                packages: vec!["qemu-guest-agent".to_owned()],
                network_version: 1,
                ..infra::model::cloud_init::CloudInit::default()
            },
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
            graphics: false,
            disks: Vec::new(),
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

/// Without delays the guest listens as soon as it is on.
async fn reached(shell: &SshHost) {
    shell
        .demand(Command::new(["true"]))
        .await
        .expect("it answers");
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
        .create(&dataset, &system, &properties, None)
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
            .create(&dataset, &system, &properties, None)
            .await
            .is_err()
    );
}

#[tokio::test]
async fn ufw_takes_steps_and_tells_what_stands() {
    let lab = Lab::new();
    let shell = lab.shell("pi", "admin");
    shell
        .install_packages(&["ufw".to_owned()])
        .await
        .expect("installed");
    let rule = |from: Option<&str>, ports: &[u16], comment: &str| UfwRule {
        action: UfwAction::Allow,
        direction: UfwDirection::In,
        proto: Some(Proto::Tcp),
        from: from.map(|net| net.parse().expect("a network")),
        to: None,
        ports: ports.iter().map(|&port| PortRange::one(port)).collect(),
        source_ports: Vec::new(),
        app: None,
        log: None,
        interface: None,
        comment: Some(comment.to_owned()),
    };
    let ours = rule(Some("192.168.1.5/32"), &[22], "infra:ssh");
    let (web, gone) = (
        rule(None, &[80, 443], "infra:web"),
        rule(None, &[9], "infra:gone"),
    );
    let steps = |added: &[&UfwRule]| {
        let mut steps = vec![UfwStep::Prepend(ours.clone())];
        steps.extend(added.iter().map(|&rule| UfwStep::Append(rule.clone())));
        steps.push(UfwStep::Default(UfwDirection::In, UfwAction::Deny));
        steps.push(UfwStep::Enable);
        UfwSteps(steps)
    };
    let comments = |ufw: &Ufw| -> Vec<Option<String>> {
        ufw.rules.iter().map(|rule| rule.comment.clone()).collect()
    };
    let client = UfwClient::new(&shell);
    let first = client
        .carry_out(&steps(&[&web, &gone]))
        .await
        .expect("carried out");
    assert!(first.enabled, "{first:?}");
    assert_eq!(first.rules[1], web);
    let again = client
        .carry_out(&steps(&[&web, &gone]))
        .await
        .expect("again");
    assert_eq!(again, first, "steps that are so already change nothing");
    let delete = UfwSteps(vec![UfwStep::Delete(gone)]);
    let after = client.carry_out(&delete).await.expect("deleted");
    assert_eq!(
        comments(&after),
        ["infra:ssh", "infra:web"].map(|text| Some(text.to_owned()))
    );
    let facts = shell
        .facts(&FactsRequest {
            ufw: true,
            ..FactsRequest::default()
        })
        .await
        .expect("answered");
    assert_eq!(facts.ufw, Some(after));
    shell
        .demand(Command::new(["ufw", "disable"]))
        .await
        .expect("off");
    let facts = shell
        .facts(&FactsRequest {
            ufw: true,
            ..FactsRequest::default()
        })
        .await
        .expect("answered");
    assert!(!facts.ufw.expect("installed").enabled);
}

fn release(id: &str, label: &str, image: &str) -> Release {
    let file = |path: &str, text: &str| ReleaseFile {
        path: path.to_owned(),
        content: Content::text(text),
        sha256: String::new(),
        mode: 0o600,
        uid: 0,
        gid: 0,
    };
    let compose = format!("services:\n  web:\n    image: {image}\n    restart: unless-stopped\n");
    let labels =
        format!("services:\n  web:\n    labels: {{infra.system: home, infra.release: {label}}}\n");
    Release {
        system: "home".parse().expect("valid"),
        stack: "site".parse().expect("valid"),
        host: host("pi"),
        id: id.to_owned(),
        files: vec![
            file("compose.yaml", &compose),
            file("compose.infra.yaml", &labels),
        ],
        images: vec![image.to_owned()],
        services: vec![ReleaseService {
            name: "web".to_owned(),
            release: label.to_owned(),
            files: Vec::new(),
            image: image.to_owned(),
            one_shot: false,
            healthcheck: false,
            shares_network_of: None,
        }],
        directories: Vec::new(),
        data: Vec::new(),
        needs_mounts: Vec::new(),
        datasets: std::collections::BTreeMap::new(),
        guarded: Vec::new(),
        needs: Vec::new(),
        settle_seconds: 0,
        timeout_seconds: 0,
        unit: ReleaseUnit {
            name: "infra-stack-site.service".to_owned(),
            text: "[Service]\nType=oneshot\n".to_owned(),
            sha256: String::new(),
        },
    }
}

#[tokio::test]
async fn stacks_are_deployed_repaired_and_removed() {
    let lab = Lab::new();
    let shell = lab.shell("pi", "admin");
    let packages = ["docker.io", "docker-cli", "docker-compose"].map(str::to_owned);
    shell.install_packages(&packages).await.expect("installed");
    let (compose, secrets) = (Compose::new(&shell), SecretValues::default());
    let first = release("r1", "a", "docker.io/library/nginx:1");
    deploy(&compose, &first, &secrets, &Unguarded, |_| {})
        .await
        .expect("deployed");
    let request = FactsRequest {
        docker: true,
        units: vec![first.unit.name.clone()],
        ..FactsRequest::default()
    };
    let seen = async || shell.facts(&request).await.expect("answered");
    let docker = seen().await.docker.expect("an engine");
    let [container] = docker.containers.as_slice() else {
        panic!("{docker:?}");
    };
    assert_eq!(
        (container.release.as_deref(), container.state.as_str()),
        (Some("a"), "running")
    );
    assert_eq!(seen().await.units[&first.unit.name].active, "active");

    // Nothing changes by deploying the same again; a stopped container comes back.
    shell
        .demand(Command::new(["docker", "stop", "site-web-1"]))
        .await
        .expect("stopped");
    assert_eq!(
        seen().await.docker.expect("an engine").containers[0].state,
        "exited"
    );
    deploy(&compose, &first, &secrets, &Unguarded, |_| {})
        .await
        .expect("repaired");
    assert_eq!(
        seen().await.docker.expect("an engine").containers[0].state,
        "running"
    );

    let unpullable = release("r2", "b", "registry.invalid/nginx:1");
    deploy(&compose, &unpullable, &secrets, &Unguarded, |_| {})
        .await
        .expect_err("no such registry");
    assert_eq!(
        seen().await.docker.expect("an engine").containers[0]
            .release
            .as_deref(),
        Some("a")
    );
    let next = release("r3", "c", "docker.io/library/nginx:2");
    let deployed = deploy(&compose, &next, &secrets, &Unguarded, |_| {})
        .await
        .expect("deployed");
    assert_eq!(deployed.previous.as_deref(), Some("r1"));
    assert_eq!(
        seen().await.docker.expect("an engine").containers[0]
            .release
            .as_deref(),
        Some("c")
    );

    compose
        .remove(&next.stack, &"another".parse().expect("valid"))
        .await
        .expect_err("not theirs");
    compose
        .remove(&next.stack, &next.system)
        .await
        .expect("removed");
    assert!(
        seen()
            .await
            .docker
            .expect("an engine")
            .containers
            .is_empty()
    );
}
