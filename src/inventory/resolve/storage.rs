//! Pools, datasets and profiles.

use super::{
    Noun, Scope, directory,
    names::{entries, items},
    policy::{self, Inherited},
    property, zpool,
};
use crate::inventory::{
    codes,
    document::{self, Document, Profile},
    nearest::did_you_mean,
    source::Span,
    written::{At, Entries, May},
};
use crate::model::{
    dataset::{Dataset, Zpool},
    ids::{DatasetName, HostName, SecretName, ZpoolName},
    retention::Retention,
};
use std::collections::BTreeMap;

type Properties = BTreeMap<String, String>;

/// The retention policy that comes with infra.
pub(super) const STANDARD: &str = "standard";

/// Bytes of a dataset's whole name, so that its snapshots still have names.
const LONGEST_DATASET: usize = 190;

/// All datasets by name.
pub(super) type Datasets = BTreeMap<DatasetName, Dataset>;

/// All pools by name.
pub(super) type Zpools = BTreeMap<ZpoolName, Zpool>;

/// All pools and their datasets.
pub(super) fn pools(
    document: &Document,
    policies: &BTreeMap<String, Retention>,
    scope: &mut Scope<'_>,
) -> (Zpools, Datasets) {
    let profiles = profiles(document, scope);
    let mut pools = BTreeMap::new();
    let mut out = BTreeMap::new();
    for (key, raw) in entries(&document.zfs) {
        let name = scope.own_name::<ZpoolName>(key);
        let Some(pool) = &raw.value else { continue };
        let host: Option<HostName> = match &pool.host {
            Some(at) => scope.refer(Noun::Host, at),
            None => scope.only(Noun::Node, key.span, "host"),
        };
        let (Some(name), Some(host)) = (name, host) else {
            continue;
        };
        let mut walk = Walk {
            host: &host,
            profiles: &profiles,
            policies,
            out: &mut out,
        };
        walk.datasets(name.as_str(), &pool.datasets, &Inherited::default(), scope);
        let waivers = pool_waivers(&name, &pool.waivers, scope);
        pools.insert(
            name.clone(),
            Zpool {
                create: zpool::parts(&pool.create, scope),
                name,
                host,
                waivers,
            },
        );
    }
    (pools, out)
}

/// Datasets of a pool that somebody else looks after.
fn pool_waivers(
    pool: &ZpoolName,
    raw: &May<Entries<String>>,
    scope: &mut Scope<'_>,
) -> BTreeMap<DatasetName, String> {
    let mut out = BTreeMap::new();
    for (key, _) in entries(raw) {
        let Some(text) = key.value.as_deref() else {
            continue;
        };
        let name = DatasetName::new(text)
            .ok()
            .filter(|name| name.zpool() == pool.as_str());
        if name.is_none() {
            scope
                .error(
                    codes::INVALID_NAME,
                    format!("`{text}` is not a dataset of `{pool}`"),
                )
                .at(key.span, "not a dataset of this pool")
                .help(format!("write its whole name, `{pool}/...`"));
        }
    }
    for (name, reason) in reasons(raw, scope) {
        if let Ok(name) = DatasetName::new(name) {
            out.insert(name, reason);
        }
    }
    out
}

/// What the owner does without, with reasons; an empty one is none.
pub(super) fn reasons(
    raw: &May<Entries<String>>,
    scope: &mut Scope<'_>,
) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    for (key, at) in entries(raw) {
        if let (Some(name), Some(reason)) = (&key.value, policy::reason(at, scope)) {
            out.insert(name.clone(), reason);
        }
    }
    out
}

struct Walk<'a> {
    host: &'a HostName,
    profiles: &'a BTreeMap<String, Properties>,
    policies: &'a BTreeMap<String, Retention>,
    out: &'a mut Datasets,
}

impl Walk<'_> {
    fn datasets(
        &mut self,
        parent: &str,
        children: &May<Entries<document::Dataset>>,
        above: &Inherited,
        scope: &mut Scope<'_>,
    ) {
        for (key, raw) in entries(children) {
            let Some(own) = key.value.as_deref() else {
                continue;
            };
            let full = format!("{parent}/{own}");
            // Names of snapshots follow behind an `@`, and 255 bytes is all that ZFS takes.
            let fits = full.len() <= LONGEST_DATASET;
            if own.contains('/') || !fits || DatasetName::new(full.as_str()).is_err() {
                scope
                    .error(codes::INVALID_NAME, format!("`{own}` is not the name of a dataset"))
                    .at(key.span, "not a dataset name")
                    .help("letters, digits, `-`, `_`, `.` and `:`, at most 190 with those above it; datasets inside go under `datasets:`");
                continue;
            }
            let Some(raw) = &raw.value else { continue };
            let own = above.with(raw, self.policies, scope);
            self.dataset(&full, key.span, raw, &own, scope);
            self.datasets(&full, &raw.datasets, &own, scope);
        }
    }

    fn dataset(
        &mut self,
        full: &str,
        span: Span,
        raw: &document::Dataset,
        own: &Inherited,
        scope: &mut Scope<'_>,
    ) {
        let mut properties = Properties::new();
        let mut profile = None;
        if let Some(at) = &raw.profile
            && let Some(name) = scope.refer::<String>(Noun::Profile, at)
        {
            properties.extend(self.profiles.get(&name).cloned().unwrap_or_default());
            profile = Some(name);
        }
        properties.extend(own_properties(&raw.properties, scope));
        let key = encryption(full, raw, &mut properties, scope);
        let mountpoint = mountpoint(full, raw, &properties, scope);
        scope.unique(
            codes::DUPLICATE_MOUNT,
            &format!("the mount point {mountpoint} on `{}`", self.host),
            full,
            raw.mountpoint.as_ref().map_or(span, |at| at.span),
            "two datasets cannot be mounted at one place; give one of them another `mountpoint`",
        );
        properties.insert("mountpoint".to_owned(), mountpoint);
        let mut directories: Vec<_> = items(&raw.directories)
            .iter()
            .filter_map(|at| directory::in_dataset(at, scope))
            .collect();
        directories.sort();
        let Ok(name) = DatasetName::new(full) else {
            return;
        };
        self.out.insert(
            name.clone(),
            Dataset {
                name,
                host: self.host.clone(),
                profile,
                properties,
                key,
                directories,
                snapshots: own.schedule,
                retention: own.retention,
                hooks: policy::hooks(&raw.hooks, scope),
                waivers: own.waivers.clone(),
            },
        );
    }
}

