//! What systemd starts when a unit of ours failed: the run may not have come as far as telling so itself.

use super::{args::NightlyArgs, memory, voice::Voice};
use crate::cli::{context::Context, exit, failure::Failure, live, system};
use crate::providers::notify::Kind;

/// Tells it, unless the run did. systemd says which unit it was (`systemd.exec(5)`, `$MONITOR_UNIT`).
pub(super) fn run(context: &Context, args: &NightlyArgs) -> Result<u8, Failure> {
    let system = system::load(context)?;
    let word = |name: &str| {
        let value = context.env.variables.get(name);
        value.map_or("unknown", String::as_str)
    };
    let state = context.env.state.join(system.desired.system.as_str());
    let run = word("MONITOR_INVOCATION_ID");
    if memory::was_told(&state, run) {
        return Ok(exit::DONE);
    }
    let voice = Voice::of(context, args, &system);
    let unit = word("MONITOR_UNIT");
    let title = format!("{}: {unit} failed", voice.system);
    let text = format!(
        "{unit} failed on {}: {} (exit status {}).\nSee why: journalctl -u {unit} -n 50\n",
        context.env.who,
        word("MONITOR_SERVICE_RESULT"),
        word("MONITOR_EXIT_STATUS"),
    );
    live::block_on(async {
        voice.say(context, Kind::Failure, &title, &text).await;
        Ok(if voice.unheard.get() > 0 {
            exit::FAILED
        } else {
            exit::DONE
        })
    })
}
