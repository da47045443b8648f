//! Exchanges with a running PVE 9.2.11, through the parser of answers and the types of the endpoints we use.

use super::schema::row_of;
use crate::providers::proxmox::{
    ProxmoxError, Upid, answer,
    endpoint::Endpoint,
    wire::{access, cluster, firewall, guest, node, task},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use std::{collections::BTreeMap, path::Path, sync::LazyLock};

#[derive(Debug, Deserialize)]
pub(super) struct Recorded {
    pub(super) method: String,
    pub(super) path: String,
    #[serde(default)]
    pub(super) query: BTreeMap<String, String>,
    status: u16,
    reason: String,
    #[serde(default)]
    body: Option<Value>,
    #[serde(default)]
    body_text: Option<String>,
}

impl Recorded {
    pub(super) fn body(&self) -> Vec<u8> {
        match (&self.body, &self.body_text) {
            (Some(json), _) => json.to_string().into_bytes(),
            (None, text) => text.clone().unwrap_or_default().into_bytes(),
        }
    }

    pub(super) fn status(&self) -> u16 {
        self.status
    }

    fn answer(&self) -> Result<Value, ProxmoxError> {
        let request = format!("{} {}", self.method, self.path);
        let body = self.body();
        answer::data(
            &request,
            &answer::Answer {
                status: self.status,
                reason: &self.reason,
                body: &body,
            },
        )
    }
}

fn parse(text: &str) -> Vec<Recorded> {
    text.lines()
        .map(|line| serde_json::from_str(line).expect("an exchange"))
        .collect()
}

/// The exchanges of the endpoints that infra uses; a part of the whole, so that the tests need nothing else.
pub(super) static RECORDINGS: LazyLock<Vec<Recorded>> =
    LazyLock::new(|| parse(include_str!("../../../../tests/proxmox/recordings.jsonl")));

/// One word for what an answer means.
fn class(answer: &Result<Value, ProxmoxError>) -> String {
    let Err(error) = answer else {
        return "ok".to_owned();
    };
    if let ProxmoxError::Parameters { kind, .. } = error {
        format!("parameters {kind:?}")
    } else if let ProxmoxError::Refused { kind, .. } = error {
        format!("refused {kind:?}")
    } else if let ProxmoxError::Forbidden { privilege, .. } = error {
        let named = if privilege.is_some() {
            "privilege named"
        } else {
            "root only"
        };
        format!("forbidden, {named}")
    } else if matches!(error, ProxmoxError::Unauthorized { .. }) {
        "unauthorized".to_owned()
    } else {
        panic!("no exchange was recorded that means {error:?}")
    }
}

fn count(recordings: &[Recorded]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for recorded in recordings {
        *counts.entry(class(&recorded.answer())).or_default() += 1;
    }
    counts
}

fn shown(counts: &BTreeMap<String, usize>) -> Vec<String> {
    counts
        .iter()
        .map(|(class, count)| format!("{class}: {count}"))
        .collect()
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "reads the recordings beside the project"
)]
fn all_recorded_exchanges_are_understood() {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/pve-recordings-9.2.11.jsonl");
    let Ok(text) = std::fs::read_to_string(&path) else {
        println!("skipped: no recordings at {}", path.display());
        return;
    };
    let recordings = parse(&text);
    assert_eq!(recordings.len(), 450);
    let expected = [
        "forbidden, privilege named: 2",
        "forbidden, root only: 3",
        "ok: 376",
        "parameters Exists: 3",
        "parameters Invalid: 27",
        "parameters NotFound: 2",
        "refused Exists: 4",
        "refused NotFound: 12",
        "refused NotImplemented: 3",
        "refused Plain: 13",
        "refused Stale: 2",
        "unauthorized: 3",
    ];
    assert_eq!(shown(&count(&recordings)), expected);
}

#[test]
fn the_recorded_exchanges_of_our_endpoints_are_understood() {
    let expected = [
        "forbidden, privilege named: 2",
        "forbidden, root only: 1",
        "ok: 240",
        "parameters Exists: 2",
        "parameters Invalid: 17",
        "parameters NotFound: 2",
        "refused Exists: 3",
        "refused NotFound: 8",
        "refused Plain: 5",
        "refused Stale: 1",
        "unauthorized: 3",
    ];
    assert_eq!(shown(&count(&RECORDINGS)), expected);
}

fn list<T: DeserializeOwned>(data: Value) -> Result<(), serde_json::Error> {
    serde_json::from_value::<Vec<T>>(data).map(drop)
}

fn one<T: DeserializeOwned>(data: Value) -> Result<(), serde_json::Error> {
    serde_json::from_value::<T>(data).map(drop)
}

