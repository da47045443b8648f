//! Registries, stand-in images, the apt forwarder and DNS: the outside world as the lab's guests see it.
//!
//! Invariant: every stand-in is listed as one.

pub mod dns;
mod error;
#[expect(
    clippy::disallowed_methods,
    reason = "fetches from the machine's own mirrors into the shared cache"
)]
pub mod forwarder;
mod range;
pub mod registry;
mod sites;
pub mod stand_ins;
#[expect(
    clippy::disallowed_methods,
    reason = "builds images into the shared cache"
)]
pub mod store;
#[expect(
    clippy::disallowed_methods,
    reason = "keeps the lab's authority in the shared cache"
)]
pub mod tls;
mod world;

pub use error::ImagesError;
pub use sites::{Account, Admits, RentedFolder, Sites};
pub use world::{World, WorldSpec};
