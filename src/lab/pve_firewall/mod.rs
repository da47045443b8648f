//! What a Proxmox node's firewall daemon makes of the stored rules: iptables and ipset text.
//!
//! [`compile`] turns a [`super::backend::FirewallSnapshot`] and the cards that are up into the chains of
//! pve-firewall's iptables backend: `PVEFW-FORWARD` finds a guest's packets by the card they cross (physdev), each
//! card has an IN and an OUT chain, the node has `PVEFW-HOST-IN` and `-OUT`, sets are real ipsets. [`LOAD`] loads
//! the result in the network namespace of the node. Rules that are disabled, or refer to something that is gone,
//! are skipped without a word, as Proxmox does.
//!
//! Left out because they never change a verdict that this system relies on: logging, smurf and TCP flag checks
//! (off by default), ebtables (ARP), IPS queues, and the quiet drops before a DROP policy.
//!
//! Invariant: pure, and shares nothing with `crate::firewall`: the two must be able to disagree.

mod address;
mod chain;
mod compile;
mod guest;
mod ipset;
mod macros;
mod node;
mod rule;

pub use compile::{LOAD, NodeNetwork, Restore, Tap, compile};
