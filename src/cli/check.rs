//! `infra check`: every problem of the inventory, offline.

use super::{context::Context, exit, failure::Failure, system};
use crate::view::words;

/// Runs the verb.
pub(crate) fn run(context: &Context) -> Result<u8, Failure> {
    let mut system = system::load(context)?;
    let playbooks = super::play::loaded(&system.folder)?;
    if system::has_errors(&playbooks.diagnostics) {
        system::show(context, &playbooks.diagnostics, &playbooks.sources);
        return Err(Failure::said(exit::INVALID));
    }
    system.diagnostics.extend(playbooks.diagnostics);
    system.sources.extend(playbooks.sources);
    system::show(context, &system.diagnostics, &system.sources);
    if !context.global.json {
        let desired = &system.desired;
        context.terminal.answer(&format!(
            "{} is valid: {}, {}, {}, {}.\n",
            desired.system,
            words::count(desired.all_hosts().count(), "host", "hosts"),
            words::count(desired.datasets.len(), "dataset", "datasets"),
            words::count(desired.flows.len(), "flow", "flows"),
            words::count(desired.stacks.len(), "stack", "stacks"),
        ));
    }
    Ok(exit::DONE)
}
