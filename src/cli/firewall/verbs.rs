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
    /// Show what differs from the matrix, on every layer
    Plan(super::plan::PlanArgs),
    /// Bring every layer in line with the matrix, under a guard that undoes a lock-out
    Apply(super::apply::ApplyArgs),
    /// Ask every cell of the matrix of the live system, from where each machine stands
    Probe,
    /// Write rules that others made by hand as rows for the inventory
    Adopt,
    /// Load the rules into throw-away network namespaces and send a real packet for every cell (needs root)
    #[cfg(feature = "lab")]
    Prove,
}

/// Runs the verb.
pub(crate) fn run(context: &Context, verb: &FirewallVerb) -> Result<u8, Failure> {
    match verb {
        FirewallVerb::Matrix(args) => super::matrix::run(context, args),
        FirewallVerb::Explain(args) => super::explain::run(context, args),
        FirewallVerb::Plan(args) => super::plan::run(context, args),
        FirewallVerb::Apply(args) => super::apply::run(context, args),
        FirewallVerb::Probe => super::probe::run(context),
        FirewallVerb::Adopt => super::adopt::run(context),
        #[cfg(feature = "lab")]
        FirewallVerb::Prove => super::prove::run(context),
    }
}
