//! Images on disk: content by digest, tags, and how stand-ins become images.
//!
//! Invariant: what has a name is whole; a build that fails leaves no blob and no tag.

mod blobs;
mod reference;

pub use blobs::Store;
pub use reference::{Digest, Reference, host_of, is_registry, is_repository, is_tag, registry_of};
