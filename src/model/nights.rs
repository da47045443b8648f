//! What happens when nobody is looking: which host does it, when, and who is told.

use super::{
    calendar::Calendar,
    ids::{HostName, SecretName},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};

/// Where `node_exporter`'s textfile collector looks on every host that infra writes metrics to.
pub const METRICS_FOLDER: &str = "/var/lib/infra/metrics";
/// The file that infra writes there.
pub const METRICS_FILE: &str = "infra.prom";

/// One piece of work of a night.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Job {
    /// Take the snapshots that are due.
    Snapshot,
    /// Destroy the snapshots that no policy keeps.
    Prune,
    /// Bring replicas up to date.
    Replicate,
    /// Run the backups that are due.
    Backup,
    /// Prove that the backups whose drill is due come back.
    Drill,
    /// Ask the system's own checks.
    Check,
    /// Look for what differs from the inventory.
    Drift,
    /// Look for certificates that end soon.
    Certificates,
    /// Look for container images that have moved.
    Images,
}

impl Job {
    /// All of them, in the order of a night.
    pub const ALL: [Self; 9] = [
        Self::Snapshot,
        Self::Prune,
        Self::Replicate,
        Self::Backup,
        Self::Drill,
        Self::Check,
        Self::Drift,
        Self::Certificates,
        Self::Images,
    ];

    /// Whether it changes nothing.
    pub const fn only_looks(self) -> bool {
        matches!(
            self,
            Self::Check | Self::Drift | Self::Certificates | Self::Images
        )
    }

    /// Its word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Snapshot => "snapshot",
            Self::Prune => "prune",
            Self::Replicate => "replicate",
            Self::Backup => "backup",
            Self::Drill => "drill",
            Self::Check => "check",
            Self::Drift => "drift",
            Self::Certificates => "certificates",
            Self::Images => "images",
        }
    }
}

impl fmt::Display for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What a timer begins. Written as one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Begins {
    /// All jobs in order, with one summary.
    Night,
    /// One job.
    Job(Job),
}

impl TryFrom<String> for Begins {
    type Error = String;
    fn try_from(word: String) -> Result<Self, String> {
        Self::all()
            .find(|begins| begins.word() == word)
            .ok_or_else(|| format!("there is no job `{word}`"))
    }
}

impl From<Begins> for String {
    fn from(begins: Begins) -> Self {
        begins.word().to_owned()
    }
}

impl Begins {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        std::iter::once(Self::Night).chain(Job::ALL.map(Self::Job))
    }

    /// Its word, which is also part of the unit's name.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Night => "night",
            Self::Job(job) => job.word(),
        }
    }
}

/// The nights of a system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nights {
    /// The host that runs them; none when nothing is scheduled and only `infra nightly` by hand tells anybody.
    pub host: Option<HostName>,
    /// The program there.
    pub program: String,
    /// The inventory's folder there.
    pub inventory: String,
    /// Who runs it there.
    pub user: String,
    /// Each start is put off by up to so many seconds.
    pub spread: u32,
    /// What begins when.
    pub timers: BTreeMap<Begins, Calendar>,
    /// The host whose node exporter shows the metrics; none when nobody reads them.
    pub metrics: Option<HostName>,
    /// Who is told, by a name of the owner's.
    pub notify: BTreeMap<String, Target>,
}

/// Somebody who is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// Told of failures only.
    pub failures_only: bool,
    /// A CA to believe beside nobody else; a path relative to the inventory. None means those of the machine.
    pub ca: Option<String>,
    /// How.
    pub channel: Channel,
}

/// How somebody is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// A mail, by SMTP.
    Email {
        /// Mail server.
        server: String,
        /// 465: TLS from the first byte; any other: STARTTLS, or nothing is sent.
        port: u16,
        /// Sender.
        from: String,
        /// Recipients.
        to: Vec<String>,
        /// Login, with its password.
        login: Option<(String, SecretName)>,
    },
    /// A topic of ntfy.
    Ntfy {
        /// Address of the topic.
        url: Text,
        /// Access token.
        token: Option<SecretName>,
    },
    /// An application of Gotify.
    Gotify {
        /// Address of the server.
        url: Text,
        /// The application's token.
        token: SecretName,
    },
    /// JSON by POST.
    Webhook {
        /// Address.
        url: Text,
        /// Sent as `Authorization: Bearer`.
        token: Option<SecretName>,
    },
    /// A ping that somebody else misses when it does not come.
    Healthchecks {
        /// Address of the check.
        url: Text,
    },
}

impl Channel {
    /// Its word.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Email { .. } => "email",
            Self::Ntfy { .. } => "ntfy",
            Self::Gotify { .. } => "gotify",
            Self::Webhook { .. } => "webhook",
            Self::Healthchecks { .. } => "healthchecks",
        }
    }

    /// The secrets that it needs.
    pub fn secrets(&self) -> Vec<&SecretName> {
        let mut out: Vec<&SecretName> = Vec::new();
        match self {
            Self::Email { login, .. } => out.extend(login.iter().map(|(_, secret)| secret)),
            Self::Ntfy { token, .. } | Self::Webhook { token, .. } => out.extend(token),
            Self::Gotify { token, .. } => out.push(token),
            Self::Healthchecks { .. } => {}
        }
        match self {
            Self::Ntfy { url, .. }
            | Self::Gotify { url, .. }
            | Self::Webhook { url, .. }
            | Self::Healthchecks { url } => {
                if let Text::Secret(name) = url {
                    out.push(name);
                }
            }
            Self::Email { .. } => {}
        }
        out
    }
}

/// An address that may be known to everybody, or is a secret itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Text {
    /// Public.
    Plain(String),
    /// By name.
    Secret(SecretName),
}

impl Nights {
    /// The secrets that telling needs.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretName> {
        self.notify
            .values()
            .flat_map(|target| target.channel.secrets())
    }
}
