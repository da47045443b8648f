//! What happens when nobody is looking.

use crate::inventory::{
    word::{AbsolutePath, Seconds},
    written::{At, Entries, Many, May, Short, Text},
};
use crate::model::calendar::Calendar;
use schemars::JsonSchema;
use serde::Deserialize;

/// The nightly jobs of the system: where they run, when, and who is told.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nights {
    /// The node, guest or host on which the timers are. Needed as soon as there is one.
    pub(crate) host: May<String>,
    /// Path of infra there, `/usr/local/bin/infra` unless given.
    pub(crate) program: May<Text<AbsolutePath>>,
    /// Path of the inventory's folder there, `/etc/infra/inventory/<name>` unless given.
    pub(crate) inventory: May<Text<AbsolutePath>>,
    /// Who runs it there, `root` unless given. Its SSH key must reach every host.
    pub(crate) user: May<String>,
    /// Every start is put off by a random time up to this, `10m` unless given.
    pub(crate) spread: May<Text<Seconds>>,
    /// What begins when: `night` (all jobs in order, with one summary), or `snapshot`, `prune`, `replicate`, `backup`, `check`,
    /// `drift`, `certificates`, `images` by itself. `hourly`, `daily 02:30`, `weekly sun 03:00`, `monthly 1 04:00`.
    pub(crate) timers: May<Entries<Text<Calendar>>>,
    /// The host whose node exporter shows what came of them; written there as `/var/lib/infra/metrics/infra.prom`.
    pub(crate) metrics: May<String>,
    /// Who is told, by a name of your choice.
    pub(crate) notify: May<Entries<Target>>,
}

/// Somebody who is told. Exactly one of `email`, `ntfy`, `gotify`, `webhook` and `healthchecks`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Target {
    /// A mail, by SMTP with TLS.
    pub(crate) email: May<Email>,
    /// A topic of ntfy.
    pub(crate) ntfy: May<Web>,
    /// A Gotify server; `token` is that of the application.
    pub(crate) gotify: May<Web>,
    /// JSON by POST.
    pub(crate) webhook: May<Web>,
    /// A ping URL as of healthchecks.io: somebody else notices when it stays away.
    pub(crate) healthchecks: May<Web>,
    /// `all` (a failure at once, and the summary) unless given, or `failures`.
    pub(crate) about: May<About>,
    /// A CA certificate in PEM to believe instead of those of the machine; a path relative to the inventory.
    pub(crate) ca: May<String>,
}

/// What somebody is told about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum About {
    /// Every summary, and failures at once.
    All,
    /// Failures.
    Failures,
}

/// A mail.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Email {
    /// `NAME:PORT`: 465 for TLS from the first byte, 587 (unless given) for STARTTLS.
    pub(crate) server: At<String>,
    /// Sender.
    pub(crate) from: At<String>,
    /// Recipients.
    pub(crate) to: At<Many<String>>,
    /// Login name.
    pub(crate) user: May<String>,
    /// Name of the secret with its password.
    pub(crate) password: May<String>,
}

/// Something behind a URL.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Web {
    /// `https://...`, or `{secret: NAME}` when whoever knows it may use it.
    pub(crate) url: At<Short<Hidden>>,
    /// Name of the secret with the token.
    pub(crate) token: May<String>,
}

/// A text that is a secret.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Hidden {
    /// Name of the secret.
    pub(crate) secret: At<String>,
}
