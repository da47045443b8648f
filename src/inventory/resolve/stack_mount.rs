//! What a stack is given to keep its data on: datasets, or paths of its host.

use super::{
    Noun, Scope,
    names::{entries, items},
    stack::Writer,
};
use crate::inventory::{
    codes,
    nearest::{did_you_mean, listed},
    source::Span,
    word::AbsolutePath,
};
use crate::model::ids::DatasetName;
use std::collections::{BTreeMap, BTreeSet};

impl Writer<'_> {
    /// Where each dataset of the stack is on its host. Every mount that the template needs must be given.
    pub(super) fn mounts(&self, scope: &mut Scope<'_>) -> BTreeMap<String, String> {
        let needed: Vec<&str> = items(&self.manifest.needs_mounts)
            .iter()
            .filter_map(|at| at.value.as_deref())
            .collect();
        let given = entries(&self.raw.mounts);
        let mut out = BTreeMap::new();
        for (key, dataset) in given {
            let Some(name) = &key.value else { continue };
            if !needed.contains(&name.as_str()) {
                let help = did_you_mean(name, needed.iter().copied())
                    .unwrap_or_else(|| format!("the template needs {}", listed(&needed)));
                scope
                    .error(
                        codes::UNKNOWN_MOUNT,
                        format!("the template has no mount `{name}`"),
                    )
                    .at(key.span, "unknown mount")
                    .help(help);
                continue;
            }
            if dataset
                .value
                .as_deref()
                .is_some_and(|written| written.starts_with('/'))
            {
                let path = dataset.value.as_deref().unwrap_or_default();
                match path.parse::<AbsolutePath>() {
                    Ok(path) => {
                        out.insert(name.clone(), path.0);
                    }
                    Err(error) => {
                        scope
                            .error(codes::INVALID_PATH, error.to_string())
                            .at(dataset.span, "not a path");
                    }
                }
                continue;
            }
            if let Some(full) = scope.refer::<DatasetName>(Noun::Dataset, dataset)
                && let Some(path) = self.path_of(&full, dataset.span, scope)
            {
                out.insert(name.clone(), path);
            }
        }
        for name in needed {
            if !given
                .iter()
                .any(|(key, _)| key.value.as_deref() == Some(name))
            {
                scope
                    .error(codes::MISSING_KEY, format!("the mount `{name}` is missing"))
                    .at(self.key.span, "this stack needs it")
                    .help(format!("add `mounts: {{{name}: POOL/DATASET}}`"));
            }
        }
        out
    }

    /// The mount points among what the stack was given: a dataset's own, or the mount that a path of the host lies on.
    pub(super) fn needs_mounts(&self, mounts: &BTreeMap<String, String>) -> Vec<String> {
        let given = entries(&self.raw.mounts);
        let is_path = |name: &String| {
            let entry = given
                .iter()
                .find(|(key, _)| key.value.as_ref() == Some(name));
            entry.is_some_and(|(_, at)| {
                at.value
                    .as_deref()
                    .is_some_and(|text| text.starts_with('/'))
            })
        };
        let point = |(name, path): (&String, &String)| match self.desired.hosts.get(self.on) {
            Some(host) if is_path(name) => host.mount_of(path).map(|mount| mount.at.clone()),
            None if is_path(name) => self.desired.guests.get(self.on)?.disk_of(path),
            Some(_) | None => Some(path.clone()),
        };
        let points: BTreeSet<String> = mounts.iter().filter_map(point).collect();
        points.into_iter().collect()
    }

    fn path_of(&self, dataset: &DatasetName, span: Span, scope: &mut Scope<'_>) -> Option<String> {
        if let Some(guest) = self.desired.guests.get(self.on) {
            let mount = guest.mounts.iter().find(|mount| mount.dataset == *dataset);
            if let Some(mount) = mount {
                return Some(mount.at.clone());
            }
        }
        // A zpool may be a node's, an external host's, or a guest's own.
        let known = self.desired.datasets.get(dataset);
        if let Some(known) = known.filter(|known| known.host == *self.on) {
            return known.properties.get("mountpoint").cloned();
        }
        if !self.desired.guests.contains_key(self.on) && scope.knows(Noun::Guest, self.on.as_str())
        {
            // The guest is written and faulty; its mounts are not known.
            return None;
        }
        scope
            .error(
                codes::MOUNT_NOT_ON_HOST,
                format!("`{dataset}` is not mounted on `{}`", self.on),
            )
            .at(span, "this dataset")
            .at(self.raw.on.span, "this host")
            .help(format!(
                "add it to the `mounts:` of `{}`, or run the stack where it is mounted",
                self.on
            ));
        None
    }
}
