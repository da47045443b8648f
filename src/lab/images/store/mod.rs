//! Images on disk: content by digest, tags, and how stand-ins become images.
//!
//! Invariant: what has a name is whole; a build that fails leaves no blob and no tag.

mod blobs;
mod build;
mod image;
mod reference;
mod tar;
mod workshop;

pub use blobs::Store;
pub use build::{Builder, Prepared};
pub use image::{MANIFEST, architecture};
pub use reference::{Digest, Reference, host_of, is_registry, is_repository, is_tag, registry_of};
