//! The firewall from the matrix to the packet.

#![expect(clippy::print_stdout, reason = "says when and why it skips")]
#![expect(
    clippy::disallowed_methods,
    reason = "reads its case folders, and sends packets in network namespaces of its own"
)]

mod cases;
mod closed;
#[cfg(feature = "lab")]
mod docker_packets;
#[cfg(feature = "lab")]
mod egress_packets;
mod evaluator;
mod exactness;
#[cfg(feature = "lab")]
mod packets;
#[cfg(feature = "lab")]
mod proof;
mod proxmox_drift;
mod system;
mod ufw_host;
