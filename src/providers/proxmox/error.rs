//! Why a request has no useful answer.

use super::{task::Upid, tls::Fingerprint};
use crate::model::ids::SecretName;
use std::{collections::BTreeMap, path::PathBuf, time::Duration};

/// What is known about a request that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// It never reached the server: nothing changed, and sending it again is safe.
    NeverSent,
    /// The server answered, and the answer is no: nothing changed, and it will say no again.
    Refused,
    /// It may have been carried out. Look before anything else; never send it again blindly.
    MaybeApplied,
}

/// What kind of no the server said, as far as its words tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// The thing named in the request does not exist.
    NotFound,
    /// The thing to be made exists.
    Exists,
    /// The digest is not that of the stored configuration: somebody else changed it.
    Stale,
    /// A lock was not obtained in time; the same request may pass later.
    LockTimeout,
    /// The guest carries a lock (`backup`, `clone`, `migrate` ...).
    Locked,
    /// The right is missing, or only `root@pam` itself may do it.
    Forbidden,
    /// The server does not know the method, the path or the encoding.
    NotImplemented,
    /// A parameter is wrong.
    Invalid,
    /// Any other reason; the message says it.
    Plain,
}

/// Why a request has no useful answer. Requests are named by method and path; parameters are never printed.
#[derive(Debug, thiserror::Error)]
pub enum ProxmoxError {
    /// A secret that the inventory refers to has no value.
    #[error("log in to Proxmox: secret `{name}` has no value")]
    MissingSecret {
        /// Its name.
        name: SecretName,
    },
    /// The CA certificate of the inventory is unusable.
    #[error("read the CA certificate for Proxmox: {why}")]
    BadCa {
        /// What is wrong with it.
        why: String,
    },
    /// The HTTP client could not be set up.
    #[error("set up the Proxmox client")]
    Setup {
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The request names a parameter that the table of endpoints does not list for it.
    #[error("build {request}: `{parameter}` is not one of its parameters")]
    NotAParameter {
        /// Method and path.
        request: String,
        /// The parameter.
        parameter: String,
    },
    /// A file that was to be uploaded cannot be read.
    #[error("read {} to upload it", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The firewall scope has nothing of the kind: groups have no options, nodes no aliases and no sets.
    #[error("change {what} of {scope}: Proxmox has none there")]
    NotInScope {
        /// `options`, `aliases`, `ipsets`.
        what: &'static str,
        /// The scope.
        scope: String,
    },
    /// The server presented another certificate than the pinned one.
    #[error("trust {server}: its certificate has the fingerprint {got}, pinned is {want}")]
    PinMismatch {
        /// Address and port.
        server: String,
        /// The pinned fingerprint.
        want: Fingerprint,
        /// The presented one.
        got: Fingerprint,
    },
    /// The server's certificate does not chain to the given CA, names another host or has expired.
    #[error("trust {server}: {why}")]
    Untrusted {
        /// Address and port.
        server: String,
        /// What TLS said.
        why: String,
    },
    /// The cluster knows that the node is off; it was not asked.
    #[error("ask node {node}: it is off")]
    NodeOff {
        /// Its name.
        node: String,
    },
    /// No connection: nothing was sent.
    #[error("reach {server} for {request}: {why}")]
    Unreachable {
        /// Address and port.
        server: String,
        /// Method and path.
        request: String,
        /// The innermost cause.
        why: String,
    },
    /// The connection broke or nothing came back in time, after the request had been sent.
    #[error("hear the answer to {request} from {server}: {why}")]
    Interrupted {
        /// Address and port.
        server: String,
        /// Method and path.
        request: String,
        /// The innermost cause.
        why: String,
    },
    /// The node that answers could not pass the request on (595, 596, 599, or a proxy's 502-504).
    #[error("pass {request} on inside the cluster: {status} {message}")]
    Gateway {
        /// Method and path.
        request: String,
        /// Status code; 59x are `AnyEvent`'s own.
        status: u16,
        /// Reason phrase or body.
        message: String,
    },
    /// Token, ticket or password were not accepted (401).
    #[error("log in to Proxmox for {request}: {message}")]
    Unauthorized {
        /// Method and path.
        request: String,
        /// What the server said.
        message: String,
    },
    /// A parameter did not pass verification (400).
    #[error("{request}: {}", list(errors))]
    Parameters {
        /// Method and path.
        request: String,
        /// Parameter -> what is wrong with it.
        errors: BTreeMap<String, String>,
        /// What kind of no this is.
        kind: Refusal,
    },
    /// A privilege is missing (403).
    #[error("{request}: {message}")]
    Forbidden {
        /// Method and path.
        request: String,
        /// `Sys.Modify`, or several separated by `|`, when the server named it.
        privilege: Option<String>,
        /// `/vms/110`, when the server named it.
        path: Option<String>,
        /// What the server said.
        message: String,
    },
    /// Any other no.
    #[error("{request}: {message}")]
    Refused {
        /// Method and path.
        request: String,
        /// Status code.
        status: u16,
        /// What kind of no this is.
        kind: Refusal,
        /// What the server said.
        message: String,
    },
    /// The server could not tell whether it started the work (`got no worker upid`).
    #[error("start the task of {request}: {message}")]
    WorkerLost {
        /// Method and path.
        request: String,
        /// What the server said.
        message: String,
    },
    /// The answer is not what the API is known to answer.
    #[error("understand the answer to {request}: {why}")]
    Garbled {
        /// Method and path.
        request: String,
        /// What was expected and what was there.
        why: String,
    },
    /// A task ended badly.
    #[error("finish task {upid}: {exit}{}", tail(log))]
    TaskFailed {
        /// The task.
        upid: Upid,
        /// Its `exitstatus`.
        exit: String,
        /// The last lines of its log.
        log: Vec<String>,
    },
    /// A task ended, and nobody knows how (`unexpected status`, or the node forgot it).
    #[error("learn how task {upid} ended: {why}")]
    TaskUnknown {
        /// The task.
        upid: Upid,
        /// What the server said.
        why: String,
    },
    /// A task is still running after the time that was given.
    #[error("see task {upid} end within {} s; it still runs", limit.as_secs())]
    TaskSlow {
        /// The task.
        upid: Upid,
        /// The time that was given.
        limit: Duration,
    },
}

impl ProxmoxError {
    /// Whether the request may have changed something.
    pub fn delivery(&self) -> Delivery {
        match self {
            Self::MissingSecret { .. }
            | Self::BadCa { .. }
            | Self::Setup { .. }
            | Self::NotAParameter { .. }
            | Self::File { .. }
            | Self::NotInScope { .. }
            | Self::PinMismatch { .. }
            | Self::Untrusted { .. }
            | Self::NodeOff { .. }
            | Self::Unreachable { .. }
            // 595 is a failed connect from pveproxy to the daemon or the other node; the rest broke later.
            | Self::Gateway { status: 595, .. } => Delivery::NeverSent,
            Self::Unauthorized { .. }
            | Self::Parameters { .. }
            | Self::Forbidden { .. }
            | Self::Refused { .. } => Delivery::Refused,
            Self::Interrupted { .. }
            | Self::Gateway { .. }
            | Self::WorkerLost { .. }
            | Self::Garbled { .. }
            | Self::TaskFailed { .. }
            | Self::TaskUnknown { .. }
            | Self::TaskSlow { .. } => Delivery::MaybeApplied,
        }
    }

