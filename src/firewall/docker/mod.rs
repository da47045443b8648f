//! The matrix for ports that containers publish.
//!
//! Docker rewrites the destination before any filter sees the packet, so a rule on the port in FORWARD matches the
//! container's port, and UFW's INPUT is never asked. The rules therefore ask conntrack for the port that the caller
//! wanted: in a chain of our own behind `DOCKER-USER`, or, where Docker uses its nftables backend and has no
//! `DOCKER-USER`, in a base chain of our own before Docker's. There accepting decides nothing, and dropping is final.
//!
//! What others put into `DOCKER-USER` stays: our chain returns what it allows, so bans of fail2ban and CrowdSec are asked
//! too, before it or behind it.
//!
//! Invariant: only chain `INFRA-DOCKER`, its jump and table `infra-docker` are ever written.

mod compile;
mod resources;
mod rule;

pub(crate) use compile::compile;
pub use resources::{DOCKER_UNIT, docker_resources};
pub use rule::DockerUser;
