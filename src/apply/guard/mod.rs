//! Changes of the firewall that undo themselves unless somebody who came in anew says that they are good.
//!
//! [`Cover`] arms one dead-man switch on every machine concerned before the first write. While the work goes on the
//! timers are started anew, but only over new connections: whoever is cut off, dead or without a network renews
//! nothing, and every machine puts back what it had. What was done is kept only after [`World::prove_access`].
//!
//! Invariant: without an armed switch nothing that may cut access is written.
//! Invariant: "taken back" is said only of what was seen to be taken back, machine by machine.
//! Invariant: a machine forgets what it saved only after every machine has stopped counting.

mod cover;
mod ending;
mod flush;
mod proof;

pub use cover::{Cover, GuardPolicy, LEFT_BY_A_DEAD_RUN, Way};
pub use ending::{Ending, TakenBack};
pub use flush::{Connection, Flushed};
