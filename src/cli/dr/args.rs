//! What may be typed behind `infra dr`.

use super::{plan, run as carry_out};
use crate::cli::{context::Context, failure::Failure};
use clap::Subcommand;

/// Disaster recovery
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum DrVerb {
    /// Print the disaster-recovery runbook of this inventory, in Markdown
    ///
    /// What is needed, which machines, where the backups are, what comes back in which order, and what does not. It reads
    /// the inventory alone and prints no secret: keep it on paper, with the sheet of `infra backup keys --export`.
    Plan,
    Run(carry_out::RunArgs),
}

/// Runs the verb.
pub(crate) fn run(context: &Context, verb: &DrVerb) -> Result<u8, Failure> {
    match verb {
        DrVerb::Plan => plan::run(context),
        DrVerb::Run(args) => carry_out::run(context, args),
    }
}
