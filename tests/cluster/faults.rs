//! Every kind of write of `up`, interrupted in every way: the next run makes it good, nothing twice and nothing lost.

use crate::{
    availability::{AVAILABLE, RULES, wish as guests_wish, with_rights},
    farm::{Farm, inventory},
};
use infra::{
    lab::api::{Effect, Fault, StorageConfig, WorldConfig},
    model::{cluster::EntryKind, ids::Vmid},
    plan::{Obstacle, removal},
    providers::proxmox::{ClusterRead as _, ProxmoxRead as _, ProxmoxRequest},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write as _,
};

/// What goes wrong, and how the lab is told.
const FAULTS: &[&str] = &[
    "dropped before",
    "dropped after",
    "5xx",
    "5xx after",
    "no upid",
    "lock timeout",
    "task failure",
    "expired ticket",
];

const LOCK: &str = "can't lock file '/var/lock/qemu-server/lock-1001.conf' - got timeout";

/// Endpoints whose answer is a task.
fn is_task(write: &str) -> bool {
    let is_done_at_once = [
        "/firewall/",
        "/mapping/",
        "/cluster/ha/",
        "/cluster/replication",
        "/cluster/sdn/zones",
        "/cluster/sdn/vnets",
        "/network/{iface}",
    ];
    !(is_done_at_once.iter().any(|part| write.contains(part))
        || matches!(
            write,
            "POST /nodes/{node}/network" | "DELETE /nodes/{node}/network"
        )
        || write == "POST /nodes/{node}/storage/{storage}/content"
        || write.ends_with(" /pools"))
}

fn effect(fault: &str, write: &str) -> Option<Effect> {
    let status = |code: u16, text: &str| Effect::Status {
        code,
        text: text.to_owned(),
    };
    let fail = |text: &str| Effect::FailTask {
        text: text.to_owned(),
    };
    Some(match (fault, is_task(write)) {
        ("dropped before", _) => Effect::DropBefore,
        ("dropped after", _) => Effect::DropAfter,
        ("5xx", _) => status(596, "Broken pipe"),
        ("5xx after", _) => Effect::StatusAfter {
            code: 596,
            text: "Connection timed out".to_owned(),
        },
        ("no upid", true) => Effect::StatusAfter {
            code: 500,
            text: "got no worker upid - start worker failed".to_owned(),
        },
        ("lock timeout", true) => fail(LOCK),
        ("lock timeout", false) => status(
            500,
            "cfs-lock 'file-firewall_cluster_fw' error: got lock request timeout",
        ),
        ("task failure", true) => fail("unexpected end of file"),
        // A write that starts no task has none that could fail.
        ("no upid" | "task failure", false) => return None,
        ("expired ticket", _) => Effect::ExpiredTicket,
        (other, _) => panic!("no fault is called {other}"),
    })
}

/// The writes so far, by method and path template.
fn writes(farm: &Farm) -> BTreeSet<String> {
    let all = farm.lab.requests_by_endpoint();
    all.into_keys()
        .filter(|name| !name.starts_with("GET "))
        .collect()
}

/// Runs until nothing differs; more than three runs are no convergence.
async fn converge(farm: &Farm, what: &str) -> usize {
    for run in 0..=3 {
        let plan = farm.plan(&farm.client()).await;
        assert!(!plan.has(Obstacle::Refused), "{what}: {:#?}", plan.blocked);
        if plan.is_empty() {
            return run;
        }
        farm.apply(&plan).await;
    }
    let plan = farm.plan(&farm.client()).await;
    panic!("{what} does not converge: {:#?}", plan.changes);
}

