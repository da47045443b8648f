//! What may be typed behind `infra secrets`.

use super::{edit, list, rotate};
use crate::cli::{context::Context, failure::Failure};
use clap::Subcommand;

/// Secrets: where they come from, who uses them, new values
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum SecretsVerb {
    /// List the secrets: where each comes from, whether it has a value, what uses it
    List,
    Edit(edit::EditArgs),
    Rotate(rotate::RotateArgs),
}

/// Runs the verb.
pub(crate) fn run(context: &Context, verb: &SecretsVerb) -> Result<u8, Failure> {
    match verb {
        SecretsVerb::List => list::run(context),
        SecretsVerb::Edit(args) => edit::run(context, args),
        SecretsVerb::Rotate(args) => rotate::run(context, args),
    }
}
