//! `infra dr run`: `up`, then everything back in the declared order, then the system's own checks.

use crate::backup::Goal;
use crate::cli::{
    backup::live_restore::{agree, carry_out, decide, remember_copies, shown},
    context::Context,
    exit,
    failure::Failure,
    live,
    locks::Locks,
    session::Session,
    up::{self, UpArgs},
    verify,
};
use crate::model::ids::{DatasetName, HostName};
use crate::providers::{
    shell::{Command, Shell as _},
    ssh::SshHost,
};
use clap::Args;
use std::{collections::BTreeMap, sync::atomic::AtomicBool, time::Duration};

/// Services that have just been started get this long before a failing check counts.
const PATIENCE: Duration = Duration::from_mins(1);

/// Carry out the recovery: build everything, then bring everything back
///
/// For machines that hold nothing yet. Runs `infra up`, then brings back every host in its order: files, then databases
/// from their dumps, then the services; then the system's own checks. Refused where a dataset holds files already; asks
/// for the system's name.
#[derive(Debug, Clone, Args)]
pub(crate) struct RunArgs {
    /// The system's name, typed beforehand instead of at the question
    #[arg(long, value_name = "SYSTEM")]
    pub(crate) confirm: Option<String>,
    /// Bring back even where datasets hold files, as after a run that was cut off; what is there is kept in guard snapshots
    #[arg(long)]
    pub(crate) over_live: bool,
}

/// Runs the verb.
pub(super) fn run(context: &Context, args: &RunArgs) -> Result<u8, Failure> {
    live::with(context, |session| {
        Box::pin(async move { ready(context, args, &session).await })
    })?;
    let code = up::run(
        context,
        &UpArgs {
            file: None,
            yes: true,
            max_impact: None,
            snapshot: false,
            no_verify: true,
        },
    )?;
    if code != exit::DONE {
        return Err(Failure::new(
            code,
            "`infra up` did not end well: nothing was brought back",
        )
        .hint("Mend what it says, then run this again."));
    }
    live::with(context, |session| {
        Box::pin(async move {
            let walking = AtomicBool::new(false);
            let locks = Locks::of_restore(context, &session, "infra dr run");
            let work = back(context, &session, &walking);
            locks.hold(context, &walking, work).await
        })
    })
}

/// Nothing lives where something will come back, and the owner agrees.
async fn ready(context: &Context, args: &RunArgs, session: &Session) -> Result<u8, Failure> {
    if session.desired.backups.is_empty() {
        return Err(
            Failure::new(exit::FAILED, "the inventory has no backup job").hint(
                "There is nothing to bring back: `infra up` builds what the inventory describes.",
            ),
        );
    }
    if !args.over_live {
        let full = full(session).await?;
        if let Some((dataset, host)) = full.iter().next() {
            return Err(Failure::new(
                exit::REFUSED,
                format!("{dataset} on {host} holds files: this is no empty machine"),
            )
            .hint("For one host of a living system: `infra backup restore host/NAME --live`. After a run that was cut off: `infra dr run --over-live`; what is there is kept in guard snapshots."));
        }
    }
    context.terminal.tell(&format!(
        "This builds {} and brings back everything that its backups hold.",
        session.desired.system
    ));
    agree(
        context,
        session.desired.system.as_str(),
        args.confirm.as_deref(),
    )?;
    Ok(exit::DONE)
}

/// Datasets of backups that hold files. A host that does not exist yet holds none.
async fn full(session: &Session) -> Result<BTreeMap<DatasetName, HostName>, Failure> {
    let mut out = BTreeMap::new();
    for job in session.desired.backups.values() {
        let Some(shell) = session.hosts.get(&job.host) else {
            continue;
        };
        if session.desired.guests.contains_key(&job.host) {
            // A guest that is not there cannot be asked; one that is there is asked like any machine.
            if shell.run(Command::new(["true"])).await.is_err() {
                continue;
            }
        }
        for dataset in &job.datasets {
            if holds_files(shell, dataset).await? {
                out.insert(dataset.clone(), job.host.clone());
            }
        }
    }
    Ok(out)
}

async fn holds_files(shell: &SshHost, dataset: &DatasetName) -> Result<bool, Failure> {
    let asked = Command::new(["zfs", "get", "-Hp", "-o", "value", "mounted,mountpoint"]);
    let told = |error| crate::cli::zfs::shell_told(error);
    let output = shell
        .run(asked.args([dataset.as_str()]))
        .await
        .map_err(told)?;
    let text = output.text();
    let mut lines = text.lines();
    // No such dataset, or no ZFS yet: nothing is there.
    let (true, Some("yes"), Some(at)) = (output.is_success(), lines.next(), lines.next()) else {
        return Ok(false);
    };
    let words = ["find", at, "-xdev", "-type", "f", "-print", "-quit"];
    let found = shell.run(Command::new(words)).await.map_err(told)?;
    Ok(!found.text().trim().is_empty())
}

async fn back(context: &Context, session: &Session, walking: &AtomicBool) -> Result<u8, Failure> {
    let decided = decide(context, session, &Goal::All, None).await?;
    if !context.global.json {
        context.terminal.answer(&shown(session, &decided));
    }
    let (code, rows) = carry_out(context, session, &decided, walking).await?;
    if context.global.json {
        context.terminal.json(&serde_json::json!({
            "restored": rows, "left": decided.restoration.left,
        }));
    }
    if code != exit::DONE {
        return Ok(code);
    }
    remember_copies(session, &decided).await?;
    let code = decided.code(context);
    let proven = verify::show(context, session, PATIENCE).await?;
    Ok(if proven == exit::DONE { code } else { proven })
}
