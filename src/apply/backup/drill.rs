//! A drill: a copy comes back beside what lives, its databases start without a network and are asked, everything is counted
//! and compared with its source, and all of it is removed.
//!
//! Invariant: a drill writes below the job's scratch and into containers of its own, and nowhere else.

use super::back::{Back, apart, drop_dump, fetch, mountpoint};
use crate::backup::{DumpOf, Files, Load, lives};
use crate::model::{
    backup::BackupJob,
    ids::{DatasetName, StackName},
};
use crate::providers::{
    backup::{
        BackupError, CopiesRead as _, Facts, Into, compare, count, load, remove, remove_dead,
    },
    shell::{Command, Shell as _},
    ssh::SshHost,
    zfs::{Zfs, ZfsWrite as _},
};
use std::{collections::BTreeMap, fmt::Write as _};

/// What a drill is about.
pub struct Exercise<'a> {
    /// The job.
    pub job: &'a BackupJob,
    /// Directories of stacks, where no drill goes.
    pub directories: &'a BTreeMap<StackName, Vec<String>>,
    /// Seconds since 1970: the moment of the copy.
    pub at: i64,
    /// Bytes that come back, where they are known.
    pub bytes: Option<u64>,
    /// Files in the copy.
    pub files: Vec<Files>,
    /// How many files each of them held when it was copied, by name.
    pub counted: BTreeMap<String, u64>,
    /// Dumps in the copy.
    pub loads: Vec<Load>,
    /// What came back stays for a look.
    pub keep: bool,
    /// Hears of each step before it is taken.
    pub say: &'a (dyn Fn(&str) + Sync),
}

/// What a drill has shown.
#[derive(Debug, Default)]
pub struct Drilled {
    /// Files that came back.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files that were compared with live ones, alike to the last byte.
    pub alike: u64,
    /// Files whose live ones have changed or gone since.
    pub changed: u64,
    /// Databases that started and were read.
    pub databases: u64,
    /// Rows in them.
    pub rows: u64,
    /// Assertions that hold.
    pub held: u64,
    /// What else is to be said.
    pub notes: Vec<String>,
    /// What went wrong. The drill is passed only without any.
    pub errors: Vec<BackupError>,
}

/// The property that remembers a drill on a dataset.
const PROVEN: &str = "org.infra:last-proven-restore";

fn failed(what: &str, why: impl std::convert::Into<String>) -> BackupError {
    BackupError::Restore {
        what: what.to_owned(),
        why: why.into(),
    }
}

/// Holds a drill.
pub async fn drill(back: &Back<'_>, exercise: &Exercise<'_>) -> Drilled {
    let mut out = Drilled::default();
    let shell = match back.shell(&exercise.job.host) {
        Ok(shell) => shell,
        Err(error) => {
            out.errors.push(error);
            return out;
        }
    };
    let scratch = match scratch(back, exercise, shell).await {
        Ok(scratch) => scratch,
        Err(error) => {
            out.errors.push(error);
            return out;
        }
    };
    for part in &exercise.files {
        (exercise.say)(&format!("Bringing {} back to {scratch}.", part.name));
        if let Err(error) = files(back, exercise, shell, &scratch, part, &mut out).await {
            out.errors.push(error);
        }
    }
    for part in &exercise.loads {
        if let Err(error) = dump(back, exercise, part, &mut out).await {
            out.errors.push(error);
        }
    }
    if exercise.keep {
        out.notes.push(format!(
            "what came back is in {scratch} on {}: remove it when you have seen it",
            exercise.job.host
        ));
    } else if let Err(error) = remove(shell, &scratch).await {
        out.errors.push(error);
    }
    if exercise.files.is_empty() && exercise.loads.is_empty() {
        out.errors.push(failed(
            exercise.job.name.as_str(),
            "there is nothing in the copy",
        ));
    }
    out
}

/// A new directory below the job's scratch, with room for what comes. What dead drills left there is removed first.
async fn scratch(
    back: &Back<'_>,
    exercise: &Exercise<'_>,
    shell: &SshHost,
) -> Result<String, BackupError> {
    let job = exercise.job;
    let lead = format!("drill-{}-", job.name);
    let path = format!("{}/{lead}{}", job.scratch, back.stamp);
    if let Some(what) = lives(back.desired, exercise.directories, job, &path) {
        return Err(failed(
            job.name.as_str(),
            format!("{path} on {} is live: {what} is there", job.host),
        ));
    }
    shell
        .demand(Command::new(["install", "-d", "-m", "0700", &job.scratch]))
        .await?;
    remove_dead(shell, &job.scratch, &lead).await?;
    let room = ["df", "--output=avail", "-B1", "--", &job.scratch];
    let text = shell.demand(Command::new(room)).await?.text();
    let room: u64 = text
        .lines()
        .last()
        .and_then(|line| line.trim().parse().ok())
        .unwrap_or(u64::MAX);
    if let Some(needed) = exercise.bytes.filter(|needed| *needed > room) {
        return Err(failed(
            job.name.as_str(),
            format!(
                "{} on {} has room for {room} bytes, and {needed} come back: name a part of it, or another `scratch`",
                job.scratch, job.host
            ),
        ));
    }
    shell
        .demand(Command::new(["mkdir", "-m", "0700", "--", &path]))
        .await?;
    Ok(path)
}

