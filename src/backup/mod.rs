//! What a backup job takes, in which order, what a restore touches, and what protects what. Pure: the inventory and what
//! was seen go in, steps and facts come out.
//!
//! Dumps come first, then one snapshot for each zpool, then the copy: a database is never younger than the files it names.
//!
//! Invariant: a dataset that cannot be read is named; it is never passed over in silence.

mod facts;
mod night;
mod order;
mod recovery;
mod restoration;
mod runbook;
mod target;
mod tidy;

pub use facts::{Backed, Standing, backed, is_due, standing};
pub use night::{Dump, DumpOf, Night, label, leftovers, night};
pub use order::hosts_in_order;
pub use recovery::{concerns, is_the_machines};
pub use restoration::{Copy, Files, Goal, Group, Held, Load, Restoration, restoration};
pub use runbook::{Words, runbook};
pub use target::{Wanted, lives, wanted};
pub use tidy::extra;
