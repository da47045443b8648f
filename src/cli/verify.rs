//! `infra verify`: the system's own checks, asked of the live system.

use super::{context::Context, exit, failure::Failure, live, session::Session};
use crate::model::{check::Check, ids::HostName};
use crate::providers::local::LocalShell;
use crate::verify::{self, CheckResult, Local, Verdict};
use crate::view::human;
use std::{
    net::{IpAddr, SocketAddr, UdpSocket},
    time::Duration,
};

/// Runs the verb.
pub(crate) fn run(context: &Context) -> Result<u8, Failure> {
    live::with(context, |session| {
        Box::pin(async move { show(context, &session, Duration::ZERO).await })
    })
}

/// Runs the checks and shows them.
pub(crate) async fn show(
    context: &Context,
    session: &Session,
    patience: Duration,
) -> Result<u8, Failure> {
    shown(context, session, &session.desired.checks, patience).await
}

/// Runs these checks and shows them.
pub(super) async fn shown(
    context: &Context,
    session: &Session,
    checks: &[Check],
    patience: Duration,
) -> Result<u8, Failure> {
    if checks.is_empty() {
        context
            .terminal
            .tell("The inventory has no checks: nothing was verified.");
        return Ok(exit::DONE);
    }
    let results = asked(session, checks, patience).await?;
    if context.global.json {
        context
            .terminal
            .json(&serde_json::json!({ "checks": results }));
    } else {
        context.terminal.answer(&human::checks(&results));
    }
    let any = |is: fn(&Verdict) -> bool| results.iter().any(|result| is(&result.verdict));
    Ok(
        if any(|verdict| matches!(verdict, Verdict::Failed { .. })) {
            exit::CHECK_FAILED
        } else if any(|verdict| matches!(verdict, Verdict::Unanswered { .. })) {
            exit::UNREACHABLE
        } else if !session.lab && !any(|verdict| *verdict == Verdict::Passed) {
            // Where nothing was seen to hold, nothing was verified.
            exit::CHECK_FAILED
        } else {
            exit::DONE
        },
    )
}

/// Runs these checks.
pub(crate) async fn asked(
    session: &Session,
    checks: &[Check],
    patience: Duration,
) -> Result<Vec<CheckResult>, Failure> {
    let name = HostName::new("here").map_err(|error| super::failure::failed(&error))?;
    let shell = LocalShell::new(name);
    let local = Local {
        shell: &shell,
        address: our_address(session),
        nobody: session.nobody_here.clone(),
    };
    Ok(verify::run(&session.desired, checks, &session.hosts, &local, patience).await)
}

/// The address from which this machine would speak to the system's first host. A UDP socket is connected and nothing
/// is sent.
fn our_address(session: &Session) -> Option<IpAddr> {
    let first = session.desired.all_hosts().next()?;
    let (address, _) = session.desired.access(first)?;
    let any: SocketAddr = if address.is_ipv4() {
        ([0, 0, 0, 0], 0).into()
    } else {
        ([0u16; 8], 0).into()
    };
    let socket = UdpSocket::bind(any).ok()?;
    socket.connect((address, 9)).ok()?;
    socket.local_addr().ok().map(|local| local.ip())
}
