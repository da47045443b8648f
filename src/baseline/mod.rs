//! What every managed host must look like before its stacks: packages, files, units, kernel settings.
//!
//! [`resources`] lists them per host. A node gets the least (routing, where it routes); a guest gets Docker, UFW,
//! fail2ban, unattended upgrades, key-only SSH and its mounts.
//!
//! Invariant: pure. It lists resources in the order in which they must be true; it never asks what is there.

mod engine;
mod guest;
mod mounts;
mod router;
mod webdav;

pub use mounts::unit_name;

use crate::model::{desired::Desired, ids::HostName, resource::Resource};
use std::collections::BTreeMap;

/// The wanted resources of every host, in order.
pub fn resources(desired: &Desired) -> BTreeMap<HostName, Vec<Resource>> {
    let mut out = BTreeMap::new();
    for node in desired.nodes.values() {
        let mut list = router::resources(desired, node);
        list.extend(mounts::server(desired, &node.name));
        out.insert(node.name.clone(), list);
    }
    for host in desired.hosts.keys() {
        let mut list = guest::resources(desired, host);
        list.extend(mounts::of_host(&desired.hosts[host]));
        list.extend(mounts::server(desired, host));
        out.insert(host.clone(), list);
    }
    for (name, guest) in &desired.guests {
        let mut list = guest::resources(desired, name);
        list.splice(0..0, guest::agent());
        list.extend(guest::keys(desired, &guest.ssh.user));
        list.extend(mounts::server(desired, name));
        list.extend(mounts::resources(desired, guest));
        list.extend(mounts::disks(desired, guest));
        out.insert(name.clone(), list);
    }
    for (host, list) in &mut out {
        list.extend(engine::resources(desired, host));
    }
    out
}
