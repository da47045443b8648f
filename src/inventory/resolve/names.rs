//! Every name that was written, good or bad, so that a reference to a faulty thing is not a second problem.

use super::Scope;
use crate::diagnostic::Code;
use crate::inventory::{
    codes,
    document::{Dataset, Document},
    source::Span,
    written::{At, Entries, May},
};

/// What a name can refer to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Noun {
    /// A Proxmox node.
    Node,
    /// A node, guest or external host.
    Host,
    /// A guest.
    Guest,
    /// An image.
    Image,
    /// A zone.
    Zone,
    /// An address set.
    Set,
    /// A service, declared or published.
    Service,
    /// A dataset.
    Dataset,
    /// A profile.
    Profile,
    /// A retention policy.
    Retention,
    /// A stack.
    Stack,
    /// A secret.
    Secret,
}

impl Noun {
    /// The word for it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Host => "host",
            Self::Guest => "guest",
            Self::Image => "image",
            Self::Zone => "zone",
            Self::Set => "address set",
            Self::Service => "service",
            Self::Dataset => "dataset",
            Self::Profile => "profile",
            Self::Retention => "retention policy",
            Self::Stack => "stack",
            Self::Secret => "secret",
        }
    }

    /// The code of a reference to one that does not exist.
    pub(crate) fn unknown(self) -> Code {
        match self {
            Self::Node => codes::UNKNOWN_NODE,
            Self::Host | Self::Guest => codes::UNKNOWN_HOST,
            Self::Image => codes::UNKNOWN_IMAGE,
            Self::Zone => codes::UNKNOWN_ZONE,
            Self::Set => codes::UNKNOWN_SET,
            Self::Service => codes::UNKNOWN_SERVICE,
            Self::Dataset => codes::UNKNOWN_DATASET,
            Self::Profile => codes::UNKNOWN_PROFILE,
            Self::Retention => codes::UNKNOWN_RETENTION,
            Self::Stack => codes::UNKNOWN_STACK,
            Self::Secret => codes::UNKNOWN_SECRET,
        }
    }
}

/// Profiles that come with infra.
pub(crate) const RESERVED: [&str; 2] = ["any", "internet"];

/// Remembers all names of the document and reports those that mean two things.
pub(crate) fn index(document: &Document, scope: &mut Scope<'_>) {
    endpoints(document, scope);
    each(&document.images, |key| scope.name(Noun::Image, key));
    each(&document.services, |key| scope.name(Noun::Service, key));
    each(&document.stacks, |key| scope.name(Noun::Stack, key));
    each(&document.secrets, |key| scope.name(Noun::Secret, key));
    each(&document.profiles, |key| scope.name(Noun::Profile, key));
    for (name, _) in super::property::BUILT_IN {
        scope.built_in(Noun::Profile, name);
    }
    each(&document.retention, |key| scope.name(Noun::Retention, key));
    scope.built_in(Noun::Retention, super::storage::STANDARD);
    for (pool, zpool) in entries(&document.zfs) {
        let Some(name) = &pool.value else { continue };
        scope.add(Noun::Dataset, name.clone(), pool.span);
        if let Some(zpool) = &zpool.value {
            datasets(name, &zpool.datasets, scope);
        }
    }
}

fn datasets(parent: &str, children: &May<Entries<Dataset>>, scope: &mut Scope<'_>) {
    for (key, child) in entries(children) {
        let Some(name) = &key.value else { continue };
        let full = format!("{parent}/{name}");
        scope.add(Noun::Dataset, full.clone(), key.span);
        if let Some(child) = &child.value {
            datasets(&full, &child.datasets, scope);
        }
    }
}

/// Zones, hosts and sets share one space of names: each can be the end of a flow.
fn endpoints(document: &Document, scope: &mut Scope<'_>) {
    let mut all: Vec<(&'static str, Vec<Noun>, &At<String>)> = Vec::new();
    each(&document.zones, |key| {
        all.push(("zone", vec![Noun::Zone], key));
    });
    each(&document.nodes, |key| {
        all.push(("node", vec![Noun::Node, Noun::Host], key));
    });
    each(&document.guests, |key| {
        all.push(("guest", vec![Noun::Guest, Noun::Host], key));
    });
    each(&document.hosts, |key| {
        all.push(("host", vec![Noun::Host], key));
    });
    each(&document.sets, |key| {
        all.push(("set", vec![Noun::Set], key));
    });
    let mut seen: Vec<(&str, &str, Span)> = Vec::new();
    for (word, nouns, key) in all {
        let Some(name) = key.value.as_deref() else {
            continue;
        };
        if RESERVED.contains(&name) {
            scope
                .error(
                    codes::NAME_TAKEN,
                    format!("`{name}` is built in and cannot name a {word}"),
                )
                .at(key.span, "choose another name")
                .help(if name == "internet" {
                    "`internet` is everything that is in no zone; it needs no entry"
                } else {
                    "`any` is everything; it needs no entry"
                });
        } else if let Some((_, first_word, first)) = seen.iter().find(|(other, ..)| *other == name)
        {
            scope
                .error(codes::DUPLICATE_NAME, format!("`{name}` names two things"))
                .at(key.span, format!("a {word}"))
                .at(*first, format!("a {first_word}"))
                .help("flows refer to zones, hosts and sets by name, so the names must differ");
        } else {
            seen.push((name, word, key.span));
        }
        for noun in nouns {
            scope.name(noun, key);
        }
    }
}

/// The entries of an optional map.
pub(crate) fn entries<T>(map: &May<Entries<T>>) -> &[(At<String>, At<T>)] {
    map.as_ref()
        .and_then(|map| map.value.as_ref())
        .map_or(&[], |entries| &entries.0)
}

/// The items of an optional list.
pub(crate) fn items<T>(list: &May<Vec<At<T>>>) -> &[At<T>] {
    list.as_ref()
        .and_then(|list| list.value.as_ref())
        .map_or(&[], |items| items)
}

fn each<'a, T>(map: &'a May<Entries<T>>, mut act: impl FnMut(&'a At<String>)) {
    for (key, _) in entries(map) {
        act(key);
    }
}
