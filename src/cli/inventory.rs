//! `infra inventory --ansible`: what the inventory says, for Ansible's dynamic inventories.
//!
//! The form is Ansible's own for inventory scripts: groups by name, and `_meta.hostvars` with every host's variables.

use super::{context::Context, exit, failure::Failure, live, session, system};
use crate::inventory::{Selector, Subject};
use crate::model::{
    desired::Desired,
    ids::{HostName, StackName},
};
use crate::providers::ssh::{Fleet, FleetOptions, Target, quote_all};
use clap::Args;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Print the inventory for another program
///
/// A two-line script makes every playbook that you have run against this inventory: `#!/bin/sh` and
/// `exec infra -i DIR inventory --ansible "$@"`, made executable and given to `ansible-playbook -i`. Addresses, logins, jump
/// hosts and pinned host keys are infra's; no secret is in it and nothing is asked of any machine.
#[derive(Debug, Clone, Args)]
pub(crate) struct InventoryArgs {
    /// In the form of Ansible's inventory scripts
    #[arg(long, required = true)]
    ansible: bool,
    /// All hosts and groups, which is what is printed anyway: Ansible asks with this
    #[arg(long, conflicts_with = "host")]
    list: bool,
    /// The variables of one host
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
}

/// Runs the verb.
pub(crate) fn run(context: &Context, args: &InventoryArgs) -> Result<u8, Failure> {
    let system::System {
        folder,
        mut desired,
        ..
    } = system::load(context)?;
    // Ansible runs in a folder of its own choosing.
    let folder = std::path::absolute(folder).map_err(|error| super::failure::failed(&error))?;
    let mut options = FleetOptions {
        known_hosts: folder.join("known_hosts"),
        person: session::person(&context.env),
        identity: None,
        addresses: BTreeMap::new(),
    };
    if let Some(lab) = live::lab_of(context)? {
        super::substitute::into(&mut desired, &lab, &mut options)?;
    }
    let selector = selector(context, &desired)?;
    let fleet = Fleet::new(&desired, &options);
    let targets: BTreeMap<&HostName, &Target> = fleet
        .hosts()
        .filter(|(name, _)| selector.selects(Subject::Host(name), &desired))
        .map(|(name, host)| (name, host.target()))
        .collect();
    let answer = match &args.host {
        None => listing(&desired, &targets),
        Some(name) => {
            let of = HostName::new(name)
                .ok()
                .and_then(|name| targets.get(&name).map(|target| (name, *target)));
            let Some((name, target)) = of else {
                return Err(
                    Failure::new(exit::USAGE, format!("there is no host `{name}`"))
                        .hint("See which there are: `infra inventory --ansible`."),
                );
            };
            Value::Object(variables(&desired, &name, target))
        }
    };
    context.terminal.json(&answer);
    Ok(exit::DONE)
}

fn selector(context: &Context, desired: &Desired) -> Result<Selector, Failure> {
    let Some(text) = &context.global.on else {
        return Ok(Selector::default());
    };
    let selector: Selector = text
        .parse()
        .map_err(|error| Failure::of(exit::USAGE, &error))?;
    selector
        .verify(desired)
        .map_err(|error| Failure::of(exit::USAGE, &error))?;
    Ok(selector)
}

/// Groups with their hosts, and every host's variables.
fn listing(desired: &Desired, targets: &BTreeMap<&HostName, &Target>) -> Value {
    let mut groups: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    let mut hostvars = Map::new();
    for (name, target) in targets {
        hostvars.insert(
            name.to_string(),
            Value::Object(variables(desired, name, target)),
        );
        for group in groups_of(desired, name) {
            groups.entry(group).or_default().push(name.as_str());
        }
    }
    let mut out = Map::new();
    out.insert("_meta".to_owned(), json!({ "hostvars": hostvars }));
    let children: Vec<&String> = groups.keys().collect();
    out.insert("all".to_owned(), json!({ "children": children }));
    for (group, hosts) in &groups {
        out.insert(group.clone(), json!({ "hosts": hosts }));
    }
    Value::Object(out)
}

fn groups_of(desired: &Desired, name: &HostName) -> Vec<String> {
    let mut groups = Vec::new();
    let mut join = |kind: &str, name: &str| {
        // Ansible takes letters, digits and underscores.
        groups.push(format!("{kind}{}", name.replace(['-', '.'], "_")));
    };
    if desired.nodes.contains_key(name) {
        join("nodes", "");
    } else if let Some(guest) = desired.guests.get(name) {
        join("guests", "");
        join("node_", guest.node.as_str());
        for tag in &guest.tags {
            join("tag_", tag);
        }
    } else {
        join("external", "");
    }
    for zone in desired.zones_of(name) {
        join("zone_", zone.as_str());
    }
    for stack in stacks_on(desired, name) {
        join("stack_", stack.as_str());
    }
    groups
}

fn stacks_on<'a>(desired: &'a Desired, host: &'a HostName) -> impl Iterator<Item = &'a StackName> {
    let on = desired
        .stacks
        .values()
        .filter(move |stack| stack.on == *host);
    on.map(|stack| &stack.name)
}

fn variables(desired: &Desired, name: &HostName, target: &Target) -> Map<String, Value> {
    let mut out = Map::new();
    let mut set = |key: &str, value: Value| {
        out.insert(key.to_owned(), value);
    };
    set("ansible_host", json!(target.address));
    set("ansible_port", json!(target.port));
    set("ansible_user", json!(target.user));
    set("ansible_become", json!(target.user != "root"));
    set(
        "ansible_ssh_common_args",
        json!(quote_all(target.openssh_options())),
    );
    set("infra_system", json!(desired.system));
    set("infra_addresses", json!(desired.addresses(name)));
    let zones: Vec<_> = desired.zones_of(name).collect();
    set("infra_zones", json!(zones));
    let stacks: Vec<_> = stacks_on(desired, name).collect();
    set("infra_stacks", json!(stacks));
    if let Some(guest) = desired.guests.get(name) {
        set("infra_vmid", json!(guest.vmid));
        set("infra_node", json!(guest.node));
        set("infra_tags", json!(guest.tags));
    }
    out
}
