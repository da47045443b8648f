//! The matrix for ports that containers publish, and for what containers of external hosts send.
//!
//! Docker rewrites the destination before any filter sees the packet, so a rule on the port in FORWARD matches the
//! container's port, and UFW's INPUT is never asked. The rules therefore ask conntrack for the port that the caller
//! wanted: in a chain of our own behind `DOCKER-USER`, or, where Docker uses its nftables backend and has no
//! `DOCKER-USER`, in a base chain of our own before Docker's. There accepting decides nothing, and dropping is final.
//!
//! What a container begins is forwarded too, so UFW's rules for what its host sends never see it. Where UFW holds the
//! one, a second chain holds the other by the same rows. Whose packet it is, the bridge says by which it comes in: the
//! addresses of containers are anybody's choice.
//!
//! What others put into `DOCKER-USER` stays: our chain returns what it allows, so bans of fail2ban and CrowdSec are asked
//! too, before it or behind it.
//!
//! Invariant: only chains `INFRA-DOCKER` and `INFRA-DOCKER-OUT`, the jump to them and table `infra-docker` are ever written.

mod compile;
mod egress;
mod resources;
mod rule;

pub(crate) use compile::compile;
pub use resources::{DOCKER_UNIT, docker_resources};
pub use rule::{DockerEgress, DockerUser};
