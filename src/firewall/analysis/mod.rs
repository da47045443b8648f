//! What the rules of every layer do, worked out exactly: from the rules as text back to who reaches what.
//!
//! The address space is cut into [`Place`]s that every rule treats alike, so a statement about one address of a place
//! holds for all of them; ports are sets of intervals. [`Enforcement`] reads compiled or live rules into chains and
//! follows a packet through all of them ([`Enforcement::path`]) or answers for a whole cell ([`Enforcement::opens`]).
//! [`table()`] is the effective matrix, [`disagreements`] compares each layer with the owner's rows, [`flaws`] compares
//! the rows with each other, [`adopt()`] says in rows what rules of others open.
//!
//! Invariant: pure, and shares no code with the emitters: it reads what they wrote.
//! Invariant: a rule that it cannot read is reported, never guessed.

mod adopt;
mod agreement;
mod chain;
mod closed;
mod enforcement;
mod explain;
mod flaw;
mod gates;
mod live;
mod place;
mod probe;
mod read_docker;
mod read_egress;
mod read_proxmox;
mod read_ufw;
mod table;

pub use adopt::{AdoptedFlow, Adoption, LeftRule, adopt};
pub use agreement::{Disagreement, disagreements, verify};
pub use closed::is_closed;
pub use enforcement::{Enforcement, Layer, Packet, Step};
pub use explain::{Explanation, explain};
pub(crate) use flaw::{contradictions, flaws};
pub use live::{Live, live};
pub use place::Place;
pub use probe::{Probe, probes};
pub use table::{Cell, Table, table};
