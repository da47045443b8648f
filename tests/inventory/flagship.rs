//! The built-in media server, as the owner decided it.

use infra::{
    inventory::{BuiltinTemplates, Loaded, load},
    model::{address::Port, desired::Desired, ids::HostName},
};
use std::{collections::BTreeSet, path::Path};

fn flagship() -> Loaded {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("inventory/media-server-home");
    load(
        &folder,
        jiff::civil::date(2026, 11, 20),
        &BuiltinTemplates::new(),
    )
    .expect("readable")
}

fn desired() -> Desired {
    let loaded = flagship();
    let problems: Vec<_> = loaded
        .diagnostics
        .iter()
        .map(|d| (&d.summary, &d.labels))
        .collect();
    loaded.desired.unwrap_or_else(|| panic!("{problems:#?}"))
}

#[test]
fn only_what_the_owner_must_supply_is_left() {
    let codes: BTreeSet<&str> = flagship().diagnostics.iter().map(|d| d.code.0).collect();
    assert_eq!(
        codes,
        BTreeSet::from(["INV091", "INV092"]),
        "placeholders and keys"
    );
}

#[test]
fn addresses_written_once_reach_every_place_that_needs_them() {
    let desired = desired();
    assert_eq!(desired.proxmox.as_ref().expect("one").host, "192.168.1.10");
    let host = |name: &str| HostName::new(name).expect("a name");
    let extranet = &desired.guests[&host("extranet")];
    let nic = &extranet.nics[0];
    assert_eq!(nic.bridge.as_str(), "vmbr1");
    assert_eq!(nic.addresses[0].to_string(), "10.10.10.2/24");
    assert_eq!(
        nic.gateways[0].to_string(),
        "10.10.10.1",
        "the router's address in the zone"
    );
    assert_eq!(extranet.nameservers[0].to_string(), "192.168.1.1");
    assert!(extranet.mounts.is_empty(), "the DMZ never sees the data");
    let intranet = &desired.guests[&host("intranet")];
    let mounts: Vec<_> = intranet
        .mounts
        .iter()
        .map(|m| (m.dataset.as_str(), m.at.as_str()))
        .collect();
    assert_eq!(
        mounts,
        [
            ("tank/media", "/mnt/tank/media"),
            ("tank/photos", "/mnt/tank/photos"),
            ("tank/appdata", "/mnt/tank/appdata"),
            ("tank/backups", "/mnt/tank/backups"),
        ]
    );
    let node = &desired.nodes[&host("pve")];
    let bridges: Vec<_> = node
        .bridges
        .iter()
        .map(|(b, nets)| format!("{b} {}", nets[0]))
        .collect();
    assert_eq!(bridges, ["vmbr0 192.168.1.10/24", "vmbr1 10.10.10.1/24"]);
    assert_eq!(
        node.routes
            .iter()
            .map(infra::model::ids::ZoneName::as_str)
            .collect::<Vec<_>>(),
        ["dmz"]
    );
}

#[test]
fn a_published_port_is_a_service_that_flows_name() {
    let desired = desired();
    let flow = desired
        .flows
        .iter()
        .find(|flow| flow.id == "extranet-intranet-jellyfin")
        .expect("the proxy's flow");
    let ports: Vec<String> = flow
        .allow
        .iter()
        .map(|allowed| allowed.port.to_string())
        .collect();
    assert_eq!(ports, ["8096/tcp", "2283/tcp", "3001/tcp", "3000/tcp"]);
    let from_internet: Vec<Port> = desired
        .flows
        .iter()
        .filter(|flow| flow.from.iter().any(|from| from.to_string() == "internet"))
        .flat_map(|flow| flow.allow.iter().map(|allowed| allowed.port))
        .collect();
    assert_eq!(
        from_internet,
        ["1194/udp".parse().expect("a port")],
        "nothing else is public"
    );
}
