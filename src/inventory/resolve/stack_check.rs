//! The checks that templates bring along: `self` in them is the stack, or its host.

use super::{
    Folders, Scope, check,
    names::{entries, items},
};
use crate::inventory::{
    document::{self, Document},
    written::{At, Short},
};
use crate::model::{check::Check, desired::Desired, stack::Stack};

const SELF: &str = "self";

/// The checks of every stack's template, each under the stack's name.
pub(super) fn checks(
    document: &Document,
    folders: &Folders,
    desired: &Desired,
    scope: &mut Scope<'_>,
) -> Vec<Check> {
    let mut out = Vec::new();
    for (key, _) in entries(&document.stacks) {
        let name = key.value.as_deref().unwrap_or_default();
        let Some(stack) = desired
            .stacks
            .values()
            .find(|one| one.name.as_str() == name)
        else {
            continue;
        };
        let manifest = folders
            .get(&stack.template)
            .and_then(|folder| folder.manifest.as_ref())
            .and_then(|at| at.value.as_ref());
        let Some(manifest) = manifest else { continue };
        for at in items(&manifest.checks) {
            let Some(raw) = &at.value else { continue };
            let raw = At {
                span: at.span,
                value: Some(of_stack(raw, stack)),
            };
            out.extend(check::one(&raw, desired, scope));
        }
    }
    out
}

/// The check with the stack's and its host's names in place of `self`.
fn of_stack(raw: &document::Check, stack: &Stack) -> document::Check {
    let mut own = raw.clone();
    if let Some(name) = &mut own.name.value {
        *name = format!("{}: {name}", stack.name);
    }
    let host = |at: &mut At<String>| {
        if at.value.as_deref() == Some(SELF) {
            at.value = Some(stack.on.to_string());
        }
    };
    let project = |at: &mut At<String>| {
        if at.value.as_deref() == Some(SELF) {
            at.value = Some(stack.name.to_string());
        }
    };
    own.from.iter_mut().for_each(host);
    own.connect.iter_mut().for_each(host);
    if let Some(at) = &mut own.tcp
        && let Some(port) = at
            .value
            .as_deref()
            .and_then(|text| text.strip_prefix("self:"))
    {
        at.value = Some(format!("{}:{port}", stack.on));
    }
    if let Some(Some(exec)) = own.exec.as_mut().map(|at| at.value.as_mut()) {
        project(&mut exec.stack);
    }
    if let Some(Some(exit)) = own.exit.as_mut().map(|at| at.value.as_mut()) {
        project(&mut exit.stack);
    }
    if let Some(Some(mount)) = own.mount.as_mut().map(|at| at.value.as_mut()) {
        host(&mut mount.host);
    }
    if let Some(Some(Short::Full(dns))) = own.dns.as_mut().map(|at| at.value.as_mut()) {
        dns.server.iter_mut().for_each(host);
        dns.address.iter_mut().for_each(host);
    }
    own
}
