//! `infra dr run`: `up`, then everything back in the declared order, then the system's own checks.

use super::empty::full;
use crate::backup::Goal;
use crate::cli::{
    backup::{
        live_restore::{agree, decide, remember_copies, shown},
        turns::carry_out,
    },
    context::Context,
    exit,
    failure::Failure,
    live,
    locks::Locks,
    session::Session,
    up::{self, Called, UpArgs},
    verify,
};
use clap::Args;
use std::{sync::atomic::AtomicBool, time::Duration};

/// Services that have just been started get this long before a failing check counts.
const PATIENCE: Duration = Duration::from_mins(1);

/// Carry out the recovery: build everything, then bring everything back
///
/// For machines that hold nothing yet. Runs `infra up`, then brings back every host in its order: files, then databases
/// from their dumps, then the services; then the system's own checks. Refused where something that comes back holds files
/// already; ends with 6 where something is in no copy that can be read. Asks for the system's name.
#[derive(Debug, Clone, Args)]
pub(crate) struct RunArgs {
    /// The system's name, typed beforehand instead of at the question
    #[arg(long, value_name = "SYSTEM")]
    pub(crate) confirm: Option<String>,
    /// Bring back even where there are files or databases, as after a run that was cut off; what is there is kept
    #[arg(long)]
    pub(crate) over_live: bool,
}

/// Runs the verb.
pub(super) fn run(context: &Context, args: &RunArgs) -> Result<u8, Failure> {
    live::with(context, |session| {
        Box::pin(async move { ready(context, args, &session).await })
    })?;
    let code = up::run(
        context,
        &UpArgs {
            file: None,
            yes: true,
            max_impact: None,
            snapshot: false,
            no_verify: true,
            called: Called::new("dr run", "plan"),
        },
    )?;
    if code != exit::DONE {
        return Err(Failure::new(
            code,
            "`infra up` did not end well: nothing was brought back",
        )
        .hint("Mend what it says, then run this again."));
    }
    live::with(context, |session| {
        Box::pin(async move {
            let walking = AtomicBool::new(false);
            let locks = Locks::of_restore(context, &session, "infra dr run");
            let work = back(context, &session, &walking);
            locks.hold(context, &walking, work).await
        })
    })
}

/// Nothing lives where something will come back, and the owner agrees.
async fn ready(context: &Context, args: &RunArgs, session: &Session) -> Result<u8, Failure> {
    if session.desired.backups.is_empty() {
        return Err(
            Failure::new(exit::FAILED, "the inventory has no backup job").hint(
                "There is nothing to bring back: `infra up` builds what the inventory describes.",
            ),
        );
    }
    if !args.over_live {
        let mut full = full(session).await?.into_iter();
        if let Some(first) = full.next() {
            let failure = Failure::new(exit::REFUSED, format!("{first}: this is no empty machine"));
            return Err(full.fold(failure, Failure::because).hint("For one host of a living system: `infra backup restore host/NAME --live`. After a run that was cut off: `infra dr run --over-live`; what is there is kept."));
        }
    }
    context.terminal.tell(&format!(
        "This builds {} and brings back everything that its backups hold.",
        session.desired.system
    ));
    agree(
        context,
        session.desired.system.as_str(),
        args.confirm.as_deref(),
    )?;
    Ok(exit::DONE)
}

async fn back(context: &Context, session: &Session, walking: &AtomicBool) -> Result<u8, Failure> {
    let decided = decide(context, session, &Goal::All, None).await?;
    if !context.global.json {
        context.terminal.answer(&shown(session, &decided));
    }
    let (code, rows) = carry_out(context, session, &decided, walking).await?;
    if context.global.json {
        context.terminal.json(&decided.json(&rows));
    }
    if code != exit::DONE {
        return Ok(code);
    }
    remember_copies(session, &decided).await?;
    let code = decided.code(context);
    let proven = verify::show(context, session, PATIENCE).await?;
    Ok(if proven == exit::DONE { code } else { proven })
}
