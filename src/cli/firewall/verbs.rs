//! The verbs of `infra firewall`.

use crate::cli::{context::Context, failure::Failure};
use clap::Subcommand;

/// What can be done with the flow matrix.
#[derive(Debug, Subcommand)]
pub(crate) enum FirewallVerb {
    /// Show who really reaches what, all layers together
    Matrix(super::matrix::MatrixArgs),
    /// Say why a packet passes or not, layer by layer
    Explain(super::explain::ExplainArgs),
}

/// Runs the verb.
pub(crate) fn run(context: &Context, verb: &FirewallVerb) -> Result<u8, Failure> {
    match verb {
        FirewallVerb::Matrix(args) => super::matrix::run(context, args),
        FirewallVerb::Explain(args) => super::explain::run(context, args),
    }
}
