//! Every kind of write of `up`, interrupted in every way: the next run makes it good, nothing twice and nothing lost.

use crate::farm::Farm;
use infra::{
    lab::api::{Effect, Fault},
    plan::Obstacle,
    providers::proxmox::{ProxmoxRead as _, ProxmoxRequest},
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
    "lock timeout",
    "task failure",
    "expired ticket",
];

const LOCK: &str = "can't lock file '/var/lock/qemu-server/lock-1001.conf' - got timeout";

/// Endpoints whose answer is a task.
fn is_task(write: &str) -> bool {
    !(write.contains("/firewall/") || write.contains("/mapping/"))
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
        ("lock timeout", true) => fail(LOCK),
        ("lock timeout", false) => status(
            500,
            "cfs-lock 'file-firewall_cluster_fw' error: got lock request timeout",
        ),
        ("task failure", true) => fail("unexpected end of file"),
        // A write that starts no task has none that could fail.
        ("task failure", false) => return None,
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

/// What there is: guests with their power, and every volume.
async fn stock(farm: &Farm) -> Vec<String> {
    let content = |storage: &str, kinds: &[&str]| {
        let kinds = kinds.iter().map(|kind| (*kind).to_owned()).collect();
        let node = farm.desired.nodes.keys().next().expect("has one").clone();
        ((node, storage.parse().expect("valid")), kinds)
    };
    let request = ProxmoxRequest {
        nodes: farm.desired.nodes.keys().cloned().collect(),
        content: BTreeMap::from([
            content("local", &["iso", "import"]),
            content("local-zfs", &["images"]),
        ]),
        guests: farm
            .desired
            .guests
            .values()
            .map(|guest| (guest.vmid, guest.node.clone()))
            .collect(),
        firewall: false,
        ..ProxmoxRequest::default()
    };
    let seen = farm.client().observe(&request).await.expect("seen");
    let guests = seen.guests.iter().map(|(vmid, guest)| {
        let memory = guest
            .config
            .as_ref()
            .and_then(|config| config.get("memory"));
        format!("{vmid} {} {} {memory:?}", guest.name, guest.status)
    });
    let volumes = seen
        .nodes
        .values()
        .flat_map(|node| node.storages.values())
        .flat_map(|storage| storage.volumes.keys().cloned());
    guests.chain(volumes).collect()
}

/// The two wishes in turn; a fault may meet the writes of either.
async fn live(farm: &mut Farm, what: &str, fault: Option<(usize, Fault)>) {
    for wish in 0..2 {
        if wish == 1 {
            farm.wish_otherwise();
        }
        if let Some((at, fault)) = &fault
            && *at == wish
        {
            farm.lab.faults().add(fault.clone());
        }
        converge(farm, what).await;
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

#[tokio::test(flavor = "multi_thread")]
async fn every_interrupted_write_is_made_good_by_the_next_run() {
    let mut clean = Farm::new(1, 2);
    converge(&clean, "without a fault").await;
    let first = writes(&clean);
    clean.wish_otherwise();
    converge(&clean, "without a fault").await;
    let all = writes(&clean);
    let wanted = stock(&clean).await;
    let cells: Vec<(&String, &str)> = all
        .iter()
        .flat_map(|write| FAULTS.iter().map(move |fault| (write, *fault)))
        .filter(|(write, fault)| effect(fault, write).is_some())
        .collect();
    // One in seven is no multiple of the faults, so the sample goes through all of them.
    let step = if std::env::var_os("INFRA_FAULTS").is_some_and(|value| value == "all") {
        1
    } else {
        7
    };
    let mut told = 0;
    for (write, fault) in cells.iter().step_by(step) {
        let what = format!("{write}, {fault}");
        let mut farm = Farm::new(1, 2);
        let wish = usize::from(!first.contains(*write));
        let fault = Fault {
            effect: effect(fault, write).expect("filtered above"),
            ..pattern(write)
        };
        live(&mut farm, &what, Some((wish, fault))).await;
        assert_eq!(stock(&farm).await, wanted, "{what}");
        told += 1;
    }
    writeln!(
        std::io::stderr(),
        "fault matrix: {told} of {} cells ({} kinds of write x {} faults) converge",
        cells.len(),
        all.len(),
        FAULTS.len()
    )
    .expect("stderr");
    assert!(all.len() >= 14, "{all:#?}");
}
