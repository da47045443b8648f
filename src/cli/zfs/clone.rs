//! `infra zfs clone`: a look inside a snapshot.

use super::look::{owner, snapshot_id, told};
use crate::cli::{context::Context, exit, failure::Failure, live, session::Session};
use crate::model::ids::DatasetName;
use crate::providers::zfs::{Zfs, ZfsWrite as _};
use clap::Args;
use std::collections::BTreeMap;

/// Make a read-only dataset from a snapshot, to look inside
///
/// It takes no space until something changes, keeps its snapshot from going, and belongs to no schedule. infra never
/// destroys a dataset: remove it yourself when you have seen enough.
#[derive(Debug, Clone, Args)]
pub(crate) struct CloneArgs {
    /// `dataset@snapshot`
    #[arg(value_name = "SNAPSHOT")]
    pub(crate) snapshot: String,
    /// The new dataset; `<zpool>/look-<dataset>` unless given
    #[arg(long, value_name = "DATASET")]
    pub(crate) to: Option<String>,
    /// Where it is mounted; below `/mnt/look` unless given
    #[arg(long, value_name = "PATH")]
    pub(crate) at: Option<String>,
    /// Let it be written to
    #[arg(long)]
    pub(crate) writable: bool,
}

/// Runs the verb.
pub(crate) fn run(context: &Context, args: &CloneArgs) -> Result<u8, Failure> {
    live::with(context, |session| {
        Box::pin(carry_out(context, args, session))
    })
}

async fn carry_out(context: &Context, args: &CloneArgs, session: Session) -> Result<u8, Failure> {
    let id = snapshot_id(&args.snapshot)?;
    let host = owner(&session.desired, &id.dataset)?;
    let Some(shell) = session.hosts.get(host) else {
        return Err(Failure::new(
            exit::UNREACHABLE,
            format!("the inventory gives no shell access to {host}"),
        ));
    };
    let last = id
        .dataset
        .as_str()
        .rsplit('/')
        .next()
        .unwrap_or("root")
        .replace(' ', "-");
    let name = args
        .to
        .clone()
        .unwrap_or_else(|| format!("{}/look-{last}", id.dataset.zpool()));
    let target = DatasetName::new(name).map_err(|error| Failure::of(exit::USAGE, &error))?;
    if target.zpool() != id.dataset.zpool() {
        return Err(Failure::new(
            exit::USAGE,
            format!(
                "a clone lives in the zpool of its snapshot, {}",
                id.dataset.zpool()
            ),
        ));
    }
    if session.desired.datasets.contains_key(&target) {
        return Err(Failure::new(
            exit::REFUSED,
            format!("{target} is a dataset of the inventory"),
        )
        .hint("Choose another name: `--to`."));
    }
    let at = args
        .at
        .clone()
        .unwrap_or_else(|| format!("/mnt/look/{last}"));
    if !at.starts_with('/') {
        return Err(Failure::new(
            exit::USAGE,
            format!("`{at}` is not an absolute path"),
        ));
    }
    let readonly = if args.writable { "off" } else { "on" };
    let properties = BTreeMap::from([
        ("mountpoint".to_owned(), at.clone()),
        ("readonly".to_owned(), readonly.to_owned()),
    ]);
    Zfs(shell)
        .clone_snapshot(&id, &target, &session.desired.system, &properties)
        .await
        .map_err(|error| told(&error))?;
    if context.global.json {
        context.terminal.json(&serde_json::json!({
            "host": host, "snapshot": id.to_string(), "dataset": target, "mountpoint": at,
        }));
    } else {
        context
            .terminal
            .answer(&format!("{id} is at {at} on {host}\n"));
        context.terminal.tell(&format!(
            "When you have seen enough, on {host}: zfs destroy '{target}'"
        ));
    }
    Ok(exit::DONE)
}
