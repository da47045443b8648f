//! What the lab's things are called on the machine: everything carries the lab's id.

use crate::model::ids::Vmid;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// Names derived from the lab's folder, so that labs run side by side and each finds its own leftovers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    id: String,
}

impl Names {
    /// Names for the lab in this folder; the same folder always gives the same names.
    pub fn of(folder: &Path) -> Self {
        let digest = Sha256::digest(folder.as_os_str().as_encoded_bytes());
        let mut id = format!("{digest:x}");
        id.truncate(6);
        Self { id }
    }

    /// The lab's id: six hex digits.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What network namespaces and machine names start with.
    pub fn prefix(&self) -> String {
        format!("infra-{}-", self.id)
    }

    /// The namespace with the bridges, the node's addresses and the API.
    pub fn node(&self) -> String {
        self.prefix() + "node"
    }

    /// The namespace on the LAN where `infra --lab` does its network I/O.
    pub fn operator(&self) -> String {
        self.prefix() + "operator"
    }

    /// The namespace that stands for the LAN's router and the Internet behind it.
    pub fn router(&self) -> String {
        self.prefix() + "router"
    }

    /// A guest's namespace and machine name.
    pub fn guest(&self, vmid: Vmid) -> String {
        format!("{}{vmid}", self.prefix())
    }

    /// An external host's namespace and machine name.
    pub fn host(&self, name: &str) -> String {
        format!("{}host-{name}", self.prefix())
    }

    /// The lab's directory in every cgroup hierarchy.
    pub fn cgroup(&self) -> String {
        format!("infra-lab-{}", self.id)
    }
}

/// Where `ip netns` keeps a namespace.
pub fn netns_path(name: &str) -> PathBuf {
    Path::new("/run/netns").join(name)
}

/// A guest's interfaces in the node's namespace, named as Proxmox names them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wires {
    /// The guest's end of the virtual wire, `tap101i0`.
    pub(super) tap: String,
    /// The firewall bridge, `fwbr101i0`.
    pub(super) fwbr: String,
    /// Its uplink, `fwln101i0`.
    pub(super) fwln: String,
    /// The uplink's other end, a port of the zone's bridge, `fwpr101p0`.
    pub(super) fwpr: String,
}

impl Wires {
    /// The interfaces of `net<index>`.
    pub(super) fn of(vmid: Vmid, index: u32) -> Self {
        Self {
            tap: format!("tap{vmid}i{index}"),
            fwbr: format!("fwbr{vmid}i{index}"),
            fwln: format!("fwln{vmid}i{index}"),
            fwpr: format!("fwpr{vmid}p{index}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_give_stable_and_different_names() {
        let one = Names::of(Path::new("/srv/lab-a"));
        assert_eq!(one, Names::of(Path::new("/srv/lab-a")));
        assert_ne!(one.id(), Names::of(Path::new("/srv/lab-b")).id());
        assert_eq!(one.id().len(), 6);
        assert!(
            one.guest(Vmid::new(101).expect("valid"))
                .starts_with("infra-")
        );
    }

    #[test]
    fn interface_names_fit_the_kernel_for_the_largest_vmid() {
        let wires = Wires::of(Vmid::new(999_999_999).expect("valid"), 9);
        for name in [wires.tap, wires.fwbr, wires.fwln, wires.fwpr] {
            assert!(name.len() <= 15, "{name}");
        }
    }
}
