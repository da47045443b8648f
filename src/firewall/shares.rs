//! Datasets that guests mount over NFS: the way to their server must be open.

use super::matrix::Matrix;
use crate::diagnostic::{Code, Diagnostic};
use crate::model::{
    address::{Port, PortRange, Proto},
    desired::Desired,
    guest::{Guest, GuestMount, MountVia},
};

/// A guest mounts a dataset over NFS, and no flow lets it reach the server.
pub(crate) const CLOSED_NFS: Code = Code("FW021");

/// NFS 4 needs this port and no other.
const NFS: u16 = 2049;

/// Every NFS mount whose server the guest may not reach.
pub(super) fn check(desired: &Desired, matrix: &Matrix, out: &mut Vec<Diagnostic>) {
    for guest in desired.guests.values() {
        for mount in guest.mounts.iter().filter(|m| m.via == MountVia::Nfs) {
            mounts(desired, matrix, guest, mount, out);
        }
    }
}

fn mounts(
    desired: &Desired,
    matrix: &Matrix,
    guest: &Guest,
    mount: &GuestMount,
    out: &mut Vec<Diagnostic>,
) {
    let Some(dataset) = desired.datasets.get(&mount.dataset) else {
        return;
    };
    let Some((server, _)) = desired.access(&dataset.host) else {
        return;
    };
    let port = Port {
        proto: Proto::Tcp,
        range: PortRange::one(NFS),
    };
    let addresses = desired.addresses(&guest.name);
    let mut same = addresses
        .iter()
        .filter(|address| address.is_ipv4() == server.is_ipv4());
    if same.any(|from| matrix.permits(*from, server, port).is_some()) {
        return;
    }
    out.push(
        Diagnostic::error(
            CLOSED_NFS,
            format!(
                "`{}` mounts {} over NFS, and no flow lets it reach {} on {NFS}/tcp",
                guest.name, mount.dataset, dataset.host
            ),
        )
        .help(format!(
            "add a flow from `{}` to `{}` that allows {NFS}/tcp, or share it with `via: virtiofs`",
            guest.name, dataset.host
        )),
    );
}
