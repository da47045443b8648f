//! Bringing back over what lives, carried out: stacks stand still, what is there is kept, files come first, then databases,
//! then the stacks start in their order.

use super::{choice::told, copies::stamp, live_restore::Decided};
use crate::apply::backup::{Back, FilesBack, Guards, LoadBack, files_back, load_back};
use crate::backup::{Files, Group, Load};
use crate::cli::{
    context::Context,
    exit,
    failure::Failure,
    session::Session,
    zfs::standstill::{self, User},
};
use crate::model::ids::StackName;
use crate::providers::backup::BackupError;
use crate::view::words::{count, list, size};
use std::{
    fmt::Write as _,
    sync::atomic::{AtomicBool, Ordering},
};

/// Carries it out, group by group. A failure in one group ends it: the next ones may need what is missing.
pub(crate) async fn carry_out(
    context: &Context,
    session: &Session,
    decided: &Decided,
    walking: &AtomicBool,
) -> Result<(u8, Vec<serde_json::Value>), Failure> {
    let stamp = stamp();
    let back = Back {
        desired: &session.desired,
        hosts: &session.hosts,
        secrets: &session.world.secrets,
        stamp: &stamp,
    };
    let groups = &decided.restoration.groups;
    // Whoever cannot be asked to stand still is told before anything stops.
    let mut users = Vec::new();
    for group in groups {
        users.push(standstill::named(session, &group.stacks)?);
    }
    let (mut rows, mut code) = (Vec::new(), exit::DONE);
    for (at, (group, own)) in groups.iter().zip(&users).enumerate() {
        let later: Vec<&StackName> = groups[at + 1..]
            .iter()
            .flat_map(|one| &one.stacks)
            .collect();
        let turn = Turn {
            context,
            back: &back,
            group,
            // Those that need others stop first.
            order: own.iter().rev().collect(),
            // One that a later group is about as well starts when all of its own is there.
            waits: own
                .iter()
                .filter(|user| later.contains(&user.stack))
                .map(|user| user.stack)
                .collect(),
        };
        // From here on Ctrl-C waits: what was stopped must be started again.
        walking.store(true, Ordering::SeqCst);
        let result = turn.take(&mut rows).await;
        if result.is_err() {
            // Those that waited for this group or a later one, and are not this group's.
            let before = users[..at].iter().flatten();
            let waiting: Vec<&User<'_>> = before
                .filter(|user| !group.stacks.contains(user.stack) && later.contains(&user.stack))
                .collect();
            standstill::start(context, &waiting).await;
        }
        walking.store(false, Ordering::SeqCst);
        if !result? {
            code = exit::PARTIAL;
        }
    }
    Ok((code, rows))
}

/// One group, while its stacks stand still.
struct Turn<'a> {
    context: &'a Context,
    back: &'a Back<'a>,
    group: &'a Group,
    order: Vec<&'a User<'a>>,
    waits: Vec<&'a StackName>,
}

impl Turn<'_> {
    /// Brings it back. True when its stacks run again.
    async fn take(&self, rows: &mut Vec<serde_json::Value>) -> Result<bool, Failure> {
        let nothing = so_far(rows);
        let early = |error: BackupError| told(&error).hint(nothing.clone());
        let guards = Guards::of(self.back, &self.group.files).map_err(early)?;
        guards.ready(self.back).await.map_err(early)?;
        let stacks: Vec<StackName> = self.order.iter().map(|user| user.stack.clone()).collect();
        let noted = guards
            .note(self.back, &stacks)
            .await
            .map_err(|error| told(&error));
        let stopped = match noted {
            Ok(()) => standstill::stop(self.context, &self.order).await,
            Err(failure) => Err(failure),
        };
        if let Err(failure) = stopped {
            self.forget(&guards).await;
            return Err(failure.hint(so_far(rows)));
        }
        let before = rows.len();
        let result = match guards.take(self.back).await {
            Ok(()) => one_group(self.context, self.back, self.group, &guards, rows).await,
            Err(error) => Err(error),
        };
        let Err(error) = result else {
            let starts: Vec<&User<'_>> = self
                .order
                .iter()
                .filter(|user| !self.waits.contains(&user.stack))
                .copied()
                .collect();
            let all = standstill::start(self.context, &starts).await;
            if all {
                self.forget(&guards).await;
            }
            return Ok(all);
        };
        let failure = told(&error).hint(so_far(rows));
        if rows.len() == before && !matches!(error, BackupError::Half { .. }) {
            let all = standstill::start(self.context, &self.order).await;
            if all {
                self.forget(&guards).await;
            }
            return Err(failure.hint(if all {
                "The stacks that were stopped run again. The command is safe to run again."
            } else {
                "Not every stack that was stopped runs again. The command is safe to run again."
            }));
        }
        Err(self.standing(failure, &guards, &rows[before..]))
    }

    /// Old and new files do not go together: the stacks are left standing, and told how to go on or back.
    fn standing(&self, failure: Failure, guards: &Guards, rows: &[serde_json::Value]) -> Failure {
        let mut failure = failure;
        if !self.order.is_empty() {
            let names: Vec<String> = self
                .order
                .iter()
                .rev()
                .map(|user| user.stack.to_string())
                .collect();
            failure = failure.hint(format!(
                "{} stand still: some of their data may be old and some new. Mend what is told and run the command again: it starts them; `infra up` starts them as they are.",
                list(&names)
            ));
        }
        let mut kept = guards.places();
        for row in rows {
            match &row["kept"] {
                serde_json::Value::String(place) => kept.push(place.clone()),
                serde_json::Value::Array(places) => {
                    kept.extend(
                        places
                            .iter()
                            .filter_map(|one| one.as_str().map(str::to_owned)),
                    );
                }
                serde_json::Value::Null
                | serde_json::Value::Bool(_)
                | serde_json::Value::Number(_)
                | serde_json::Value::Object(_) => {}
            }
        }
        kept.sort();
        kept.dedup();
        if kept.is_empty() {
            return failure;
        }
        failure.hint(format!(
            "What was there before is in {}; a dataset goes back to its guard with `infra zfs rollback`.",
            list(&kept)
        ))
    }

    async fn forget(&self, guards: &Guards) {
        if let Err(error) = guards.forget(self.back).await {
            told(&error).tell(self.context.terminal);
        }
    }
}

