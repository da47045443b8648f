//! What a stack does before its dataset is snapshot.

use crate::cli::failure::failed;
use crate::model::{
    dataset::SnapshotHook,
    desired::Desired,
    ids::{DatasetName, HostName},
};
use crate::providers::{
    compose::{Compose, ComposeRead as _},
    shell::Shell,
};
use std::collections::{BTreeMap, BTreeSet};

/// What the hooks came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Hooked {
    /// One line for each hook that failed.
    pub(super) complaints: Vec<String>,
    /// Datasets whose snapshot is not wanted without their hook.
    pub(super) skipped: BTreeSet<DatasetName>,
}

/// Runs the hooks of datasets, each once, in the containers of their stacks.
pub(super) async fn run<S: Shell>(
    desired: &Desired,
    hosts: &BTreeMap<HostName, S>,
    datasets: &BTreeMap<DatasetName, Vec<SnapshotHook>>,
) -> Hooked {
    let mut out = Hooked::default();
    let mut ran: BTreeMap<&SnapshotHook, Option<String>> = BTreeMap::new();
    for (dataset, hooks) in datasets {
        for hook in hooks {
            if !ran.contains_key(hook) {
                let result = one(desired, hosts, hook).await;
                if let Err(why) = &result {
                    out.complaints.push(format!(
                        "the hook of {dataset} in {}/{} failed: {why}",
                        hook.stack, hook.service
                    ));
                }
                ran.insert(hook, result.err());
            }
            let has_failed = ran.get(hook).is_some_and(Option::is_some);
            if has_failed && hook.required {
                out.skipped.insert(dataset.clone());
            }
        }
    }
    out
}

async fn one<S: Shell>(
    desired: &Desired,
    hosts: &BTreeMap<HostName, S>,
    hook: &SnapshotHook,
) -> Result<(), String> {
    let shell = desired
        .stacks
        .get(&hook.stack)
        .and_then(|stack| hosts.get(&stack.on))
        .ok_or_else(|| "its host has no shell access".to_owned())?;
    let output = Compose::new(shell)
        .exec(&hook.stack, &hook.service, &hook.argv)
        .await
        .map_err(|error| failed(&error).text())?;
    if output.is_success() {
        return Ok(());
    }
    let said = output.complaint();
    let last = said.lines().last().unwrap_or("it said nothing");
    Err(format!("exit {}: {last}", output.code))
}
