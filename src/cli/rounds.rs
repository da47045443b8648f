//! The rounds of a run: a plan is shown, agreed to and carried out, and what came into sight with it is the next one.

use super::{
    context::Context,
    doctor, exit,
    failure::Failure,
    plan::refuse,
    session::Session,
    up::{UpArgs, agreed, blocked, carry_out},
};
use crate::apply::Receipt;
use crate::model::ids::HostName;
use crate::plan::Plan;
use crate::view::human;
use std::sync::atomic::{AtomicBool, Ordering};

/// Shows one plan, asks, and carries it out; none when nothing differs.
pub(super) async fn carry(
    context: &Context,
    args: &UpArgs,
    session: &Session,
    plan: &Plan,
    walking: &AtomicBool,
) -> Result<Option<Receipt>, Failure> {
    if !context.global.json {
        let verbose = context.terminal.loudness().verbose;
        let diffs = crate::cli::rendered::diffs(session, plan).await;
        context.terminal.answer(&human::file_diffs(&diffs, verbose));
        context.terminal.answer(&human::plan(plan, verbose));
    }
    refuse(plan, args.max_impact)?;
    let lacking = doctor::lacking(session).await;
    doctor::refuse_blindness(&lacking)?;
    if let Some(failure) = blocked(plan) {
        return Err(failure);
    }
    if plan.changes.is_empty() {
        return Ok(None);
    }
    doctor::refuse_without_rights(&lacking)?;
    if !args.yes && !agreed(context, plan, &args.called).await? {
        return Err(Failure::new(
            exit::FAILED,
            "nothing was changed: you did not agree",
        ));
    }
    let looked_at_again;
    let plan = if args.snapshot {
        crate::cli::vm_life::snapshot_before(context, session, plan).await?;
        looked_at_again =
            crate::cli::plan::same_again(context, session, plan, &args.called).await?;
        &looked_at_again
    } else {
        plan
    };
    walking.store(true, Ordering::SeqCst);
    let carried = carry_out(context, session, plan).await;
    walking.store(false, Ordering::SeqCst);
    let (done, file) = carried?;
    if !context.global.json {
        let again = args.called.run(context);
        context
            .terminal
            .tell(human::receipt(&done, Some(&file), &format!("`{again}`")).trim_end());
    }
    Ok(Some(done))
}

/// Whether something only came into sight with a complete run, which is the next round's plan. After that nothing may
/// differ any more; what does is told as a failure, not hidden.
pub(super) fn go_on(context: &Context, before: &Plan, again: &Plan) -> Result<bool, Failure> {
    if again.is_settled() {
        return Ok(false);
    }
    if again.continues(before) {
        let hosts: Vec<&str> = before.later.keys().map(HostName::as_str).collect();
        context.terminal.tell(&format!(
            "{} could not be seen before and can be now.",
            hosts.join(", ")
        ));
        return Ok(true);
    }
    context.terminal.complain(&human::plan(again, true));
    Err(Failure::new(
        exit::PARTIAL,
        "everything was carried out, and something still differs",
    )
    .hint("Something changes it back, or infra misreads it: compare with the lines above."))
}

/// What was planned and done, for programs: the first round, and what came into sight with it.
pub(super) fn tell(context: &Context, plan: &Plan, mut rounds: Vec<serde_json::Value>) {
    if !context.global.json {
        return;
    }
    let mut said = if rounds.is_empty() {
        serde_json::json!({ "plan": plan, "receipt": null })
    } else {
        rounds.remove(0)
    };
    if !rounds.is_empty() {
        said["then"] = rounds.into();
    }
    context.terminal.json(&said);
}
