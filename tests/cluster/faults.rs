//! Every kind of write of `up`, interrupted in every way: the next run makes it good, nothing twice and nothing lost.

use crate::{
    availability::{AVAILABLE, RULES, wish as guests_wish, with_rights},
    farm::{Farm, inventory},
};
use futures_util::{
    FutureExt as _,
    future::BoxFuture,
    stream::{self, StreamExt as _},
};
use infra::{
    lab::api::{Effect, Fault, StorageConfig, WorldConfig},
    model::{cluster::EntryKind, firewall::PveAlias, ids::Vmid},
    plan::{Obstacle, removal},
    providers::proxmox::{
        self, Client, ClusterRead as _, FirewallScope, ProxmoxRead as _, ProxmoxRequest,
        ProxmoxWrite as _,
    },
};
use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write as _,
    panic::AssertUnwindSafe,
    time::Instant,
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
        "/cluster/sdn/rollback",
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

/// Writes that `up` never sends, and who does.
const NOT_OF_UP: &[(&str, &str)] = &[
    (
        "POST /cluster/firewall/rules",
        "nobody: an inventory wants no rules of the datacenter, and `up` only removes its own",
    ),
    ("PUT /cluster/firewall/rules/{pos}", "nobody, likewise"),
    (
        "PUT /cluster/firewall/groups/{group}/{pos}",
        "nobody: a changed group is made anew beside the old one",
    ),
    (
        "POST /nodes/{node}/qemu/{vmid}/firewall/aliases",
        "nobody: an inventory wants no aliases of a guest, and `up` only removes its own",
    ),
    (
        "PUT /nodes/{node}/qemu/{vmid}/firewall/aliases/{name}",
        "nobody, likewise",
    ),
    (
        "DELETE /nodes/{node}/network",
        "takes back what could not all be staged: it comes up inside the cells of staging",
    ),
    (
        "POST /cluster/sdn/rollback",
        "likewise for the software-defined network",
    ),
    (
        "DELETE /cluster/sdn/zones/{zone}",
        "nobody: zones are made and changed, never removed",
    ),
    (
        "DELETE /cluster/sdn/vnets/{vnet}",
        "nobody: vnets are made and changed, never removed",
    ),
    (
        "POST /access/ticket",
        "logs in; `expired ticket` is about it",
    ),
    (
        "POST /nodes/{node}/qemu/{vmid}/agent/ping",
        "asks whether somebody listens",
    ),
    (
        "POST /nodes/{node}/qemu/{vmid}/status/reboot",
        "`infra vm reboot`; `up` shuts down and starts",
    ),
    (
        "POST /nodes/{node}/qemu/{vmid}/snapshot",
        "`infra vm snapshot` and `up --snapshot`",
    ),
    (
        "DELETE /nodes/{node}/qemu/{vmid}/snapshot/{snapname}",
        "`infra vm snapshot --delete`",
    ),
    (
        "POST /nodes/{node}/qemu/{vmid}/snapshot/{snapname}/rollback",
        "`infra vm rollback`",
    ),
];

/// Writes of `infra destroy`, whose matrix is the other test.
const OF_DESTROY: &[&str] = &[
    "DELETE /nodes/{node}/qemu/{vmid}",
    "POST /nodes/{node}/qemu/{vmid}/status/stop",
];

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

/// What somebody does by hand.
type ByHand = fn(Client) -> BoxFuture<'static, ()>;

/// What the owner wants next, after what somebody did by hand.
struct Wish {
    text: String,
    by_hand: Option<ByHand>,
}

impl From<String> for Wish {
    fn from(text: String) -> Self {
        let by_hand = None;
        Self { text, by_hand }
    }
}

/// A cluster and the wishes that it lives through, one after the other.
struct Scenario {
    name: &'static str,
    prepare: fn(&mut WorldConfig),
    wishes: Vec<Wish>,
    /// Tried with every kind of write, though other scenarios have them: here they come in another order.
    again: bool,
}

