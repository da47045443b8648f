//! A lab from its first second to its last: up, down, status, reset, and the process that holds it.
//!
//! [`serve`] is that process: it builds the lab, writes [`super::state::LabState`] when it is ready, and takes
//! everything down at the end. [`up`] starts it in the background and waits; [`down`] ends it and sweeps what a crash
//! left; [`status`] tells the two apart; [`reset`] also forgets what the lab remembers.
//!
//! Invariant: `state.json` exists only while a lab is ready for use, or after its process died without a chance to
//! remove it; who reads it checks the process first ([`status`]).

mod ahead;
mod control;
mod down;
mod error;
mod namespace_lab;
mod node_api;
mod outside;
mod process;
mod qcow2;
mod reset;
mod scripted_lab;
mod serve;
mod settings;
mod status;
mod up;

pub use control::{Order, Report, order};
pub use down::down;
pub use error::RunError;
pub use outside::outside;
pub use reset::reset;
pub use serve::serve;
pub use settings::Settings;
pub use status::{Status, status};
pub use up::{Up, up};
