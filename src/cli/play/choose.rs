//! Which playbook, which hosts, which values.

use crate::cli::{
    context::Context,
    exit,
    failure::{Failure, failed},
    system,
};
use crate::inventory::{
    Selector, Subject,
    playbook::{LoadedPlaybooks, load},
};
use crate::model::{desired::Desired, ids::HostName, playbook::Playbook};
use crate::playbook::Host;
use std::{collections::BTreeMap, path::Path};

/// Every playbook of a system.
pub(crate) fn loaded(folder: &Path) -> Result<LoadedPlaybooks, Failure> {
    load(folder, &crate::builtin::playbooks()).map_err(|error| failed(&error))
}

/// The playbook of that name, without a problem.
pub(super) fn playbook(context: &Context, folder: &Path, name: &str) -> Result<Playbook, Failure> {
    let mut loaded = loaded(folder)?;
    if let Some(playbook) = loaded.playbooks.remove(name) {
        return Ok(playbook);
    }
    if loaded.names.iter().any(|known| known == name) {
        let file = format!("playbooks/{name}.yaml");
        let own: Vec<_> = loaded
            .diagnostics
            .into_iter()
            .filter(|problem| {
                let mut labels = problem.labels.iter();
                labels.any(|label| *label.place.file == *file)
            })
            .collect();
        system::show(context, &own, &loaded.sources);
        return Err(Failure::said(exit::INVALID));
    }
    Err(
        Failure::new(exit::USAGE, format!("there is no playbook `{name}`"))
            .hint(format!("There is {}.", loaded.names.join(", "))),
    )
}

/// Its variables: defaults, then `--var`.
pub(super) fn values(
    playbook: &Playbook,
    given: &[String],
) -> Result<BTreeMap<String, String>, Failure> {
    let usage = |text: String| Failure::new(exit::USAGE, text);
    let known: Vec<&str> = playbook.vars.keys().map(String::as_str).collect();
    let hint = format!("{} has {}.", playbook.name, known.join(", "));
    let mut out: BTreeMap<String, String> = playbook
        .vars
        .iter()
        .filter_map(|(name, value)| Some((name.clone(), value.clone()?)))
        .collect();
    for pair in given {
        let Some((name, value)) = pair.split_once('=') else {
            return Err(
                usage(format!("`{pair}` is not a variable")).hint("Write `--var NAME=VALUE`.")
            );
        };
        if !playbook.vars.contains_key(name) {
            return Err(usage(format!("there is no variable `{name}`")).hint(hint));
        }
        out.insert(name.to_owned(), value.to_owned());
    }
    let missing: Vec<String> = known
        .iter()
        .filter(|name| !out.contains_key(**name))
        .map(|name| format!("--var {name}=..."))
        .collect();
    if missing.is_empty() {
        Ok(out)
    } else {
        Err(usage(format!("{} needs values", playbook.name))
            .hint(format!("Add {}.", missing.join(" "))))
    }
}

/// Its hosts, those of `--on` only.
pub(super) fn hosts(
    context: &Context,
    desired: &Desired,
    playbook: &Playbook,
    values: &BTreeMap<String, String>,
) -> Result<Vec<Host>, Failure> {
    let selector = |text: &str| -> Result<Selector, Failure> {
        let selector: Selector = text.parse().map_err(|e| Failure::of(exit::USAGE, &e))?;
        selector
            .verify(desired)
            .map_err(|error| Failure::of(exit::USAGE, &error))?;
        Ok(selector)
    };
    let on = context.global.on.as_deref().map(selector).transpose()?;
    // `{{ name }}` alone stands for a variable.
    let written = playbook.hosts.trim();
    let inner = written
        .strip_prefix("{{")
        .and_then(|rest| rest.strip_suffix("}}"))
        .map(str::trim);
    let text = match inner {
        None => written,
        Some(name) => values.get(name).map(String::as_str).ok_or_else(|| {
            Failure::new(
                exit::INVALID,
                format!("`hosts: {written}` names no variable of {}", playbook.name),
            )
        })?,
    };
    let own = match text {
        "all" | "nodes" | "guests" | "hosts" => None,
        text => Some(selector(text)?),
    };
    let chosen = |name: &HostName| {
        let of_kind = match text {
            "nodes" => desired.nodes.contains_key(name),
            "guests" => desired.guests.contains_key(name),
            "hosts" => desired.hosts.contains_key(name),
            _ => own
                .as_ref()
                .is_none_or(|all| all.selects(Subject::Host(name), desired)),
        };
        let in_on = on
            .as_ref()
            .is_none_or(|all| all.selects(Subject::Host(name), desired));
        of_kind && in_on
    };
    let names: Vec<&HostName> = desired.all_hosts().filter(|name| chosen(name)).collect();
    if names.is_empty() {
        return Err(Failure::new(
            exit::USAGE,
            format!("{} has no host to work on", playbook.name),
        )
        .hint(format!(
            "It is for `{text}`; look at `--on` and at the inventory."
        )));
    }
    Ok(names.into_iter().map(|name| host(desired, name)).collect())
}

fn host(desired: &Desired, name: &HostName) -> Host {
    let access = desired.access(name);
    let guest = desired.guests.get(name);
    Host {
        name: name.clone(),
        kind: if desired.nodes.contains_key(name) {
            "node"
        } else if guest.is_some() {
            "guest"
        } else {
            "host"
        },
        address: access
            .map(|(address, _)| address.to_string())
            .unwrap_or_default(),
        user: access.map(|(_, ssh)| ssh.user.clone()).unwrap_or_default(),
        vmid: guest.map(|guest| guest.vmid.number()),
        node: guest.map(|guest| guest.node.to_string()),
    }
}
