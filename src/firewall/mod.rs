//! The flow matrix compiler: `Desired` -> Proxmox rules, UFW rules and Docker rules.
//!
//! [`Matrix`] resolves the flows to addresses, with the operators' own way in before the owner's rows;
//! [`compile`] writes them for each target and reports what the matrix cannot mean. [`diff_pve`] and [`diff_ufw`]
//! compare what is wanted with what was seen, by meaning, and answer with writes in a safe order. [`analysis`] reads
//! rules back, compiled or live, and says who reaches what.
//!
//! What is enforced where:
//! - *Proxmox* holds the whole matrix: every guest drops what is not listed, in both directions; nodes drop what
//!   comes in unlisted. Nodes may speak freely (`policy_out ACCEPT`): they are the trusted base, and updates, time,
//!   DNS, storage and cluster traffic of a node are not rows of anybody's matrix.
//! - *UFW* holds the incoming half on guests and external hosts. What a guest sends is held by Proxmox, so UFW lets
//!   it out; an external host has no Proxmox before it, so as soon as a flow names it as a source its UFW denies
//!   all other outgoing traffic of the host itself.
//! - *Docker* sees published ports before UFW does, so each is opened again, by the port the caller asked for, in the
//!   words of both of Docker's firewall backends. What containers of an external host begin is held there as UFW holds
//!   what the host itself sends: by the same rows, on the same hosts.
//! - *ICMP echo* is closed unless a flow allows `icmp`, and only Proxmox can tell: UFW's own before.rules accept it.
//!
//! Invariant: pure. It never opens a pair that the matrix does not list.
//! Invariant: only rules with a comment `infra:` are ours; others are reported, and removed only when told.

mod addresses;
pub mod analysis;
mod comment;
mod compile;
mod docker;
mod interfaces;
mod lint;
mod matrix;
mod opening;
mod port_set;
mod proxmox;
mod proxmox_diff;
mod rules_diff;
mod shares;
mod ufw;
mod ufw_diff;
mod ways_out;

pub use compile::{CompiledFirewall, compile};
pub use docker::{DOCKER_UNIT, DockerEgress, DockerUser, docker_resources};
pub use matrix::{Matrix, Row};
pub use port_set::PortSet;
pub use proxmox_diff::{ForeignPveRule, PveDiff, diff_pve};
pub use ufw_diff::{UfwDiff, diff_ufw};

/// What to do about rules that infra did not make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strangers {
    /// Leave them alone, behind ours, and report them: machines that others manage too.
    Keep,
    /// Remove them: on infra's own guests an extra rule is a hole in the matrix.
    Remove,
}
