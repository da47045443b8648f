//! Bridges of nodes: made where they are declared, kept, and never over what somebody else staged.

use crate::farm::{Farm, inventory};
use infra::{
    lab::api::{BridgeConfig, Effect, Fault},
    model::network::InterfaceWrite,
    plan::{
        Obstacle, Plan,
        change::{Impact, Operation},
    },
    providers::proxmox::{ClusterRead as _, ClusterWrite as _},
};
use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt as _, process::Command};

/// One guest with a card on a bridge that is not there; `bridges` are those of the node.
pub(crate) fn wish(bridges: &str) -> String {
    inventory(1, 1)
        .replace(
            "import_storage: local}",
            &format!("import_storage: local, bridges: {{{bridges}}}}}"),
        )
        .replace(
            "zones:\n",
            "zones:\n  dmz: {cidrs: 10.9.0.0/24, bridge: vmbr1, gateway: 10.9.0.1}\n",
        )
        .replace("{address: 10.0.0.1,", "{address: [10.0.0.1, 10.9.0.1],")
        .replace(
            "zone: lan, address: 10.0.1.2}",
            "zone: dmz, address: 10.9.0.2}",
        )
}

async fn apply(farm: &Farm) -> Plan {
    let plan = farm.plan(&farm.client()).await;
    assert!(!plan.has(Obstacle::Refused), "{:#?}", plan.blocked);
    let receipt = farm.apply(&plan).await;
    let failed: Vec<_> = receipt.failed().collect();
    assert!(receipt.is_complete(), "{failed:#?}");
    let again = farm.plan(&farm.client()).await;
    assert!(again.is_empty(), "{:#?}", again.changes);
    plan
}

