//! Everything that follows from the inventory alone: rules, resources and releases, with all that is wrong with them.

use crate::baseline;
use crate::diagnostic::Diagnostic;
use crate::firewall::{self, CompiledFirewall};
use crate::model::{
    desired::Desired,
    ids::{HostName, StackName},
    release::Release,
    resource::Resource,
    secret::SecretValues,
    stack::Publish,
};
use crate::release;
use std::collections::BTreeMap;

/// What the inventory compiles to.
#[derive(Debug, Clone)]
pub struct Compiled {
    /// The matrix, for every target.
    pub firewall: CompiledFirewall,
    /// Wanted resources per host, in order.
    pub resources: BTreeMap<HostName, Vec<Resource>>,
    /// The stacks that render.
    pub releases: BTreeMap<StackName, Release>,
}

/// Compiles the matrix, the baseline and the stacks. Without secret values the releases only tell whether they render.
pub fn compile(desired: &Desired, secrets: &SecretValues) -> (Compiled, Vec<Diagnostic>) {
    let (firewall, mut diagnostics) = firewall::compile(desired);
    locate_ports(desired, &mut diagnostics);
    let mut resources = baseline::resources(desired);
    for (host, rules) in &firewall.docker {
        resources
            .entry(host.clone())
            .or_default()
            .extend(firewall::docker_resources(rules));
    }
    for (host, more) in crate::timers::resources(desired) {
        resources.entry(host).or_default().extend(more);
    }
    let mut releases = BTreeMap::new();
    for (name, stack) in &desired.stacks {
        let (rendered, found) = release::render(desired, stack, secrets);
        diagnostics.extend(found);
        if let Some(rendered) = rendered {
            releases.insert(name.clone(), rendered);
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

/// What the matrix says about a published port has its line in the compose file, which the matrix does not know.
fn locate_ports(desired: &Desired, diagnostics: &mut [Diagnostic]) {
    let open = |problem: &&mut Diagnostic| problem.labels.is_empty();
    for problem in diagnostics.iter_mut().filter(open) {
        let found = desired.stacks.values().find_map(|stack| {
            let is_about = |publish: &Publish| problem.summary.starts_with(&publish.words(stack));
            let at = stack.publish.iter().position(is_about)?;
            release::published_places(desired, stack)
                .into_iter()
                .nth(at)?
        });
        if let Some(place) = found {
            *problem = problem.clone().at(&place, "published here");
        }
    }
}
