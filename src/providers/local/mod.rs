//! Commands on the machine that runs infra: what the operator sees from where the operator stands.
//!
//! Invariant: the same argv and the same input as over SSH; never through another shell.

use crate::model::ids::HostName;
use crate::providers::shell::{Command, Output, Shell, ShellError, short};
use std::process::Stdio;
use tokio::io::AsyncWriteExt as _;

/// Runs commands here. `root` is ignored: infra never becomes root on the operator's machine.
#[derive(Debug, Clone)]
pub struct LocalShell {
    name: HostName,
}

impl LocalShell {
    /// A shell that calls this machine by a name in its errors.
    pub fn new(name: HostName) -> Self {
        Self { name }
    }
}

impl Shell for LocalShell {
    fn host(&self) -> &HostName {
        &self.name
    }

    async fn run(&self, command: Command) -> Result<Output, ShellError> {
        let shown = short(&command);
        let unreachable = |source: std::io::Error| ShellError::Unreachable {
            host: self.name.clone(),
            source: Box::new(source),
        };
        let [program, args @ ..] = command.argv.as_slice() else {
            return Ok(Output {
                code: 127,
                ..Output::default()
            });
        };
        let mut child = tokio::process::Command::new(program)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(unreachable)?;
        let stdin = child.stdin.take();
        let input = command.stdin;
        let feed = async move {
            if let Some(mut stdin) = stdin {
                // A command that does not read its input closes it; that is no failure of the command.
                let _ = stdin.write_all(&input).await;
            }
        };
        let both = async { tokio::join!(feed, child.wait_with_output()).1 };
        match tokio::time::timeout(command.timeout, both).await {
            Err(_) => Err(ShellError::TimedOut {
                host: self.name.clone(),
                command: shown,
                seconds: command.timeout.as_secs(),
            }),
            Ok(Err(source)) => Err(unreachable(source)),
            Ok(Ok(done)) => Ok(Output {
                code: done.status.code().unwrap_or(-1),
                signal: std::os::unix::process::ExitStatusExt::signal(&done.status)
                    .map(|number| number.to_string()),
                stdout: done.stdout,
                stderr: done.stderr,
            }),
        }
    }
}
