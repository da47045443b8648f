//! A Proxmox-compatible API and hosts to try and test everything without a server.
//!
//! One process (`infra lab serve`) holds a lab: the API (`api`) answers from its own model and asks a
//! [`backend::Backend`] to power guests; `namespace` and `scripted` are the two backends. [`state::LabState`] is
//! the file by which `infra --lab` finds it.
//!
//! Invariant: shares no wire type with `providers`; common are the ids of `model` only.
//! Invariant: never touches the machine's own network, Docker or firewall.

#[expect(
    clippy::disallowed_methods,
    reason = "a server: sockets, storage folders, its saved model, time"
)]
pub mod api;
pub mod backend;
pub mod folder;
pub mod images;
pub mod iso;
#[expect(
    clippy::disallowed_methods,
    reason = "builds images, networks and containers on this machine"
)]
pub mod namespace;
#[expect(
    clippy::disallowed_methods,
    reason = "binds the lab's sockets, in its namespaces"
)]
pub mod netns;
pub mod pve_firewall;
#[expect(
    clippy::disallowed_methods,
    reason = "starts and ends the process that holds a lab, and keeps its files"
)]
pub mod run;
#[expect(
    clippy::disallowed_methods,
    reason = "reads seeds, and stamps containers with the time"
)]
pub mod scripted;
pub mod state;
#[expect(
    clippy::disallowed_methods,
    reason = "keeps datasets as files and runs btrfs and mount"
)]
pub mod zfs_twin;