fn network(plan: &Plan) -> Option<(Impact, Vec<String>)> {
    let change = plan
        .changes
        .iter()
        .find(|change| matches!(change.operation, Operation::ApplyNetwork { .. }))?;
    let told = change.fields.iter().map(|field| {
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
        format!(
            "{} {} -> {}",
            field.name,
            text(&field.before),
            text(&field.after)
        )
    });
    Some((change.impact, told.collect()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_declared_bridge_is_made_before_the_guest_that_hangs_on_it() {
    let mut farm = Farm::with(&wish("vmbr1: {}"), |_| {});
    let plan = apply(&farm).await;
    let (impact, told) = network(&plan).expect("a change of the network");
    assert_eq!(impact, Impact::Hot, "nobody is reached through it");
    assert_eq!(
        told,
        [
            "vmbr1 at boot nothing -> 1",
            "vmbr1 address nothing -> 10.9.0.1/24"
        ]
    );
    let live = farm.client().network("pve1").await.expect("read");
    assert_eq!(live.interfaces["vmbr1"]["cidr"], "10.9.0.1/24");
    assert!(live.staged.is_none());
    // Another wish, then what somebody changed by hand.
    farm.wish(&wish("vmbr1: {vlan_aware: true, vids: \"2-100\"}"));
    let plan = apply(&farm).await;
    let (_, told) = network(&plan).expect("a change of the network");
    assert_eq!(
        told,
        [
            "vmbr1 VLAN-aware nothing -> 1",
            "vmbr1 VLANs nothing -> 2-100"
        ]
    );
    let live = farm.client().network("pve1").await.expect("read");
    assert_eq!(
        live.interfaces["vmbr1"]["cidr"], "10.9.0.1/24",
        "what is not changed is kept"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_else_staged_is_neither_applied_nor_dropped() {
    let farm = Farm::with(&wish("vmbr1: {}"), |_| {});
    let client = farm.client();
    let theirs = InterfaceWrite {
        iface: "vmbr7".to_owned(),
        exists: false,
        set: BTreeMap::from([("type".to_owned(), "bridge".to_owned())]),
        delete: vec![],
    };
    client
        .stage_interface("pve1", &theirs)
        .await
        .expect("staged");
    let plan = farm.plan(&client).await;
    assert!(
        plan.blocked
            .iter()
            .any(|blocked| blocked.what == "network of pve1" && blocked.why.contains("vmbr7")),
        "{:#?}",
        plan.blocked
    );
    assert!(network(&plan).is_none());
    let live = client.network("pve1").await.expect("read");
    assert!(live.staged.is_some(), "it waits still");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_ended_between_staging_and_applying_is_taken_up() {
    let farm = Farm::with(&wish("vmbr1: {}"), |_| {});
    let plan = farm.plan(&farm.client()).await;
    let writes = plan.changes.iter().find_map(|change| {
        if let Operation::ApplyNetwork { writes, .. } = &change.operation {
            Some(writes)
        } else {
            None
        }
    });
    for write in writes.expect("a bridge") {
        let staged = farm.client().stage_interface("pve1", write).await;
        staged.expect("staged");
    }
    let live = farm.client().network("pve1").await.expect("read");
    assert!(live.staged.is_some(), "staged and not applied");
    apply(&farm).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_applied_does_not_stay_staged() {
    let mut farm = Farm::with(&wish("vmbr1: {}"), |_| {});
    apply(&farm).await;
    farm.wish(&wish("vmbr1: {vlan_aware: true}"));
    farm.lab.faults().add(Fault {
        method: Some("PUT".to_owned()),
        path: "/nodes/*/network".to_owned(),
        count: 1,
        effect: Effect::DropBefore,
    });
    let plan = farm.plan(&farm.client()).await;
    assert!(!farm.apply(&plan).await.is_complete());
    let live = farm.client().network("pve1").await.expect("read");
    assert_eq!(live.staged, None);
    apply(&farm).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_that_is_not_there_or_taken_is_found_before_anything_is_staged() {
    let asked = [
        ("vmbr1: {ports: eno9}", "has no card `eno9`"),
        ("vmbr1: {ports: vmbr8}", "is a port of vmbr2 already"),
    ];
    for (bridges, why) in asked {
        let farm = Farm::with(&wish(bridges), |config| {
            let node = config.nodes.get_mut("pve1").expect("has one");
            let holds = BridgeConfig {
                ports: vec!["vmbr8".to_owned()],
                ..BridgeConfig::default()
            };
            node.bridges.insert("vmbr2".to_owned(), holds);
            node.bridges
                .insert("vmbr8".to_owned(), BridgeConfig::default());
        });
        let plan = farm.plan(&farm.client()).await;
        assert!(
            plan.blocked.iter().any(|blocked| blocked.why.contains(why)),
            "{bridges}: {:#?}",
            plan.blocked
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bridge_by_which_the_node_is_reached_is_changed_as_one_that_may_cut_access() {
    let farm = Farm::with(
        &wish("vmbr0: {ports: eth0, vlan_aware: true}, vmbr1: {}"),
        |_| {},
    );
    let plan = farm.plan(&farm.client()).await;
    let (impact, told) = network(&plan).unwrap_or_else(|| panic!("{:#?}", plan.blocked));
    assert_eq!(impact, Impact::MayCutAccess);
    assert!(
        told.contains(&"vmbr0 VLAN-aware nothing -> 1".to_owned()),
        "{told:?}"
    );
}

/// The guard's own script, in a folder instead of the machine's root, with a stand-in for `ifreload`.
#[test]
fn the_guard_puts_the_interfaces_back_and_loads_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    let at = |path: &str| root.join(path.trim_start_matches('/'));
    for path in ["/guard/saved", "/net/interfaces.d", "/bin", "/units"] {
        fs::create_dir_all(at(path)).expect("made");
    }
    let rooted = |text: &str| {
        text.replace("/var/lib/infra/guard", &at("/guard").to_string_lossy())
            .replace("/etc/network", &at("/net").to_string_lossy())
            .replace("/etc/systemd/system", &at("/units").to_string_lossy())
            .replace(
                "PATH=/usr/local/sbin:",
                &format!("PATH={}:", at("/bin").display()),
            )
    };
    let stand_in = |name: &str, text: &str| {
        let path = at("/bin").join(name);
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("set");
    };
    let log = at("/log");
    stand_in("ifreload", &format!("echo \"$@\" >>'{}'", log.display()));
    stand_in("systemctl", "true");
    let scripts = concat!(env!("CARGO_MANIFEST_DIR"), "/src/providers/guard/scripts");
    let read = |name: &str| fs::read_to_string(format!("{scripts}/{name}")).expect("readable");
    fs::write(at("/guard/files.sh"), rooted(&read("files.sh"))).expect("written");
    fs::write(at("/guard/restore.sh"), rooted(&read("restore.sh"))).expect("written");
    fs::write(at("/guard/kind"), "network\n").expect("written");
    fs::write(at("/guard/armed"), "token\n").expect("written");
    // What was there is saved below its own path; meanwhile it was changed, and another file has come.
    let interfaces = at("/net/interfaces");
    let saved = at("/guard/saved").join(interfaces.strip_prefix("/").expect("absolute"));
    fs::create_dir_all(saved.parent().expect("has one")).expect("made");
    fs::write(&saved, "iface vmbr0 inet static\n").expect("written");
    fs::write(&interfaces, "iface vmbr0 inet manual\n").expect("written");
    fs::write(at("/net/interfaces.d/new"), "iface eno9 inet manual\n").expect("written");
    fs::write(at("/net/interfaces.new"), "staged\n").expect("written");
    let done = Command::new("sh").arg(at("/guard/restore.sh")).status();
    assert!(done.expect("runs").success());
    let text = fs::read_to_string(&interfaces).expect("readable");
    assert_eq!(text, "iface vmbr0 inet static\n");
    assert!(
        !at("/net/interfaces.d/new").exists(),
        "it was not there before"
    );
    assert!(
        !at("/net/interfaces.new").exists(),
        "nobody applies it later"
    );
    assert_eq!(fs::read_to_string(log).expect("it was loaded"), "-a\n");
    assert!(at("/guard/reverted").exists());
}
