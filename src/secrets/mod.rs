//! Secret references -> values: age files, SOPS files with age keys, environment, files, commands.
//!
//! [`resolve`] reads each file once, however many secrets come from it, and reports every secret that has no value.
//!
//! Invariant: a value leaves this room only inside `SecretValues`; no error or log carries one.

mod age_file;
mod error;
mod identity;
mod resolve;
mod scratch;
mod sops;

pub use age_file::{decrypt, encrypt, print, read};
pub use error::SecretError;
pub use identity::{Identities, generate_identity};
pub use resolve::{Surroundings, resolve};
pub use scratch::Scratch;
