//! The Proxmox API, and what concerns the whole system.

use super::{
    Noun, Scope,
    names::{entries, items},
    scope::text,
};
use crate::inventory::{
    codes,
    document::{Document, Proxmox, Tls},
    nearest::did_you_mean,
    source::Span,
};
use crate::model::{
    desired::{ApiAuth, ProxmoxApi, TlsTrust},
    host::Node,
    ids::HostName,
};
use std::collections::BTreeMap;

/// The format that this infra reads.
const VERSION: u32 = 1;
/// Where Proxmox listens.
const API_PORT: u16 = 8006;

/// Checks the version of the format.
pub(super) fn version(document: &Document, scope: &mut Scope<'_>) {
    if let Some(version) = document.version.value
        && version != VERSION
    {
        scope
            .error(
                codes::UNKNOWN_VERSION,
                format!("format version {version} is unknown"),
            )
            .at(document.version.span, "unknown version")
            .help("this infra reads version 1");
    }
}

/// The time zone of the guests.
pub(super) fn timezone(document: &Document, scope: &mut Scope<'_>) -> String {
    let Some(name) = text(&document.timezone) else {
        return "Etc/UTC".to_owned();
    };
    let database = jiff::tz::TimeZoneDatabase::bundled();
    if database.get(&name).is_err() {
        let known: Vec<String> = database.available().map(|zone| zone.to_string()).collect();
        let help = did_you_mean(&name, known.iter().map(String::as_str))
            .unwrap_or_else(|| "write an IANA name such as `Europe/Paris`".to_owned());
        let span = document
            .timezone
            .as_ref()
            .map_or(document.version.span, |at| at.span);
        scope
            .error(
                codes::INVALID_TIMEZONE,
                format!("there is no time zone `{name}`"),
            )
            .at(span, "unknown time zone")
            .help(help);
    }
    name
}

/// The keys that may log in to guests.
pub(super) fn authorized_keys(document: &Document, scope: &mut Scope<'_>) -> Vec<String> {
    let mut out = Vec::new();
    for key in items(&document.authorized_keys) {
        let Some(line) = &key.value else { continue };
        let line = line.trim();
        if line.parse::<ssh_key::PublicKey>().is_ok() {
            out.push(line.to_owned());
        } else {
            scope
                .error(codes::INVALID_SSH_KEY, "this is not an OpenSSH public key")
                .at(key.span, "not a public key")
                .help("paste the whole line of a `.pub` file, for example `ssh-ed25519 AAAA... you@laptop`");
        }
    }
    if out.is_empty() && !entries(&document.guests).is_empty() {
        let span = document
            .authorized_keys
            .as_ref()
            .or(None)
            .map_or(document.name.span, |at| at.span);
        scope
            .warning(codes::NO_AUTHORIZED_KEYS, "nobody can log in to the guests")
            .at(span, "`authorized_keys` has no key")
            .help("add the line of your `~/.ssh/id_ed25519.pub` to `authorized_keys`; make a key with `ssh-keygen -t ed25519`");
    }
    out
}

/// The Proxmox API.
pub(super) fn proxmox(
    document: &Document,
    nodes: &BTreeMap<HostName, Node>,
    scope: &mut Scope<'_>,
) -> Option<ProxmoxApi> {
    let Some(proxmox) = &document.proxmox else {
        if let Some((guest, _)) = entries(&document.guests).first() {
            scope
                .error(codes::NO_PROXMOX, "guests need a Proxmox to run them")
                .at(guest.span, "this guest")
                .help("add `proxmox:` with endpoint, token and tls");
        }
        return None;
    };
    let span = proxmox.span;
    let proxmox = proxmox.value.as_ref()?;
    let endpoint = endpoint(proxmox, nodes, scope);
    let auth = auth(proxmox, span, scope);
    let tls = tls(proxmox, scope);
    let (host, port) = endpoint?;
    Some(ProxmoxApi {
        host,
        port,
        auth: auth?,
        tls: tls?,
    })
}

