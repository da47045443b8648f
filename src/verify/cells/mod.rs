//! The cells of the flow matrix, asked of the live system: who reaches what, seen from where each machine stands.
//!
//! Every asker knocks at all doors in one exec. Whether a packet came through is not guessed from the answer alone: a
//! port without a listener and a datagram get none. The machine that was asked is a witness: its kernel tracks a
//! connection only when its firewall let the first packet pass. For a container of an external host that is the host.
//!
//! Invariant: an answer that could mean both is not judged, and said so.

mod ask;
mod judge;

pub use ask::{Asker, Door, Knock, Outcome, Seen, Where, ask};
pub use judge::{CellResult, Ruling, judge};
