//! What a template of a stack may refer to.

use crate::model::{
    desired::Desired,
    ids::{HostName, ServiceName},
    stack::{Publish, Stack},
};
use serde_json::{Map, Value, json};
use std::net::IpAddr;

/// Names that are infra's; a variable may not have one of them.
pub(super) const RESERVED: &[&str] = &[
    "system", "stack", "host", "guests", "nodes", "hosts", "zones", "sets", "services", "publish",
    "mounts", "images", "timezone", "secrets",
];

/// The context of one stack, without `secrets`.
pub(super) fn context(desired: &Desired, stack: &Stack) -> Value {
    let mut out = Map::new();
    for (name, value) in &stack.variables {
        out.insert(name.clone(), value.clone());
    }
    let mut put = |name: &str, value: Value| out.insert(name.to_owned(), value);
    put("system", json!(desired.system));
    put("stack", json!(stack.name));
    put("host", host(desired, &stack.on));
    put("guests", hosts(desired, desired.guests.keys()));
    put("nodes", hosts(desired, desired.nodes.keys()));
    put("hosts", hosts(desired, desired.hosts.keys()));
    put(
        "zones",
        desired
            .zones
            .values()
            .map(|zone| (zone.name.to_string(), json!({ "cidrs": zone.cidrs })))
            .collect(),
    );
    put(
        "sets",
        desired
            .sets
            .values()
            .map(|set| (set.name.to_string(), json!({ "cidrs": set.cidrs })))
            .collect(),
    );
    put("services", services(desired));
    put(
        "publish",
        stack
            .publish
            .iter()
            .map(|publish| {
                let port = json!({
                    "port": publish.port.range.first,
                    "proto": publish.port.proto,
                    "address": publish.address,
                    "bind": bind(publish),
                });
                (publish.service.to_string(), port)
            })
            .collect(),
    );
    put("mounts", json!(stack.mounts));
    put("images", json!(stack.images));
    put("timezone", json!(desired.timezone));
    Value::Object(out)
}

/// The host side of a port in compose's words: `8096`, or `127.0.0.1:8096` where the owner named an address.
fn bind(publish: &Publish) -> String {
    let ports = publish.port.range.to_string().replace(':', "-");
    match publish.address {
        None => ports,
        Some(IpAddr::V4(address)) => format!("{address}:{ports}"),
        Some(IpAddr::V6(address)) => format!("[{address}]:{ports}"),
    }
}

fn hosts<'a>(desired: &Desired, names: impl Iterator<Item = &'a HostName>) -> Value {
    names
        .map(|name| (name.to_string(), host(desired, name)))
        .collect()
}

fn host(desired: &Desired, name: &HostName) -> Value {
    let addresses = desired.addresses(name);
    json!({ "name": name, "address": addresses.first(), "addresses": addresses })
}

/// Every service by name: its port, and where it is published when exactly one stack does so.
fn services(desired: &Desired) -> Value {
    let mut out = Map::new();
    for (name, service) in &desired.services {
        if let Some(port) = service.ports.first() {
            let found = json!({ "port": port.range.first, "proto": port.proto });
            out.insert(name.to_string(), found);
        }
    }
    for stack in desired.stacks.values() {
        for publish in &stack.publish {
            let (address, host) = published_at(desired, &publish.service)
                .map_or((Value::Null, Value::Null), |(address, host)| {
                    (json!(address), json!(host))
                });
            let found = json!({
                "port": publish.port.range.first,
                "proto": publish.port.proto,
                "host": host,
                "address": address,
            });
            out.insert(publish.service.to_string(), found);
        }
    }
    Value::Object(out)
}

fn published_at<'d>(desired: &'d Desired, service: &ServiceName) -> Option<(IpAddr, &'d HostName)> {
    let mut publishers = desired.stacks.values().filter(|stack| {
        stack
            .publish
            .iter()
            .any(|publish| &publish.service == service)
    });
    let only = publishers.next()?;
    if publishers.next().is_some() {
        return None;
    }
    let (address, _) = desired.access(&only.on)?;
    Some((address, &only.on))
}
