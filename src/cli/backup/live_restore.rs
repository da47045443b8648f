//! Bringing back over what lives: stacks stand still, what is there is kept, files come first, then databases, then the
//! stacks start in their order.

use super::{
    choice::{shell, short, told},
    copies::{Found, found, stamp},
};
use crate::apply::backup::{Back, FilesBack, LoadBack, files_back, load_back};
use crate::backup::{Files, Goal, Group, Held, Load, Restoration, restoration};
use crate::cli::{context::Context, exit, failure::Failure, session::Session, zfs::standstill};
use crate::model::{
    backup::{BackupJob, in_order},
    ids::StackName,
};
use crate::providers::backup::{Record, Source, remember};
use crate::view::words::{count, list, size};
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::atomic::{AtomicBool, Ordering},
};

/// What comes back, decided, with the copies that it comes from.
pub(crate) struct Decided {
    pub(crate) restoration: Restoration,
    copies: Vec<Found>,
    /// Jobs whose copies could not be looked at.
    unseen: Vec<String>,
}

impl Decided {
    /// The code for what came back: it is not everything while a job's copies could not even be looked at.
    pub(crate) fn code(&self, context: &Context) -> u8 {
        if self.unseen.is_empty() {
            return exit::DONE;
        }
        context.terminal.complain(&format!(
            "Nothing came back from {}: what is wrong with its copies is said above. The command is safe to run again.",
            list(&self.unseen)
        ));
        exit::PARTIAL
    }
}

/// Looks at the copies that a goal may need, and decides.
pub(crate) async fn decide(
    context: &Context,
    session: &Session,
    goal: &Goal,
    id: Option<&str>,
) -> Result<Decided, Failure> {
    let desired = &session.desired;
    let jobs: Vec<&BackupJob> = match goal {
        Goal::Parts(name, _) => desired.backups.get(name).into_iter().collect(),
        Goal::Stack(_) | Goal::Host(_) | Goal::All => in_order(&desired.backups),
    };
    if jobs.is_empty() {
        return Err(
            Failure::new(exit::FAILED, "the inventory has no backup job")
                .hint("Write `backups:` in the inventory; docs/backups.md shows how."),
        );
    }
    let mut copies = Vec::new();
    let (mut failures, mut unseen) = (Vec::new(), Vec::new());
    for job in jobs {
        context
            .terminal
            .tell(&format!("Looking at the copies of {}.", job.name));
        match found(session, job, id).await {
            Ok(one) => copies.push(one),
            Err(failure) => {
                failures.push(failure);
                unseen.push(job.name.to_string());
            }
        }
    }
    // One job of several may have no copy: what it alone holds is then named among what does not come back.
    if copies.is_empty()
        && let Some(first) = failures.pop()
    {
        return Err(first);
    }
    for failure in &failures {
        failure.tell(context.terminal);
    }
    let directories: BTreeMap<StackName, Vec<String>> = session
        .compiled
        .releases
        .iter()
        .map(|(name, release)| {
            let own = release.directories.iter().map(|one| one.path.clone());
            (name.clone(), own.collect())
        })
        .collect();
    let all: Vec<_> = copies.iter().map(|one| one.copy.clone()).collect();
    let made = restoration(desired, &all, &directories, goal).map_err(no_such)?;
    Ok(Decided {
        restoration: made,
        copies,
        unseen,
    })
}

/// Names that no copy answers to, all of them.
pub(super) fn no_such(wrong: Vec<String>) -> Failure {
    let failure = Failure::new(exit::USAGE, "there is no such thing in the backup");
    wrong.into_iter().fold(failure, Failure::because)
}

/// After everything of a system has come back: hosts that were built anew remember the copies that it came from, so that
/// their backups go on.
pub(crate) async fn remember_copies(session: &Session, decided: &Decided) -> Result<(), Failure> {
    for one in decided.copies.iter().filter(|one| one.record.is_none()) {
        let Some(job) = session.desired.backups.get(&one.copy.job) else {
            continue;
        };
        let source = |held: &Held| Source {
            name: held.name.clone(),
            path: held.path.clone(),
            // Nobody counted what it held: that it is empty next time says nothing.
            is_empty: true,
            rows: held.rows,
            sha256: held.sha256.clone(),
            extensions: held.extensions.clone(),
            ..Source::default()
        };
        let record = Record {
            job: job.name.to_string(),
            snapshot: one.copy.snapshot.clone(),
            at: one.copy.at,
            sources: one.copy.sources.iter().map(source).collect(),
            ..Record::default()
        };
        let shell = shell(session, job)?;
        remember(shell, &record)
            .await
            .map_err(|error| told(&error))?;
    }
    Ok(())
}

