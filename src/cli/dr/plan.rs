//! `infra dr plan`.

use crate::backup::{Words, runbook};
use crate::cli::{context::Context, exit, failure::Failure, system};

/// Runs the verb.
pub(super) fn run(context: &Context) -> Result<u8, Failure> {
    let system = system::load(context)?;
    let infra = match &context.global.inventory {
        Some(folder) => format!("infra -i {}", folder.display()),
        None => "infra".to_owned(),
    };
    let today = jiff::Zoned::now().strftime("%Y-%m-%d").to_string();
    let words = Words {
        infra: &infra,
        today: &today,
    };
    let text = runbook(&system.desired, &words);
    if context.global.json {
        context
            .terminal
            .json(&serde_json::json!({ "runbook": text }));
    } else {
        context.terminal.answer(&text);
    }
    Ok(exit::DONE)
}
