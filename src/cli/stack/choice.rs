//! Which stacks were named, and the shells of their hosts.

use crate::cli::{context::Context, exit, failure::Failure, session::Session};
use crate::inventory::{Selector, Subject};
use crate::model::{
    desired::Desired,
    ids::{HostName, StackName},
    release::Release,
};
use crate::providers::{
    compose::ComposeError,
    shell::{ShellError, hint},
    ssh::SshHost,
};
use std::error::Error;

/// The stack of that name.
pub(super) fn named(desired: &Desired, name: &str) -> Result<StackName, Failure> {
    let found = desired.stacks.keys().find(|stack| stack.as_str() == name);
    found.cloned().ok_or_else(|| {
        let known: Vec<&str> = desired.stacks.keys().map(StackName::as_str).collect();
        let hint = if known.is_empty() {
            "The inventory has none.".to_owned()
        } else {
            format!("The inventory has {}.", known.join(", "))
        };
        Failure::new(exit::USAGE, format!("there is no stack `{name}`")).hint(hint)
    })
}

/// The stacks that were named, or chosen by `--on`; all when neither.
pub(super) fn chosen(
    context: &Context,
    desired: &Desired,
    names: &[String],
) -> Result<Vec<StackName>, Failure> {
    if !names.is_empty() {
        return names.iter().map(|name| named(desired, name)).collect();
    }
    let usage = |error: &dyn Error| Failure::of(exit::USAGE, error);
    let selector: Option<Selector> = match &context.global.on {
        Some(text) => Some(text.parse().map_err(|error| usage(&error))?),
        None => None,
    };
    if let Some(selector) = &selector {
        selector.verify(desired).map_err(|error| usage(&error))?;
    }
    let all = desired.stacks.keys().filter(|name| {
        selector
            .as_ref()
            .is_none_or(|some| some.selects(Subject::Stack(name), desired))
    });
    Ok(all.cloned().collect())
}

/// What the inventory compiles a stack to, and the shell of its host.
pub(super) fn place<'s>(
    session: &'s Session,
    name: &StackName,
) -> Result<(&'s Release, &'s SshHost), Failure> {
    let release = session.compiled.releases.get(name).ok_or_else(|| {
        Failure::new(exit::INVALID, format!("stack `{name}` cannot be rendered"))
            .hint("See why: `infra check`.")
    })?;
    Ok((release, shell(session, &release.host)?))
}

fn shell<'s>(session: &'s Session, host: &HostName) -> Result<&'s SshHost, Failure> {
    session.hosts.get(host).ok_or_else(|| {
        Failure::new(
            exit::UNREACHABLE,
            format!("the inventory gives no shell access to {host}"),
        )
    })
}

/// A compose error with its exit code and what can be done.
pub(super) fn told(error: &ComposeError) -> Failure {
    let ComposeError::Shell(shell) = error else {
        let code = if error.is_rolled_back() {
            exit::ROLLED_BACK
        } else {
            exit::FAILED
        };
        return Failure::of(code, error);
    };
    let code = match shell {
        ShellError::Failed { .. } | ShellError::Garbled { .. } => exit::FAILED,
        ShellError::Unreachable { .. }
        | ShellError::HostKey { .. }
        | ShellError::Refused { .. }
        | ShellError::Sudo { .. }
        | ShellError::TimedOut { .. }
        | ShellError::Lost { .. } => exit::UNREACHABLE,
    };
    let failure = Failure::of(code, error);
    match hint(shell) {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// The service of a release, or what it has.
pub(super) fn service(release: &Release, name: &str) -> Result<(), Failure> {
    if release.services.iter().any(|service| service.name == name) {
        return Ok(());
    }
    let known: Vec<&str> = release
        .services
        .iter()
        .map(|service| service.name.as_str())
        .collect();
    let text = format!("stack `{}` has no service `{name}`", release.stack);
    Err(Failure::new(exit::USAGE, text).hint(format!("It has {}.", known.join(", "))))
}