async fn files(
    back: &Back<'_>,
    exercise: &Exercise<'_>,
    shell: &SshHost,
    scratch: &str,
    part: &Files,
    out: &mut Drilled,
) -> Result<(), BackupError> {
    let copies = back.program(exercise.job)?;
    let place = format!("{scratch}/{}", part.folder.replace('/', "+"));
    let (folder, inner) = if part.dataset.is_some() {
        (part.folder.clone(), part.inner.clone())
    } else {
        let (parent, inner) = apart(part);
        (parent, Some(inner))
    };
    let returned = copies
        .restore(&part.snapshot, &folder, inner.as_deref(), &place)
        .await?;
    out.bytes += returned.bytes;
    let below = inner.clone().unwrap_or_default();
    let counted = count(shell, &format!("{place}{below}")).await?;
    out.files += counted;
    if part.inner.is_none()
        && exercise.job.excludes.is_empty()
        && let Some(source) = exercise.counted.get(&part.name)
        && *source != counted
    {
        return Err(failed(
            &part.name,
            format!("{counted} files came back, and its source had {source}"),
        ));
    }
    let live = match &part.dataset {
        Some(dataset) => mountpoint(shell, dataset).await.ok(),
        None => Some(folder.clone()),
    };
    let Some(live) = live else {
        out.notes.push(format!(
            "{} is not mounted: nothing to compare with",
            part.name
        ));
        return Ok(());
    };
    let (back_at, live_at) = (format!("{place}{below}"), format!("{live}{below}"));
    let is_directory = shell
        .run(Command::new(["test", "-d", &live_at]))
        .await?
        .is_success();
    if !is_directory {
        return Ok(());
    }
    let found = compare(
        shell,
        &back_at,
        &live_at,
        exercise.at,
        &exercise.job.excludes,
    )
    .await?;
    out.alike += found.alike;
    out.changed += found.changed;
    let mut why = String::new();
    if let Some(first) = found.differ.first() {
        let _ = write!(
            why,
            "{} differ from their source, the first is {first}",
            found.differ.len()
        );
    }
    if let Some(first) = found.missing.first() {
        let and = if why.is_empty() { "" } else { "; " };
        let _ = write!(
            why,
            "{and}{} are in the source since before the copy and not in it, the first is {first}",
            found.missing.len()
        );
    }
    if why.is_empty() {
        Ok(())
    } else {
        Err(failed(&part.name, why))
    }
}

async fn dump(
    back: &Back<'_>,
    exercise: &Exercise<'_>,
    part: &Load,
    out: &mut Drilled,
) -> Result<(), BackupError> {
    let path = fetch(back, part).await?;
    let DumpOf::Database(database) = &part.of else {
        // It has the hash that it had when it was read back.
        drop_dump(back, &part.host, &path).await;
        return Ok(());
    };
    (exercise.say)(&format!(
        "Loading {} on {} without a network.",
        part.name, part.host
    ));
    let facts = Facts {
        rows: part.held.rows,
        extensions: &part.held.extensions,
    };
    let shell = back.shell(&part.host)?;
    let stamp = format!("{}-{:08x}", back.stamp, rand::random::<u32>());
    let result = load(
        shell,
        &part.stack,
        database,
        &path,
        Into::Scratch,
        &stamp,
        &facts,
    )
    .await;
    drop_dump(back, &part.host, &path).await;
    let loaded = result?;
    out.databases += 1;
    out.rows += loaded.rows.unwrap_or_default();
    out.held += loaded.held;
    Ok(())
}

/// Remembers a drill on the datasets that it was about.
///
/// # Errors
/// The way to the host, or ZFS's.
pub async fn mark_proven(
    back: &Back<'_>,
    job: &BackupJob,
    datasets: &[DatasetName],
    at: &str,
) -> Result<(), BackupError> {
    let shell = back.shell(&job.host)?;
    let property = BTreeMap::from([(PROVEN.to_owned(), at.to_owned())]);
    for dataset in datasets {
        Zfs(shell)
            .set(dataset, &property)
            .await
            .map_err(|error| failed(dataset.as_str(), error.to_string()))?;
    }
    Ok(())
}
