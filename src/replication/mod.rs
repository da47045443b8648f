//! What must be sent so that a far dataset has what a near one has. Pure: two sides as they were seen go in, one step
//! comes out; after the step both sides are looked at again.
//!
//! A base is common when its guid is on both sides: names prove nothing. On the near side a bookmark serves as well as
//! the snapshot that it was made of.
//!
//! Invariant: never plans to overwrite, roll back or destroy anything on the far side.
//! Invariant: the newest common snapshot is never among what may be released.

mod keeping;
mod next;
mod side;
mod version;

pub use keeping::{Keeping, after, arrived, bases_over_there, bookmark_name, tag, unmarked};
pub use next::{Base, Divergence, Next, next};
pub use side::{Far, Near};
pub use version::doubt;
