//! `infra status`: what runs, where, how healthy.

use super::{context::Context, exit, failure::Failure, live, session::Session};
use crate::model::observed::Reading;
use crate::view::human::{self, StatusLine};

/// Runs the verb.
pub(crate) fn run(context: &Context) -> Result<u8, Failure> {
    live::with(context, |session| Box::pin(show(context, session)))
}

async fn show(context: &Context, session: Session) -> Result<u8, Failure> {
    let observed = session.look().await;
    let mut lines = human::status_lines(&session.desired, &observed);
    let backups = super::backup::lines(&session.desired, &session.hosts).await;
    // Below what else is of their host.
    for line in backups {
        let last = lines.iter().rposition(|one| one.host == line.host);
        lines.insert(last.map_or(lines.len(), |at| at + 1), line);
    }
    if context.global.json {
        context.terminal.json(&serde_json::json!({
            "status": lines,
            "lab": session.lab,
        }));
    } else {
        context.terminal.answer(&human::status(&lines));
    }
    let silent = observed
        .hosts
        .values()
        .any(|host| matches!(host, Reading::Failed { .. }))
        || matches!(observed.proxmox, Some(Reading::Failed { .. }));
    if silent {
        return Ok(exit::UNREACHABLE);
    }
    Ok(if lines.iter().all(StatusLine::is_well) {
        exit::DONE
    } else {
        exit::CHECK_FAILED
    })
}
