//! The stand-ins: which public images the lab has something for, what really runs in them, and their files.
//!
//! One folder for each, with `image.yaml` and the files it adds under `root/`. Adding a stand-in is adding a folder.
//!
//! Invariant: every image that a registry serves is described here, with what it really runs.

mod catalogue;

pub(in crate::lab::images) use catalogue::ROOT;
pub use catalogue::{Catalogue, Directory, Layer, StandIn, catalogue};
