//! `infra stack history`: the releases that a stack had.

use super::choice::{named, place, told};
use crate::cli::{context::Context, exit, failure::Failure, live, session::Session};
use crate::providers::compose::{Compose, ComposeRead as _, Flip, History};
use clap::Args;

/// Show which releases of a stack ran when, and which are still there to go back to
#[derive(Debug, Clone, Args)]
pub(crate) struct HistoryArgs {
    /// Stack
    pub(crate) stack: String,
}

/// Runs the verb.
pub(crate) fn run(context: &Context, args: &HistoryArgs) -> Result<u8, Failure> {
    live::with(context, |session| Box::pin(show(context, args, session)))
}

async fn show(context: &Context, args: &HistoryArgs, session: Session) -> Result<u8, Failure> {
    let name = named(&session.desired, &args.stack)?;
    let (release, shell) = place(&session, &name)?;
    let found = Compose::new(shell)
        .history(&name)
        .await
        .map_err(|error| told(&error))?;
    let Some(history) = found else {
        let text = format!("stack `{name}` was never deployed on {}", release.host);
        let again = context.again(&format!("stack deploy {name}"));
        return Err(Failure::new(exit::FAILED, text).hint(format!("Deploy it: `{again}`.")));
    };
    if context.global.json {
        context.terminal.json(&serde_json::json!({
            "stack": name, "host": release.host, "wanted": release.id, "history": history,
        }));
        return Ok(exit::DONE);
    }
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::UTF8_FULL_CONDENSED);
    table.set_header(["since", "release", "how", ""]);
    let last = history.flips.len().saturating_sub(1);
    for (number, flip) in history.flips.iter().enumerate() {
        let note = note(&history, flip, number == last, &release.id);
        let how = if flip.back { "taken back" } else { "deployed" };
        table.add_row([flip.at.as_str(), &flip.release, how, &note]);
    }
    context.terminal.answer(&format!("{table}\n"));
    Ok(exit::DONE)
}

fn note(history: &History, flip: &Flip, is_last: bool, wanted: &str) -> String {
    let mut notes = Vec::new();
    if is_last && history.current.as_deref() == Some(flip.release.as_str()) {
        notes.push("runs now");
    } else if history.has(&flip.release) {
        notes.push("still there");
    }
    if flip.release == wanted {
        notes.push("what the inventory wants");
    }
    notes.join(", ")
}
