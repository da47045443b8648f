//! Which entry of the inventory answers for a dataset that exists.

use crate::model::{
    dataset::Dataset,
    desired::Desired,
    ids::{DatasetName, HostName},
    snapshot::{DatasetView, Survey},
};

/// A dataset that exists, and the entry that answers for it: its own, or that of the nearest dataset above it.
#[derive(Debug, Clone, Copy)]
pub struct Cover<'a> {
    /// Dataset.
    pub dataset: &'a DatasetName,
    /// As seen.
    pub view: &'a DatasetView,
    /// The entry; none when nothing above it is in the inventory either, and for a clone that has none of its own: it
    /// was made for a look. None for a copy.
    pub declared: Option<&'a Dataset>,
    /// Whether it is a copy that a replica of the inventory made.
    pub is_copy: bool,
}

impl Cover<'_> {
    /// Whether the inventory names it, and not only something above it.
    pub fn is_declared(&self) -> bool {
        self.declared
            .is_some_and(|entry| &entry.name == self.dataset)
    }
}

/// All datasets of a host's zpools, those that somebody made beneath the inventory's included.
pub fn covers<'a>(desired: &'a Desired, host: &HostName, survey: &'a Survey) -> Vec<Cover<'a>> {
    survey
        .datasets
        .iter()
        .map(|(dataset, view)| (dataset, view, is_copy(desired, host, dataset)))
        .map(|(dataset, view, is_copy)| Cover {
            dataset,
            view,
            is_copy,
            declared: nearest(desired, host, dataset)
                .filter(|entry| &entry.name == dataset || (view.origin.is_none() && !is_copy)),
        })
        .collect()
}

fn is_copy(desired: &Desired, host: &HostName, dataset: &DatasetName) -> bool {
    desired
        .replicas
        .values()
        .any(|replica| replica.holds(host, dataset))
}

fn nearest<'a>(
    desired: &'a Desired,
    host: &HostName,
    dataset: &DatasetName,
) -> Option<&'a Dataset> {
    let mut name = Some(dataset.clone());
    while let Some(here) = name {
        if let Some(entry) = desired.datasets.get(&here) {
            return (&entry.host == host).then_some(entry);
        }
        name = here.parent();
    }
    None
}
