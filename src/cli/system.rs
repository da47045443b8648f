//! An inventory, loaded and compiled as far as that goes offline.

use super::{context::Context, exit, failure::Failure};
use crate::baseline;
use crate::diagnostic::{Diagnostic, Severity, Source};
use crate::firewall::{self, CompiledFirewall};
use crate::inventory;
use crate::model::{
    desired::Desired,
    ids::{HostName, StackName},
    release::Release,
    resource::Resource,
    secret::SecretValues,
};
use crate::release;
use crate::view::human;
use std::{collections::BTreeMap, path::PathBuf};

/// What was loaded.
pub(crate) struct System {
    pub(crate) folder: PathBuf,
    pub(crate) desired: Desired,
    pub(crate) diagnostics: Vec<Diagnostic>,
    pub(crate) sources: Vec<Source>,
}

/// What was compiled from it.
pub(crate) struct Compiled {
    pub(crate) firewall: CompiledFirewall,
    pub(crate) resources: BTreeMap<HostName, Vec<Resource>>,
    pub(crate) releases: BTreeMap<StackName, Release>,
}

/// Loads an inventory and looks for every problem that can be found offline. Errors are printed, all at once.
pub(crate) fn load(context: &Context) -> Result<System, Failure> {
    let folder = context.inventory()?;
    let today = jiff::Zoned::now().date();
    let loaded =
        inventory::load(&folder, today, &crate::builtin::templates()).map_err(|error| {
            Failure::of(exit::INVALID, &error)
                .hint("`infra init SYSTEM` writes an inventory; `-i DIR` names one that is there.")
        })?;
    let mut diagnostics = loaded.diagnostics;
    if let Some(desired) = &loaded.desired {
        let (compiled, found) = compile(desired, &SecretValues::default());
        if !has_errors(&found) {
            diagnostics.extend(firewall::analysis::verify(desired, &compiled.firewall));
        }
        diagnostics.extend(found);
    }
    match loaded.desired {
        Some(desired) if !has_errors(&diagnostics) => Ok(System {
            folder,
            desired,
            diagnostics,
            sources: loaded.sources,
        }),
        Some(_) | None => {
            show(context, &diagnostics, &loaded.sources);
            Err(Failure::said(exit::INVALID))
        }
    }
}

/// Shows diagnostics on the right stream in the right form.
pub(crate) fn show(context: &Context, diagnostics: &[Diagnostic], sources: &[Source]) {
    if context.global.json {
        context
            .terminal
            .json(&serde_json::json!({ "diagnostics": diagnostics }));
    } else if !diagnostics.is_empty() {
        let text = human::diagnostics(diagnostics, sources, !context.terminal.loudness().plain);
        context.terminal.complain(text.trim_end());
    }
}

pub(crate) fn has_errors(diagnostics: &[Diagnostic]) -> bool {
    diagnostics
        .iter()
        .any(|diagnostic| diagnostic.severity == Severity::Error)
}

/// Compiles the matrix, the baseline and the stacks. Without secret values the releases only tell whether they render.
pub(crate) fn compile(desired: &Desired, secrets: &SecretValues) -> (Compiled, Vec<Diagnostic>) {
    let (firewall, mut diagnostics) = firewall::compile(desired);
    let mut resources = baseline::resources(desired);
    for (host, rules) in &firewall.docker {
        resources
            .entry(host.clone())
            .or_default()
            .extend(firewall::docker_resources(rules));
    }
    let mut releases = BTreeMap::new();
    let (order, found) = release::order(&desired.stacks);
    diagnostics.extend(found);
    for name in order {
        let Some(stack) = desired.stacks.get(&name) else {
            continue;
        };
        let (rendered, found) = release::render(desired, stack, secrets);
        diagnostics.extend(found);
        if let Some(rendered) = rendered {
            releases.insert(name, rendered);
        }
    }
    (
        Compiled {
            firewall,
            resources,
            releases,
        },
        diagnostics,
    )
}
