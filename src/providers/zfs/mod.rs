//! `zfs` and `zpool` over a shell, machine formats only.
//!
//! [`FACTS`] is the part of a host's facts that this room knows, [`parse_facts`] reads its output. [`Zfs`] carries out
//! changes over any [`Shell`](crate::providers::shell::Shell). `model::property` compares values as ZFS means them,
//! [`trap`] finds mount points that ZFS would accept and the owner would regret.
//!
//! [`ZfsRead::survey`] is for snapshot work: clock, health and one list of everything, from one round trip.
//!
//! Invariant: never destroys a dataset; of snapshots only those that it is given by name.
//! Invariant: never `-r` on a command that changes something, never `-R`, never `-f`, never `-F`.
//! Invariant: output is split on TAB only; a line that is not understood is an error, never skipped.

mod border;
mod destroy;
mod engine;
mod error;
mod facts;
mod frame;
mod health;
mod here;
#[cfg(feature = "libzetta")]
#[expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "asks the kernel which boot this is; libzetta takes a `HashMap`"
)]
mod lzc;
mod roll_forward;
mod survey;
pub mod transfer;
pub mod trap;

#[cfg(test)]
pub(crate) mod tests;

pub use border::{ZfsRead, ZfsWrite};
pub use destroy::{DESTROY_SCRIPT, Destroyed};
pub use engine::{
    CREATE_SCRIPT, CREATE_ZPOOL_SCRIPT, DIRECTORIES_SCRIPT, FACTS_SCRIPT, HOLD_SCRIPT, OWNER,
    SNAPSHOT_SCRIPT, SURVEY_SCRIPT, Zfs,
};
pub use error::ZfsError;
pub use facts::{FACTS, ZfsFacts, parse_facts};
pub use here::{bookmark, destroy, take};
#[cfg(feature = "libzetta")]
pub use lzc::Lzc;
pub use roll_forward::ROLL_FORWARD_SCRIPT;
pub use survey::parse_survey;
