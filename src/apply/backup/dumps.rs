//! Dumps and exports of a run, and the way of those from other hosts.

use super::run::Work;
use crate::backup::{Dump, DumpOf, Night};
use crate::providers::{
    backup::{BackupError, Dumped, Source, dump, export, hash_and_send, receive, remove},
    ssh::carry,
};

/// Dumps and exports, all of them; what fails is told and the others go on.
pub(super) async fn dumps(
    work: &Work<'_>,
    plan: &Night,
    errors: &mut Vec<BackupError>,
) -> Vec<Source> {
    let mut out = Vec::new();
    for one in &plan.dumps {
        (work.say)(&format!("Dumping {} on {}.", one.name(), one.host));
        match dumped(work, one).await {
            Ok(facts) => out.push(Source {
                name: one.name(),
                path: one.kept.clone(),
                items: Some(facts.items),
                rows: facts.rows,
                sha256: Some(facts.sha256),
                version: Some(facts.version).filter(|version| version != "-"),
                extensions: facts.extensions,
                ..Source::default()
            }),
            Err(error) => errors.push(error),
        }
    }
    out
}

async fn dumped(work: &Work<'_>, one: &Dump) -> Result<Dumped, BackupError> {
    let shell = work.shell(&one.host)?;
    let facts = match &one.of {
        DumpOf::Database(database) => dump(shell, &one.stack, database, &one.path).await?,
        DumpOf::Export(what) => export(shell, &one.stack, what, &one.path).await?,
    };
    let Some(there) = &one.carried else {
        return Ok(facts);
    };
    let far = work.shell(&work.job.host)?;
    let carried = carry(
        shell.target(),
        &hash_and_send(&one.path),
        far.target(),
        &receive(there, &facts.sha256),
        None,
    )
    .await?;
    let whole = carried.sent.is_success() && carried.received.is_success();
    // What stays behind is a copy of data that the host has anyway, but nobody asked for it.
    if let Err(error) = remove(shell, &one.path).await {
        (work.say)(&format!("{} stays on {}: {error}", one.path, one.host));
    }
    if whole {
        return Ok(facts);
    }
    let said = if carried.received.is_success() {
        carried.sent.complaint()
    } else {
        carried.received.complaint()
    };
    Err(BackupError::Dump {
        what: one.name(),
        host: one.host.to_string(),
        why: format!("it did not arrive on {}: {said}", work.job.host),
    })
}
