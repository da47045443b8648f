//! Copies of datasets on other zpools.

use super::{
    Noun, Scope,
    names::{entries, items},
    storage::{Datasets, Zpools},
};
use crate::inventory::{
    codes,
    document::{self, Document},
    source::Span,
    written::At,
};
use crate::model::{
    ids::{DatasetName, HostName, ReplicaName},
    replica::{Replica, target},
    retention::Retention,
    snapshot::LONGEST,
};
use std::collections::{BTreeMap, BTreeSet};

/// What a bookmark has around its replica's name: `#infra-replica-NAME-` and sixteen digits.
const MARK_BYTES: usize = 32;

/// All replicas.
pub(super) fn replicas(
    document: &Document,
    pools: &Zpools,
    datasets: &Datasets,
    policies: &BTreeMap<String, Retention>,
    scope: &mut Scope<'_>,
) -> BTreeMap<ReplicaName, Replica> {
    let mut out = BTreeMap::new();
    for (key, raw) in entries(&document.replicas) {
        let name = scope.own_name::<ReplicaName>(key);
        let Some(raw) = &raw.value else { continue };
        let below: Option<DatasetName> = scope.parse(&raw.to);
        let sources = sources(raw, datasets, scope);
        let limit = scope.parse_may(&raw.limit);
        let retention = raw.retention.as_ref().and_then(|at| {
            let policy = scope.refer::<String>(Noun::Retention, at)?;
            policies.get(&policy).copied()
        });
        let (Some(name), Some(below)) = (name, below) else {
            continue;
        };
        let Some(host) = host(raw, key.span, &below, pools, scope) else {
            continue;
        };
        let replica = Replica {
            name: name.clone(),
            datasets: sources,
            host,
            below,
            limit,
            retention,
        };
        arrivals(&replica, raw, pools, datasets, scope);
        out.insert(name, replica);
    }
    out
}

/// What is copied: the named datasets and those of the inventory inside.
fn sources(
    raw: &document::Replica,
    datasets: &Datasets,
    scope: &mut Scope<'_>,
) -> Vec<DatasetName> {
    let mut out = BTreeSet::new();
    let named = items(&raw.datasets);
    if named.is_empty() && raw.datasets.as_ref().is_none_or(|at| at.value.is_some()) {
        scope
            .error(codes::EMPTY, "a replica of nothing")
            .at(raw.to.span, "what is copied there?")
            .help("name datasets of the inventory: `datasets: [tank/photos]`");
    }
    for at in named {
        let Some(name) = scope.refer::<DatasetName>(Noun::Dataset, at) else {
            continue;
        };
        if name.parent().is_none() {
            scope
                .error(
                    codes::REPLICA_TARGET,
                    format!("`{name}` is a whole zpool, and a copy of it has no name"),
                )
                .at(at.span, "a zpool")
                .help("name the datasets in it");
            continue;
        }
        let inside = datasets.keys().filter(|other| other.is_within(&name));
        out.extend(inside.cloned());
    }
    out.into_iter().collect()
}

/// Who receives: the host of the zpool where the inventory has it, else the one that is written.
fn host(
    raw: &document::Replica,
    span: Span,
    below: &DatasetName,
    pools: &Zpools,
    scope: &mut Scope<'_>,
) -> Option<HostName> {
    let written: Option<HostName> = match &raw.host {
        Some(at) => Some(scope.refer(Noun::Host, at)?),
        None => None,
    };
    let owner = pools
        .values()
        .find(|pool| pool.name.as_str() == below.zpool());
    match (written, owner) {
        (Some(host), None) => Some(host),
        (None, Some(pool)) => Some(pool.host.clone()),
        (Some(host), Some(pool)) if host == pool.host => Some(host),
        (Some(host), Some(pool)) => {
            scope
                .error(
                    codes::REPLICA_TARGET,
                    format!(
                        "the zpool `{}` is on `{}`, not on `{host}`",
                        pool.name, pool.host
                    ),
                )
                .at(raw.to.span, "where the copies go")
                .help(format!("leave `host` out, or write `host: {}`", pool.host));
            None
        }
        (None, None) => {
            scope
                .error(codes::MISSING_KEY, "`host` is missing")
                .at(span, "it belongs here")
                .help(format!(
                    "the inventory has no zpool `{}`: write the host that has it",
                    below.zpool()
                ));
            None
        }
    }
}

/// A copy lies outside of what it copies, alone at its place, and is not a dataset that infra makes itself.
fn arrivals(
    replica: &Replica,
    raw: &document::Replica,
    pools: &Zpools,
    datasets: &Datasets,
    scope: &mut Scope<'_>,
) {
    let mut wrong = |summary: String, help: &str, at: &At<_>| {
        scope
            .error(codes::REPLICA_TARGET, summary)
            .at(at.span, "where the copies go")
            .help(help);
    };
    let is_here = pools
        .values()
        .any(|pool| pool.name.as_str() == replica.below.zpool() && pool.host == replica.host);
    let mut places: BTreeMap<DatasetName, &DatasetName> = BTreeMap::new();
    for source in &replica.datasets {
        let Some(place) = target(&replica.below, source) else {
            continue;
        };
        let longest = source.as_str().len().max(place.as_str().len());
        if longest + MARK_BYTES + replica.name.as_str().len() > LONGEST {
            wrong(
                format!(
                    "bookmarks and snapshots of `{source}` for this replica would have names of more than {LONGEST} bytes"
                ),
                "shorten the name of the replica, of the dataset, or of the place where copies go",
                &raw.to,
            );
        } else if is_here && replica.below.is_within(source) {
            wrong(
                format!("the copy of `{source}` would lie in `{source}` itself"),
                "a copy belongs on another zpool",
                &raw.to,
            );
        } else if is_here && datasets.contains_key(&place) {
            wrong(
                format!(
                    "`{place}` is a dataset of the inventory, and the copy of `{source}` would arrive there"
                ),
                "take it out of `zfs:`: infra makes it when it sends, read-only and not mounted",
                &raw.to,
            );
        } else if let Some(other) = places.insert(place.clone(), source) {
            wrong(
                format!("the copies of `{other}` and `{source}` would both be `{place}`"),
                "give one of them a replica of its own, below another dataset",
                &raw.to,
            );
        }
    }
}
