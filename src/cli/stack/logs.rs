//! `infra stack logs`: what containers wrote, without the secrets that infra knows.

use super::choice::{named, place, service, told};
use crate::cli::{context::Context, exit, failure::Failure, live, session::Session, vm::ssh};
use crate::model::release::Release;
use crate::providers::{
    compose::{self, Compose, ComposeRead as _, LogRequest},
    ssh::terminal_line,
};
use clap::Args;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt as _, BufReader};

/// Print what the containers of a stack wrote
///
/// Values of the secrets that the inventory knows are replaced by their names.
#[derive(Debug, Clone, Args)]
pub(crate) struct LogsArgs {
    /// Stack
    pub(crate) stack: String,
    /// Only these services
    pub(crate) services: Vec<String>,
    /// This many of the last lines of each container
    #[arg(short, long, default_value_t = 100, value_name = "LINES")]
    pub(crate) tail: u32,
    /// Only since then: `10m`, `2h`, or a time such as 2026-11-20T02:15:00Z
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// Go on as it grows, until Ctrl-C
    #[arg(short, long)]
    pub(crate) follow: bool,
}

/// Runs the verb.
pub(crate) fn run(context: &Context, args: &LogsArgs) -> Result<u8, Failure> {
    live::with(context, |session| Box::pin(show(context, args, session)))
}

async fn show(context: &Context, args: &LogsArgs, session: Session) -> Result<u8, Failure> {
    let name = named(&session.desired, &args.stack)?;
    let (release, shell) = place(&session, &name)?;
    for wanted in &args.services {
        service(release, wanted)?;
    }
    let request = LogRequest {
        stack: &name,
        services: &args.services,
        lines: args.tail,
        since: args.since.as_deref(),
    };
    if args.follow {
        return follow(context, &session, release, &request).await;
    }
    let text = Compose::new(shell)
        .logs(&request, &session.world.secrets)
        .await
        .map_err(|error| told(&error))?;
    if context.global.json {
        let lines: Vec<&str> = text.lines().collect();
        context.terminal.json(&serde_json::json!({ "log": lines }));
    } else {
        context.terminal.answer(&text);
    }
    Ok(exit::DONE)
}

/// Line by line through OpenSSH's own client, so that each can be looked through before it is printed.
async fn follow(
    context: &Context,
    session: &Session,
    release: &Release,
    request: &LogRequest<'_>,
) -> Result<u8, Failure> {
    let mut command = ssh(session, &release.host, false)?;
    let user = &session.hosts[&release.host].target().user;
    let line = terminal_line(&compose::follow(request), user)
        .map_err(|error| Failure::of(exit::USAGE, &error))?;
    let started = command
        .arg(line)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn();
    let mut child = started.map_err(|error| Failure::of(exit::FAILED, &error))?;
    let Some(out) = child.stdout.take() else {
        return Err(Failure::new(exit::FAILED, "the log has no stream"));
    };
    let mut lines = BufReader::new(out).lines();
    loop {
        let next = tokio::select! {
            next = lines.next_line() => next,
            _ = tokio::signal::ctrl_c() => return Ok(exit::INTERRUPTED),
        };
        match next {
            Ok(Some(line)) => {
                let line = compose::redact(&line, &session.world.secrets);
                context.terminal.answer(&(line + "\n"));
            }
            Ok(None) => break,
            Err(error) => return Err(Failure::of(exit::UNREACHABLE, &error)),
        }
    }
    let status = child
        .wait()
        .await
        .map_err(|error| Failure::of(exit::FAILED, &error))?;
    Ok(if status.success() {
        exit::DONE
    } else {
        exit::FAILED
    })
}
