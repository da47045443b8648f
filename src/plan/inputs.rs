//! Everything a plan is made of.

use crate::firewall::CompiledFirewall;
use crate::model::{
    desired::Desired,
    ids::{HostName, StackName},
    observed::Observed,
    release::Release,
    resource::Resource,
    secret::SecretValues,
};
use std::collections::BTreeMap;

/// What is wanted, compiled, and what was seen.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// The inventory, resolved.
    pub desired: &'a Desired,
    /// The matrix, compiled for every target.
    pub firewall: &'a CompiledFirewall,
    /// Wanted resources per host, in order.
    pub resources: &'a BTreeMap<HostName, Vec<Resource>>,
    /// Rendered stacks.
    pub releases: &'a BTreeMap<StackName, Release>,
    /// Values of secrets: compared by hash, never part of the plan.
    pub secrets: &'a SecretValues,
    /// What was seen.
    pub observed: &'a Observed,
}
