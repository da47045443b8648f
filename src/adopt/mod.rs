//! What stands on a Proxmox that nobody described yet -> an inventory that describes it.
//!
//! [`proxmox()`] writes what the API said, [`zfs()`] what a node said of its zpools. Both answer with files and with a list of
//! everything that was seen and that the inventory cannot say, so that nothing is dropped silently.
//!
//! Invariant: pure. What it writes names no secret's value; a guest that it writes is compared and never made anew.

mod config;
mod guests;
mod network;
mod sheet;
mod zfs;

pub use guests::{Imported, Origin, proxmox};
pub use zfs::zfs;