/// Reads data as the client would. None for a row whose answer is not looked at.
fn typed(row: &Endpoint, data: Value) -> Result<(), serde_json::Error> {
    let path = row.path;
    match (row.method.to_string().as_str(), path) {
        ("POST", "/access/ticket") => one::<access::Ticket>(data),
        ("GET", "/version") => one::<access::Version>(data),
        ("GET", "/access/permissions") => one::<access::Permissions>(data),
        ("GET", "/nodes/{node}/status") => one::<node::Status>(data),
        ("GET", "/nodes/{node}/time") => one::<node::Time>(data),
        ("GET", "/nodes/{node}/dns") => one::<node::Dns>(data),
        ("GET", "/cluster/resources") => list::<cluster::Resource>(data),
        ("GET", "/cluster/mapping/dir") => list::<cluster::DirMapping>(data),
        ("GET", "/cluster/mapping/pci") => list::<cluster::PciMapping>(data),
        ("GET", "/cluster/mapping/usb") => list::<cluster::UsbMapping>(data),
        ("GET", "/pools") => list::<cluster::Pool>(data),
        ("GET", "/nodes/{node}/qemu/{vmid}/snapshot") => list::<guest::SnapshotRow>(data),
        ("GET", "/nodes/{node}/qemu/{vmid}/agent/file-read") => one::<guest::FileContent>(data),
        ("POST", "/nodes/{node}/storage/{storage}/content") | ("PUT", "/nodes/{node}/network") => {
            one::<String>(data)
        }
        ("GET", "/cluster/ha/resources" | "/cluster/ha/rules" | "/cluster/replication") => {
            list::<BTreeMap<String, Value>>(data)
        }
        ("POST" | "PUT" | "DELETE", path)
            if path.starts_with("/cluster/ha/")
                || path.starts_with("/cluster/replication")
                || path.starts_with("/nodes/{node}/network") =>
        {
            assert_eq!(data, Value::Null, "{path}");
            Ok(())
        }
        ("POST" | "PUT", "/pools") => {
            assert_eq!(data, Value::Null, "{path}");
            Ok(())
        }
        ("GET", "/nodes/{node}/storage") => list::<node::Storage>(data),
        ("GET", "/nodes/{node}/network") => list::<BTreeMap<String, Value>>(data),
        ("GET", "/nodes/{node}/storage/{storage}/content") => list::<node::Volume>(data),
        ("GET", "/nodes/{node}/tasks/{upid}/status") => one::<task::Status>(data),
        ("GET", "/nodes/{node}/tasks/{upid}/log") => list::<task::LogLine>(data),
        ("GET", "/nodes/{node}/qemu") => list::<guest::GuestRow>(data),
        ("GET", "/nodes/{node}/qemu/{vmid}/pending") => list::<guest::Pending>(data),
        ("GET", "/nodes/{node}/qemu/{vmid}/status/current") => one::<guest::Status>(data),
        ("GET", "/cluster/firewall/groups") => list::<firewall::Group>(data),
        ("GET", _) if path.ends_with("/firewall/options") => one::<firewall::Options>(data),
        ("GET", _) if path.ends_with("/firewall/rules") || path.ends_with("/groups/{group}") => {
            list::<firewall::Rule>(data)
        }
        ("GET", _) if path.ends_with("/aliases") => list::<firewall::Alias>(data),
        ("GET", _) if path.ends_with("/ipset") => list::<firewall::Ipset>(data),
        ("GET", _) if path.ends_with("/ipset/{name}") => list::<firewall::Member>(data),
        ("GET", _) => panic!("{path} has no type"),
        ("POST", "/nodes/{node}/qemu/{vmid}/agent/ping") => Ok(()),
        _ if path.contains("/firewall/") || path.contains("/mapping/") => {
            assert_eq!(data, Value::Null, "{path}");
            Ok(())
        }
        _ => one::<Upid>(data),
    }
}

#[test]
fn every_recorded_answer_of_our_endpoints_fits_its_type() {
    let mut fitted: BTreeMap<String, usize> = BTreeMap::new();
    for recorded in RECORDINGS.iter() {
        let row = row_of(&recorded.method, &recorded.path).expect("an endpoint of ours");
        if let Ok(data) = recorded.answer() {
            let name = format!("{} {}", row.method, row.path);
            typed(row, data).unwrap_or_else(|error| panic!("{name}: {error}"));
            *fitted.entry(name).or_default() += 1;
        }
    }
    assert!(
        fitted.len() > 50,
        "{} endpoints were recorded",
        fitted.len()
    );
}
