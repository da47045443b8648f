//! A playbook from its file to its end.

use super::{
    acts::{Doing, is_pending, words},
    args::PlayArgs,
    batch::{self, Seen, Work},
    choose,
    owed::Owed,
};
use crate::apply::event::StepOutcome;
use crate::cli::{
    context::Context,
    exit,
    failure::{Failure, failed},
    live,
    locks::Locks,
    session::{self, Lab, Session},
    system,
    up::{self, Called},
};
use crate::diagnostic::Diagnostic;
use crate::model::playbook::Playbook;
use crate::plan::{Plan, change::Change};
use crate::playbook::tasks;
use crate::view::human;
use std::{
    cell::Cell,
    sync::atomic::{AtomicBool, Ordering},
};

/// Runs it.
pub(super) fn run(context: &Context, args: &PlayArgs, name: &str) -> Result<u8, Failure> {
    let system = system::load(context)?;
    let playbook = choose::playbook(context, &system.folder, name)?;
    let values = choose::values(&playbook, &args.var)?;
    let hosts = choose::hosts(context, &system.desired, &playbook, &values)?;
    let mut works = Vec::new();
    let mut problems: Vec<Diagnostic> = Vec::new();
    for host in hosts {
        match tasks(&playbook, &host, &values) {
            Ok((tasks, handlers)) => works.push(Work {
                host,
                tasks,
                handlers,
            }),
            Err(found) => problems.extend(found),
        }
    }
    if !problems.is_empty() {
        problems.dedup();
        let sources = choose::loaded(&system.folder)?.sources;
        system::show(context, &problems, &sources);
        return Err(Failure::said(exit::INVALID));
    }
    let lab = live::lab_of(context)?;
    live::block_on(async {
        let session = session::open(context, system, lab.as_ref())?;
        if args.check {
            return check(context, &session, &playbook, &works).await;
        }
        let why = format!("infra play {name}");
        let walking = AtomicBool::new(false);
        let locks = Locks::of(context, &session, &why);
        let work = play(
            context,
            args,
            &session,
            lab.as_ref(),
            &playbook,
            works,
            &walking,
        );
        locks.hold(context, &walking, work).await
    })
}

/// What would change, on all hosts.
async fn check(
    context: &Context,
    session: &Session,
    playbook: &Playbook,
    works: &[Work],
) -> Result<u8, Failure> {
    let owed = Owed::read(session, &playbook.name)?;
    let seen = batch::look(session, works, &owed).await?;
    let plan = seen.plan(session, works)?;
    let todo = todo(context, session, works, &seen).await?;
    if context.global.json {
        context.terminal.json(&serde_json::json!({
            "playbook": playbook.name, "plan": plan, "would": todo,
        }));
        return Ok(exit::DONE);
    }
    show(context, &plan, &todo);
    context
        .terminal
        .tell("Nothing was changed: this was a check.");
    Ok(exit::DONE)
}

/// What is done beside the changes, in words.
async fn todo(
    context: &Context,
    session: &Session,
    works: &[Work],
    seen: &Seen,
) -> Result<Vec<String>, Failure> {
    let mut pending = !seen.changes(works).is_empty();
    let parts = seen.parts(works);
    for part in &parts {
        if let Some(act) = &part.act {
            pending |= is_pending(context, session, act, &part.hosts, seen).await?;
        }
    }
    if !pending {
        return Ok(Vec::new());
    }
    let acts = parts
        .iter()
        .filter_map(|part| Some((part.act.as_ref()?, &part.hosts)));
    Ok(acts.map(|(act, hosts)| words(act, hosts)).collect())
}

fn show(context: &Context, plan: &Plan, todo: &[String]) {
    let verbose = context.terminal.loudness().verbose;
    if !plan.changes.is_empty() || todo.is_empty() {
        context.terminal.answer(&human::plan(plan, verbose));
    }
    for line in todo {
        context.terminal.answer(&format!("  > {line}\n"));
    }
}

async fn play(
    context: &Context,
    args: &PlayArgs,
    session: &Session,
    lab: Option<&Lab>,
    playbook: &Playbook,
    works: Vec<Work>,
    walking: &AtomicBool,
) -> Result<u8, Failure> {
    let owed = Owed::read(session, &playbook.name)?;
    let seen = batch::look(session, &works, &owed).await?;
    let plan = seen.plan(session, &works)?;
    let todo = todo(context, session, &works, &seen).await?;
    if let Some(failure) = up::blocked(&plan) {
        return Err(failure);
    }
    if !context.global.json {
        show(context, &plan, &todo);
    }
    let is_settled = plan.changes.is_empty() && todo.is_empty();
    let name = &playbook.name;
    let called = Called::new(format!("play {name}"), format!("play {name} --check"));
    if !is_settled && !args.yes && !up::agreed(context, &plan, &called).await? {
        return Err(Failure::new(
            exit::FAILED,
            "nothing was changed: you did not agree",
        ));
    }
    walking.store(true, Ordering::SeqCst);
    let ended = batches(context, args, session, lab, playbook, works, !is_settled).await;
    walking.store(false, Ordering::SeqCst);
    let (code, receipts) = ended?;
    if context.global.json {
        context.terminal.json(&serde_json::json!({
            "playbook": playbook.name, "receipts": receipts, "exit": code,
        }));
    }
    Ok(code)
}

