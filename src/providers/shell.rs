//! Running commands on one host, however it is reached.

use crate::model::ids::HostName;
use std::{future::Future, time::Duration};

/// One command: an argv and its input. Quoting is the transport's business, in one place.
#[derive(Clone, PartialEq, Eq)]
pub struct Command {
    /// Program and arguments. For a script: `sh -c TEXT NAME args...`.
    pub argv: Vec<String>,
    /// Standard input. Secrets travel here and nowhere else.
    pub stdin: Vec<u8>,
    /// Run as root: through `sudo -n` when the login is not root.
    pub root: bool,
    /// Given up after this long, on both ends.
    pub timeout: Duration,
}

/// Long enough for a busy Raspberry Pi, short enough to notice a hang.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_mins(1);

impl Command {
    /// A plain command as root.
    pub fn new<I, A>(argv: I) -> Self
    where
        I: IntoIterator<Item = A>,
        A: Into<String>,
    {
        Self {
            argv: argv.into_iter().map(Into::into).collect(),
            stdin: Vec::new(),
            root: true,
            timeout: DEFAULT_TIMEOUT,
        }
    }

    /// A POSIX script with a stable name (`infra-facts`); arguments follow with [`Command::args`].
    /// The name is what a scripted host recognises, and what the far side sees in its process list.
    pub fn script(name: &str, text: &str) -> Self {
        Self::new(["sh", "-c", text, name])
    }

    /// The script's name, when this is a script.
    pub fn script_name(&self) -> Option<&str> {
        match self.argv.as_slice() {
            [sh, flag, _, name, ..] if sh == "sh" && flag == "-c" => Some(name),
            _ => None,
        }
    }

    /// Appends arguments.
    #[must_use]
    pub fn args<I, A>(mut self, args: I) -> Self
    where
        I: IntoIterator<Item = A>,
        A: Into<String>,
    {
        self.argv.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets the input.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// Sets the time limit.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Runs as the login user.
    #[must_use]
    pub fn unprivileged(mut self) -> Self {
        self.root = false;
        self
    }
}

impl std::fmt::Debug for Command {
    /// Input is counted, never shown: it may hold secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = self
            .script_name()
            .map_or_else(|| self.argv.join(" "), |n| format!("<{n}>"));
        write!(f, "Command({shown}, stdin {} bytes)", self.stdin.len())
    }
}

/// What a command left behind.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Output {
    /// Exit code; -1 when killed by a signal.
    pub code: i32,
    /// Signal that ended it, without `SIG`.
    pub signal: Option<String>,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
}

impl Output {
    /// Exit code 0 and no signal (libssh2 reports code 0 for a killed command).
    pub fn is_success(&self) -> bool {
        self.code == 0 && self.signal.is_none()
    }

    /// Standard output as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// The last lines of standard error, or of standard output when it is empty: what a failure shows.
    pub fn complaint(&self) -> String {
        let bytes = if self.stderr.iter().all(u8::is_ascii_whitespace) {
            &self.stdout
        } else {
            &self.stderr
        };
        let text = String::from_utf8_lossy(bytes);
        let lines: Vec<&str> = text
            .lines()
            .filter(|line| !line.trim().is_empty())
            .collect();
        lines[lines.len().saturating_sub(12)..].join("\n")
    }
}

/// Why a command did not run to its end, or ended badly.
#[derive(Debug, thiserror::Error)]
pub enum ShellError {
    /// The host could not be reached: nothing ran.
    #[error("reach {host}")]
    Unreachable {
        /// Host.
        host: HostName,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The host presented a key that is not the pinned one.
    #[error("trust {host}: {why}")]
    HostKey {
        /// Host.
        host: HostName,
        /// What differs, and where it is pinned.
        why: String,
    },
    /// Login refused.
    #[error("log in to {host} as {user}: {why}")]
    Refused {
        /// Host.
        host: HostName,
        /// Login name.
        user: String,
        /// What the server or the agent said.
        why: String,
    },
    /// `sudo -n` is not allowed.
    #[error("become root on {host}: {why}")]
    Sudo {
        /// Host.
        host: HostName,
        /// What sudo said.
        why: String,
    },
    /// The command ran and failed.
    #[error("run {command} on {host}: exit {code}: {complaint}")]
    Failed {
        /// Host.
        host: HostName,
        /// The command, shortened, never its input.
        command: String,
        /// Exit code, or -1 for a signal.
        code: i32,
        /// The last lines it wrote.
        complaint: String,
    },
    /// The command took too long and was ended on both sides.
    #[error("finish {command} on {host} within {seconds} s")]
    TimedOut {
        /// Host.
        host: HostName,
        /// The command, shortened.
        command: String,
        /// The limit.
        seconds: u64,
    },
    /// The connection broke while the command ran: it may have finished.
    #[error("keep the connection to {host} while running {command}")]
    Lost {
        /// Host.
        host: HostName,
        /// The command, shortened.
        command: String,
    },
    /// The command succeeded and its answer makes no sense.
    #[error("understand what {command} on {host} answered: {why}")]
    Garbled {
        /// Host.
        host: HostName,
        /// The command, shortened.
        command: String,
        /// What was expected and what was there.
        why: String,
    },
}

/// What the operator can do about a failure; none when the error says it all.
pub fn hint(error: &ShellError) -> Option<String> {
    match error {
        ShellError::Unreachable { host, .. } => Some(format!(
            "Check that {host} is on and that `ssh` from this machine reaches it."
        )),
        ShellError::HostKey { host, .. } => Some(format!(
            "If {host} was reinstalled, remove its line from the known_hosts file beside the inventory \
             and pin the new key; otherwise somebody may be in between."
        )),
        ShellError::Refused { host, user, .. } => Some(format!(
            "Make sure that your key is in {user}'s authorized_keys on {host}, or name the key: `ssh: {{identity: FILE}}`."
        )),
        ShellError::Sudo { host, .. } => Some(format!(
            "Allow passwordless sudo on {host}, or log in as root."
        )),
        ShellError::Failed { complaint, .. } if complaint.contains("No space left on device") => {
            Some("Free some space on that host, then run the command again.".to_owned())
        }
        ShellError::Failed { .. }
        | ShellError::TimedOut { .. }
        | ShellError::Lost { .. }
        | ShellError::Garbled { .. } => None,
    }
}

/// Runs commands on one host.
pub trait Shell: Send + Sync {
    /// The host it runs on.
    fn host(&self) -> &HostName;

    /// Runs a command to its end. A non-zero exit is an [`Output`], not an error.
    fn run(&self, command: Command) -> impl Future<Output = Result<Output, ShellError>> + Send;

    /// Runs a command that must succeed.
    fn demand(&self, command: Command) -> impl Future<Output = Result<Output, ShellError>> + Send {
        async move {
            let shown = short(&command);
            let output = self.run(command).await?;
            if output.is_success() {
                Ok(output)
            } else {
                Err(ShellError::Failed {
                    host: self.host().clone(),
                    command: shown,
                    code: if output.signal.is_some() {
                        -1
                    } else {
                        output.code
                    },
                    complaint: output.complaint(),
                })
            }
        }
    }
}

/// A command as a failure shows it: a script's name, or at most 80 characters of argv.
pub fn short(command: &Command) -> String {
    if let Some(name) = command.script_name() {
        return name.to_owned();
    }
    let line = command.argv.join(" ");
    match line.char_indices().nth(80) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line,
    }
}

/// Whether a change was needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was so already.
    Unchanged,
    /// It was changed.
    Changed,
}
