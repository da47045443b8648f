//! What can be sent in the life of a single guest.

use crate::model::{
    cluster::{Entry, EntryKind, EntryWrite},
    firewall::{PveRule, PveRuleKind},
    ids::Vmid,
    network::InterfaceWrite,
};
use crate::providers::proxmox::{
    Client, CloneOptions, ClusterWrite, GuestRead, GuestWrite, NewVolume,
};

pub(super) fn rule() -> PveRule {
    PveRule {
        kind: PveRuleKind::In,
        action: "ACCEPT".to_owned(),
        enable: true,
        proto: Some("tcp".to_owned()),
        source: Some("+dc/lan".to_owned()),
        dest: None,
        sport: None,
        dport: Some("443,8000:8010".to_owned()),
        icmp_type: None,
        r#macro: None,
        iface: Some("net0".to_owned()),
        log: Some("nolog".to_owned()),
        comment: Some("infra:lan-to-extranet".to_owned()),
    }
}

fn vmid() -> Vmid {
    Vmid::new(110).expect("valid")
}

/// Every kind of entry.
pub(super) const KINDS: [EntryKind; 5] = [
    EntryKind::HaResource,
    EntryKind::HaRule,
    EntryKind::Replication,
    EntryKind::SdnZone,
    EntryKind::SdnVnet,
];

/// Every kind of entry, made, changed and deleted.
async fn change_entries(client: &Client) {
    let pairs = |all: &[(&str, &str)]| -> Entry {
        all.iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    };
    let kinds = [
        (
            EntryKind::HaResource,
            "vm:110",
            pairs(&[("state", "started"), ("comment", "infra home")]),
        ),
        (
            EntryKind::HaRule,
            "near",
            pairs(&[
                ("type", "node-affinity"),
                ("resources", "vm:110"),
                ("nodes", "pve:2,pve2:1"),
                ("strict", "1"),
            ]),
        ),
        (
            EntryKind::Replication,
            "110-0",
            pairs(&[("type", "local"), ("target", "pve2"), ("schedule", "*/15")]),
        ),
        (
            EntryKind::SdnZone,
            "lab",
            pairs(&[("type", "simple"), ("nodes", "pve,pve2"), ("mtu", "1400")]),
        ),
        (
            EntryKind::SdnVnet,
            "cams",
            pairs(&[
                ("zone", "lab"),
                ("alias", "Cameras"),
                ("isolate-ports", "1"),
                ("vlanaware", "1"),
            ]),
        ),
    ];
    for (kind, id, entry) in kinds {
        let set = match kind {
            EntryKind::Replication => pairs(&[("schedule", "*/5")]),
            EntryKind::SdnZone => pairs(&[("mtu", "1500")]),
            EntryKind::HaResource | EntryKind::HaRule | EntryKind::SdnVnet => entry.clone(),
        };
        let change = EntryWrite::Update {
            set,
            delete: vec!["comment".to_owned()],
        };
        for write in [EntryWrite::Create(entry), change, EntryWrite::Delete] {
            client.write_entry(kind, id, &write).await.expect("yes");
        }
    }
}

/// A bridge made, one changed, everything dropped, everything applied.
async fn change_network(client: &Client) {
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let write = |exists: bool| InterfaceWrite {
        iface: "vmbr1".to_owned(),
        exists,
        set: [
            pair("type", "bridge"),
            pair("autostart", "1"),
            pair("bridge_ports", "eno2"),
            pair("bridge_vlan_aware", "1"),
            pair("bridge_vids", "2-4094"),
            pair("cidr", "10.10.10.1/24"),
            pair("cidr6", "fd00::1/64"),
            pair("mtu", "1500"),
        ]
        .into(),
        delete: if exists {
            vec!["gateway".to_owned()]
        } else {
            vec![]
        },
    };
    client
        .stage_interface("pve", &write(false))
        .await
        .expect("yes");
    client
        .stage_interface("pve", &write(true))
        .await
        .expect("yes");
    client.drop_staged("pve").await.expect("yes");
    client.reload_network("pve").await.expect("yes");
    client.drop_staged_sdn().await.expect("yes");
    client.apply_sdn().await.expect("yes");
}

pub(super) async fn change_lives(client: &Client) {
    let volume = NewVolume {
        filename: "vm-999999999-home-photos.qcow2".to_owned(),
        format: Some("qcow2".to_owned()),
        size: 1 << 30,
    };
    let owner = Vmid::new(999_999_999).expect("valid");
    let clone = CloneOptions {
        vmid: vmid(),
        name: "web".to_owned(),
        description: "Managed by infra: home/web".to_owned(),
        target: "pve2".to_owned(),
        full: Some("local-zfs".to_owned()),
    };
    client
        .create_volume("pve", "local", owner, &volume)
        .await
        .expect("yes");
    let file = tempfile::NamedTempFile::new().expect("a file");
    let file = file.path();
    let upload = client.upload_image("pve", "local", "nas.qcow2", file, None);
    upload.await.expect("yes");
    client.clone_vm("pve", vmid(), &clone).await.expect("yes");
    client.make_template("pve", vmid()).await.expect("yes");
    let moved = client.move_disk("pve", vmid(), "scsi0", "local-zfs");
    moved.await.expect("yes");
    let migrated = client.migrate("pve", vmid(), "pve2", true);
    migrated.await.expect("yes");
    change_entries(client).await;
    change_network(client).await;
    let made = client.create_snapshot("pve", vmid(), "before", "words; and more = less");
    made.await.expect("yes");
    let deleted = client.delete_snapshot("pve", vmid(), "before");
    deleted.await.expect("yes");
    let back = client.rollback("pve", vmid(), "before", true);
    back.await.expect("yes");
    client.create_pool("homelab").await.expect("yes");
    client.join_pool("homelab", vmid()).await.expect("yes");
    client.snapshots("pve", vmid()).await.expect("yes");
    client.backups("pve", vmid()).await.expect("yes");
    client.destroy("pve", vmid()).await.expect("yes");
    let file = "/run/cloud-init/result.json";
    let said = client.agent_file("pve", vmid(), file).await.expect("yes");
    assert_eq!(said.as_deref(), Some("done"));
}
