//! `playbooks/*.yaml` -> [`crate::model::playbook::Playbook`], or every problem at once.
//!
//! [`load`] finds the files (beside `inventory/`, inside a system, built in), [`resolve`] reads steps.
//!
//! Invariant: nothing is rendered here; a text may still hold placeholders.

pub mod codes;
#[expect(
    clippy::ref_option,
    reason = "a key that may be left out is passed on as it stands in the document"
)]
mod kind;
#[expect(
    clippy::disallowed_methods,
    reason = "reads playbooks and the templates beside them"
)]
mod load;
#[expect(
    clippy::ref_option,
    reason = "a key that may be left out is passed on as it stands in the document"
)]
mod resolve;

pub use load::{LoadedPlaybooks, load};
