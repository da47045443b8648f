//! `Desired` -> everything that enforces it.

use super::{
    docker::{self, DockerUser},
    lint,
    matrix::{MachineKind, Matrix, machines},
    proxmox, ufw,
};
use crate::diagnostic::Diagnostic;
use crate::model::{desired::Desired, firewall::PveFirewall, ids::HostName, ufw::Ufw};
use std::collections::BTreeMap;

/// The matrix as each target takes it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CompiledFirewall {
    /// Proxmox: datacenter, nodes and guests. Empty for a system without Proxmox.
    pub pve: PveFirewall,
    /// UFW of every guest and external host.
    pub ufw: BTreeMap<HostName, Ufw>,
    /// Docker's chain on every host that runs stacks.
    pub docker: BTreeMap<HostName, DockerUser>,
}

/// Compiles the matrix, and says what is wrong with it. With an error among the diagnostics the result must not be
/// applied.
pub fn compile(desired: &Desired) -> (CompiledFirewall, Vec<Diagnostic>) {
    if !desired.speaks_of_firewalls() {
        return (CompiledFirewall::default(), Vec::new());
    }
    let matrix = Matrix::of(desired);
    let machines = machines(desired);
    let mut out = CompiledFirewall {
        pve: proxmox::compile(desired, &matrix, &machines),
        ..CompiledFirewall::default()
    };
    for machine in &machines {
        if machine.kind == MachineKind::Node {
            continue;
        }
        out.ufw
            .insert(machine.name.clone(), ufw::compile(&matrix, machine));
        if let Some(rules) = docker::compile(desired, &matrix, machine) {
            out.docker.insert(machine.name.clone(), rules);
        }
    }
    let diagnostics = lint::check(desired, &matrix, &machines);
    (out, diagnostics)
}