impl Scenario {
    fn of(name: &'static str, prepare: fn(&mut WorldConfig), wishes: Vec<String>) -> Self {
        let wishes = wishes.into_iter().map(Wish::from).collect();
        Self {
            name,
            prepare,
            wishes,
            again: false,
        }
    }
}

fn guest_1001() -> Vmid {
    1001_u32.try_into().expect("valid")
}

/// Loosens and disorders every level of the firewall.
fn spoil_the_firewall(client: Client) -> BoxFuture<'static, ()> {
    async move {
        let guest = FirewallScope::Guest {
            node: "pve1".to_owned(),
            vmid: guest_1001(),
        };
        let node = FirewallScope::Node("pve1".to_owned());
        for at in [&guest, &node] {
            let list = client.rules(at).await.expect("read");
            let mut rule = list.rules.first().expect("has rules").clone();
            let digest = list.digest.expect("has one");
            rule.enable = false;
            client
                .update_rule(at, 0, &rule, &digest)
                .await
                .expect("disabled");
            let off = BTreeMap::from([("enable".to_owned(), "0".to_owned())]);
            client
                .set_options(at, &off, &BTreeSet::new())
                .await
                .expect("set");
        }
        // What an older infra left behind.
        let old = PveAlias {
            cidr: "10.88.0.0/16".to_owned(),
            comment: Some("infra: of before".to_owned()),
        };
        for at in [&FirewallScope::Cluster, &guest] {
            client
                .create_alias(at, "infra-old", &old)
                .await
                .expect("made");
        }
        let words = Some("infra: of before");
        client
            .create_ipset(&guest, "infra-old", words)
            .await
            .expect("made");
        let list = client.rules(&node).await.expect("read");
        let ours = list.rules.last().expect("has rules").clone();
        let cluster = FirewallScope::Cluster;
        client.insert_rule(&cluster, &ours).await.expect("written");
        // A rule of a stranger's in a guest's list, and one of ours in a list of a node that it does not belong to.
        let list = client.rules(&node).await.expect("read");
        let mut hole = list.rules.last().expect("has rules").clone();
        client.insert_rule(&node, &hole).await.expect("written");
        hole.comment = Some("somebody's".to_owned());
        client.insert_rule(&guest, &hole).await.expect("written");
        client
            .set_options(
                &FirewallScope::Cluster,
                &BTreeMap::from([("policy_in".to_owned(), "ACCEPT".to_owned())]),
                &BTreeSet::new(),
            )
            .await
            .expect("set");
        let alias = PveAlias {
            cidr: "10.0.0.0/8".to_owned(),
            comment: None,
        };
        client
            .update_alias(&FirewallScope::Cluster, "local_network", &alias)
            .await
            .expect("set");
        client
            .add_member(&guest, "ipfilter-net0", "10.77.0.1", false)
            .await
            .expect("added");
    }
    .boxed()
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
    let with_set = plain
        .replace("sets: {", "sets: {friends: [10.0.77.1, 10.0.77.2], ")
        .replace(
            "guests:\n",
            "  - {from: friends, to: g2, allow: web, reason: pages}\nguests:\n",
        );
    let smaller_set = with_set.replace("[10.0.77.1, 10.0.77.2]", "[10.0.77.1, 10.0.77.3]");
    let mounted = |at: &str| {
        inventory(1, 1).replace(
            "address: 10.0.1.2}]}",
            "address: 10.0.1.2}], mounts: [{dataset: tank/media, at: /srv/media}]}",
        ) + &format!(
            "zfs: {{tank: {{host: pve1, datasets: {{media: {{profile: media, mountpoint: {at}, snapshots: none, \
                 waivers: {{snapshots: a test, backup: a test}}}}}}}}}}\n"
        )
    };
    let moved = inventory(2, 2).replacen("node: pve1", "node: pve2", 1);
    vec![
        Scenario::of("guests", |_| {}, vec![plain.clone(), other]),
        Scenario {
            wishes: vec![
                plain.clone().into(),
                with_set.into(),
                smaller_set.into(),
                Wish {
                    text: plain.clone(),
                    by_hand: Some(spoil_the_firewall),
                },
            ],
            ..Scenario::of("firewall", |_| {}, Vec::new())
        },
        Scenario::of(
            "availability",
            with_rights,
            vec![
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
        ),
        Scenario {
            again: true,
            ..Scenario::of(
                "moves",
                with_fast_storage,
                vec![
                    inventory(2, 2),
                    moved.clone(),
                    moved.replacen("storage: local-zfs", "storage: fast", 1),
                ],
            )
        },
        Scenario {
            again: true,
            ..Scenario::of(
                "disks",
                with_fast_storage,
                vec![
                    with_disks("disks: {photos: {storage: local-zfs, size: 1GiB}}"),
                    with_disks(
                        "disks: {photos: {storage: local-zfs, size: 2GiB}, scratch: {storage: local-zfs, size: 1GiB, keep: false}}",
                    ),
                    with_disks(
                        "disks: {photos: {storage: local-zfs, size: 2GiB}, scratch: {storage: fast, size: 2GiB, keep: false}}",
                    ),
                ],
            )
        },
        Scenario::of(
            "network",
            |_| {},
            vec![
                bridge("vmbr1: {}"),
                bridge("vmbr1: {vlan_aware: true, vids: \"2-100\"}"),
            ],
        ),
        Scenario::of(
            "sdn",
            crate::sdn::with_rights,
            vec![
                crate::sdn::wish("lab: {vnets: {cams: {alias: Cameras}}}"),
                crate::sdn::wish(
                    "lab: {mtu: 1400, vnets: {cams: {alias: Yard, isolate_ports: true}}}",
                ),
            ],
        ),
        Scenario::of("clones", |_| {}, vec![cloned]),
        Scenario::of("pools", |_| {}, vec![pooled.clone()]),
        Scenario::of("joining a pool", |_| {}, vec![plain, pooled]),
        Scenario::of(
            "mappings",
            |_| {},
            vec![mounted("/mnt/tank/media"), mounted("/mnt/tank/films")],
        ),
    ]
}

