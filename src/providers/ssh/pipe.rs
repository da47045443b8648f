//! The output of a command on one host flows into a command on another, through this machine.
//!
//! OpenSSH's client carries it, with infra's pins and nothing less strict: its flow control and its ciphers are made for
//! terabytes, and the sessions of this room stay free for other work meanwhile.

use super::{jump::running, line::remote_line, target::Target};
use crate::model::ids::HostName;
use crate::providers::shell::{Command, Output, ShellError, short};
use std::{
    io,
    process::Stdio,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::{Child, Command as Process},
};

/// Bytes that are carried at a time.
const CHUNK: usize = 256 << 10;

/// What both commands left behind. A command that succeeded on a stream that was cut does not make it whole: look at both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carried {
    /// What the sending command said; its output went on.
    pub sent: Output,
    /// What the receiving command said.
    pub received: Output,
    /// Bytes that went through.
    pub bytes: u64,
}

/// Runs `send` on one host and `receive` on another, with the output of the first as input of the second, at most
/// `limit` bytes a second.
///
/// # Errors
/// When a client cannot be started, or a connection could not be made.
pub async fn carry(
    from: &Target,
    send: &Command,
    to: &Target,
    receive: &Command,
    limit: Option<u64>,
) -> Result<Carried, ShellError> {
    let mut sender = start(from, send, Stdio::null())?;
    let mut receiver = start(to, receive, Stdio::piped())?;
    let (Some(mut output), Some(mut input)) = (sender.stdout.take(), receiver.stdin.take()) else {
        return Err(lost(from, send, io::ErrorKind::BrokenPipe.into()));
    };
    let flow = async move {
        let began = Instant::now();
        let (mut buffer, mut bytes) = (vec![0; CHUNK], 0u64);
        loop {
            let read = output.read(&mut buffer).await?;
            if read == 0 {
                // The end of input is how the receiver learns that the sender has ended.
                input.shutdown().await?;
                return Ok::<u64, io::Error>(bytes);
            }
            if input.write_all(&buffer[..read]).await.is_err() {
                // The receiver has ended and says why; dropping our end makes the sender end as well.
                return Ok(bytes);
            }
            bytes += read as u64;
            if let Some(limit) = limit.filter(|limit| *limit > 0) {
                tokio::time::sleep(ahead(bytes, limit, began.elapsed())).await;
            }
        }
    };
    let (flowed, sent, received) =
        tokio::join!(flow, sender.wait_with_output(), receiver.wait_with_output());
    let bytes = flowed.map_err(|error| lost(from, send, error))?;
    let received = outcome(to, receive, received)?;
    let sent = match outcome(from, send, sent) {
        // A sender whose reader has gone ends without a word; the reader's words are the reason.
        Err(_) if !received.is_success() => Output {
            code: -1,
            ..Output::default()
        },
        other => other?,
    };
    Ok(Carried {
        sent,
        received,
        bytes,
    })
}

/// How far the bytes are ahead of the limit.
fn ahead(bytes: u64, limit: u64, elapsed: Duration) -> Duration {
    let micros = u128::from(bytes) * 1_000_000 / u128::from(limit);
    let due = Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX));
    due.saturating_sub(elapsed)
}

fn start(target: &Target, command: &Command, input: Stdio) -> Result<Child, ShellError> {
    let line = remote_line(command, &target.user)
        .map_err(|why| lost(target, command, io::Error::other(why)))?;
    if !line.preamble.is_empty() {
        return Err(lost(
            target,
            command,
            io::Error::other("the arguments are too long to be carried"),
        ));
    }
    let argv = running(target, &line.line);
    let (program, rest) = argv
        .split_first()
        .ok_or_else(|| lost(target, command, io::ErrorKind::InvalidInput.into()))?;
    Process::new(program)
        .args(rest)
        .stdin(input)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // Nobody waits for a run that was interrupted.
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| lost(target, command, error))
}

fn lost(target: &Target, command: &Command, source: io::Error) -> ShellError {
    let _ = command;
    ShellError::Unreachable {
        host: host(target),
        source: Box::new(source),
    }
}

fn host(target: &Target) -> HostName {
    target.host.clone()
}

fn outcome(
    target: &Target,
    command: &Command,
    output: io::Result<std::process::Output>,
) -> Result<Output, ShellError> {
    use std::os::unix::process::ExitStatusExt as _;
    let output = output.map_err(|error| lost(target, command, error))?;
    let out = Output {
        code: output.status.code().unwrap_or(-1),
        signal: output.status.signal().map(|signal| signal.to_string()),
        stdout: output.stdout,
        stderr: output.stderr,
    };
    // 255 is the client's own, and that of some refusals of `zfs`, which speak for themselves.
    if out.code == 255 && is_of_client(&out.complaint()) {
        let said = out.complaint();
        return Err(if said.contains("closed") || said.contains("Broken pipe") {
            ShellError::Lost {
                host: host(target),
                command: short(command),
            }
        } else {
            ShellError::Unreachable {
                host: host(target),
                source: said.into(),
            }
        });
    }
    Ok(out)
}

fn is_of_client(said: &str) -> bool {
    [
        "ssh:",
        "Connection ",
        "kex_",
        "Host key",
        "Permission denied (",
        "client_loop:",
    ]
    .iter()
    .any(|start| said.lines().any(|line| line.starts_with(start)))
        || said.trim().is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_makes_what_is_ahead_of_it_wait() {
        let second = Duration::from_secs(1);
        assert_eq!(ahead(3 << 20, 1 << 20, second), second * 2);
        assert_eq!(ahead(1 << 20, 1 << 20, second * 2), Duration::ZERO);
    }

    #[test]
    fn refusals_of_zfs_are_not_taken_for_a_lost_connection() {
        assert!(!is_of_client("cannot resume send: resume token is corrupt"));
        assert!(is_of_client(
            "Connection to 192.168.1.9 closed by remote host."
        ));
        assert!(is_of_client(""));
    }
}
