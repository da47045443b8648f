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
    /// The entry; none when nothing above it is in the inventory either.
    pub declared: Option<&'a Dataset>,
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
        .map(|(dataset, view)| Cover {
            dataset,
            view,
            declared: nearest(desired, host, dataset),
        })
        .collect()
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
