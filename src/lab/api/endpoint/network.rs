//! The interfaces of a node: shown, staged, applied.

use crate::lab::api::{
    call::{Answer, Call, Outcome, Refusal},
    job::{Job, Work},
    model::{
        cluster::{Model, Node},
        network::Interface,
    },
};
use serde_json::{Value, json};

fn node<'m>(model: &'m Model, call: &Call) -> Result<&'m Node, Refusal> {
    let name = call.node();
    Ok(model
        .nodes
        .get(name)
        .ok_or_else(|| format!("no such cluster node '{name}'"))?)
}

fn node_mut<'m>(model: &'m mut Model, call: &Call) -> Result<&'m mut Node, Refusal> {
    let name = call.node();
    Ok(model
        .nodes
        .get_mut(name)
        .ok_or_else(|| format!("no such cluster node '{name}'"))?)
}

pub(crate) fn list(model: &Model, call: &Call) -> Answer {
    let network = &node(model, call)?.network;
    let wanted = call.get("type");
    let fits = |interface: &Interface| {
        wanted.is_none_or(|wanted| match wanted {
            "any_bridge" | "any_local_bridge" | "include_sdn" => interface.kind == "bridge",
            kind => interface.kind == kind,
        })
    };
    let all = network
        .shown()
        .iter()
        .filter(|(_, interface)| fits(interface))
        .map(|(name, interface)| {
            let mut fields = interface.fields();
            fields.insert("iface".to_owned(), json!(name));
            Value::Object(fields)
        });
    let mut outcome = Outcome {
        data: all.collect(),
        ..Outcome::default()
    };
    if let Some(changes) = network.changes() {
        outcome.beside.insert("changes".to_owned(), json!(changes));
    }
    Ok(outcome)
}

pub(crate) fn one(model: &Model, call: &Call) -> Answer {
    let name = call.text("iface");
    let network = &node(model, call)?.network;
    let interface = network.shown().get(name);
    let interface =
        interface.ok_or_else(|| Refusal::parameter("iface", "interface does not exist"))?;
    Outcome::data(Value::Object(interface.fields()))
}

fn merge(interface: &mut Interface, call: &Call) {
    call.text("type").clone_into(&mut interface.kind);
    let masked = call.get("address").zip(call.get("netmask"));
    let cidr = call.get("cidr").map(str::to_owned);
    interface.cidr = cidr.or_else(|| masked.map(|(address, mask)| format!("{address}/{mask}")));
    interface.gateway = call.get("gateway").map(str::to_owned);
    call.text("bridge_ports").clone_into(&mut interface.ports);
    interface.autostart = call.is_on("autostart");
    interface.vlan_aware = call.is_on("bridge_vlan_aware");
    interface.vids = call.get("bridge_vids").map(str::to_owned);
    interface.mtu = call.number("mtu");
    interface.cidr6 = call.get("cidr6").map(str::to_owned);
    interface.comments = call.get("comments").map(str::to_owned);
}

pub(crate) fn create(model: &mut Model, call: &Call) -> Answer {
    let name = call.text("iface").to_owned();
    let network = &mut node_mut(model, call)?.network;
    if network.shown().contains_key(&name) {
        return Err(Refusal::parameter("iface", "interface already exists"));
    }
    let priority = network
        .shown()
        .values()
        .map(|interface| interface.priority + 1)
        .max()
        .unwrap_or(3);
    let mut interface = Interface {
        priority,
        ..Interface::default()
    };
    merge(&mut interface, call);
    network.stage().insert(name, interface);
    Outcome::nothing()
}

pub(crate) fn update(model: &mut Model, call: &Call) -> Answer {
    let name = call.text("iface");
    let staged = node_mut(model, call)?.network.stage();
    let interface = staged
        .get_mut(name)
        .ok_or_else(|| Refusal::parameter("iface", "interface does not exist"))?;
    merge(interface, call);
    Outcome::nothing()
}

pub(crate) fn delete(model: &mut Model, call: &Call) -> Answer {
    let name = call.text("iface");
    let gone = node_mut(model, call)?.network.stage().remove(name);
    gone.ok_or_else(|| Refusal::parameter("iface", "interface does not exist"))?;
    Outcome::nothing()
}

pub(crate) fn revert(model: &mut Model, call: &Call) -> Answer {
    node_mut(model, call)?.network.staged = None;
    Outcome::nothing()
}

pub(crate) fn apply(model: &Model, call: &Call) -> Answer {
    node(model, call)?;
    let job = Job {
        kind: "srvreload",
        id: "networking".to_owned(),
        node: call.node().to_owned(),
        work: Work::ApplyNetwork,
    };
    Outcome::job(job)
}