/// What comes back, for a person.
pub(crate) fn shown(session: &Session, decided: &Decided) -> String {
    let mut text = String::new();
    for group in &decided.restoration.groups {
        let _ = writeln!(text, "{}", group.title);
        if !group.stacks.is_empty() {
            let names: Vec<String> = group.stacks.iter().map(ToString::to_string).collect();
            let _ = writeln!(text, "  stopped meanwhile: {}", list(&names));
        }
        for files in &group.files {
            let _ = writeln!(
                text,
                "  {}  {}",
                files.name,
                from(decided, files.job.as_str())
            );
            let guard = if files.dataset.is_some() {
                "what is there is kept in a guard snapshot"
            } else {
                "what is there is moved aside"
            };
            let _ = writeln!(text, "      {guard}");
        }
        for load in &group.loads {
            let rows = load.held.rows.map(|rows| format!(", {rows} rows"));
            let _ = writeln!(
                text,
                "  {}  {}{}",
                load.name,
                from(decided, load.job.as_str()),
                rows.unwrap_or_default()
            );
        }
    }
    for left in &decided.restoration.left {
        let _ = writeln!(text, "not brought back: {left}");
    }
    if decided.restoration.groups.is_empty() {
        let _ = writeln!(text, "Nothing of {} is in a copy.", session.desired.system);
    }
    text
}

fn from(decided: &Decided, job: &str) -> String {
    let found = decided
        .copies
        .iter()
        .find(|one| one.copy.job.as_str() == job);
    found.map_or_else(String::new, |one| {
        format!(
            "from {job}, {} ({})",
            one.snapshot.time.get(..19).unwrap_or(&one.snapshot.time),
            short(&one.snapshot.id)
        )
    })
}

/// The owner types what it is about. There is no `--yes`.
pub(crate) fn agree(context: &Context, name: &str, typed: Option<&str>) -> Result<(), Failure> {
    let answer = match typed {
        Some(typed) => Some(typed.to_owned()),
        None if context.terminal.can_ask() => context.terminal.ask(&format!(
            "This overwrites what lives. Type {name} to agree:"
        )),
        None => {
            return Err(
                Failure::new(exit::REFUSED, "there is nobody to ask").hint(format!(
                    "Look with `--plan`, then agree beforehand: `--confirm {name}`."
                )),
            );
        }
    };
    if answer.as_deref() == Some(name) {
        return Ok(());
    }
    Err(Failure::new(
        exit::REFUSED,
        format!("nothing was touched: `{name}` was not typed"),
    ))
}

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
    let (mut rows, mut code) = (Vec::new(), exit::DONE);
    for group in &decided.restoration.groups {
        let users = standstill::named(session, &group.stacks)?;
        // Those that need others stop first.
        let order: Vec<_> = users.iter().rev().collect();
        // From here on Ctrl-C waits: what was stopped must be started again.
        walking.store(true, Ordering::SeqCst);
        let mut result = standstill::stop(context, &order).await;
        if result.is_ok() {
            result = one_group(context, &back, group, &mut rows).await;
        }
        let all_started = standstill::start(context, &order).await;
        walking.store(false, Ordering::SeqCst);
        if let Err(failure) = result {
            let done: Vec<String> = rows
                .iter()
                .filter_map(|row: &serde_json::Value| row["what"].as_str().map(str::to_owned))
                .collect();
            let so_far = if done.is_empty() {
                "Nothing has come back.".to_owned()
            } else {
                format!("Back are {}.", list(&done))
            };
            let stacks = if all_started {
                "The stacks that were stopped run again."
            } else {
                "Not every stack that was stopped runs again."
            };
            return Err(failure.hint(format!(
                "{so_far} {stacks} The command is safe to run again."
            )));
        }
        if !all_started {
            code = exit::PARTIAL;
        }
    }
    Ok((code, rows))
}

async fn one_group(
    context: &Context,
    back: &Back<'_>,
    group: &Group,
    rows: &mut Vec<serde_json::Value>,
) -> Result<(), Failure> {
    for files in &group.files {
        context
            .terminal
            .tell(&format!("Bringing back {}.", files.name));
        let done = files_back(back, files)
            .await
            .map_err(|error| told(&error))?;
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
        let done = load_back(back, load).await.map_err(|error| told(&error))?;
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
