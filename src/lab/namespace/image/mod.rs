//! The Debian 13 root that every guest and host of the lab starts from, built once and cached.
//!
//! `root/` is what Debian's generic cloud image holds, with the few changes that `recipe` lists; `node/` is the
//! overlay layer that turns it into a node or an external host.
//!
//! Invariant: a cache folder is complete or absent; an image is built beside it and renamed into place.

mod build;
mod recipe;

pub use build::{Image, build};
pub use recipe::DEVIATIONS;
