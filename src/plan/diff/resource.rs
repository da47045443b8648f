//! Packages, files, directories, units and kernel settings of one host.

use super::filesystem;
use crate::model::{
    facts::{HostFacts, PathFact},
    ids::HostName,
    resource::{FileResource, Reaction, Resource},
};
use crate::plan::{
    change::{Change, Field, Impact, Operation},
    draft::{Blocked, Draft, Proposal},
    inputs::Inputs,
};

/// Compares a host's resources. Packages are one change: they are one call to apt.
pub(super) fn diff(
    draft: &mut Draft,
    inputs: &Inputs<'_>,
    host: &HostName,
    resources: &[Resource],
    facts: &HostFacts,
    needs: &[String],
) {
    let missing: Vec<String> = resources
        .iter()
        .filter_map(|resource| match resource {
            Resource::Package(name) => Some(name),
            Resource::File(_)
            | Resource::Directory { .. }
            | Resource::NoFile { .. }
            | Resource::Unit { .. }
            | Resource::Filesystem(_)
            | Resource::Sysctl { .. }
            | Resource::NftTable { .. } => None,
        })
        .filter(|name| facts.packages.get(*name).is_none_or(Option::is_none))
        .cloned()
        .collect();
    if !missing.is_empty() {
        draft.propose(
            host,
            "packages",
            Proposal::create("every managed host has them")
                .field("installed", None, Some(&missing.join(" ")))
                .after(needs.iter().cloned()),
            Operation::InstallPackages { packages: missing },
        );
    }
    let mut ordered: Vec<&Resource> = resources.iter().collect();
    ordered.sort_by_key(|resource| turn(resource));
    for resource in ordered {
        draft.saw(host);
        if let Resource::NftTable { unit, .. } = resource
            && is_loaded_anyway(draft, host, unit, facts)
        {
            continue;
        }
        if let Resource::Filesystem(wanted) = resource {
            filesystem::diff(draft, inputs, host, wanted, facts, needs);
            continue;
        }
        if let Some((subject, proposal, mut operation)) = one(draft, inputs, resource, facts) {
            if let Operation::WriteFile(FileResource { then, .. })
            | Operation::RemoveFile { then, .. } = &mut operation
            {
                unmask_first(then, resources, facts);
            }
            draft.propose(
                host,
                &subject,
                proposal.after(needs.iter().cloned()),
                operation,
            );
        }
    }
}

/// What of a host's resources is not as it should be, in their order, and what could not be compared.
pub fn compare(
    inputs: &Inputs<'_>,
    host: &HostName,
    resources: &[Resource],
    facts: &HostFacts,
) -> (Vec<Change>, Vec<Blocked>) {
    let mut draft = Draft::default();
    diff(&mut draft, inputs, host, resources, facts, &[]);
    (draft.changes, draft.blocked.into_iter().collect())
}

/// A unit that is to run but is masked cannot be restarted for its new file, and its own turn comes after files.
fn unmask_first(then: &mut Vec<Reaction>, resources: &[Resource], facts: &HostFacts) {
    let is_masked = |unit: &String| {
        let wanted = resources.iter().any(
            |resource| matches!(resource, Resource::Unit { name, enabled: true, .. } if name == unit),
        );
        let seen = facts.units.get(unit);
        wanted && seen.is_some_and(|seen| seen.enabled.starts_with("masked"))
    };
    *then = std::mem::take(then)
        .into_iter()
        .flat_map(|reaction| {
            if let Reaction::Reload(unit) | Reaction::Restart(unit) = &reaction
                && is_masked(unit)
            {
                vec![Reaction::Unmask(unit.clone()), reaction]
            } else {
                vec![reaction]
            }
        })
        .collect();
}

/// Whether another change of the plan makes the unit load its table.
fn is_loaded_anyway(draft: &Draft, host: &HostName, loader: &str, facts: &HostFacts) -> bool {
    let runs = facts
        .units
        .get(loader)
        .is_some_and(|unit| unit.active == "active");
    let restart = Reaction::Restart(loader.to_owned());
    let mine = draft.changes.iter().filter(|change| &change.host == host);
    mine.map(|change| &change.operation).any(|operation| {
        let starts =
            matches!(operation, Operation::SetUnit { unit, active: true, .. } if unit == loader);
        let restarts =
            matches!(operation, Operation::WriteFile(file) if file.then.contains(&restart));
        restarts || (starts && !runs)
    })
}

/// Kinds take turns, each in one call: files before the units that read them, tables after the units that load them.
fn turn(resource: &Resource) -> u8 {
    match resource {
        Resource::Package(_) => 0,
        Resource::File(_) | Resource::Directory { .. } => 1,
        // A unit that mounts waits for its filesystem.
        Resource::Filesystem(_) | Resource::Sysctl { .. } => 2,
        Resource::Unit { .. } => 3,
        // A unit is stopped before its file goes.
        Resource::NoFile { .. } => 4,
        Resource::NftTable { .. } => 5,
    }
}

