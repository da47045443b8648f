//! Loads the compiled Proxmox firewall into the node's namespace.

use super::{error::NamespaceError, exec, files, names::Names};
use crate::lab::pve_firewall::{LOAD, Restore};
use std::path::Path;

/// Loads rules and sets, all of a family at once. `folder` keeps the text, to look at.
///
/// # Errors
/// When `ipset` or `iptables-restore` refuses the text.
pub(super) fn load(names: &Names, folder: &Path, restore: &Restore) -> Result<(), NamespaceError> {
    for (name, text) in [
        ("ipsets", &restore.ipsets),
        ("v4", &restore.v4),
        ("v6", &restore.v6),
    ] {
        files::write(&folder.join(name), text.as_bytes(), 0o600)?;
    }
    let (node, folder) = (names.node(), folder.display().to_string());
    let argv = [
        "ip",
        "netns",
        "exec",
        &node,
        "sh",
        "-c",
        LOAD,
        "infra-lab-firewall",
        &folder,
    ];
    exec::run(&argv).map(drop)
}
