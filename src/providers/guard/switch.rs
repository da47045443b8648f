//! One host's switch.

use crate::model::ids::HostName;
use crate::providers::shell::{Command, Shell, ShellError};
use std::time::Duration;

const SCRIPT: &str = "infra-guard";
const GUARD: &str = include_str!("scripts/guard.sh");
const FILES: &str = include_str!("scripts/files.sh");
const RESTORE: &str = include_str!("scripts/restore.sh");

/// Arming saves files and reloads systemd; on a busy small host a few seconds.
const A_CALL: Duration = Duration::from_secs(40);

/// What is saved and put back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum GuardKind {
    /// A Proxmox node: the firewall's files in `/etc/pve`, of the whole cluster.
    Node,
    /// A Proxmox node: its interfaces.
    Network,
    /// A guest or an external host: UFW and the chain for published container ports.
    Host,
}

impl GuardKind {
    fn word(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Network => "network",
            Self::Host => "host",
        }
    }
}

/// How arming went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Armed {
    /// It counts.
    Now,
    /// A switch of a run that died was found and put back first; nothing is armed.
    EarlierPutBack,
}

/// What a host says about a switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It counts.
    Armed,
    /// It no longer counts; what was there before can still be put back.
    Held,
    /// It has fired: what was there before is there again.
    Reverted,
    /// It has fired, and what was there before is being put back.
    Reverting,
    /// There is none.
    None,
}

/// Why a switch did not do as told.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    /// The host could not be asked.
    #[error("reach the guard on {host}")]
    Shell {
        /// Host.
        host: HostName,
        /// Why.
        #[source]
        source: ShellError,
    },
    /// The timer was quicker.
    #[error("keep the change on {host}: its guard has fired and taken it back")]
    Fired {
        /// Host.
        host: HostName,
    },
    /// It could not be armed.
    #[error("arm the guard on {host} (exit {code}): {complaint}")]
    Refused {
        /// Host.
        host: HostName,
        /// Exit code.
        code: i32,
        /// What it said.
        complaint: String,
    },
}

/// A switch on the host of a shell.
#[derive(Debug, Clone)]
pub struct Switch<S> {
    shell: S,
    kind: GuardKind,
    token: String,
    seconds: u32,
}

impl<S: Shell> Switch<S> {
    /// A switch that is not armed yet. `token` tells it from those of other runs.
    pub fn new(shell: S, kind: GuardKind, token: &str, seconds: u32) -> Self {
        Self {
            shell,
            kind,
            token: token.to_owned(),
            seconds,
        }
    }

    /// The same switch over another connection.
    #[must_use]
    pub fn over(&self, shell: S) -> Self {
        Self {
            shell,
            kind: self.kind,
            token: self.token.clone(),
            seconds: self.seconds,
        }
    }

    /// The way to its host.
    pub fn shell(&self) -> &S {
        &self.shell
    }

    /// Saves what is there and starts the timer.
    ///
    /// # Errors
    /// When it does not count afterwards; nothing may be changed then.
    pub async fn arm(&self) -> Result<Armed, GuardError> {
        match self.call("arm", A_CALL).await {
            Ok(_) => Ok(Armed::Now),
            Err(GuardError::Refused { code: 4, .. }) => Ok(Armed::EarlierPutBack),
            Err(error) => Err(error),
        }
    }

    /// Starts the timer anew.
    ///
    /// # Errors
    /// [`GuardError::Fired`] when it was too late.
    pub async fn renew(&self, limit: Duration) -> Result<(), GuardError> {
        self.call("renew", limit).await.map(drop)
    }

    /// Stops the timer and keeps what was saved: until [`Switch::confirm`] it can still be put back.
    ///
    /// # Errors
    /// [`GuardError::Fired`] when it was too late.
    pub async fn hold(&self) -> Result<(), GuardError> {
        self.call("hold", A_CALL).await.map(drop)
    }

    /// Forgets what was saved: what is there now stays.
    ///
    /// # Errors
    /// [`GuardError::Fired`] when it was too late.
    pub async fn confirm(&self) -> Result<(), GuardError> {
        self.call("confirm", A_CALL).await.map(drop)
    }

    /// Puts back what was there, at once.
    ///
    /// # Errors
    /// [`GuardError::Fired`] when the timer has done so already.
    pub async fn revert(&self, limit: Duration) -> Result<(), GuardError> {
        self.call("revert", limit).await.map(drop)
    }

    /// Looks.
    ///
    /// # Errors
    /// When the host does not answer.
    pub async fn look(&self, limit: Duration) -> Result<Standing, GuardError> {
        let text = self.call("look", limit).await?;
        Ok(match text.trim() {
            "armed" => Standing::Armed,
            "held" => Standing::Held,
            "reverting" => Standing::Reverting,
            "reverted" => Standing::Reverted,
            _ => Standing::None,
        })
    }

    async fn call(&self, verb: &str, limit: Duration) -> Result<String, GuardError> {
        let host = || self.shell.host().clone();
        let seconds = self.seconds.to_string();
        let text = format!(
            "FILES=$(cat <<'INFRA-GUARD-END'\n{FILES}INFRA-GUARD-END\n)\n\
             RESTORE=$(cat <<'INFRA-GUARD-END'\n{RESTORE}INFRA-GUARD-END\n)\n{GUARD}"
        );
        let command = Command::script(SCRIPT, &text)
            .args([verb, self.kind.word(), &self.token, &seconds])
            .timeout(limit);
        let output = self
            .shell
            .run(command)
            .await
            .map_err(|source| GuardError::Shell {
                host: host(),
                source,
            })?;
        match output.code {
            0 if output.is_success() => Ok(output.text()),
            3 => Err(GuardError::Fired { host: host() }),
            code => Err(GuardError::Refused {
                host: host(),
                code,
                complaint: output.complaint(),
            }),
        }
    }
}
