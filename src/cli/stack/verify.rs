//! `infra stack verify`: the checks that are about one stack.

use super::choice::chosen;
use crate::cli::{context::Context, exit, failure::Failure, live, session::Session, verify};
use crate::model::{
    check::{Check, Probe},
    desired::Desired,
    ids::StackName,
};
use clap::Args;
use std::time::Duration;

/// Run the checks that are about stacks: commands in their containers, their published ports
#[derive(Debug, Clone, Args)]
pub(crate) struct VerifyArgs {
    /// Only these stacks
    #[arg(value_name = "STACK")]
    pub(crate) stacks: Vec<String>,
}

/// Runs the verb.
pub(crate) fn run(context: &Context, args: &VerifyArgs) -> Result<u8, Failure> {
    live::with(context, |session| Box::pin(show(context, args, session)))
}

async fn show(context: &Context, args: &VerifyArgs, session: Session) -> Result<u8, Failure> {
    let names = chosen(context, &session.desired, &args.stacks)?;
    let checks: Vec<Check> = session
        .desired
        .checks
        .iter()
        .filter(|check| {
            names
                .iter()
                .any(|name| is_about(&session.desired, check, name))
        })
        .cloned()
        .collect();
    if checks.is_empty() {
        let names: Vec<&str> = names.iter().map(StackName::as_str).collect();
        context.terminal.tell(&format!(
            "There is no check about {}: nothing was verified.",
            names.join(", ")
        ));
        return Ok(exit::DONE);
    }
    verify::shown(context, &session, &checks, Duration::ZERO).await
}

/// The port that a URL asks.
fn port_of(url: &str) -> u16 {
    let (usual, rest) = match url.strip_prefix("https://") {
        Some(rest) => (443, rest),
        None => (80, url.strip_prefix("http://").unwrap_or(url)),
    };
    let host = rest.split('/').next().unwrap_or_default();
    let port = host.rsplit(']').next().and_then(|end| end.rsplit_once(':'));
    port.and_then(|(_, port)| port.parse().ok())
        .unwrap_or(usual)
}

/// One that its template brought along, a command in one of its containers, or an address and a port at which it is published.
fn is_about(desired: &Desired, check: &Check, name: &StackName) -> bool {
    let Some(stack) = desired.stacks.get(name) else {
        return false;
    };
    if check.name.starts_with(&format!("{name}: ")) {
        return true;
    }
    let at = |address: std::net::IpAddr, port: u16| {
        desired.addresses(&stack.on).contains(&address)
            && stack
                .publish
                .iter()
                .any(|publish| publish.port.range.contains(port))
    };
    match &check.probe {
        Probe::Exec { stack, .. } | Probe::Exit { stack, .. } => stack == name,
        Probe::Tls { connect, port, .. } => connect.is_some_and(|address| at(address, *port)),
        Probe::Tcp { address, port, .. } => at(*address, *port),
        Probe::Http { url, connect, .. } => {
            connect.is_some_and(|address| at(address, port_of(url)))
        }
        Probe::Dns { .. } | Probe::Mount { .. } => false,
    }
}
