//! What can go wrong around a backup program.

use crate::providers::shell::ShellError;

/// Why something about a backup failed.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The way to the host.
    #[error(transparent)]
    Shell(#[from] ShellError),
    /// Another run has the job.
    #[error("begin {job} on {host}: another run of it has not ended")]
    Busy {
        /// Job.
        job: String,
        /// Host.
        host: String,
    },
    /// The program is not there, or too old.
    #[error("use {program} on {host}: {why}")]
    Program {
        /// `restic`.
        program: String,
        /// Host.
        host: String,
        /// What is wrong.
        why: String,
    },
    /// Something that is backed up is not there, or cannot be mounted.
    #[error("reach what is backed up on {host}: {said}")]
    Source {
        /// Host.
        host: String,
        /// What was said.
        said: String,
    },
    /// There is no repository.
    #[error("open the repository: there is none at {place}")]
    NoRepository {
        /// Where.
        place: String,
    },
    /// Copies of before, on a host that remembers nothing of them.
    #[error(
        "begin {job} on {host}: the repository holds {copies} of its proven copies and {host} remembers none of them, as a machine that was built anew"
    )]
    Anew {
        /// Job.
        job: String,
        /// Host.
        host: String,
        /// How many.
        copies: usize,
    },
    /// Somebody else uses it.
    #[error("open the repository: it is locked: {said}")]
    Locked {
        /// What the engine said.
        said: String,
    },
    /// The password does not open it.
    #[error("open the repository: the password does not fit")]
    Password,
    /// The engine failed in another way.
    #[error("{doing}: exit {code}: {said}")]
    Engine {
        /// What it was doing.
        doing: String,
        /// Exit code.
        code: i32,
        /// Its last words.
        said: String,
    },
    /// It said that all is well and something is missing.
    #[error("prove the backup: {why}")]
    Unproven {
        /// What is missing.
        why: String,
    },
    /// A database or an export.
    #[error("dump {what} on {host}: {why}")]
    Dump {
        /// `immich/database`.
        what: String,
        /// Host.
        host: String,
        /// Why, in our words.
        why: String,
    },
    /// A dump that does not go in.
    #[error("load {what} on {host}: {why}")]
    Load {
        /// `immich/database`.
        what: String,
        /// Host.
        host: String,
        /// Why, in our words.
        why: String,
    },
    /// What came back is not what was copied, or there is no room for it.
    #[error("bring back {what}: {why}")]
    Restore {
        /// `tank/photos`.
        what: String,
        /// Why.
        why: String,
    },
    /// What lives was changed, or may have been, and is not whole.
    #[error("bring back all of {what}: {why}")]
    Half {
        /// `tank/photos`.
        what: String,
        /// Why, and where the former state is.
        why: String,
    },
    /// An answer made no sense.
    #[error("understand what {program} answered: {why}")]
    Garbled {
        /// Program.
        program: String,
        /// What was wrong.
        why: String,
    },
    /// A secret that cannot be handed over.
    #[error("hand over the secret {name}: {why}")]
    Secret {
        /// Its name.
        name: String,
        /// Why.
        why: String,
    },
}

impl BackupError {
    /// What the operator can do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Shell(error) => crate::providers::shell::hint(error),
            Self::Busy { .. } => Some("Wait until it has ended. Nothing was changed.".to_owned()),
            Self::Program { program, .. } => Some(format!(
                "`infra up` installs {program} where a job needs it; Debian 13 has one that is new enough."
            )),
            Self::NoRepository { .. } => Some(
                "If its disk is not mounted, mount it. A job that has never succeeded makes its repository itself.".to_owned(),
            ),
            Self::Anew { job, .. } => Some(format!(
                "Bring the data back first: `infra dr run`, or `infra backup restore`. A copy of an empty machine would be the newest one. When what is there now is right: `infra backup run {job} --anew`."
            )),
            Self::Locked { .. } => Some(
                "Wait until the other program has ended. A lock whose program is dead is removed by itself.".to_owned(),
            ),
            Self::Password => Some(
                "Compare the secret with the emergency sheet (`infra backup keys`). Never make a new repository over an old one.".to_owned(),
            ),
            Self::Engine { said, .. } if said.to_lowercase().contains("no space left") => {
                Some("Free some space where the repository is: `infra backup forget`, or a larger disk.".to_owned())
            }
            Self::Source { .. } | Self::Engine { .. } | Self::Restore { .. } | Self::Half { .. } | Self::Unproven { .. } | Self::Garbled { .. } | Self::Secret { .. } => None,
            Self::Dump { why, .. } if why.contains("No space left") => {
                Some("Free some space on that host, then run the command again.".to_owned())
            }
            Self::Load { why, .. } => why
                .contains("o space left")
                .then(|| "Free some space on that host, then run the command again.".to_owned()),
            Self::Dump { .. } => Some("The dump of the last run is still there.".to_owned()),
        }
    }
}