fn endpoint(
    proxmox: &Proxmox,
    nodes: &BTreeMap<HostName, Node>,
    scope: &mut Scope<'_>,
) -> Option<(String, u16)> {
    let at = &proxmox.endpoint;
    let text = at.value.as_deref()?;
    let wrong = |scope: &mut Scope<'_>, why: &str| {
        scope
            .error(
                codes::INVALID_URL,
                format!("`{text}` is not an API endpoint: {why}"),
            )
            .at(at.span, "not an endpoint")
            .help("write `https://NODE:8006` with the name of a node, its address or a host name");
    };
    let Some(rest) = text.strip_prefix("https://") else {
        wrong(scope, "it must begin with `https://`");
        return None;
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    if rest.contains(['/', '?', '#', '@']) {
        wrong(scope, "it must be a host and a port and nothing else");
        return None;
    }
    let (host, port) = match rest.strip_prefix('[').and_then(|r| r.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, port)) => (host, port.strip_prefix(':').or(Some(""))),
        None => rest
            .split_once(':')
            .map_or((rest, None), |(host, port)| (host, Some(port))),
    };
    let port = match port {
        None => API_PORT,
        Some(port) => match port.parse() {
            Ok(port) if port != 0 => port,
            _ => {
                wrong(scope, "its port is not a number from 1 to 65535");
                return None;
            }
        },
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':');
    if host.is_empty() || !host.chars().all(plain) {
        wrong(scope, "its host is no name and no address");
        return None;
    }
    let host = HostName::new(host)
        .ok()
        .and_then(|name| nodes.get(&name))
        .map_or_else(|| host.to_owned(), |node| node.address.to_string());
    Some((host, port))
}

fn auth(proxmox: &Proxmox, span: Span, scope: &mut Scope<'_>) -> Option<ApiAuth> {
    match (&proxmox.token, &proxmox.password) {
        (Some(token), None) => {
            let token = token.value.as_ref()?;
            let id = token.id.value.clone();
            if let Some(id) = &id
                && !is_api_user(
                    id.split('!').next().unwrap_or(""),
                    id.split_once('!').map(|(_, t)| t),
                    true,
                )
            {
                scope
                    .error(codes::INVALID_API_USER, format!("`{id}` is not a token id"))
                    .at(token.id.span, "not `user@realm!tokenid`")
                    .help("write for example `infra@pve!infra`; `pveum user token list infra@pve` lists them");
            }
            let secret = scope.refer(Noun::Secret, &token.secret);
            Some(ApiAuth::Token {
                id: id?,
                secret: secret?,
            })
        }
        (None, Some(password)) => {
            let password = password.value.as_ref()?;
            let user = password.user.value.clone();
            if let Some(user) = &user
                && !is_api_user(user, None, false)
            {
                scope
                    .error(
                        codes::INVALID_API_USER,
                        format!("`{user}` is not a Proxmox user"),
                    )
                    .at(password.user.span, "not `user@realm`")
                    .help("write for example `root@pam` or `infra@pve`");
            }
            let secret = scope.refer(Noun::Secret, &password.secret);
            Some(ApiAuth::Password {
                user: user?,
                password: secret?,
            })
        }
        (token, password) => {
            let mut problem = scope
                .error(
                    codes::ONE_OF,
                    "exactly one of `token` and `password` must be here",
                )
                .at(span, "who are we to this API?");
            for extra in [
                token.as_ref().map(|t| t.span),
                password.as_ref().map(|p| p.span),
            ]
            .into_iter()
            .flatten()
            {
                problem = problem.at(extra, "one");
            }
            problem.help("a token with few privileges is the better choice: `infra init` prints how to make one");
            None
        }
    }
}

fn is_api_user(user: &str, token: Option<&str>, wants_token: bool) -> bool {
    let word = |text: &str| {
        !text.is_empty()
            && text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
    };
    let user = user.rsplit_once('@').is_some_and(|(name, realm)| {
        !name.is_empty() && !name.contains([':', '/', ' ']) && word(realm)
    });
    user && token.map_or(!wants_token, word)
}

fn tls(proxmox: &Proxmox, scope: &mut Scope<'_>) -> Option<TlsTrust> {
    match proxmox.tls.value.as_ref()? {
        Tls::Fingerprint(at) => {
            let bytes = scope.parse(at)?.0;
            if bytes == [0; 32] {
                scope
                    .warning(codes::PLACEHOLDER, "the fingerprint of the Proxmox API is a placeholder")
                    .at(at.span, "all zeros match no server")
                    .help("on the node, `pvenode cert info` prints it (the certificate `pveproxy-ssl.pem` or `pve-ssl.pem`)");
            }
            Some(TlsTrust::Fingerprint(bytes))
        }
        Tls::Ca(at) => {
            let pem = scope.ca.clone()?;
            if !pem.contains("-----BEGIN CERTIFICATE-----") {
                scope
                    .error(
                        codes::INVALID_FINGERPRINT,
                        "the CA file holds no PEM certificate",
                    )
                    .at(at.span, "this file")
                    .help("copy `/etc/pve/pve-root-ca.pem` from a node");
            }
            Some(TlsTrust::CaPem(pem))
        }
    }
}
