//! A caching forwarder to the Debian mirrors of this machine, for guests that cannot reach them.
//!
//! A request names its mirror in `Host` (or in an absolute request line, as to a proxy). Files that never change
//! under their name (`/pool/`, `/by-hash/`) are fetched once, however many guests ask at the same time, and kept in
//! the shared cache; indexes are asked for anew each time, and their last copy serves when the mirror cannot be reached.
//!
//! Invariant: forwards to the hosts it was given, over plain HTTP, and to nowhere else.
//! Invariant: a file enters the cache whole, or not at all.

mod download;
mod mirror;
mod route;
mod slot;
mod upstreams;

pub use mirror::Mirrors;
pub use route::routes;
pub use upstreams::{Upstreams, hosts};