fn one(
    draft: &mut Draft,
    inputs: &Inputs<'_>,
    resource: &Resource,
    facts: &HostFacts,
) -> Option<(String, Proposal, Operation)> {
    let subject = resource.key();
    match resource {
        Resource::Package(_) | Resource::Filesystem(_) => None,
        Resource::File(file) => file_change(draft, inputs, file, facts).map(|proposal| {
            (
                subject,
                proposal.impact(file_impact(file)),
                Operation::WriteFile(file.clone()),
            )
        }),
        Resource::Directory {
            path,
            owner,
            group,
            mode,
        } => {
            let seen = facts.paths.get(path).and_then(Option::as_ref);
            let mut fields = ownership(seen, owner, group, *mode);
            if seen.is_some_and(|fact| fact.kind != "directory") {
                fields.push(Field::new(
                    "kind",
                    seen.map(|s| s.kind.as_str()),
                    Some("directory"),
                ));
            }
            if seen.is_some() && fields.is_empty() {
                return None;
            }
            let proposal = match seen {
                Some(_) => Proposal::update("its owner or mode differs").fields(fields),
                None => Proposal::create("it is needed"),
            };
            let operation = Operation::MakeDirectory {
                path: path.clone(),
                owner: owner.clone(),
                group: group.clone(),
                mode: *mode,
            };
            Some((subject, proposal, operation))
        }
        Resource::NoFile { path, then } => {
            facts.paths.get(path).and_then(Option::as_ref)?;
            let operation = Operation::RemoveFile {
                path: path.clone(),
                then: then.clone(),
            };
            Some((subject, Proposal::delete("it must not be there"), operation))
        }
        Resource::Unit {
            name,
            enabled,
            active,
        } => {
            let seen = facts.units.get(name).cloned().unwrap_or_default();
            let mut fields = Vec::new();
            // `static` and `indirect` units have nothing to enable; `alias` and generated ones neither.
            let at_boot = matches!(
                seen.enabled.as_str(),
                "enabled" | "static" | "alias" | "indirect" | "generated"
            );
            if *enabled != at_boot {
                let word = |on: bool| if on { "enabled" } else { "disabled" };
                fields.push(Field::new(
                    "at boot",
                    filled(&seen.enabled),
                    Some(word(*enabled)),
                ));
            }
            if *active != (seen.active == "active") {
                let word = |on: bool| if on { "active" } else { "inactive" };
                fields.push(Field::new(
                    "state",
                    filled(&seen.active),
                    Some(word(*active)),
                ));
            }
            if fields.is_empty() {
                return None;
            }
            let operation = Operation::SetUnit {
                unit: name.clone(),
                enabled: *enabled,
                active: *active,
            };
            Some((
                subject,
                Proposal::update(if *active {
                    "the unit must run"
                } else {
                    "nobody wants it any more"
                })
                .fields(fields),
                operation,
            ))
        }
        Resource::Sysctl { key, value } => {
            let seen = facts.sysctls.get(key).and_then(Option::as_ref);
            if seen == Some(value) {
                return None;
            }
            let proposal = Proposal::update("the kernel setting is needed").field(
                "value",
                seen.map(String::as_str),
                Some(value),
            );
            let operation = Operation::SetSysctl {
                key: key.clone(),
                value: value.clone(),
            };
            Some((subject, proposal, operation))
        }
        Resource::NftTable { table, text, unit } => {
            let seen = facts.nft_tables.get(table).and_then(Option::as_ref);
            let words = |text: &str| {
                text.split_whitespace()
                    .map(str::to_owned)
                    .collect::<Vec<_>>()
            };
            if seen.is_some_and(|seen| words(seen) == words(text)) {
                return None;
            }
            let before = seen.map_or("none", |_| "other rules");
            let proposal = Proposal::update("its unit runs, and its rules are not loaded")
                .field("live rules", Some(before), Some("as in the inventory"))
                .impact(Impact::Restart);
            let operation = Operation::RestartUnit { unit: unit.clone() };
            Some((subject, proposal, operation))
        }
    }
}

/// A unit that does not exist has no states.
fn filled(state: &str) -> Option<&str> {
    Some(state).filter(|state| !state.is_empty())
}

fn file_impact(file: &FileResource) -> Impact {
    let restarts = file.then.iter().any(|reaction| match reaction {
        Reaction::Reload(_) | Reaction::Restart(_) => true,
        Reaction::DaemonReload | Reaction::Sysctl | Reaction::Unmask(_) | Reaction::Run(_) => false,
    });
    if restarts {
        Impact::Restart
    } else {
        Impact::Hot
    }
}

fn file_change(
    draft: &mut Draft,
    inputs: &Inputs<'_>,
    file: &FileResource,
    facts: &HostFacts,
) -> Option<Proposal> {
    let seen = facts.paths.get(&file.path).and_then(Option::as_ref);
    let bytes = match file.content.filled(inputs.secrets) {
        Ok(bytes) => bytes,
        Err(secret) => {
            draft.block(
                format!("file {}", file.path),
                format!("the secret `{secret}` has no value"),
                "Give it one where the inventory says it comes from.",
            );
            return None;
        }
    };
    let Some(seen) = seen else {
        return Some(Proposal::create(file.purpose.clone()));
    };
    let mut fields = ownership(Some(seen), &file.owner, &file.group, file.mode);
    if seen.sha256.as_deref() != Some(crate::plan::fingerprint(&bytes).as_str()) {
        fields.push(Field::new(
            "content",
            Some("edited"),
            Some("as in the inventory"),
        ));
    }
    if fields.is_empty() {
        None
    } else {
        Some(Proposal::update(file.purpose.clone()).fields(fields))
    }
}

/// Owner, group and mode that differ; names and numbers both count.
fn ownership(seen: Option<&PathFact>, owner: &str, group: &str, mode: u32) -> Vec<Field> {
    let Some(seen) = seen else { return Vec::new() };
    let mut fields = Vec::new();
    if seen.owner != owner && seen.uid.to_string() != owner {
        fields.push(Field::new("owner", Some(&seen.owner), Some(owner)));
    }
    if seen.group != group && seen.gid.to_string() != group {
        fields.push(Field::new("group", Some(&seen.group), Some(group)));
    }
    if seen.mode != mode {
        let (before, after) = (format!("{:04o}", seen.mode), format!("{mode:04o}"));
        fields.push(Field::new("mode", Some(&before), Some(&after)));
    }
    fields
}
