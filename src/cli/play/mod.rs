//! `infra play`: a playbook, compared, shown, agreed to and carried out batch by batch.
//!
//! [`batch`] looks at the hosts of a batch in one exec each and gives the plan of their steps, [`acts`] does what is a verb
//! rather than a state, [`run`](self::run()) goes through the batches.
//!
//! Invariant: what is shown is what is carried out; `--check` writes nothing.

mod acts;
mod args;
mod batch;
mod choose;
mod owed;
mod run;
mod stacks;

pub(crate) use args::{PlayArgs, run};
pub(super) use choose::loaded;
