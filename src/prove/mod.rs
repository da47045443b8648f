//! `infra firewall prove`: the generated rules in throw-away network namespaces, and real packets through them.
//!
//! A [`Room`] is one flat segment: a namespace for every node with the bridges, cards and chains that Proxmox would make,
//! one for every guest and external host with UFW's rules, one behind each host that publishes ports (Docker's NAT stands
//! in for Docker), and one that stands for everybody else. [`Room::load`] takes compiled rules, [`Room::probe`] sends a
//! packet for every question and says what arrived. Routing is not proven, rules are.
//!
//! Invariant: what it makes is named `infra-prove-<pid>-...` and is gone when the room is dropped; what a killed run left
//! behind is removed by the next.
//! Invariant: never touches the machine's own network, firewall or Docker.

mod ask;
mod docker_text;
mod echo;
mod error;
mod layout;
mod load;
mod probe;
mod proxmox_snapshot;
mod room;
mod shell;
mod tunnel;
mod ufw_text;

pub use error::ProveError;
pub use room::Room;