/// The passphrase, and the properties that go with one.
fn encryption(
    full: &str,
    raw: &document::Dataset,
    properties: &mut Properties,
    scope: &mut Scope<'_>,
) -> Option<SecretName> {
    let at = raw.encryption_key.as_ref()?;
    for other in ["keyformat", "keylocation"] {
        if properties.contains_key(other) {
            scope
                .error(
                    codes::ENCRYPTED_TWICE,
                    format!("`{full}` has an `encryption_key`, and `{other}` among its properties"),
                )
                .at(at.span, "infra hands this key over itself")
                .help(format!("leave `{other}` out"));
        }
    }
    let key = scope.refer(Noun::Secret, at);
    if properties.get("encryption").is_some_and(|how| how == "off") {
        scope
            .error(
                codes::ENCRYPTED_TWICE,
                format!("`{full}` has an `encryption_key`, and `encryption: off`"),
            )
            .at(at.span, "encrypted, then")
            .help("leave one of them out");
    }
    let defaults = [
        ("encryption", "aes-256-gcm"),
        ("keyformat", "passphrase"),
        ("keylocation", "prompt"),
    ];
    for (name, value) in defaults {
        properties
            .entry(name.to_owned())
            .or_insert_with(|| value.to_owned());
    }
    key
}

fn mountpoint(
    full: &str,
    raw: &document::Dataset,
    properties: &Properties,
    scope: &mut Scope<'_>,
) -> String {
    let default = || {
        properties
            .get("mountpoint")
            .cloned()
            .unwrap_or_else(|| format!("/mnt/{full}"))
    };
    let Some(at) = &raw.mountpoint else {
        return default();
    };
    if at.value.as_ref().is_some_and(|text| text.text == "none") {
        return "none".to_owned();
    }
    scope.parse(at).map_or_else(default, |path| path.0)
}

/// Built-in profiles and the owner's, inheritance applied.
fn profiles(document: &Document, scope: &mut Scope<'_>) -> BTreeMap<String, Properties> {
    let mut out: BTreeMap<String, Properties> = property::BUILT_IN
        .iter()
        .map(|(name, properties)| {
            let properties = properties
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
            ((*name).to_owned(), properties.collect())
        })
        .collect();
    for (key, raw) in entries(&document.profiles) {
        let (Some(name), Some(profile)) = (&key.value, &raw.value) else {
            continue;
        };
        if property::BUILT_IN
            .iter()
            .any(|(built_in, _)| built_in == name)
        {
            scope
                .error(
                    codes::NAME_TAKEN,
                    format!("the profile `{name}` is built in"),
                )
                .at(key.span, "choose another name")
                .help(format!(
                    "write `from: {name}` in a profile of your own to start from it"
                ));
            continue;
        }
        let properties = own_profile(key, profile, &out, scope);
        out.insert(name.clone(), properties);
    }
    out
}

fn own_profile(
    key: &At<String>,
    profile: &Profile,
    known: &BTreeMap<String, Properties>,
    scope: &mut Scope<'_>,
) -> Properties {
    let mut properties = Properties::new();
    if let Some(at) = &profile.from
        && let Some(from) = scope.refer::<String>(Noun::Profile, at)
    {
        if let Some(start) = known.get(&from) {
            properties.extend(start.clone());
        } else {
            scope
                .error(
                    codes::UNKNOWN_PROFILE,
                    format!("the profile `{from}` comes after this one"),
                )
                .at(at.span, "not known yet")
                .at(key.span, "this profile")
                .help("a profile starts from one that is written before it");
        }
    }
    let own = May::Some(At {
        span: profile.properties.span,
        value: profile.properties.value.clone(),
    });
    properties.extend(own_properties(&own, scope));
    properties
}

fn own_properties(raw: &May<Entries<String>>, scope: &mut Scope<'_>) -> Properties {
    let mut out = Properties::new();
    for (key, at) in entries(raw) {
        let (Some(name), Some(value)) = (&key.value, &at.value) else {
            continue;
        };
        let is_user_property = name.contains(':');
        if !is_user_property && !property::SETTABLE.contains(&name.as_str()) {
            let help =
                did_you_mean(name, property::SETTABLE.iter().copied()).unwrap_or_else(|| {
                    "`man zfsprops` lists the native properties; user properties have a `:`"
                        .to_owned()
                });
            scope
                .error(
                    codes::INVALID_PROPERTY,
                    format!("a dataset has no property `{name}` that can be set"),
                )
                .at(key.span, "unknown property")
                .help(help);
        } else if let Some(rule) = property::complaint(name, value) {
            scope
                .error(
                    codes::INVALID_PROPERTY,
                    format!("`{value}` is not a value for `{name}`"),
                )
                .at(at.span, "not possible here")
                .help(format!("write {rule}"));
        } else {
            out.insert(name.clone(), value.clone());
        }
    }
    out
}
