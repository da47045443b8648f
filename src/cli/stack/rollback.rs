//! `infra stack rollback`: an earlier release, because somebody asks for it.

use super::choice::{named, place, told};
use crate::cli::{context::Context, exit, failure::Failure, live, session::Session, up::Locks};
use crate::providers::compose::{self, Compose, ComposeRead as _, History, Step};
use clap::Args;
use std::sync::atomic::AtomicBool;

/// Go back to an earlier release of a stack; its data stays as it is
///
/// A release that is not well in time is left again for the one that ran (exit code 10). The inventory is not changed: as
/// long as it wants another release, the next `infra up` deploys that one again.
#[derive(Debug, Clone, Args)]
pub(crate) struct RollbackArgs {
    /// Stack
    pub(crate) stack: String,
    /// Release; the one that ran before unless given
    pub(crate) release: Option<String>,
    /// Do not ask
    #[arg(short, long)]
    pub(crate) yes: bool,
}

/// Runs the verb.
pub(crate) fn run(context: &Context, args: &RollbackArgs) -> Result<u8, Failure> {
    live::with(context, |session| {
        Box::pin(async move {
            let locks = Locks::of(context, &session, "infra stack rollback");
            let walking = AtomicBool::new(false);
            let work = back(context, args, &session, &walking);
            locks.hold(context, &walking, work).await
        })
    })
}

async fn back(
    context: &Context,
    args: &RollbackArgs,
    session: &Session,
    walking: &AtomicBool,
) -> Result<u8, Failure> {
    let name = named(&session.desired, &args.stack)?;
    let (release, shell) = place(session, &name)?;
    let compose = Compose::new(shell);
    let history = compose
        .history(&name)
        .await
        .map_err(|error| told(&error))?
        .unwrap_or_default();
    let to = target(args, &history)?;
    if history.current.as_deref() == Some(to.as_str()) {
        context
            .terminal
            .answer(&format!("Release {to} of stack {name} runs already.\n"));
        return Ok(exit::DONE);
    }
    let from = history.current.clone();
    let shown = from.as_deref().unwrap_or("nothing");
    if !args.yes {
        if !context.terminal.can_ask() {
            return Err(Failure::new(exit::USAGE, "there is nobody to ask")
                .hint("Look at `infra stack history`, then agree beforehand with `--yes`."));
        }
        let question = format!(
            "Go back from {shown} to {to}? Containers restart, data stays as it is. [yes / no]"
        );
        if !matches!(
            context.terminal.ask(&question).as_deref(),
            Some("yes" | "y")
        ) {
            return Err(Failure::new(
                exit::FAILED,
                "nothing was changed: you did not agree",
            ));
        }
    }
    walking.store(true, std::sync::atomic::Ordering::SeqCst);
    let tell = |step| {
        context.terminal.tell(match step {
            Step::Stage | Step::Pull | Step::Keep => "preparing",
            Step::Up => "making containers",
            Step::Health => "waiting for health",
            Step::RollBack => "that release is not well: back to the one that ran",
        });
    };
    let secrets = &session.world.secrets;
    let done = compose::go_back(&compose, release, secrets, &to, from.as_deref(), tell).await;
    walking.store(false, std::sync::atomic::Ordering::SeqCst);
    done.map_err(|error| told(&error))?;
    if context.global.json {
        context.terminal.json(&serde_json::json!({
            "stack": name, "from": from, "to": to, "wanted": release.id,
        }));
    } else {
        context
            .terminal
            .answer(&format!("Stack {name} runs release {to} and is healthy.\n"));
    }
    if release.id != to {
        context.terminal.tell(&format!(
            "The inventory wants release {}: the next `infra up` deploys that one. Change the inventory to keep {to}.",
            release.id
        ));
    }
    Ok(exit::DONE)
}

fn target(args: &RollbackArgs, history: &History) -> Result<String, Failure> {
    let there: Vec<&str> = history.staged.iter().map(|(id, _)| id.as_str()).collect();
    let hint = if there.is_empty() {
        "It was never deployed there.".to_owned()
    } else {
        format!("There is {}.", there.join(", "))
    };
    match &args.release {
        Some(id) => {
            let mut matching = there.iter().filter(|own| own.starts_with(id.as_str()));
            match (matching.next(), matching.next()) {
                (Some(one), None) => Ok((*one).to_owned()),
                (Some(_), Some(_)) => {
                    let text = format!("several releases begin with `{id}`");
                    Err(Failure::new(exit::USAGE, text).hint(hint))
                }
                (None, _) => {
                    let text = format!("release `{id}` is not on the host");
                    Err(Failure::new(exit::USAGE, text).hint(hint))
                }
            }
        }
        None => history.before().map(str::to_owned).ok_or_else(|| {
            let text = format!(
                "stack `{}` has no earlier release to go back to",
                args.stack
            );
            Failure::new(exit::FAILED, text).hint(hint)
        }),
    }
}
