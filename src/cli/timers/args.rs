//! What may be typed behind `infra timers`.

use super::{install, list};
use crate::cli::{context::Context, failure::Failure};
use clap::Subcommand;

/// Nightly jobs that begin by themselves
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum TimersVerb {
    Install(install::InstallArgs),
    /// Show what begins when, and whether its timer runs
    ///
    /// Exit 12 when one does not.
    List,
}

/// Runs the verb.
pub(crate) fn run(context: &Context, verb: &TimersVerb) -> Result<u8, Failure> {
    match verb {
        TimersVerb::Install(args) => install::run(context, args),
        TimersVerb::List => list::run(context),
    }
}
