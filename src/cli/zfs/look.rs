//! Asking every host that owns zpools.

use crate::cli::{context::Context, exit, failure::Failure};
use crate::inventory::{Selector, Subject};
use crate::model::{
    desired::Desired,
    ids::{DatasetName, HostName, ZpoolName},
    snapshot::{SnapshotId, Survey},
};
use crate::providers::{
    shell::{Shell, ShellError, hint},
    zfs::{Zfs, ZfsError, ZfsRead as _},
};
use crate::retention::{Cover, covers};
use futures_util::future::join_all;
use std::{collections::BTreeMap, error::Error};

/// What was seen, and what could not be.
#[derive(Default)]
pub(super) struct Seen {
    /// Surveys by host.
    pub(super) surveys: BTreeMap<HostName, Survey>,
    /// One failure for each host or zpool that gave no answer.
    pub(super) failures: Vec<Failure>,
}

/// Surveys the zpools of the inventory: one round trip to each of their hosts.
pub(super) async fn look<S: Shell>(desired: &Desired, hosts: &BTreeMap<HostName, S>) -> Seen {
    let mut pools: BTreeMap<&HostName, Vec<ZpoolName>> = BTreeMap::new();
    for pool in desired.zpools.values() {
        pools.entry(&pool.host).or_default().push(pool.name.clone());
    }
    let answers = join_all(pools.into_iter().map(|(host, names)| async move {
        let answer = match hosts.get(host) {
            Some(shell) => Zfs(shell).survey(&names).await.map_err(|e| told(&e)),
            None => Err(Failure::new(
                exit::UNREACHABLE,
                format!("the inventory gives no shell access to {host}"),
            )),
        };
        (host, names, answer)
    }))
    .await;
    let mut seen = Seen::default();
    for (host, names, answer) in answers {
        let survey = match answer {
            Ok(survey) => survey,
            Err(failure) => {
                seen.failures.push(failure);
                continue;
            }
        };
        for name in names {
            match survey.zpools.get(&name) {
                None => seen.failures.push(
                    Failure::new(exit::FAILED, format!("{host} has no imported zpool `{name}`"))
                        .hint(format!("Import it there: `zpool import {name}`.")),
                ),
                Some(state) if state.is_stuck() => seen.failures.push(
                    Failure::new(
                        exit::FAILED,
                        format!("zpool {name} on {host} is {}", state.health),
                    )
                    .hint(format!(
                        "Bring its disks back, then `zpool clear {name}`; until then nothing can be read or written."
                    )),
                ),
                Some(_) => {}
            }
        }
        seen.surveys.insert(host.clone(), survey);
    }
    seen
}

impl Seen {
    /// Says what could not be seen; the exit code for it, where there is any.
    pub(super) fn tell(&self, context: &Context) -> Option<u8> {
        self.failures
            .iter()
            .map(|failure| failure.tell(context.terminal))
            .max()
    }
}

/// A ZFS error with its exit code and what can be done.
pub(super) fn told(error: &ZfsError) -> Failure {
    let mut shell: Option<&ShellError> = None;
    let mut cause: Option<&(dyn Error + 'static)> = error.source();
    while let Some(inner) = cause {
        shell = shell.or_else(|| inner.downcast_ref());
        cause = inner.source();
    }
    let Some(shell) = shell else {
        return Failure::of(exit::FAILED, error);
    };
    let failure = Failure::of(exit::UNREACHABLE, error);
    match hint(shell) {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// `--on`, for datasets. One that the inventory does not name is chosen with the one above it.
pub(super) struct Choice<'a> {
    selector: Option<Selector>,
    desired: &'a Desired,
}

impl<'a> Choice<'a> {
    /// Reads `--on`; a part that nothing matches is refused.
    pub(super) fn read(context: &Context, desired: &'a Desired) -> Result<Self, Failure> {
        let usage = |error: &dyn Error| Failure::of(exit::USAGE, error);
        let selector = match &context.global.on {
            None => None,
            Some(text) => {
                let selector: Selector = text.parse().map_err(|e| usage(&e))?;
                selector.verify(desired).map_err(|e| usage(&e))?;
                Some(selector)
            }
        };
        Ok(Self { selector, desired })
    }

    /// Everything.
    #[cfg(test)]
    pub(super) fn all(desired: &'a Desired) -> Self {
        Self {
            selector: None,
            desired,
        }
    }

    /// Whether a dataset is chosen.
    pub(super) fn has(&self, cover: &Cover<'_>) -> bool {
        let Some(selector) = &self.selector else {
            return true;
        };
        let entry = cover.declared.map(|entry| &entry.name);
        [Some(cover.dataset), entry]
            .into_iter()
            .flatten()
            .any(|name| selector.selects(Subject::Dataset(name), self.desired))
    }

    /// Whether a dataset of the inventory is chosen.
    pub(super) fn names(&self, name: &DatasetName) -> bool {
        self.selector
            .as_ref()
            .is_none_or(|all| all.selects(Subject::Dataset(name), self.desired))
    }

    /// The chosen datasets of a host.
    pub(super) fn of<'s>(&self, host: &HostName, survey: &'s Survey) -> Vec<Cover<'s>>
    where
        'a: 's,
    {
        let mut all = covers(self.desired, host, survey);
        all.retain(|cover| self.has(cover));
        all
    }
}

/// Reads `dataset@snapshot` as typed.
pub(super) fn snapshot_id(text: &str) -> Result<SnapshotId, Failure> {
    SnapshotId::parse(text).ok_or_else(|| {
        Failure::new(exit::USAGE, format!("`{text}` is not the name of a snapshot"))
            .hint("Write `dataset@snapshot`, for example `tank/photos@infra_auto_20261120T021500Z`; `infra zfs list` shows them.")
    })
}

/// The host that owns a dataset's zpool.
pub(super) fn owner<'a>(
    desired: &'a Desired,
    dataset: &DatasetName,
) -> Result<&'a HostName, Failure> {
    desired
        .zpools
        .values()
        .find(|pool| pool.name.as_str() == dataset.zpool())
        .map(|pool| &pool.host)
        .ok_or_else(|| {
            let known: Vec<&str> = desired.zpools.keys().map(ZpoolName::as_str).collect();
            Failure::new(
                exit::USAGE,
                format!("the inventory has no zpool `{}`", dataset.zpool()),
            )
            .hint(format!("It has {}.", known.join(", ")))
        })
}
