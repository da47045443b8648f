//! Copies of datasets on another zpool.

use super::{
    ids::{DatasetName, HostName, ReplicaName},
    retention::Retention,
    size::Bytes,
};
use serde::{Deserialize, Serialize};

/// A copy that is kept up to date by sending snapshots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replica {
    /// Its name in tags and bookmarks.
    pub name: ReplicaName,
    /// What is copied, parents first.
    pub datasets: Vec<DatasetName>,
    /// Where the copies are.
    pub host: HostName,
    /// The dataset below which they lie.
    pub below: DatasetName,
    /// Bytes a second.
    pub limit: Option<Bytes>,
    /// How many snapshots the copies keep; none keeps them all.
    pub retention: Option<Retention>,
}

impl Replica {
    /// Where a copy lies: `tank/photos/raw` below `vault/home` is `vault/home/photos/raw`. None for a zpool's root.
    pub fn target(&self, source: &DatasetName) -> Option<DatasetName> {
        target(&self.below, source)
    }

    /// Whether a dataset of a host is one of the copies, or lies in one.
    pub fn holds(&self, host: &HostName, dataset: &DatasetName) -> bool {
        &self.host == host
            && self
                .datasets
                .iter()
                .filter_map(|source| self.target(source))
                .any(|copy| dataset.is_within(&copy))
    }
}

/// The way of a dataset below its zpool, kept below another dataset.
pub fn target(below: &DatasetName, source: &DatasetName) -> Option<DatasetName> {
    let (_, inner) = source.as_str().split_once('/')?;
    DatasetName::new(format!("{below}/{inner}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dataset_keeps_its_way_below_the_place() {
        let name = |text: &str| DatasetName::new(text).expect("valid");
        let replica = Replica {
            name: ReplicaName::new("offsite").expect("valid"),
            datasets: vec![name("tank/photos/raw")],
            host: HostName::new("backup").expect("valid"),
            below: name("vault/home"),
            limit: None,
            retention: None,
        };
        let target = replica.target(&name("tank/photos/raw")).expect("a place");
        assert_eq!(target.as_str(), "vault/home/photos/raw");
        assert_eq!(replica.target(&name("tank")), None);
        assert!(replica.holds(&replica.host, &name("vault/home/photos/raw/inner")));
        assert!(!replica.holds(&replica.host, &name("vault/home/photos")));
    }
}