/// What there is: guests with where they live and what they are, every volume, and what the cluster does for guests.
async fn stock(farm: &Farm) -> Vec<String> {
    let storages = ["local", "local-zfs", "fast"];
    let content = farm.desired.nodes.keys().flat_map(|node| {
        storages.iter().map(|storage| {
            let kinds = ["iso", "import", "images"].map(str::to_owned).into();
            ((node.clone(), storage.parse().expect("valid")), kinds)
        })
    });
    let request = ProxmoxRequest {
        nodes: farm.desired.nodes.keys().cloned().collect(),
        content: content.collect(),
        guests: farm
            .desired
            .guests
            .values()
            .map(|guest| (guest.vmid, guest.node.clone()))
            .collect(),
        entries: [
            EntryKind::HaResource,
            EntryKind::HaRule,
            EntryKind::Replication,
        ]
        .into(),
        ..ProxmoxRequest::default()
    };
    let client = farm.client();
    let seen = client.observe(&request).await.expect("seen");
    let mut out = Vec::new();
    for (vmid, guest) in &seen.guests {
        let config = guest.config.clone().unwrap_or_default();
        let disks: Vec<&str> = config
            .iter()
            .filter(|(key, _)| key.starts_with("scsi") || key.starts_with("unused"))
            .map(|(_, value)| value.split(':').next().unwrap_or_default())
            .collect();
        let (name, node, status) = (&guest.name, &guest.node, &guest.status);
        let memory = config.get("memory");
        out.push(format!(
            "{vmid} {name} {node} {status} {memory:?} {disks:?}"
        ));
    }
    for (name, node) in &seen.nodes {
        for (id, storage) in &node.storages {
            // Numbers of disks are dealt out anew by each copy.
            let volumes = storage.volumes.iter().map(|(volume, size)| {
                let volume = volume.trim_end_matches(|c: char| c.is_ascii_digit());
                format!("{name} {id} {volume} {size}")
            });
            out.extend(volumes);
        }
        let network = client.network(name.as_str()).await.expect("read");
        assert_eq!(network.staged, None, "nothing stays staged");
        let bridges = network.interfaces.into_iter();
        out.extend(bridges.map(|(iface, fields)| format!("{name} {iface} {fields:?}")));
    }
    let entries = seen.entries.iter().flat_map(|(kind, entries)| {
        entries
            .iter()
            .map(move |(id, entry)| format!("{kind} {id} {entry:?}"))
    });
    out.extend(entries);
    out.sort();
    out
}

/// A cluster and the wishes that it lives through, one after the other.
struct Scenario {
    name: &'static str,
    prepare: fn(&mut WorldConfig),
    wishes: Vec<String>,
}

fn with_fast_storage(config: &mut WorldConfig) {
    let own: &StorageConfig = &config.storages["local-zfs"];
    let fast = StorageConfig {
        pool: Some("fast/data".to_owned()),
        folder: own.folder.with_file_name("fast"),
        ..own.clone()
    };
    config.storages.insert("fast".to_owned(), fast);
}

fn scenarios() -> Vec<Scenario> {
    let plain = inventory(1, 2);
    let other = plain
        .replacen("memory: 512MiB", "memory: 1GiB", 1)
        .replace("  - {from: lan, to: g1, allow: web, reason: pages}\n", "");
    assert_ne!(plain, other);
    let bridge = |bridges: &str| crate::network::wish(bridges);
    let with_disks = |disks: &str| {
        let disks = format!("nics: [{{zone: lan, address: 10.0.1.2}}], {disks}}}");
        inventory(1, 1).replace("nics: [{zone: lan, address: 10.0.1.2}]}", &disks)
    };
    let template = "\", template: {vmid: 9001, storage: local-zfs, clone: linked}}\nzones";
    let cloned = inventory(1, 2).replace("\"}\nzones", template);
    assert!(cloned.contains("9001"));
    let pooled = inventory(1, 2).replace("memory: 512MiB", "memory: 512MiB, pool: farm");
    vec![
        Scenario {
            name: "guests",
            prepare: |_| {},
            wishes: vec![plain, other],
        },
        Scenario {
            name: "availability",
            prepare: with_rights,
            wishes: vec![
                guests_wish(AVAILABLE, RULES),
                guests_wish(
                    &[
                        (
                            "g1",
                            "node: pve1, ha: {max_restart: 3}, replicate: [{to: pve2, every: \"*/5\", rate: \"20\"}]",
                        ),
                        ("g2", "node: pve2, ha: {}"),
                    ],
                    "ha_rules:\n  near: {guests: g1, on: {pve1: 3, pve2: 1}, strict: true}\n",
                ),
                guests_wish(&[("g1", "node: pve1"), ("g2", "node: pve2")], ""),
            ],
        },
        Scenario {
            name: "moves",
            prepare: with_fast_storage,
            wishes: vec![
                inventory(2, 2),
                inventory(2, 2).replacen("node: pve1", "node: pve2", 1),
                inventory(2, 2)
                    .replacen("node: pve1", "node: pve2", 1)
                    .replacen("storage: local-zfs", "storage: fast", 1),
            ],
        },
        Scenario {
            name: "disks",
            prepare: |_| {},
            wishes: vec![
                with_disks("disks: {photos: {storage: local-zfs, size: 1GiB}}"),
                with_disks("disks: {photos: {storage: local-zfs, size: 2GiB}}"),
            ],
        },
        Scenario {
            name: "network",
            prepare: |_| {},
            wishes: vec![
                bridge("vmbr1: {}"),
                bridge("vmbr1: {vlan_aware: true, vids: \"2-100\"}"),
            ],
        },
        Scenario {
            name: "clones",
            prepare: |_| {},
            wishes: vec![cloned],
        },
        Scenario {
            name: "pools",
            prepare: |_| {},
            wishes: vec![pooled],
        },
    ]
}

