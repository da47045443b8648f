//! What may be typed behind `infra stack`.

use super::{add, exec, history, list, logs, rollback, status, update, verify};
use crate::cli::{
    context::Context,
    failure::Failure,
    plan::PlanArgs,
    up::{Called, UpArgs},
};
use clap::{Args, Subcommand};

/// Compose stacks: deploy, look at, take back
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum StackVerb {
    /// List the stacks of the inventory: where they run, what they publish and need
    List,
    Add(add::AddArgs),
    /// Show what would change at stacks; `infra plan` narrowed to them
    Plan(StackPlanArgs),
    /// Deploy stacks; `infra up` narrowed to them
    ///
    /// Exits with 10 when a release failed and the one before it runs again.
    Deploy(StackUpArgs),
    Status(status::StatusArgs),
    Logs(logs::LogsArgs),
    Exec(exec::ExecArgs),
    History(history::HistoryArgs),
    Rollback(rollback::RollbackArgs),
    Verify(verify::VerifyArgs),
    Update(update::UpdateArgs),
}

/// `infra plan`, for stacks.
#[derive(Debug, Clone, Args)]
pub(crate) struct StackPlanArgs {
    /// Only these stacks
    #[arg(value_name = "STACK")]
    pub(crate) stacks: Vec<String>,
    #[command(flatten)]
    pub(crate) plan: PlanArgs,
}

/// `infra up`, for stacks.
#[derive(Debug, Clone, Args)]
pub(crate) struct StackUpArgs {
    /// Only these stacks
    #[arg(value_name = "STACK")]
    pub(crate) stacks: Vec<String>,
    /// Do not ask
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// Refuse a plan with more impact than this
    #[arg(long, value_name = "IMPACT")]
    pub(crate) max_impact: Option<crate::cli::plan::MaxImpact>,
}

impl StackVerb {
    /// The selector of verbs that are another one narrowed.
    pub(crate) fn narrows_to(&self) -> Option<String> {
        let stacks = match self {
            Self::Plan(args) => &args.stacks,
            Self::Deploy(args) => &args.stacks,
            Self::List
            | Self::Add(_)
            | Self::Status(_)
            | Self::Logs(_)
            | Self::Exec(_)
            | Self::History(_)
            | Self::Rollback(_)
            | Self::Verify(_)
            | Self::Update(_) => return None,
        };
        if stacks.is_empty() {
            return Some("stack/*".to_owned());
        }
        let parts: Vec<String> = stacks.iter().map(|name| format!("stack/{name}")).collect();
        Some(parts.join(","))
    }
}

/// Runs the verb.
pub(crate) fn run(context: &Context, verb: &StackVerb) -> Result<u8, Failure> {
    match verb {
        StackVerb::List => list::run(context),
        StackVerb::Add(args) => add::run(context, args),
        StackVerb::Plan(args) => crate::cli::plan::run(context, &args.plan),
        StackVerb::Deploy(args) => {
            let up = UpArgs {
                file: None,
                yes: args.yes,
                max_impact: args.max_impact,
                snapshot: false,
                no_verify: true,
                called: Called::new(
                    typed("stack deploy", &args.stacks),
                    typed("stack plan", &args.stacks),
                ),
            };
            crate::cli::up::run(context, &up)
        }
        StackVerb::Status(args) => status::run(context, args),
        StackVerb::Logs(args) => logs::run(context, args),
        StackVerb::Exec(args) => exec::run(context, args),
        StackVerb::History(args) => history::run(context, args),
        StackVerb::Rollback(args) => rollback::run(context, args),
        StackVerb::Update(args) => update::run(context, args),
        StackVerb::Verify(args) => verify::run(context, args),
    }
}

/// A verb with the stacks that were named.
fn typed(verb: &str, stacks: &[String]) -> String {
    let mut text = verb.to_owned();
    for stack in stacks {
        text.push(' ');
        text.push_str(stack);
    }
    text
}
