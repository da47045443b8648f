//! The nights of a system -> what stands on its hosts: systemd services and timers on the one that runs them, a folder for
//! metrics, and none of that where it is not wanted any more.
//!
//! [`resources`] lists it per host; [`services`] names the units.
//!
//! Invariant: pure. No secret is in a unit: the program reads them where it runs.

mod unit;

pub use unit::{ENVIRONMENT, KEY, is_ours, service, timer};

use crate::model::{
    desired::Desired,
    ids::HostName,
    nights::{Begins, METRICS_FOLDER},
    resource::{Reaction, Resource},
};
use std::collections::BTreeMap;

/// Where unit files stand.
const UNITS: &str = "/etc/systemd/system";

/// The wanted resources of every host, in order. What earlier nights have left is not wanted, also where there are none any more.
pub fn resources(desired: &Desired) -> BTreeMap<HostName, Vec<Resource>> {
    let mut out: BTreeMap<HostName, Vec<Resource>> = BTreeMap::new();
    for host in desired.all_hosts() {
        let mut list = Vec::new();
        let nights = desired
            .nights
            .as_ref()
            .filter(|nights| nights.host.as_ref() == Some(host));
        if let Some(nights) = nights.filter(|nights| !nights.timers.is_empty()) {
            list.extend(unit::failed(desired, nights));
            for (begins, calendar) in &nights.timers {
                list.extend(unit::pair(desired, nights, *begins, calendar));
            }
        } else {
            list.push(gone(&unit::failed_name(desired)));
        }
        for begins in Begins::all() {
            let is_wanted = nights.is_some_and(|nights| nights.timers.contains_key(&begins));
            if !is_wanted {
                list.extend(absent(desired, begins));
            }
        }
        let shows = desired.nights.as_ref().and_then(|n| n.metrics.as_ref());
        if shows == Some(host) {
            list.push(Resource::Directory {
                path: METRICS_FOLDER.to_owned(),
                owner: "root".to_owned(),
                group: "root".to_owned(),
                mode: 0o755,
            });
        }
        out.insert(host.clone(), list);
    }
    out
}

/// A timer that nobody wants: stopped and not begun at the next boot before its file goes.
fn absent(desired: &Desired, begins: Begins) -> [Resource; 3] {
    let timer = timer(desired, begins);
    [
        Resource::Unit {
            name: timer.clone(),
            enabled: false,
            active: false,
        },
        gone(&timer),
        gone(&service(desired, begins)),
    ]
}

fn gone(unit: &str) -> Resource {
    Resource::NoFile {
        path: format!("{UNITS}/{unit}"),
        then: vec![Reaction::DaemonReload],
    }
}
