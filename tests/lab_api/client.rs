//! infra's own client against the lab: two readings of one protocol, written apart, must agree.

use crate::bench::{SECRET, config};
use infra::{
    lab::{
        api::{Certificate, Clock, Effect, Fault, Handle, World, serve},
        backend::Powerless,
    },
    model::{
        desired::{ApiAuth, ProxmoxApi, TlsTrust},
        firewall::{PveAlias, PveRule, PveRuleKind},
        ids::Vmid,
        image::{Checksum, Download},
        secret::SecretValues,
    },
    providers::proxmox::{
        Client, ClientOptions, ConfigChange, Delivery, FirewallScope, ProxmoxError, ProxmoxRead,
        ProxmoxRequest, ProxmoxWrite, Refusal, TaskEnd, Upid,
    },
};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::TcpListener,
    sync::Arc,
    time::Duration,
};

/// A lab, and a client with infra's least privileges.
struct Stage {
    client: Client,
    world: World,
    image: Download,
    _folder: tempfile::TempDir,
    _handle: Handle,
}

impl Stage {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let backend = Arc::new(Powerless::default());
        let config = config(folder.path(), backend, Clock::scaled(0.01));
        let world = World::new(config).expect("a world");
        let certificate = Certificate::generate(&["pve".to_owned()]).expect("certificate");
        let listener = TcpListener::bind("127.0.0.1:0").expect("socket");
        let handle = serve(listener, world.clone(), &certificate).expect("serving");
        let fingerprint = certificate.fingerprint();
        let byte = |index: usize| {
            u8::from_str_radix(&fingerprint[2 * index..2 * index + 2], 16).expect("hex")
        };
        let api = ProxmoxApi {
            host: handle.address().ip().to_string(),
            port: handle.address().port(),
            auth: ApiAuth::Token {
                id: "infra@pve!lab".to_owned(),
                secret: "token".parse().expect("valid"),
            },
            tls: TlsTrust::Fingerprint(std::array::from_fn(byte)),
        };
        let mut secrets = SecretValues::default();
        secrets.insert("token".parse().expect("valid"), SECRET.to_owned().into());
        let bytes =
            std::fs::read(folder.path().join("debian.qcow2")).expect("the catalogue's image");
        let image = Download {
            url: "http://images.test/debian.qcow2".to_owned(),
            filename: "debian-13.qcow2".to_owned(),
            checksum: Some(Checksum {
                algorithm: "sha256".to_owned(),
                hex: sha256(&bytes),
            }),
        };
        let client = Client::connect(&api, &secrets, ClientOptions::default().scaled(0.05))
            .expect("a client");
        Self {
            client,
            world,
            image,
            _folder: folder,
            _handle: handle,
        }
    }

    async fn wait(&self, task: Result<Upid, ProxmoxError>) -> Result<TaskEnd, ProxmoxError> {
        self.client.wait(&task?, Duration::from_secs(30)).await
    }

    /// Guest 111 with its image and seed.
    async fn with_guest(self) -> Self {
        let download = self.client.download_url("pve", "local", &self.image).await;
        self.wait(download).await.expect("the image");
        let upload = self
            .client
            .upload_iso("pve", "local", "infra-home-111.iso", b"seed".to_vec())
            .await;
        self.wait(upload).await.expect("the seed");
        let options = options(&[
            ("name", "extranet"),
            ("memory", "2048"),
            ("cores", "2"),
            (
                "description",
                "made by infra; 100% = sure + more\nsecond line",
            ),
            ("tags", "infra;infra-home"),
            ("net0", "virtio=BC:24:11:00:00:01,bridge=vmbr1,firewall=1"),
            (
                "scsi0",
                "local-zfs:0,import-from=local:import/debian-13.qcow2",
            ),
            ("ide2", "local:iso/infra-home-111.iso,media=cdrom"),
            ("boot", "order=scsi0;ide2"),
            ("scsihw", "virtio-scsi-single"),
            ("serial0", "socket"),
        ]);
        let create = self.client.create_vm("pve", vmid(), &options).await;
        self.wait(create).await.expect("the guest");
        self
    }
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect::<Vec<_>>()
        .concat()
}

