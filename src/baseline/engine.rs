//! The programs of backup jobs, where the jobs run.

use crate::model::{desired::Desired, ids::HostName, resource::Resource};
use std::collections::BTreeSet;

/// What the jobs of a host need.
pub(super) fn resources(desired: &Desired, host: &HostName) -> Vec<Resource> {
    let jobs = desired.backups.values().filter(|job| job.host == *host);
    let packages: BTreeSet<&str> = jobs.map(|job| job.engine.package()).collect();
    packages
        .into_iter()
        .map(|name| Resource::Package(name.to_owned()))
        .collect()
}