impl Scenario {
    fn farm(&self) -> Farm {
        Farm::with(&self.wishes[0], self.prepare)
    }

    /// The wishes in turn; a fault may meet the writes of one.
    async fn live(&self, farm: &mut Farm, what: &str, fault: Option<(usize, Fault)>) {
        for (at, wish) in self.wishes.iter().enumerate() {
            if at > 0 {
                farm.wish(wish);
            }
            if let Some((when, fault)) = &fault
                && *when == at
            {
                farm.lab.faults().add(fault.clone());
            }
            converge(farm, what).await;
        }
        assert!(
            farm.lab.faults().list().is_empty(),
            "{what}: the fault met no request"
        );
    }

    /// The kinds of writes, each with the first wish that takes it, and what is there at the end.
    async fn clean(&self) -> (BTreeMap<String, usize>, Vec<String>) {
        let mut farm = self.farm();
        let mut first = BTreeMap::new();
        for (at, wish) in self.wishes.iter().enumerate() {
            if at > 0 {
                farm.wish(wish);
            }
            converge(&farm, self.name).await;
            for write in writes(&farm) {
                first.entry(write).or_insert(at);
            }
        }
        (first, stock(&farm).await)
    }
}

fn pattern(write: &str) -> Fault {
    let (method, path) = write.split_once(' ').expect("method and path");
    let parts: Vec<&str> = path
        .split('/')
        .map(|part| if part.starts_with('{') { "*" } else { part })
        .collect();
    Fault {
        method: Some(method.to_owned()),
        path: parts.join("/"),
        count: 1,
        effect: Effect::DropBefore,
    }
}

