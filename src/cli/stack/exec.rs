//! `infra stack exec`: a command in a running container.

use super::choice::{named, place, service, told};
use crate::cli::{context::Context, exit, failure::Failure, live, session::Session, vm::ssh};
use crate::providers::{
    compose::{self, Compose, ComposeRead as _},
    ssh::terminal_line,
};
use clap::Args;

/// Run a command in the running container of a service; its exit code becomes infra's
#[derive(Debug, Clone, Args)]
pub(crate) struct ExecArgs {
    /// Stack
    pub(crate) stack: String,
    /// Compose service
    pub(crate) service: String,
    /// Give it this terminal, as for a shell
    #[arg(short, long)]
    pub(crate) tty: bool,
    /// Command and arguments
    #[arg(trailing_var_arg = true, required = true, allow_hyphen_values = true)]
    pub(crate) command: Vec<String>,
}

/// Runs the verb.
pub(crate) fn run(context: &Context, args: &ExecArgs) -> Result<u8, Failure> {
    live::with(context, |session| Box::pin(exec(context, args, session)))
}

async fn exec(context: &Context, args: &ExecArgs, session: Session) -> Result<u8, Failure> {
    let name = named(&session.desired, &args.stack)?;
    let (release, shell) = place(&session, &name)?;
    service(release, &args.service)?;
    if args.tty {
        let command = compose::enter(&name, &args.service, &args.command);
        let line = terminal_line(&command, &shell.target().user)
            .map_err(|error| Failure::of(exit::USAGE, &error))?;
        let status = ssh(&session, &release.host, true)?.arg(line).status().await;
        let status = status.map_err(|error| Failure::of(exit::FAILED, &error))?;
        return Ok(code(status.code()));
    }
    let output = Compose::new(shell)
        .exec(&name, &args.service, &args.command)
        .await
        .map_err(|error| told(&error))?;
    let secrets = &session.world.secrets;
    let out = compose::redact(&output.text(), secrets);
    let talk = compose::redact(&String::from_utf8_lossy(&output.stderr), secrets);
    if context.global.json {
        context
            .terminal
            .json(&serde_json::json!({ "exit_code": output.code, "stdout": out, "stderr": talk }));
    } else {
        context.terminal.answer(&out);
        if !talk.is_empty() {
            context.terminal.complain(talk.trim_end());
        }
    }
    Ok(code(Some(output.code)))
}

fn code(code: Option<i32>) -> u8 {
    code.and_then(|code| u8::try_from(code).ok())
        .unwrap_or(exit::FAILED)
}
