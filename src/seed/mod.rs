//! NoCloud seeds: what a new guest reads at its first boot, as cloud-init documents in an ISO 9660 image.
//!
//! A [`SeedSpec`] says what the guest is told, [`SeedSpec::seed`] writes the three documents, [`Seed::iso`] packs them.
//! The first boot gets a seed with the guest's SSH host key, so that the first connection is already trusted; then
//! the image in the drive is replaced by the sealed seed, which is the same without the private key.
//!
//! Invariant: pure; the same input gives the same bytes, whenever and wherever.
//! Invariant: the private key is in no Debug output and not in a sealed seed.

mod document;
mod host_key;
mod iso;

pub use document::{Seed, SeedNic, SeedSpec, file_name, instance_id};
pub use host_key::HostKey;
