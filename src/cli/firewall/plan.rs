//! `infra firewall plan`: what differs from the matrix, on all layers.

use super::part;
use crate::cli::{
    context::Context,
    exit,
    failure::Failure,
    live,
    plan::{MaxImpact, refuse},
};
use crate::plan::Obstacle;
use crate::view::human;
use clap::Args;

/// Options of `infra firewall plan`.
#[derive(Debug, Clone, Args)]
pub(crate) struct PlanArgs {
    /// Exit with 4 when changes are pending
    #[arg(long)]
    pub(crate) exit_code: bool,
    /// Refuse a plan with more impact than this
    #[arg(long, value_name = "IMPACT")]
    pub(crate) max_impact: Option<MaxImpact>,
}

/// Runs the verb.
pub(crate) fn run(context: &Context, args: &PlanArgs) -> Result<u8, Failure> {
    live::with(context, |session| {
        Box::pin(async move {
            let (plan, _) = part::plan(context, &session).await?;
            if context.global.json {
                context.terminal.json(&plan);
            } else {
                let verbose = context.terminal.loudness().verbose;
                context.terminal.answer(&human::plan(&plan, verbose));
            }
            refuse(&plan, args.max_impact)?;
            if plan.has(Obstacle::Unreachable) || plan.has(Obstacle::Unknown) {
                return Ok(exit::UNREACHABLE);
            }
            if plan.has(Obstacle::Refused) {
                return Ok(exit::FAILED);
            }
            Ok(match (plan.is_empty(), args.exit_code) {
                (false, true) => exit::PENDING,
                (true, _) | (false, false) => exit::DONE,
            })
        })
    })
}
