//! Bringing back over what lives, decided, shown and agreed to.

use super::{
    choice::{shell, short, told},
    copies::{Found, found},
};
use crate::backup::{Goal, Held, Restoration, concerns, restoration};
use crate::cli::{context::Context, exit, failure::Failure, session::Session};
use crate::model::{
    backup::{BackupJob, in_order},
    ids::{BackupName, StackName},
};
use crate::providers::backup::{Record, Source, remember};
use crate::view::words::list;
use std::{collections::BTreeMap, fmt::Write as _};

/// What comes back, decided, with the copies that it comes from.
pub(crate) struct Decided {
    pub(crate) restoration: Restoration,
    /// Jobs that may hold something of it, and whose copies could not be read.
    pub(crate) unread: Vec<BackupName>,
    copies: Vec<Found>,
}

impl Decided {
    /// Whether all that should come back is in a copy that could be read.
    pub(crate) fn is_whole(&self) -> bool {
        self.unread.is_empty() && self.restoration.left.is_empty()
    }

    /// The code for what came back: it is not everything where something is in no copy, or copies could not be looked at.
    pub(crate) fn code(&self, context: &Context) -> u8 {
        if self.is_whole() {
            return exit::DONE;
        }
        let mut said = "Not everything is back: what is missing is told above.".to_owned();
        if !self.unread.is_empty() {
            let names: Vec<String> = self.unread.iter().map(ToString::to_string).collect();
            let _ = write!(
                said,
                " Nothing came from {}: what is wrong with its copies is told there too. The command is safe to run again.",
                list(&names)
            );
        }
        context.terminal.complain(&said);
        exit::PARTIAL
    }

    /// What is done, for a program.
    pub(crate) fn json(&self, rows: &[serde_json::Value]) -> serde_json::Value {
        serde_json::json!({
            "restored": rows, "left": self.restoration.left, "stays": self.restoration.stays, "unread": self.unread,
        })
    }
}

/// Directories of stacks, as their releases have them.
pub(crate) fn directories(session: &Session) -> BTreeMap<StackName, Vec<String>> {
    let releases = session.compiled.releases.iter();
    releases
        .map(|(name, release)| {
            let own = release.directories.iter().map(|one| one.path.clone());
            (name.clone(), own.collect())
        })
        .collect()
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
    let mut failures = Vec::new();
    let mut unread = Vec::new();
    for job in jobs {
        context
            .terminal
            .tell(&format!("Looking at the copies of {}.", job.name));
        match found(session, job, id).await {
            Ok(one) => copies.push(one),
            Err(failure) => {
                failures.push(failure);
                if concerns(desired, job, goal) {
                    unread.push(job.name.clone());
                }
            }
        }
    }
    if copies.is_empty()
        && let Some(first) = failures.pop()
    {
        return Err(first);
    }
    for failure in &failures {
        failure.tell(context.terminal);
    }
    let all: Vec<_> = copies.iter().map(|one| one.copy.clone()).collect();
    let made = restoration(desired, &all, &directories(session), goal).map_err(no_such)?;
    Ok(Decided {
        restoration: made,
        unread,
        copies,
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
    for stays in &decided.restoration.stays {
        let _ = writeln!(text, "stays as it is: {stays}");
    }
    for left in &decided.restoration.left {
        let _ = writeln!(text, "not brought back: {left}");
    }
    for job in &decided.unread {
        let _ = writeln!(
            text,
            "not looked at: the copies of {job}; what they alone hold does not come back, the rest may be older than it could be"
        );
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