/// Whether all cells are tried, or a sample.
fn all() -> bool {
    std::env::var_os("INFRA_FAULTS").is_some_and(|value| value == "all")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_interrupted_write_is_made_good_by_the_next_run() {
    let (mut told, mut possible) = (0, 0);
    let mut kinds: BTreeSet<String> = BTreeSet::new();
    // The first scenario stands for the others where time is short.
    let count = if all() { usize::MAX } else { 1 };
    for scenario in scenarios().into_iter().take(count) {
        let (first, wanted) = scenario.clean().await;
        // A kind of write that another scenario has tried already says nothing new.
        let mut cells: Vec<(&String, usize, &str)> = Vec::new();
        for (write, at) in first.iter().filter(|(write, _)| !kinds.contains(*write)) {
            let faults = FAULTS.iter().filter(|fault| effect(fault, write).is_some());
            cells.extend(faults.map(|fault| (write, *at, *fault)));
        }
        possible += cells.len();
        // One in seven is no multiple of the faults, so the sample goes through all of them.
        for (write, at, fault) in cells.iter().step_by(if all() { 1 } else { 7 }) {
            let what = format!("{}: {write}, {fault}", scenario.name);
            writeln!(std::io::stderr(), "{what}").expect("stderr");
            let mut farm = scenario.farm();
            let fault = Fault {
                effect: effect(fault, write).expect("filtered above"),
                ..pattern(write)
            };
            scenario.live(&mut farm, &what, Some((*at, fault))).await;
            let is = stock(&farm).await;
            assert_eq!(is, wanted, "{what}");
            told += 1;
        }
        kinds.extend(first.into_keys());
    }
    writeln!(
        std::io::stderr(),
        "fault matrix: {told} of {possible} cells ({} kinds of write x {} faults) converge",
        kinds.len(),
        FAULTS.len()
    )
    .expect("stderr");
    if !all() {
        return;
    }
    for must in [
        "POST /cluster/ha/resources",
        "PUT /cluster/ha/resources/{sid}",
        "DELETE /cluster/ha/resources/{sid}",
        "POST /cluster/ha/rules",
        "PUT /cluster/ha/rules/{rule}",
        "DELETE /cluster/ha/rules/{rule}",
        "POST /cluster/replication",
        "PUT /cluster/replication/{id}",
        "DELETE /cluster/replication/{id}",
        "POST /nodes/{node}/network",
        "PUT /nodes/{node}/network",
        "PUT /nodes/{node}/network/{iface}",
        "POST /nodes/{node}/qemu/{vmid}/migrate",
        "POST /nodes/{node}/qemu/{vmid}/move_disk",
        "POST /nodes/{node}/qemu/{vmid}/clone",
        "POST /nodes/{node}/qemu/{vmid}/template",
        "PUT /nodes/{node}/qemu/{vmid}/resize",
    ] {
        assert!(kinds.contains(must), "{must} is not among {kinds:#?}");
    }
}

/// `infra destroy` of g1: looked at, planned, carried out; again until it is gone.
async fn destroy(farm: &Farm, vmid: Vmid, what: &str) -> usize {
    for run in 0..=3 {
        let client = farm.client();
        let Some(found) = client.guest(vmid).await.expect("answered") else {
            return run;
        };
        let request = ProxmoxRequest {
            nodes: farm.desired.nodes.keys().cloned().collect(),
            ..ProxmoxRequest::default()
        };
        let mut seen = client.observe(&request).await.expect("seen");
        seen.guests.insert(vmid, found.clone());
        let none = BTreeSet::new();
        let removal = removal(&farm.desired.system, vmid, &found, &seen, &none, true);
        farm.apply(&removal.expect("it may go").plan).await;
    }
    panic!("{what}: the guest stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_destruction_ends_with_the_next_one_and_takes_nothing_else() {
    let vmid: Vmid = 1001_u32.try_into().expect("valid");
    let plain = || Farm::new(1, 2);
    let clean = plain();
    converge(&clean, "without a fault").await;
    let before = writes(&clean);
    destroy(&clean, vmid, "without a fault").await;
    let wanted = stock(&clean).await;
    assert!(wanted.iter().any(|line| line.starts_with("1002 g2")));
    let after = writes(&clean);
    let kinds: Vec<&String> = after
        .iter()
        .filter(|write| !before.contains(*write) || write.contains("/status/"))
        .collect();
    let mut told = 0;
    for write in &kinds {
        for fault in FAULTS.iter().step_by(if all() { 1 } else { 2 }) {
            let Some(effect) = effect(fault, write) else {
                continue;
            };
            let farm = plain();
            converge(&farm, "without a fault").await;
            farm.lab.faults().add(Fault {
                effect,
                ..pattern(write)
            });
            let what = format!("destroy: {write}, {fault}");
            destroy(&farm, vmid, &what).await;
            farm.lab.faults().clear();
            assert_eq!(stock(&farm).await, wanted, "{what}");
            told += 1;
        }
    }
    writeln!(
        std::io::stderr(),
        "fault matrix of destroy: {told} cells ({} kinds of write) end well",
        kinds.len()
    )
    .expect("stderr");
    assert!(
        kinds.iter().any(|write| write.starts_with("DELETE ")),
        "{kinds:#?}"
    );
}