impl Scenario {
    fn farm(&self) -> Farm {
        Farm::with(&self.wishes[0].text, self.prepare)
    }

    /// What comes before a wish is carried out.
    async fn ask(&self, farm: &mut Farm, at: usize) {
        let wish = &self.wishes[at];
        if let Some(by_hand) = wish.by_hand {
            by_hand(farm.client()).await;
        }
        if at > 0 {
            farm.wish(&wish.text);
        }
    }

    /// The wishes in turn; a fault may meet the writes of one.
    async fn live(&self, farm: &mut Farm, what: &str, fault: Option<(usize, Fault)>) {
        for at in 0..self.wishes.len() {
            self.ask(farm, at).await;
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

    /// The kinds of writes, each with the wish that takes it, and what is there at the end.
    async fn clean(&self) -> (BTreeMap<String, usize>, Vec<String>) {
        let mut farm = self.farm();
        let mut takes = BTreeMap::new();
        for at in 0..self.wishes.len() {
            self.ask(&mut farm, at).await;
            let before = farm.lab.requests_by_endpoint();
            converge(&farm, self.name).await;
            for (write, count) in farm.lab.requests_by_endpoint() {
                let is_new = before.get(&write).is_none_or(|before| *before < count);
                if is_new && !write.starts_with("GET ") {
                    // Of a wish and the one after it, the later one meets guests that run.
                    takes.insert(write, at);
                }
            }
        }
        (takes, stock(&farm).await)
    }

    /// One cell: what happened instead, where it does not end well.
    async fn cell(&self, cell: &Cell<'_>, wanted: &[String]) -> Option<String> {
        let what = format!("{}: {}, {}", self.name, cell.write, cell.fault);
        let fault = Fault {
            effect: effect(cell.fault, cell.write).expect("cells that are possible"),
            ..pattern(cell.write)
        };
        let tried = async {
            let mut farm = self.farm();
            self.live(&mut farm, &what, Some((cell.at, fault))).await;
            assert_eq!(stock(&farm).await, wanted, "{what}");
        };
        let ended = AssertUnwindSafe(tried).catch_unwind().await;
        ended.is_err().then_some(what)
    }
}

/// A kind of write that a wish takes, and what goes wrong with it.
struct Cell<'a> {
    write: &'a String,
    at: usize,
    fault: &'a str,
}

/// Cells at once: most of one is waiting for the lab's clock.
const AT_ONCE: usize = 6;

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

/// Whether all cells are tried, or a sample: `INFRA_FAULTS=all`, or the name of one scenario.
fn all() -> bool {
    std::env::var_os("INFRA_FAULTS").is_some()
}

/// The one scenario that is asked for.
fn only() -> Option<String> {
    let asked = std::env::var_os("INFRA_FAULTS")?.into_string().ok();
    asked.filter(|asked| asked != "all")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_interrupted_write_is_made_good_by_the_next_run() {
    let begun = Instant::now();
    let (mut told, mut possible) = (0, 0);
    let mut kinds: BTreeSet<String> = BTreeSet::new();
    let mut failed = Vec::new();
    // One of some: a number that is no multiple of the faults, so that the sample goes through all of them.
    let step = if all() { 1 } else { 31 };
    let only = only();
    let asked = |scenario: &Scenario| only.as_ref().is_none_or(|only| only == scenario.name);
    for scenario in scenarios().into_iter().filter(asked) {
        let (takes, wanted) = scenario.clean().await;
        // A kind of write that another scenario has tried already says nothing new, unless it is in other company.
        let mut cells: Vec<Cell<'_>> = Vec::new();
        let fresh = |write: &String| scenario.again || !kinds.contains(write);
        for (write, at) in takes.iter().filter(|(write, _)| fresh(write)) {
            let faults = FAULTS.iter().filter(|fault| effect(fault, write).is_some());
            cells.extend(faults.map(|fault| Cell {
                write,
                at: *at,
                fault,
            }));
        }
        let before = told;
        let tried = cells.iter().skip(possible % step).step_by(step);
        let ends: Vec<Option<String>> = stream::iter(tried)
            .map(|cell| scenario.cell(cell, &wanted))
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        told += ends.len();
        possible += cells.len();
        writeln!(
            std::io::stderr(),
            "{}: {} of {} cells",
            scenario.name,
            told - before,
            cells.len()
        )
        .expect("stderr");
        failed.extend(ends.into_iter().flatten());
        kinds.extend(takes.into_keys());
    }
    writeln!(
        std::io::stderr(),
        "fault matrix: {told} of {possible} cells ({} kinds of write x {} faults), {} do not end well, {} s",
        kinds.len(),
        FAULTS.len(),
        failed.len(),
        begun.elapsed().as_secs()
    )
    .expect("stderr");
    assert!(failed.is_empty(), "{failed:#?}");
    if only.is_some() {
        return;
    }
    // What the client can write and no scenario makes it write would be a hole in the matrix.
    let known: BTreeSet<String> = proxmox::writes().collect();
    let elsewhere = NOT_OF_UP.iter().map(|(write, _)| write).chain(OF_DESTROY);
    for write in elsewhere.clone() {
        assert!(known.contains(*write), "nothing sends {write}");
    }
    let elsewhere: BTreeSet<&str> = elsewhere.copied().collect();
    let missing: Vec<&String> = known
        .iter()
        .filter(|write| !kinds.contains(*write) && !elsewhere.contains(write.as_str()))
        .collect();
    assert!(missing.is_empty(), "in no scenario: {missing:#?}");
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
    let vmid = guest_1001();
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
