//! `infra zfs coverage`: what nobody protects.

use super::look::{Seen, look};
use crate::backup::{Backed, backed};
use crate::cli::{context::Context, exit, failure::Failure, live, session::Session};
use crate::model::{backup::ExportOf, desired::Desired};
use crate::release::volumes;
use crate::replication::arrived;
use crate::retention::{Copied, Copies, Stored, Stores, gaps};
use crate::view::{palette, words::count};
use std::{collections::BTreeMap, fmt::Write as _};

/// Runs the verb.
pub(crate) fn run(context: &Context) -> Result<u8, Failure> {
    live::with(context, |session| Box::pin(show(context, session)))
}

async fn show(context: &Context, session: Session) -> Result<u8, Failure> {
    let desired = &session.desired;
    let seen = look(desired, &session.hosts).await;
    let failed = seen.tell(context);
    let volumes: BTreeMap<_, _> = session
        .compiled
        .releases
        .iter()
        .map(|(name, release)| (name.clone(), volumes(release)))
        .collect();
    let stores = stores(desired, &session).await;
    let copies = copies(desired, &seen);
    let gaps = gaps(desired, &seen.surveys, &volumes, &copies, &stores);
    let datasets: usize = seen
        .surveys
        .values()
        .map(|survey| survey.datasets.len())
        .sum();
    if context.global.json {
        context.terminal.json(&serde_json::json!({
            "datasets": datasets,
            "stacks": volumes.len(),
            "gaps": gaps,
            "waivers": waivers(desired),
        }));
    } else {
        let mut text = String::new();
        for gap in &gaps {
            let _ = writeln!(
                text,
                "{} {} has no {}: {}",
                palette::bad("✗"),
                gap.what,
                gap.lacks,
                gap.why
            );
            let _ = writeln!(text, "    {}", gap.help);
        }
        for (what, lacks, reason) in waivers(desired) {
            let _ = writeln!(
                text,
                "  {what} has no {lacks}, as its owner wants: {reason}"
            );
        }
        let looked = count(datasets, "dataset", "datasets");
        let stacks = count(volumes.len(), "stack", "stacks");
        let _ = writeln!(
            text,
            "{looked} and {stacks} looked at, {}.",
            count(gaps.len(), "gap", "gaps")
        );
        context.terminal.answer(&text);
    }
    if let Some(code) = failed {
        return Ok(code);
    }
    if datasets == 0 && !desired.zpools.is_empty() {
        return Err(Failure::new(
            exit::CHECK_FAILED,
            "no dataset was seen, so nothing was proven",
        ));
    }
    Ok(if gaps.is_empty() {
        exit::DONE
    } else {
        exit::CHECK_FAILED
    })
}

/// No dataset counts as backed up by being declared, nor by a copy that its own zpool takes with it.
fn copies(desired: &Desired, seen: &Seen) -> Copies {
    let mut out = Copies::new();
    for replica in desired.replicas.values() {
        for source in &replica.datasets {
            let Some(entry) = desired.datasets.get(source) else {
                continue;
            };
            if entry.host == replica.host && source.zpool() == replica.below.zpool() {
                continue;
            }
            let survey = seen.surveys.get(&entry.host);
            let view = survey.and_then(|survey| survey.datasets.get(source));
            let mark = view.and_then(|view| arrived(view, replica.name.as_str()));
            out.entry(source.clone()).or_default().push(Copied {
                replica: replica.name.to_string(),
                as_of: mark.map(|mark| mark.creation),
            });
        }
    }
    out
}

/// No dataset counts as backed up by being declared: its job must have succeeded in time.
async fn stores(desired: &Desired, session: &Session) -> Stores {
    let standings = crate::cli::backup::standings(desired, &session.hosts).await;
    let stored = |backed: &Backed| Stored {
        job: backed.job.to_string(),
        complaint: backed.complaint(),
    };
    let mut out = Stores::default();
    for top in desired.backups.values().flat_map(|job| &job.datasets) {
        let all = backed(desired, &standings, top);
        out.datasets
            .insert(top.clone(), all.iter().map(stored).collect());
    }
    for job in desired.backups.values() {
        let stands = standings.get(&job.name).copied();
        let one = Stored {
            job: job.name.to_string(),
            complaint: Backed::of(job, stands).complaint(),
        };
        for name in &job.stacks {
            let stack = desired.stacks.get(name).into_iter();
            let paths = stack
                .flat_map(|stack| &stack.backup.exports)
                .filter_map(|export| match &export.what {
                    ExportOf::Paths(paths) => Some(paths),
                    ExportOf::Command { .. } => None,
                })
                .flatten();
            let held = out.exports.entry(name.clone()).or_default();
            held.extend(paths.map(|path| (path.clone(), one.clone())));
        }
    }
    out
}

fn waivers(desired: &Desired) -> Vec<(String, String, String)> {
    let datasets = desired.datasets.values().flat_map(|entry| {
        entry.waivers.iter().map(move |(lacks, reason)| {
            (
                format!("dataset {}", entry.name),
                lacks.to_string(),
                reason.clone(),
            )
        })
    });
    let pools = desired.zpools.values().flat_map(|pool| {
        pool.waivers.iter().map(|(name, reason)| {
            (
                format!("dataset {name}"),
                "protection".to_owned(),
                reason.clone(),
            )
        })
    });
    let stacks = desired.stacks.values().flat_map(|stack| {
        stack.waivers.iter().map(move |(place, reason)| {
            let what = format!("volume {place} of stack {}", stack.name);
            (what, "backup".to_owned(), reason.clone())
        })
    });
    let beside = desired.backups.values().filter_map(|job| {
        let reason = job.same_zpool.clone()?;
        Some((
            format!("backup {}", job.name),
            "zpool of its own".to_owned(),
            reason,
        ))
    });
    datasets.chain(pools).chain(stacks).chain(beside).collect()
}
