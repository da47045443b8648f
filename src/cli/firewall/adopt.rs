//! `infra firewall adopt`: rules that others made, as rows for the inventory.

use crate::cli::{context::Context, exit, failure::Failure, live, session::Session};
use crate::firewall::analysis;
use crate::view::human;

/// Runs the verb.
pub(crate) fn run(context: &Context) -> Result<u8, Failure> {
    live::with(context, move |session| {
        Box::pin(async move { adopt(context, &session).await })
    })
}

async fn adopt(context: &Context, session: &Session) -> Result<u8, Failure> {
    let desired = &session.desired;
    let observed = session.look().await;
    let found = analysis::adopt(desired, &observed);
    let unseen = analysis::live(desired, &observed).unseen;
    let terminal = &context.terminal;
    if context.global.json {
        terminal.json(&serde_json::json!({
            "system": desired.system,
            "sets": found.sets.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
            "flows": found.flows,
            "left": found.left,
            "unseen": unseen,
        }));
    } else if found.flows.is_empty() && found.left.is_empty() {
        terminal.tell("Every rule that is enforced is infra's own: there is nothing to adopt.");
    } else {
        terminal.answer(&human::adoption(&found));
        if !found.flows.is_empty() {
            terminal.tell(&format!(
                "Put what you want to keep into the inventory: `{}` then makes it infra's own. A rule that says the same as infra's goes then; another one stays until you remove it.",
                context.again("firewall apply")
            ));
        }
    }
    for why in &unseen {
        terminal.complain(&format!("not looked at: {why}"));
    }
    Ok(if unseen.is_empty() {
        exit::DONE
    } else {
        exit::UNREACHABLE
    })
}
