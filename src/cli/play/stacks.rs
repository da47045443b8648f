//! Stacks of a batch: brought in line, or given the images of today first.

use crate::cli::{
    context::Context,
    exit,
    failure::{Failure, failed},
    plan::make,
    session::{self, Lab, Session},
    stack, system, up,
};
use crate::inventory::ImageLock;
use crate::model::ids::{HostName, StackName};
use crate::plan::{
    Plan,
    change::{Change, Operation},
};
use crate::view::human;
use std::collections::BTreeSet;

/// The stacks that are meant: the named ones, or with `all` those on these hosts.
pub(super) fn named(
    session: &Session,
    names: &[String],
    hosts: &[HostName],
) -> Result<Vec<StackName>, Failure> {
    let stacks = &session.desired.stacks;
    if names.iter().any(|name| name == "all") {
        let on = stacks.values().filter(|stack| hosts.contains(&stack.on));
        return Ok(on.map(|stack| stack.name.clone()).collect());
    }
    names
        .iter()
        .map(|name| {
            let found = stacks.keys().find(|stack| stack.as_str() == name);
            found.cloned().ok_or_else(|| {
                Failure::new(exit::USAGE, format!("there is no stack `{name}`"))
                    .hint("Name one of the inventory, or `all`.")
            })
        })
        .collect()
}

/// What deploying them would change.
pub(super) async fn pending(
    context: &Context,
    session: &Session,
    names: &[StackName],
) -> Result<Plan, Failure> {
    let mut whole = context.in_folder(&session.world.folder);
    whole.global.on = None;
    let (plan, _) = make(&whole, session).await?;
    plan.only(|change| is_of(change, names))
        .map_err(|e| failed(&e))
}

fn is_of(change: &Change, names: &[StackName]) -> bool {
    if let Operation::DeployStack(release) = &change.operation {
        names.contains(&release.stack)
    } else {
        false
    }
}

/// Deploys them. One that does not get well goes back by itself, and the others go on.
pub(super) async fn deploy(
    context: &Context,
    session: &Session,
    names: &[StackName],
) -> Result<(u8, Vec<StackName>), Failure> {
    let plan = pending(context, session, names).await?;
    if plan.changes.is_empty() {
        return Ok((exit::DONE, Vec::new()));
    }
    if !context.global.json {
        context.terminal.answer(&human::plan(&plan, false));
    }
    let (receipt, file) = up::carry_out(context, session, &plan).await?;
    if !context.global.json {
        let again = format!("`{}`", context.again("up"));
        let text = human::receipt(&receipt, Some(&file), &again);
        context.terminal.tell(text.trim_end());
    }
    if receipt.is_complete() {
        return Ok((exit::DONE, Vec::new()));
    }
    let failed: BTreeSet<&str> = receipt.failed().map(|change| change.id.as_str()).collect();
    let back = plan.changes.iter().filter_map(|change| {
        let Operation::DeployStack(release) = &change.operation else {
            return None;
        };
        failed
            .contains(change.id.as_str())
            .then(|| release.stack.clone())
    });
    // One that could not even go back is worse than those that did.
    let code = match up::ended(&receipt) {
        exit::ROLLED_BACK if !receipt.failed().all(up::is_rolled_back) => exit::PARTIAL,
        code => code,
    };
    Ok((code, back.collect()))
}

/// Locks the images of today, deploys, and gives the stacks that went back their old images again.
pub(super) async fn update(
    context: &Context,
    session: &Session,
    lab: Option<&Lab>,
    names: &[StackName],
) -> Result<u8, Failure> {
    if names.is_empty() {
        return Ok(exit::DONE);
    }
    let before = stack::lock(session)?;
    let quiet = {
        let mut quiet = context.in_folder(&session.world.folder);
        quiet.global.on = None;
        quiet
    };
    let words: Vec<String> = names.iter().map(ToString::to_string).collect();
    let locked = stack::relock(&quiet, session, &words).await?;
    let again = session::open(context, system::load(context)?, lab)?;
    let (code, back) = deploy(context, &again, names).await?;
    if !back.is_empty() {
        put_back(&again, &before, &back)?;
        let names: Vec<&str> = back.iter().map(StackName::as_str).collect();
        context.terminal.complain(&format!(
            "{}: the images of before are locked again.",
            names.join(", ")
        ));
    }
    // An image that is gone is told by its row; the others are up to date all the same.
    Ok(code.max(locked))
}

/// The pins of images that only these stacks use are those of before.
fn put_back(session: &Session, before: &ImageLock, back: &[StackName]) -> Result<(), Failure> {
    let tags = |wanted: bool| -> BTreeSet<String> {
        session
            .compiled
            .releases
            .values()
            .filter(|release| back.contains(&release.stack) == wanted)
            .flat_map(|release| &release.images)
            .map(|image| image.split('@').next().unwrap_or(image).to_owned())
            .collect()
    };
    let others = tags(false);
    let mut lock = stack::lock(session)?;
    for tag in tags(true).difference(&others) {
        match before.containers.get(tag) {
            Some(pin) => {
                lock.containers.insert(tag.clone(), pin.clone());
            }
            None => {
                lock.containers.remove(tag);
            }
        }
    }
    stack::write_lock(session, &lock)
}