    /// What kind of no the server said; none when it said nothing, or said yes and failed later.
    pub fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::Parameters { kind, .. } | Self::Refused { kind, .. } => Some(*kind),
            Self::Forbidden { .. } => Some(Refusal::Forbidden),
            Self::TaskFailed { exit, .. } => Some(super::answer::kind_of(exit)),
            Self::MissingSecret { .. }
            | Self::BadCa { .. }
            | Self::Setup { .. }
            | Self::NotAParameter { .. }
            | Self::File { .. }
            | Self::NotInScope { .. }
            | Self::PinMismatch { .. }
            | Self::Untrusted { .. }
            | Self::NodeOff { .. }
            | Self::Unreachable { .. }
            | Self::Interrupted { .. }
            | Self::Gateway { .. }
            | Self::Unauthorized { .. }
            | Self::WorkerLost { .. }
            | Self::Garbled { .. }
            | Self::TaskUnknown { .. }
            | Self::TaskSlow { .. } => None,
        }
    }

    /// The error with all its causes, on one line.
    pub(super) fn told(&self) -> String {
        let mut text = format!("failed to {self}");
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }

    /// Why no answer came through, when the way to the server is to blame and not what it said.
    pub(super) fn broken(&self) -> Option<&str> {
        if let Self::Unreachable { why, .. } | Self::Interrupted { why, .. } = self {
            Some(why)
        } else if let Self::Gateway { message, .. } = self {
            Some(message)
        } else {
            None
        }
    }

    /// Whether the named thing does not exist.
    pub fn is_not_found(&self) -> bool {
        self.refusal() == Some(Refusal::NotFound)
    }

    /// Whether a lock was not obtained in time, by the request or by its task.
    pub fn is_lock_timeout(&self) -> bool {
        self.refusal() == Some(Refusal::LockTimeout)
    }

    /// What the operator can do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::MissingSecret { name } => Some(format!(
                "give `{name}` a value in the secrets of the inventory"
            )),
            Self::PinMismatch { server, .. } => Some(format!(
                "compare with `pvenode cert info` on the node itself; if {server} has a new certificate, pin that one"
            )),
            Self::Untrusted { .. } => Some(
                "pin the certificate's SHA-256 fingerprint, or give the CA that signed it"
                    .to_owned(),
            ),
            Self::Unauthorized { .. } => Some(
                "check the token's id and secret: `pveum user token list USER@REALM`".to_owned(),
            ),
            Self::Forbidden {
                privilege: Some(privilege),
                path,
                ..
            } => Some(format!(
                "give the token `{privilege}` on `{}`; a token with privilege separation needs its own ACL entry",
                path.as_deref().unwrap_or("/")
            )),
            Self::Forbidden {
                privilege: None, ..
            } => Some("Proxmox reserves this to root@pam itself; no token may do it".to_owned()),
            Self::NodeOff { node } => {
                Some(format!("Switch {node} on, then run the command again."))
            }
            Self::Unreachable { .. } => {
                Some("check that the node is on and that port 8006 is open from here".to_owned())
            }
            Self::Refused {
                kind: Refusal::Locked,
                ..
            } => Some(
                "wait for the backup, clone or migration to end, then run the same command again"
                    .to_owned(),
            ),
            Self::Refused {
                kind: Refusal::Stale,
                ..
            } => Some("somebody changed it meanwhile: run the command again".to_owned()),
            Self::TaskFailed { exit, .. }
                if super::answer::kind_of(exit) == Refusal::Stale =>
            {
                Some("somebody changed it meanwhile: run the command again".to_owned())
            }
            Self::Gateway { .. } | Self::Refused { .. } => Some(
                "see why on the node: `journalctl -u pvedaemon -u pveproxy`, then run the command again"
                    .to_owned(),
            ),
            Self::BadCa { .. }
            | Self::Setup { .. }
            | Self::NotAParameter { .. }
            | Self::File { .. }
            | Self::NotInScope { .. }
            | Self::Interrupted { .. }
            | Self::Parameters { .. }
            | Self::WorkerLost { .. }
            | Self::Garbled { .. }
            | Self::TaskFailed { .. }
            | Self::TaskUnknown { .. }
            | Self::TaskSlow { .. } => None,
        }
    }
}

fn list(errors: &BTreeMap<String, String>) -> String {
    let lines: Vec<String> = errors
        .iter()
        .map(|(name, text)| format!("{name}: {}", text.trim().replace('\n', "; ")))
        .collect();
    lines.join(", ")
}

fn tail(log: &[String]) -> String {
    if log.is_empty() {
        String::new()
    } else {
        format!("\n  {}", log.join("\n  "))
    }
}
