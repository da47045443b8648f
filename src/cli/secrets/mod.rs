//! `infra secrets`: where secrets come from, who uses them, and how they get other values.
//!
//! [`store`] opens and closes the encrypted file; the verbs change what is in it.
//!
//! Invariant: no value is printed, and none is written anywhere but into the encrypted file and, while an editor runs, into a
//! file system in memory.

mod args;
mod edit;
mod list;
mod rotate;
mod store;
mod users;

pub(crate) use args::{SecretsVerb, run};
