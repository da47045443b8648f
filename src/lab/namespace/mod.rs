//! Real Debian guests in namespaces, on real bridges, behind a really enforced Proxmox firewall.
//!
//! [`Machine`] is the backend: it boots guests from a cached image (`image`) as containers (`container`, `power`,
//! `guest`) on a network laid out from the inventory (`topology`, `network`). The node itself is a container too
//! (`host`), its datasets live on a loop image (`disk`), and `sweep` removes all of it by the lab's id.
//!
//! Invariant: whatever it makes on the machine it can remove, also after a crash.
//! Invariant: everything it makes on the machine carries the lab's id in its name or stands in the lab's folder.

mod agent;
mod cgroup;
mod container;
mod disk;
mod error;
mod exec;
mod files;
mod filter;
mod guest;
mod host;
mod image;
mod key;
mod machine;
mod names;
mod network;
mod power;
mod requirement;
mod share;
mod sweep;
mod topology;
mod trust;
mod vpn;

pub use error::NamespaceError;
pub use image::{DEVIATIONS, Image, build as build_image};
pub use key::Key;
pub use machine::{Machine, Plan};
pub use names::{Names, netns_path};
pub use requirement::{Missing, missing};
pub use sweep::{remains, sweep};
pub use topology::{PUBLIC_ADDRESS, Place, Topology};
pub use vpn::VpnProvider;
