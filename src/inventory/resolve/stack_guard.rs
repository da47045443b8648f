//! Data of a stack that goes back with a release that fails: whole datasets that nobody else uses.

use super::{
    Scope,
    names::{entries, items},
    stack::Writer,
};
use crate::inventory::{
    codes, document,
    nearest::{did_you_mean, listed},
    written::{At, Entries, May},
};
use crate::model::{
    ids::{DatasetName, StackName},
    stack::{GuardedDataset, Stack},
};
use std::collections::BTreeMap;

impl Writer<'_> {
    /// The datasets that the stack's owner wants guarded.
    pub(super) fn guarded(&self, scope: &mut Scope<'_>) -> Vec<GuardedDataset> {
        let given = entries(&self.raw.mounts);
        let mut out = Vec::new();
        for at in items(&self.raw.guard) {
            let Some(name) = at.value.as_deref() else {
                continue;
            };
            let mount = given
                .iter()
                .find(|(key, _)| key.value.as_deref() == Some(name));
            let Some((_, mount)) = mount else {
                let known: Vec<&str> = given
                    .iter()
                    .filter_map(|(key, _)| key.value.as_deref())
                    .collect();
                let help = did_you_mean(name, known.iter().copied())
                    .unwrap_or_else(|| format!("`mounts` has {}", listed(&known)));
                scope
                    .error(
                        codes::UNKNOWN_MOUNT,
                        format!("the stack has no mount `{name}`"),
                    )
                    .at(at.span, "unknown mount")
                    .help(help);
                continue;
            };
            let is_path = mount
                .value
                .as_deref()
                .is_some_and(|text| text.starts_with('/'));
            if is_path {
                scope
                    .error(
                        codes::GUARD,
                        format!("`{name}` is a path, which has no snapshots"),
                    )
                    .at(at.span, "guarded here")
                    .at(mount.span, "a path of the host")
                    .help("give it a dataset of its own, or leave it out of `guard`");
                continue;
            }
            let dataset = mount
                .value
                .as_deref()
                .and_then(|text| DatasetName::new(text).ok())
                .and_then(|name| self.desired.datasets.get_key_value(&name));
            if let Some((dataset, known)) = dataset {
                out.push(GuardedDataset {
                    dataset: dataset.clone(),
                    host: known.host.clone(),
                });
            }
        }
        out
    }
}

/// No guarded dataset may be used by another stack: its files would go back too.
pub(super) fn check(
    raw: &May<Entries<document::Stack>>,
    stacks: &BTreeMap<StackName, Stack>,
    scope: &mut Scope<'_>,
) {
    for (key, written) in entries(raw) {
        let Some(stack) = written
            .value
            .as_ref()
            .zip(key.value.as_deref())
            .and_then(|(_, name)| stacks.values().find(|stack| stack.name.as_str() == name))
        else {
            continue;
        };
        for guarded in &stack.guarded {
            for (other_key, other) in entries(raw) {
                if other_key.value == key.value {
                    continue;
                }
                if let Some(mount) = user_of(other, &guarded.dataset) {
                    let other = other_key.value.as_deref().unwrap_or_default();
                    scope
                        .error(
                            codes::GUARD,
                            format!(
                                "`{}` cannot be guarded: stack `{other}` uses it too",
                                guarded.dataset
                            ),
                        )
                        .at(key.span, "a release of this one that fails would undo")
                        .at(mount.span, "what this one has written")
                        .help(format!(
                            "give `{}` a dataset of its own inside of it",
                            stack.name
                        ));
                }
            }
        }
    }
}

/// The mount by which a stack uses a dataset. One around it or inside of it does not count: a dataset is a filesystem of its
/// own, and going back touches no other.
fn user_of<'d>(stack: &'d At<document::Stack>, dataset: &DatasetName) -> Option<&'d At<String>> {
    let mounts = entries(&stack.value.as_ref()?.mounts);
    mounts
        .iter()
        .find(|(_, mount)| mount.value.as_deref() == Some(dataset.as_str()))
        .map(|(_, mount)| mount)
}
