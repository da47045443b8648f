//! `infra`: one binary and one inventory that run a Proxmox/ZFS homelab.
//!
//! This file is the floor plan: one line per room with what it is for, and its licence to touch the
//! world. `clippy.toml` bans effects everywhere; a room without a licence is pure.
//! `docs/architecture.md` has the picture, `tests/architecture.rs` checks the arrows.

/// What a person should look at: a coded, located problem with help. Data only.
pub mod diagnostic;
/// The nouns of the homelab. Pure.
pub mod model;

/// The systems embedded in the binary, and how `infra init` writes them out.
pub mod builtin;
/// What the owner wrote: inventory files -> `Desired` or diagnostics.
pub mod inventory;
/// Secret references -> values.
#[expect(
    clippy::disallowed_methods,
    reason = "reads key and secret files, runs the owner's commands"
)]
pub mod secrets;

/// What stands there already -> an inventory that describes it. Pure.
pub mod adopt;
/// What a backup job takes, and how it stands. Pure.
pub mod backup;
/// What every managed host must look like before its stacks: packages, files, units. Pure.
pub mod baseline;
/// What would make `up` fail, before it does: rights, storages, bridges, clocks, room. Pure.
pub mod doctor;
/// The flow matrix compiler. Pure.
pub mod firewall;
/// Desired + observed -> plan. Pure.
pub mod plan;
/// Ordered runbooks over hosts. Pure.
pub mod playbook;
/// Releases of compose stacks: hash, files, order, diff. Pure.
pub mod release;
/// What must be sent so that a replica has what its source has. Pure.
pub mod replication;
/// Which snapshots are due, kept and missing. Pure.
pub mod retention;
/// NoCloud seeds: cloud-init documents and the ISO image that carries them. Pure.
pub mod seed;
/// Tera templates -> text with secret placeholders. Pure.
pub mod template;
/// The nights of a system -> units and timers on the host that runs them. Pure.
pub mod timers;

/// Walks a plan. No decisions.
#[expect(
    clippy::disallowed_methods,
    reason = "keeps the lock, the journal, receipts and unread host keys"
)]
pub mod apply;
/// Asks every provider at once. Partial answers are data.
pub mod observe;
/// The world: one room per thing we speak to.
pub mod providers;
/// Runs the owner's checks against the live system.
pub mod verify;

/// A Proxmox-compatible API and real or scripted hosts, to try and test everything.
#[cfg(feature = "lab")]
pub mod lab;

/// The compiled rules in throw-away namespaces, and real packets through them.
#[cfg(feature = "lab")]
#[expect(
    clippy::disallowed_methods,
    reason = "makes network namespaces of its own, loads rules there and sends packets"
)]
pub mod prove;

/// The front desk: clap types and one file per verb.
#[expect(
    clippy::disallowed_methods,
    reason = "reads the environment, plans and the lab's state, and knows the time"
)]
pub mod cli;
/// All that is printed.
pub mod view;
