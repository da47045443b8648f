//! Tests of the room: recorded words of OpenZFS 2.3.9, and the scripts in a real shell with a stand-in for `zfs`.
//!
//! Invariant: what ZFS says in a test was recorded, never invented.

mod destroying;
pub(crate) mod fake;
mod marking;
mod recorded;
mod scripts;
mod survey;
