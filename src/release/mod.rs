//! Releases of compose stacks: rendered files, hashes, labels.
//!
//! [`render`] turns one stack of the inventory into a [`crate::model::release::Release`]: every file rendered, the compose file
//! read for what infra must know of it, and a generated `compose.infra.yaml` that labels every service with its system, its
//! stack and its own release.
//!
//! Each service has a release of its own: a hash over its entry, its image, the release files it mounts and the secrets in
//! them. Compose makes a container anew when its labels change, so exactly the services that a change touches restart.
//! The project directory is always `current`, a link: a path with a release id in it would change every bind mount of every
//! service with every release.
//!
//! Invariant: pure; the same input gives the same release id on every machine.
//! Invariant: values of secrets enter hashes only.

mod assemble;
pub mod code;
mod compose;
mod context;
mod hash;
mod intake;
mod interpolate;
mod lint;
mod mounted;
mod published;
mod surprise;
mod tree;
mod unit;
mod volume;
mod written;

pub use assemble::{published_places, render};
pub use intake::{Intake, IntakePort, Use, intake};
pub use lint::OVERRIDE;
pub use volume::volumes;