fn vmid() -> Vmid {
    Vmid::new(111).expect("valid")
}

fn options(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

fn request() -> ProxmoxRequest {
    let node = || "pve".parse().expect("valid");
    ProxmoxRequest {
        nodes: BTreeSet::from([node()]),
        content: BTreeMap::from([(
            (node(), "local".parse().expect("valid")),
            BTreeSet::from(["iso".to_owned(), "import".to_owned()]),
        )]),
        guests: BTreeMap::from([(vmid(), node())]),
        firewall: true,
        pools: false,
        entries: BTreeSet::new(),
        mark: None,
    }
}

#[tokio::test]
async fn what_was_made_is_what_is_seen() {
    let stage = Stage::new();
    let before = stage.client.observe(&request()).await.expect("seen");
    assert!(before.guests.is_empty());
    assert!(
        before
            .nodes
            .values()
            .all(|node| node.storages["local"].volumes.is_empty())
    );
    let stage = stage.with_guest().await;
    let seen = stage.client.observe(&request()).await.expect("seen");
    let volumes = &seen.nodes.values().next().expect("pve").storages["local"].volumes;
    assert_eq!(
        volumes.keys().collect::<Vec<_>>(),
        [
            "local:import/debian-13.qcow2",
            "local:iso/infra-home-111.iso"
        ]
    );
    let guest = &seen.guests[&vmid()];
    let config = guest.config.as_ref().expect("asked for");
    assert_eq!(
        (guest.name.as_str(), guest.status.as_str()),
        ("extranet", "stopped")
    );
    assert_eq!(config["boot"], "order=scsi0;ide2");
    assert_eq!(
        config["description"].trim_end(),
        "made by infra; 100% = sure + more\nsecond line"
    );
    assert_eq!(
        config["net0"],
        "virtio=BC:24:11:00:00:01,bridge=vmbr1,firewall=1"
    );
    assert!(
        config["scsi0"].starts_with("local-zfs:vm-111-disk-0"),
        "{}",
        config["scsi0"]
    );
    assert!(guest.digest.is_some() && guest.pending.is_empty());
}

#[tokio::test]
async fn a_running_guest_keeps_what_runs_apart_from_what_waits() {
    let stage = Stage::new().with_guest().await;
    let grow = stage
        .client
        .resize_disk("pve", vmid(), "scsi0", 16 << 30)
        .await;
    stage.wait(grow).await.expect("larger");
    let start = stage.client.start("pve", vmid()).await;
    stage.wait(start).await.expect("on");
    let guest = stage
        .client
        .guest(vmid())
        .await
        .expect("seen")
        .expect("there");
    assert_eq!(guest.status, "running");
    let change = |memory: &str, digest: &str| ConfigChange {
        set: options(&[("memory", memory)]),
        digest: Some(digest.to_owned()),
        ..ConfigChange::default()
    };
    let digest = guest.digest.expect("given");
    let update = stage
        .client
        .update_config("pve", vmid(), &change("4096", &digest))
        .await;
    stage.wait(update).await.expect("stored");
    let guest = stage
        .client
        .guest(vmid())
        .await
        .expect("seen")
        .expect("there");
    assert_eq!(guest.config.as_ref().expect("asked for")["memory"], "2048");
    assert_eq!(guest.pending["memory"].as_deref(), Some("4096"));
    let outdated = stage
        .client
        .update_config("pve", vmid(), &change("8192", &digest))
        .await;
    let error = stage
        .wait(outdated)
        .await
        .expect_err("somebody changed it: we did");
    assert_eq!(error.refusal(), Some(Refusal::Stale), "{error}");
}

#[tokio::test]
async fn refusals_are_told_by_their_kind() {
    let stage = Stage::new().with_guest().await;
    let again = stage
        .client
        .create_vm("pve", vmid(), &options(&[("name", "extranet")]))
        .await;
    assert_eq!(
        stage.wait(again).await.expect_err("taken").refusal(),
        Some(Refusal::Exists)
    );
    let again = stage
        .client
        .download_url("pve", "local", &stage.image)
        .await;
    assert_eq!(
        stage.wait(again).await.expect_err("there").refusal(),
        Some(Refusal::Exists)
    );
    let nowhere = options(&[("scsi0", "nowhere:8")]);
    let error = match stage
        .client
        .create_vm("pve", Vmid::new(112).expect("valid"), &nowhere)
        .await
    {
        Ok(task) => stage.wait(Ok(task)).await.expect_err("no such storage"),
        Err(error) => error,
    };
    assert!(
        matches!(
            error.refusal(),
            Some(Refusal::NotFound | Refusal::Forbidden)
        ),
        "{error}"
    );
    let wrong = Download {
        checksum: Some(Checksum {
            algorithm: "sha256".to_owned(),
            hex: "0".repeat(64),
        }),
        filename: "other.qcow2".to_owned(),
        ..stage.image.clone()
    };
    let download = stage.client.download_url("pve", "local", &wrong).await;
    let error = stage.wait(download).await.expect_err("another checksum");
    assert!(error.to_string().contains("checksum"), "{error}");
    assert_eq!(
        stage
            .client
            .guest(Vmid::new(999).expect("valid"))
            .await
            .expect("seen"),
        None
    );
}

fn rule(comment: &str, port: &str) -> PveRule {
    PveRule {
        kind: PveRuleKind::In,
        action: "ACCEPT".to_owned(),
        enable: true,
        proto: Some("tcp".to_owned()),
        source: Some("+dc/lan".to_owned()),
        dest: None,
        sport: None,
        dport: Some(port.to_owned()),
        icmp_type: None,
        r#macro: None,
        iface: None,
        log: None,
        comment: Some(format!("infra:{comment}")),
    }
}

#[tokio::test]
async fn a_list_of_rules_is_built_moved_and_cut_as_asked() {
    let stage = Stage::new().with_guest().await;
    let client = &stage.client;
    client
        .create_ipset(&FirewallScope::Cluster, "lan", Some("infra:lan"))
        .await
        .expect("made");
    client
        .add_member(&FirewallScope::Cluster, "lan", "192.168.1.0/24", false)
        .await
        .expect("added");
    client
        .add_member(&FirewallScope::Cluster, "lan", "192.168.1.66", true)
        .await
        .expect("added");
    let alias = PveAlias {
        cidr: "192.168.1.20".to_owned(),
        comment: None,
    };
    client
        .create_alias(&FirewallScope::Cluster, "intranet", &alias)
        .await
        .expect("made");
    let guest = FirewallScope::Guest {
        node: "pve".to_owned(),
        vmid: vmid(),
    };
    let wanted = [rule("a", "443"), rule("b", "80"), rule("c", "1194")];
    for rule in wanted.iter().rev() {
        client.insert_rule(&guest, rule).await.expect("inserted");
    }
    let list = client.rules(&guest).await.expect("read");
    assert_eq!(list.rules, wanted);
    let digest = list.digest.expect("given");
    client
        .move_rule(&guest, 0, 2, &digest)
        .await
        .expect("moved");
    let outdated = client
        .delete_rule(&guest, 0, &digest)
        .await
        .expect_err("it moved");
    assert_eq!(outdated.refusal(), Some(Refusal::Stale), "{outdated}");
    let list = client.rules(&guest).await.expect("read");
    assert_eq!(
        list.rules,
        [wanted[1].clone(), wanted[2].clone(), wanted[0].clone()]
    );
    let other = PveRule {
        source: None,
        comment: None,
        enable: false,
        ..rule("b", "8080")
    };
    client
        .update_rule(&guest, 0, &other, &list.digest.expect("given"))
        .await
        .expect("replaced");
    let list = client.rules(&guest).await.expect("read");
    assert_eq!(list.rules[0], other);
    client
        .delete_rule(&guest, 1, &list.digest.expect("given"))
        .await
        .expect("deleted");
    client
        .set_options(
            &guest,
            &options(&[("enable", "1"), ("policy_in", "DROP")]),
            &BTreeSet::new(),
        )
        .await
        .expect("set");

    let seen = client.observe(&request()).await.expect("seen");
    let scope = &seen.firewall.guests[&vmid()];
    assert_eq!(scope.rules.rules, [other, wanted[0].clone()]);
    assert_eq!(
        scope.options,
        options(&[("enable", "1"), ("policy_in", "DROP")])
    );
    let lan = &seen.firewall.cluster.ipsets["lan"];
    assert_eq!(
        lan.members,
        BTreeMap::from([
            ("192.168.1.0/24".to_owned(), false),
            ("192.168.1.66".to_owned(), true)
        ])
    );
    assert_eq!(
        seen.firewall.cluster.aliases["intranet"].cidr,
        "192.168.1.20"
    );
    assert!(seen.complaints.is_empty());
    client
        .delete_ipset(&FirewallScope::Cluster, "lan")
        .await
        .expect("gone, members and all");
    let seen = client.observe(&request()).await.expect("seen");
    assert_eq!(
        seen.complaints.len(),
        1,
        "the rule that names it is skipped: {:?}",
        seen.complaints
    );
}

#[tokio::test]
async fn a_group_is_made_filled_and_removed() {
    let stage = Stage::new();
    let (client, group) = (&stage.client, FirewallScope::Group("infra-web".to_owned()));
    client
        .create_group("infra-web", Some("infra"))
        .await
        .expect("made");
    let plain = PveRule {
        source: None,
        ..rule("a", "443")
    };
    client.insert_rule(&group, &plain).await.expect("inserted");
    let seen = client.observe(&request()).await.expect("seen");
    assert_eq!(seen.firewall.groups["infra-web"].rules.rules, [plain]);
    assert!(
        client.delete_group("infra-web").await.is_err(),
        "it is not empty"
    );
    let digest = client
        .rules(&group)
        .await
        .expect("read")
        .digest
        .expect("given");
    client
        .delete_rule(&group, 0, &digest)
        .await
        .expect("deleted");
    client.delete_group("infra-web").await.expect("gone");
    assert!(client.rules(&group).await.is_err());
}

#[tokio::test]
async fn a_directory_mapping_is_made_once_and_then_changed() {
    let stage = Stage::new();
    let entry = |path: &str| vec![format!("node=pve,path={path}")];
    stage
        .client
        .put_dir_mapping("tank-media", &entry("/mnt/tank/media"), None)
        .await
        .expect("made");
    stage
        .client
        .put_dir_mapping("tank-media", &entry("/mnt/tank/films"), Some("infra"))
        .await
        .expect("changed");
    let seen = stage.client.observe(&request()).await.expect("seen");
    assert_eq!(
        seen.dir_mappings,
        BTreeMap::from([("tank-media".to_owned(), entry("/mnt/tank/films"))])
    );
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_shows_when_one_looks() {
    let stage = Stage::new().with_guest().await;
    stage.world.faults().add(Fault {
        method: Some("POST".to_owned()),
        path: "/nodes/pve/qemu".to_owned(),
        count: 1,
        effect: Effect::DropAfter,
    });
    let other = Vmid::new(112).expect("valid");
    let create = stage
        .client
        .create_vm("pve", other, &options(&[("name", "second")]))
        .await;
    let error = create.expect_err("the answer is lost");
    assert_eq!(error.delivery(), Delivery::MaybeApplied, "{error}");
    let seen = stage.client.guest(other).await.expect("seen");
    assert!(seen.is_some(), "it was carried out");
}

#[tokio::test]
async fn a_question_survives_a_restart_of_the_daemon() {
    let stage = Stage::new();
    for effect in [
        Effect::DropBefore,
        Effect::Status {
            code: 595,
            text: "Connection refused".to_owned(),
        },
    ] {
        stage.world.faults().add(Fault {
            method: None,
            path: "/cluster/resources".to_owned(),
            count: 1,
            effect,
        });
    }
    assert_eq!(
        stage.client.guest(vmid()).await.expect("the third time"),
        None
    );
}
