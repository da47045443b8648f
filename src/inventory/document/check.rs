//! Checks.

use crate::inventory::{
    word::AbsolutePath,
    written::{At, Many, May, Short, Text},
};
use schemars::JsonSchema;
use serde::Deserialize;

/// One question with its expected answer. Exactly one of `https`, `http`, `tcp`, `tls`, `dns`, `exec`, `exit` and `mount` is asked.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Check {
    /// What is true when it passes, in your words.
    pub(crate) name: At<String>,
    /// Where it is asked from: a host, a zone, a set or `internet`. A zone or set is asked from this machine when it stands there,
    /// else from a guest or host that stands there and nowhere else. Not needed for `exec`, `exit` and `mount`.
    pub(crate) from: May<String>,
    /// A host name or URL to ask over HTTPS.
    pub(crate) https: May<String>,
    /// A host name or URL to ask over HTTP.
    pub(crate) http: May<String>,
    /// With `https`, `http` and `tls`: connect to this host or address instead of resolving the name.
    pub(crate) connect: May<String>,
    /// With `https` and `http`: the expected status, 200 unless given.
    pub(crate) expect: May<u16>,
    /// With `https` and `http`: how the `Location` header must begin.
    pub(crate) location: May<String>,
    /// With `https` and `http`: text that the answer must contain.
    pub(crate) body: May<String>,
    /// With `https` and `http`: a header that must be there, as `Name: text`; its value must contain the text.
    pub(crate) header: May<String>,
    /// With `https`: accept a self-signed certificate.
    pub(crate) self_signed: May<bool>,
    /// `HOST:PORT`, where HOST is a host or an address and PORT a number or a service.
    pub(crate) tcp: May<String>,
    /// With `tcp`: whether it must be open (true unless given) or closed.
    pub(crate) open: May<bool>,
    /// `NAME` or `NAME:PORT` (443 unless given) whose certificate must be good for a while.
    pub(crate) tls: May<String>,
    /// With `tls`: how many days it must have left, 14 unless given.
    pub(crate) days: May<u32>,
    /// With `tls`: whether every TLS older than 1.3 must be refused.
    pub(crate) only_tls13: May<bool>,
    /// A name that must resolve.
    pub(crate) dns: May<Short<Dns>>,
    /// A command in a container.
    pub(crate) exec: May<ExecCheck>,
    /// With `exec`: text that its output must contain.
    pub(crate) output: May<String>,
    /// A container that must leave for the Internet under another address than its host.
    pub(crate) exit: May<ExitCheck>,
    /// A mount on a host.
    pub(crate) mount: May<MountCheck>,
    /// With `mount`: whether it must be there (true unless given).
    pub(crate) present: May<bool>,
}

/// A name that must resolve.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Dns {
    /// Name.
    pub(crate) name: At<String>,
    /// Server to ask: a host or an address.
    pub(crate) server: May<String>,
    /// Expected answer: a host or an address.
    pub(crate) address: May<String>,
}

/// A command in a container.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExecCheck {
    /// Stack.
    pub(crate) stack: At<String>,
    /// Compose service.
    pub(crate) service: At<String>,
    /// Command and arguments.
    pub(crate) argv: At<Vec<At<String>>>,
}

/// A container behind a VPN.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExitCheck {
    /// Stack.
    pub(crate) stack: At<String>,
    /// Compose service.
    pub(crate) service: At<String>,
    /// What answers with the address of whoever asks; `https://ipinfo.io/ip` unless given.
    pub(crate) url: May<String>,
}

/// A mount on a host.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MountCheck {
    /// Host.
    pub(crate) host: At<String>,
    /// Mount point; anywhere unless given.
    pub(crate) at: May<Text<AbsolutePath>>,
    /// Filesystem types; any unless given.
    pub(crate) fstypes: May<Many<String>>,
}
