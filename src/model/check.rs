//! What the owner wants to be true from the outside.

use super::{
    flow::Endpoint,
    ids::{HostName, StackName},
};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// The owner's words.
    pub name: String,
    /// Where it is asked from: a host runs it over SSH; a zone or set is asked from the machine that runs infra when it
    /// stands there, else from a guest or host of the inventory that does.
    pub from: Endpoint,
    /// What is asked.
    pub probe: Probe,
}

/// The question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Probe {
    /// An HTTP or HTTPS request.
    Http {
        /// Full URL; the host name is sent and verified.
        url: String,
        /// Connect here instead of resolving the name.
        connect: Option<IpAddr>,
        /// Expected status.
        status: u16,
        /// Expected `Location` prefix.
        location: Option<String>,
        /// Text that the body must contain.
        body: Option<String>,
        /// A header that must be there, by name, and text that its value must contain.
        header: Option<(String, String)>,
        /// Accept a self-signed certificate: the check is about routing, and the owner said so.
        self_signed: bool,
    },
    /// A TCP connection that must be accepted, or must not.
    Tcp {
        /// Address.
        address: IpAddr,
        /// Port.
        port: u16,
        /// `true` when it must be accepted.
        open: bool,
    },
    /// A certificate that must be good for a while.
    Tls {
        /// Name that is asked for.
        name: String,
        /// Connect here instead of resolving the name.
        connect: Option<IpAddr>,
        /// Port.
        port: u16,
        /// Days that it must have left.
        days: u32,
        /// `true` when every TLS older than 1.3 must be refused.
        only_tls13: bool,
    },
    /// A name that must resolve.
    Dns {
        /// Name.
        name: String,
        /// Server; none means the resolver of where it is asked from.
        server: Option<IpAddr>,
        /// Expected address.
        address: Option<IpAddr>,
    },
    /// A command in a container of a stack.
    Exec {
        /// Stack.
        stack: StackName,
        /// Compose service.
        service: String,
        /// Command.
        argv: Vec<String>,
        /// Text that its output must contain.
        output: Option<String>,
    },
    /// A container that must leave for the Internet under another address than its host.
    Exit {
        /// Stack.
        stack: StackName,
        /// Compose service.
        service: String,
        /// What answers with the address of whoever asks.
        url: String,
    },
    /// A path that must be a mount of this type, or a host with no mount of it at all.
    Mount {
        /// Host.
        host: HostName,
        /// Path; none means anywhere.
        at: Option<String>,
        /// Filesystem types looked for.
        fstypes: Vec<String>,
        /// `true` when it must be there.
        present: bool,
    },
}
