//! The registries of this world: OCI distribution, read only, for every name that a guest asks.
//!
//! Invariant: an image that the lab does not have is refused in the registry's own words, never made up.

mod route;

pub use route::routes;
