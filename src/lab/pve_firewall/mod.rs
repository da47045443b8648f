//! What a Proxmox node's firewall daemon makes of the stored rules: iptables and ipset text.
//!
//! [`compile`] turns a [`super::backend::FirewallSnapshot`] and the cards that are up into the chains of
//! pve-firewall's iptables backend: `PVEFW-FORWARD` finds a guest's packets by the card they cross (physdev), each
//! card has an IN and an OUT chain, the node has `PVEFW-HOST-IN` and `-OUT`, sets are real ipsets. [`LOAD`] loads
//! the result in the network namespace of the node. Rules that are disabled, or refer to something that is gone,
//! are skipped without a word, as Proxmox does.
//!
//! A firewall bridge must keep quiet: with `arp_ignore` 0 it answers ARP for the node's own addresses, and what a guest
//! then sends to the bridge's MAC climbs into the node past the guest's OUT chain (seen with Linux 6.18). [`LOAD`] sets
//! `net.ipv4.conf.<fwbr>.arp_ignore=8` and `net.ipv6.conf.<fwbr>.disable_ipv6=1` on all that it finds; whoever makes a
//! bridge should do the same before the guest's first packet.
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
