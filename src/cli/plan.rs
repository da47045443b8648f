//! `infra plan`: look, compare, show.

use super::{context::Context, exit, failure::Failure, live, session::Session, up::Called};
use crate::model::observed::{Observed, Reading};
use crate::plan::{Obstacle, Plan, change::Impact};
use crate::providers::ssh::quote_all;
use crate::view::human;
use clap::{Args, ValueEnum};
use std::{fmt::Write as _, path::PathBuf};

/// So many changes are named in a sentence; the plan above it has all.
const MANY: usize = 4;

/// Show what would change, why, and its impact.
#[derive(Debug, Clone, Args)]
pub(crate) struct PlanArgs {
    /// Write the plan to a file, for `infra up FILE`
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Exit with 4 when changes are pending
    #[arg(long)]
    pub(crate) exit_code: bool,
    /// Refuse a plan with more impact than this
    #[arg(long, value_name = "IMPACT")]
    pub(crate) max_impact: Option<MaxImpact>,
}

/// The impacts by name, least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum MaxImpact {
    /// Nothing running notices
    Hot,
    /// Takes effect at the next boot
    NextBoot,
    /// Restarts services or containers
    Restart,
    /// Reboots guests
    Reboot,
    /// Stops guests
    Stop,
    /// Gives guests new SSH host keys
    HostKeyReset,
    /// Could cut our own access, under a guard
    MayCutAccess,
}

impl MaxImpact {
    fn impact(self) -> Impact {
        match self {
            Self::Hot => Impact::Hot,
            Self::NextBoot => Impact::NextBoot,
            Self::Restart => Impact::Restart,
            Self::Reboot => Impact::Reboot,
            Self::Stop => Impact::Stop,
            Self::HostKeyReset => Impact::HostKeyReset,
            Self::MayCutAccess => Impact::MayCutAccess,
        }
    }
}

/// Runs the verb.
pub(crate) fn run(context: &Context, args: &PlanArgs) -> Result<u8, Failure> {
    live::with(context, |session| Box::pin(show(context, args, session)))
}

async fn show(context: &Context, args: &PlanArgs, session: Session) -> Result<u8, Failure> {
    let (plan, observed) = make(context, &session).await?;
    if matches!(observed.proxmox, Some(Reading::Seen(_))) {
        super::doctor::refuse_blindness(&super::doctor::lacking(&session).await)?;
    }
    if let Some(file) = &args.out {
        let text = serde_json::to_string_pretty(&plan).map_err(|e| super::failure::failed(&e))?;
        std::fs::write(file, text + "\n").map_err(|error| {
            Failure::of(exit::FAILED, &error).hint(format!("It is {}.", file.display()))
        })?;
    }
    if context.global.json {
        context.terminal.json(&plan);
    } else {
        let verbose = context.terminal.loudness().verbose;
        let diffs = super::rendered::diffs(&session, &plan).await;
        context.terminal.answer(&human::file_diffs(&diffs, verbose));
        context.terminal.answer(&human::plan(&plan, verbose));
        if let Some(file) = &args.out {
            let file = quote_all([file.to_string_lossy()]);
            let again = context.again_narrowed(&format!("up {file}"));
            context
                .terminal
                .tell(&format!("Run `{again}` to carry out exactly this plan."));
        }
    }
    refuse(&plan, args.max_impact)?;
    if plan.has(Obstacle::Unreachable) {
        return Ok(exit::UNREACHABLE);
    }
    if plan.has(Obstacle::Refused) {
        return Ok(exit::FAILED);
    }
    if plan.has(Obstacle::Unknown) {
        return Ok(exit::UNREACHABLE);
    }
    Ok(if args.exit_code && !plan.is_empty() {
        exit::PENDING
    } else {
        exit::DONE
    })
}

/// Looks and compares, narrowed to `--on`; what was seen comes with the plan.
pub(crate) async fn make(
    context: &Context,
    session: &Session,
) -> Result<(Plan, Observed), Failure> {
    let observed = session.look().await;
    let plan = session.plan(&observed)?;
    let plan = match context.on() {
        None => plan,
        Some(text) => super::narrow::to(plan, text, &session.desired)?,
    };
    Ok((plan, observed))
}

/// A snapshot changes the digest of a guest's configuration: the plan is made anew, and must be the one that was agreed to
/// in everything else.
pub(super) async fn same_again(
    context: &Context,
    session: &Session,
    agreed: &Plan,
    called: &Called,
) -> Result<Plan, Failure> {
    let (again, _) = make(context, session).await?;
    if again.without_digests() == agreed.without_digests() {
        return Ok(again);
    }
    Err(Failure::new(
        exit::STALE,
        "something else changed while the snapshots were made: only they were",
    )
    .hint(format!("Look again: `{}`.", called.look(context))))
}

/// Refuses a plan with too much impact.
pub(crate) fn refuse(plan: &Plan, max: Option<MaxImpact>) -> Result<(), Failure> {
    let Some(max) = max else { return Ok(()) };
    let too_much: Vec<&str> = plan
        .changes
        .iter()
        .filter(|change| change.impact > max.impact())
        .map(|change| change.id.as_str())
        .collect();
    if too_much.is_empty() {
        return Ok(());
    }
    let more = too_much.len().saturating_sub(MANY);
    let mut text = format!(
        "these changes have more impact than allowed: {}",
        too_much[..too_much.len() - more].join(", ")
    );
    if more > 0 {
        let _ = write!(text, " and {more} more");
    }
    Err(Failure::new(exit::REFUSED, text)
        .hint("Allow more with `--max-impact`, or choose with `--on`."))
}
