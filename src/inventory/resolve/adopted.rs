//! Guests that were there before infra.

use super::{Noun, Scope, names::entries, option};
use crate::inventory::{codes, document::Document};
use crate::model::{
    adopted::{Adopted, is_dns_name},
    ids::{HostName, Vmid},
};
use std::collections::BTreeMap;

/// All of them, by their names in Proxmox.
pub(super) fn adopted(document: &Document, scope: &mut Scope<'_>) -> BTreeMap<String, Adopted> {
    let mut out = BTreeMap::new();
    for (key, raw) in entries(&document.adopted) {
        let (Some(name), Some(raw)) = (&key.value, &raw.value) else {
            continue;
        };
        // Proxmox's format `dns-name`.
        if !is_dns_name(name) {
            scope
                .error(
                    codes::INVALID_NAME,
                    format!("`{name}` cannot be the name of a guest in Proxmox"),
                )
                .at(key.span, "letters, digits, dashes and dots");
        }
        let node: Option<HostName> = match &raw.node {
            Some(at) => scope.refer(Noun::Node, at),
            None => scope.only(Noun::Node, key.span, "node"),
        };
        let vmid = match raw.vmid.value.map(Vmid::new) {
            Some(Ok(vmid)) => {
                scope.unique(
                    codes::DUPLICATE_VMID,
                    &format!("VMID {vmid}"),
                    name,
                    raw.vmid.span,
                    "a guest is either made by infra (`guests:`) or was there before (`adopted:`)",
                );
                Some(vmid)
            }
            Some(Err(error)) => {
                scope
                    .error(codes::INVALID_VMID, error.to_string())
                    .at(raw.vmid.span, "out of range");
                None
            }
            None => None,
        };
        let config = option::native(&raw.config, scope);
        if let (Some(vmid), Some(node)) = (vmid, node) {
            out.insert(
                name.clone(),
                Adopted {
                    name: name.clone(),
                    vmid,
                    node,
                    config,
                },
            );
        }
    }
    out
}
