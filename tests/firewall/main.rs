//! The firewall from the matrix to the packet.

#![expect(
    clippy::disallowed_methods,
    reason = "reads its case folders, and sends packets in network namespaces of its own"
)]

#[cfg(feature = "lab")]
mod packets;