fn so_far(rows: &[serde_json::Value]) -> String {
    let done: Vec<String> = rows
        .iter()
        .filter_map(|row| row["what"].as_str().map(str::to_owned))
        .collect();
    if done.is_empty() {
        "Nothing has come back as a whole.".to_owned()
    } else {
        format!("Back are {}.", list(&done))
    }
}

async fn one_group(
    context: &Context,
    back: &Back<'_>,
    group: &Group,
    guards: &Guards,
    rows: &mut Vec<serde_json::Value>,
) -> Result<(), BackupError> {
    for files in &group.files {
        context
            .terminal
            .tell(&format!("Bringing back {}.", files.name));
        let done = files_back(back, files, guards).await?;
        tell_files(context, files, &done);
        rows.push(serde_json::json!({
            "what": files.name, "at": done.at, "entries": done.returned.entries, "bytes": done.returned.bytes,
            "removed": done.removed, "kept": done.kept,
        }));
    }
    for load in &group.loads {
        context
            .terminal
            .tell(&format!("Loading {} on {}.", load.name, load.host));
        let done = load_back(back, load).await?;
        tell_load(context, load, &done);
        rows.push(serde_json::json!({
            "what": load.name, "items": done.items, "rows": done.rows, "kept": done.kept, "by_hand": done.by_hand,
        }));
    }
    Ok(())
}

fn tell_files(context: &Context, files: &Files, done: &FilesBack) {
    if context.global.json {
        return;
    }
    let number = usize::try_from(done.returned.entries).unwrap_or(usize::MAX);
    let entries = count(number, "entry", "entries");
    let mut text = format!(
        "{}: {entries}, {} in {}",
        files.name,
        size(done.returned.bytes),
        done.at
    );
    match done.removed {
        Some(0) => {}
        Some(gone) => {
            let _ = write!(
                text,
                "; {} not in the copy and gone",
                count(gone, "was", "were")
            );
        }
        None => text.push_str("; what is not in the copy stays"),
    }
    if let Some(kept) = &done.kept {
        let _ = write!(text, "\n  what was there before is in {kept}");
    }
    context.terminal.answer(&format!("{text}\n"));
}

fn tell_load(context: &Context, load: &Load, done: &LoadBack) {
    if context.global.json {
        return;
    }
    if let Some(path) = &done.by_hand {
        context.terminal.answer(&format!(
            "{}: only its own program can load it; it is in {path} on {}\n",
            load.name, load.host
        ));
        return;
    }
    let rows = done.rows.map(|rows| format!(", {rows} rows"));
    let mut text = format!(
        "{}: {} parts{}",
        load.name,
        done.items,
        rows.unwrap_or_default()
    );
    if done.held > 0 {
        let number = usize::try_from(done.held).unwrap_or(usize::MAX);
        let _ = write!(
            text,
            ", {}",
            count(number, "assertion holds", "assertions hold")
        );
    }
    for kept in &done.kept {
        let _ = write!(
            text,
            "\n  what was there before is in {kept} on {}",
            load.host
        );
    }
    context.terminal.answer(&format!("{text}\n"));
}