async fn batches(
    context: &Context,
    args: &PlayArgs,
    session: &Session,
    lab: Option<&Lab>,
    playbook: &Playbook,
    works: Vec<Work>,
    changes: bool,
) -> Result<(u8, Vec<serde_json::Value>), Failure> {
    let mut receipts = Vec::new();
    let size = playbook.serial.unwrap_or(works.len()).max(1);
    let doing = Doing {
        context,
        args,
        session,
        lab,
        changes,
        snapshot: Cell::new(None),
    };
    let count = works.len().div_ceil(size);
    let mut worst = exit::DONE;
    for (number, works) in works.chunks(size).enumerate() {
        if count > 1 {
            let names: Vec<&str> = works.iter().map(|work| work.host.name.as_str()).collect();
            context.terminal.tell(&format!(
                "Batch {} of {count}: {}.",
                number + 1,
                names.join(", ")
            ));
        }
        let code = one(&doing, playbook, works, &mut receipts).await?;
        if code != exit::DONE {
            worst = code;
        }
        if !goes_on(code) {
            if number + 1 < count {
                context
                    .terminal
                    .complain("The batches after this one were not begun.");
            }
            return Ok((code, receipts));
        }
    }
    Ok((worst, receipts))
}

/// Whether what comes next is begun. A stack that went back runs as it did before, and holds up nobody.
const fn goes_on(code: u8) -> bool {
    matches!(code, exit::DONE | exit::ROLLED_BACK)
}

/// One batch: its parts in order, then a last look. Whatever ends it early, handlers that were called by then run.
async fn one(
    doing: &Doing<'_>,
    playbook: &Playbook,
    works: &[Work],
    receipts: &mut Vec<serde_json::Value>,
) -> Result<u8, Failure> {
    let (context, session) = (doing.context, doing.session);
    let before = Owed::read(session, &playbook.name)?;
    let seen = batch::look(session, works, &before).await?;
    let mut owed = before.clone();
    owed.call(&seen)?;
    let mut went = Went::default();
    let mut ended = parts(doing, works, &seen, receipts, &mut went).await;
    let is_whole = ended.as_ref().is_ok_and(|code| goes_on(*code));
    if !is_whole && !matches!(ended, Ok(exit::INTERRUPTED)) {
        let called = seen.called(&before, &went.done, &went.tried);
        if !called.is_empty() {
            context
                .terminal
                .tell("Handlers that were called by then run all the same.");
            if let Err(failure) = changes(doing, called, receipts, &mut went).await {
                // What ended the batch is the story to tell; this is told beside it.
                failure.tell(context.terminal);
            }
        }
    }
    owed.settle(&seen, |host, name| {
        !is_whole && seen.is_owed(&before, &went.done, host, name)
    })?;
    if !is_whole {
        return ended;
    }
    let again = batch::look(session, works, &owed)
        .await?
        .plan(session, works)?;
    if !again.changes.is_empty() {
        context.terminal.complain(&human::plan(&again, true));
        ended = Err(Failure::new(
            exit::PARTIAL,
            "everything was carried out, and something still differs",
        )
        .hint("A command whose `creates` or `unless` does not hold afterwards would run every time: look at its step."));
    }
    ended
}

/// What has become of changes, by id.
#[derive(Default)]
struct Went {
    done: Vec<String>,
    tried: Vec<String>,
}

/// The parts of a batch, until one fails that others may need.
async fn parts(
    doing: &Doing<'_>,
    works: &[Work],
    seen: &Seen,
    receipts: &mut Vec<serde_json::Value>,
    went: &mut Went,
) -> Result<u8, Failure> {
    let mut ended = exit::DONE;
    for part in seen.parts(works) {
        if !part.changes.is_empty() {
            let code = changes(doing, part.changes, receipts, went).await?;
            if code != exit::DONE {
                return Ok(code);
            }
        }
        if let Some(act) = &part.act {
            let code = doing.act(act, &part.hosts).await?;
            if code != exit::DONE {
                doing
                    .context
                    .terminal
                    .complain(&format!("failed: {}", words(act, &part.hosts)));
                if !goes_on(code) {
                    return Ok(code);
                }
                ended = code;
            }
        }
    }
    Ok(ended)
}

/// Changes as a plan of their own, carried out and told.
async fn changes(
    doing: &Doing<'_>,
    changes: Vec<Change>,
    receipts: &mut Vec<serde_json::Value>,
    went: &mut Went,
) -> Result<u8, Failure> {
    let (context, session) = (doing.context, doing.session);
    let plan = batch::plan(session, changes, Vec::new())?;
    let (receipt, file) = up::carry_out(context, session, &plan).await?;
    if !context.global.json {
        let name = doing.args.name.as_deref().unwrap_or_default();
        let again = context.again(&format!("play {name}"));
        let text = human::receipt(&receipt, Some(&file), &format!("`{again}`"));
        context.terminal.tell(text.trim_end());
    }
    for change in &receipt.changes {
        match change.outcome {
            StepOutcome::Done => {
                went.done.push(change.id.clone());
                went.tried.push(change.id.clone());
            }
            StepOutcome::Failed { .. } => went.tried.push(change.id.clone()),
            StepOutcome::Skipped { .. } => {}
        }
    }
    receipts.push(serde_json::to_value(&receipt).map_err(|e| failed(&e))?);
    Ok(if receipt.is_complete() {
        exit::DONE
    } else {
        up::ended(&receipt)
    })
}
