//! A name server that makes every public name lead to the lab's Internet.
//!
//! Names that the lab knows have their own addresses; every other public name has the address of the outside world,
//! where the apt forwarder and the registries listen. Private names (`home.arpa`, names of one label) that nobody
//! defined do not exist, so that a misspelt service name fails as it would at home.
//!
//! Invariant: answers from its names alone; no query leaves the machine.

mod names;
mod server;
mod wire;

pub use names::{Answer, Names};
pub use server::serve;
pub use wire::{Kind, Question, answer, question};
