//! `infra stack`: what runs as compose stacks, deployed one by one and taken back.
//!
//! [`choice`] finds the stacks that were named; `plan` and `deploy` are `infra plan` and `infra up` narrowed to them; the other
//! verbs ask or change one host at a time.
//!
//! Invariant: nothing that a container wrote is printed before the known secrets are taken out of it.

mod add;
mod args;
mod choice;
mod exec;
mod history;
mod intake;
mod list;
mod logs;
mod rollback;
mod status;
mod update;
mod verify;

pub(crate) use args::{StackVerb, run};
pub(crate) use update::{lock, look as newer, moved, relock, write_lock};
