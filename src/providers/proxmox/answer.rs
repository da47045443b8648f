//! Status, reason phrase and body -> data or error. Pure.

use super::error::{ProxmoxError, Refusal};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use std::collections::BTreeMap;

/// What came back for a request.
#[derive(Debug)]
pub(super) struct Answer<'a> {
    pub(super) status: u16,
    /// The reason phrase. For 401 and 595 it is all there is: their bodies are empty.
    pub(super) reason: &'a str,
    pub(super) body: &'a [u8],
}

/// The envelope around every JSON answer. Its `message` and `errors` come with statuses of 400 and more.
#[derive(Debug, Default, Deserialize)]
struct Envelope {
    #[serde(default)]
    data: Value,
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    errors: BTreeMap<String, Value>,
}

/// The data of a good answer, or what the bad one means.
pub(super) fn data(request: &str, answer: &Answer<'_>) -> Result<Value, ProxmoxError> {
    if (200..300).contains(&answer.status) {
        let envelope: Envelope = serde_json::from_slice(answer.body).map_err(|error| {
            let why = format!("{error} in {}", start_of(answer.body));
            ProxmoxError::Garbled {
                request: request.to_owned(),
                why,
            }
        })?;
        return Ok(envelope.data);
    }
    Err(refusal(request, answer))
}

/// A good answer as it came, with what stands beside its data.
pub(super) fn whole(request: &str, body: &[u8]) -> Result<Value, ProxmoxError> {
    serde_json::from_slice(body).map_err(|error| ProxmoxError::Garbled {
        request: request.to_owned(),
        why: error.to_string(),
    })
}

/// Tags as Proxmox lists them.
pub(super) fn tags(text: &str) -> Vec<String> {
    text.split([';', ',', ' '])
        .filter(|tag| !tag.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Data as a type.
pub(super) fn typed<T: DeserializeOwned>(request: &str, data: Value) -> Result<T, ProxmoxError> {
    serde_json::from_value(data).map_err(|error| ProxmoxError::Garbled {
        request: request.to_owned(),
        why: error.to_string(),
    })
}

fn refusal(request: &str, answer: &Answer<'_>) -> ProxmoxError {
    let envelope: Envelope = serde_json::from_slice(answer.body).unwrap_or_default();
    let request = request.to_owned();
    let message = said(&envelope, answer);
    match answer.status {
        401 => ProxmoxError::Unauthorized { request, message },
        403 => {
            let (path, privilege) = missing_privilege(&message);
            ProxmoxError::Forbidden {
                request,
                privilege,
                path,
                message,
            }
        }
        400 if !envelope.errors.is_empty() => {
            let errors: BTreeMap<String, String> = envelope
                .errors
                .into_iter()
                .map(|(name, text)| (name, plain(&text)))
                .collect();
            let kind = kind_of_parameters(&errors);
            ProxmoxError::Parameters {
                request,
                errors,
                kind,
            }
        }
        status @ (595..=599 | 502..=504) => ProxmoxError::Gateway {
            request,
            status,
            message,
        },
        _ if message.contains("got no worker upid") => {
            ProxmoxError::WorkerLost { request, message }
        }
        500 if message.starts_with("only root can ") => ProxmoxError::Forbidden {
            request,
            privilege: None,
            path: None,
            message,
        },
        status @ 501 => ProxmoxError::Refused {
            request,
            status,
            kind: Refusal::NotImplemented,
            message,
        },
        status => {
            let kind = kind_of(&message);
            ProxmoxError::Refused {
                request,
                status,
                kind,
                message,
            }
        }
    }
}

/// The server's words: the JSON message, else a plain-text body, else the reason phrase.
fn said(envelope: &Envelope, answer: &Answer<'_>) -> String {
    let text = String::from_utf8_lossy(answer.body);
    let is_json = text.trim_start().starts_with('{');
    let body = envelope
        .message
        .as_deref()
        .or_else(|| (!is_json).then_some(text.as_ref()))
        .unwrap_or("")
        .trim();
    let words = if body.is_empty() {
        answer.reason.trim()
    } else {
        body
    };
    if words.is_empty() {
        format!("HTTP status {}", answer.status)
    } else {
        without_perl_line(words).to_owned()
    }
}

/// `zone lab is used by vnet dmz at /usr/share/perl5/PVE/Network/SDN/Zones/Plugin.pm line 149.` without its end.
fn without_perl_line(text: &str) -> &str {
    match text.rfind(" at /usr/share/perl5/") {
        Some(end) if text[end..].contains(" line ") => &text[..end],
        Some(_) | None => text,
    }
}

fn plain(text: &Value) -> String {
    text.as_str()
        .map_or_else(|| text.to_string(), str::to_owned)
}

/// `Permission check failed (/pool/p2, Pool.Allocate)` -> path and privilege.
fn missing_privilege(message: &str) -> (Option<String>, Option<String>) {
    let inside = message
        .strip_prefix("Permission check failed (")
        .and_then(|rest| rest.strip_suffix(')'));
    match inside.and_then(|inside| inside.split_once(", ")) {
        Some((path, privilege)) => (Some(path.to_owned()), Some(privilege.to_owned())),
        None => (None, None),
    }
}

/// Some collections report "exists" and "no such" as a bad parameter.
fn kind_of_parameters(errors: &BTreeMap<String, String>) -> Refusal {
    let of_all = |kind| errors.values().all(|text| kind_of(text) == kind);
    let named = |name: &String| {
        matches!(
            name.as_str(),
            "name" | "upid" | "group" | "pos" | "cidr" | "iface" | "id"
        )
    };
    if !errors.keys().all(named) {
        Refusal::Invalid
    } else if of_all(Refusal::Exists) {
        Refusal::Exists
    } else if of_all(Refusal::NotFound) {
        Refusal::NotFound
    } else {
        Refusal::Invalid
    }
}

/// The kind of a refusal by its words: Proxmox answers 500 for nearly all of them. Seen with PVE 9.2.11, lock texts
/// also in pve-common (`lock_file_full`) and pve-cluster (`cfs_lock`).
pub(super) fn kind_of(message: &str) -> Refusal {
    let has = |part: &str| message.contains(part);
    if (has("can't lock file") && has("got timeout"))
        || has("got lock request timeout")
        || has("cfs-lock")
    {
        Refusal::LockTimeout
    } else if has("VM is locked (") || has("CT is locked (") {
        Refusal::Locked
    } else if has("checksum mismatch (file change") || has("detected modified configuration") {
        Refusal::Stale
    } else if has("already exists")
        || has("already defined")
        || has("refusing to override existing file")
    {
        Refusal::Exists
    } else if has("does not exist")
        || has("no such ")
        || has("no rule at position")
        || has("could not find target")
        || has("unable to find configuration file")
        || message.starts_with("hostname lookup ")
    {
        Refusal::NotFound
    } else if has("only root can ") || has("Permission check failed") {
        Refusal::Forbidden
    } else {
        Refusal::Plain
    }
}

/// The first characters of a body, for messages.
fn start_of(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    if text.is_empty() {
        return "an empty body".to_owned();
    }
    let start: String = text.chars().take(60).collect();
    format!("`{start}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(status: u16, reason: &str, body: &str) -> ProxmoxError {
        data(
            "GET /x",
            &Answer {
                status,
                reason,
                body: body.as_bytes(),
            },
        )
        .expect_err("refused")
    }

    #[test]
    fn an_empty_body_leaves_the_reason_phrase() {
        let no_ticket = error(401, "No ticket", "");
        assert_eq!(
            no_ticket.to_string(),
            "log in to Proxmox for GET /x: No ticket"
        );
        let gateway = error(
            595,
            "Errors during connection establishment, proxy handshake: Connection refused",
            "",
        );
        assert_eq!(
            gateway.delivery(),
            crate::providers::proxmox::Delivery::NeverSent
        );
        let timeout = error(596, "Connection timed out", "");
        assert_eq!(
            timeout.delivery(),
            crate::providers::proxmox::Delivery::MaybeApplied
        );
        assert!(error(500, "", "").to_string().ends_with("HTTP status 500"));
    }

    #[test]
    fn a_missing_privilege_is_named_with_its_path() {
        let body = r#"{"data":null,"message":"Permission check failed (/, Sys.Modify)\n"}"#;
        let ProxmoxError::Forbidden {
            privilege, path, ..
        } = error(403, "Forbidden", body)
        else {
            panic!("403 is Forbidden")
        };
        assert_eq!(
            (privilege.as_deref(), path.as_deref()),
            (Some("Sys.Modify"), Some("/"))
        );
    }

    #[test]
    fn a_bad_source_is_invalid_although_the_server_says_no_such() {
        let body = r#"{"message":"Parameter verification failed.\n","data":null,"errors":{"source":"no such ipset 'nope'"}}"#;
        assert_eq!(error(400, "", body).refusal(), Some(Refusal::Invalid));
    }

    #[test]
    fn a_lock_that_was_not_obtained_is_told_from_a_locked_guest() {
        let flock = "can't lock file '/var/lock/qemu-server/lock-110.conf' - got timeout";
        assert_eq!(kind_of(flock), Refusal::LockTimeout);
        assert_eq!(kind_of("VM is locked (backup)"), Refusal::Locked);
    }

    #[test]
    fn html_instead_of_json_is_garbled_and_never_empty_data() {
        let answer = Answer {
            status: 200,
            reason: "OK",
            body: b"<html>",
        };
        let error = data("GET /version", &answer).expect_err("not JSON");
        assert!(error.to_string().contains("`<html>`"), "{error}");
    }
}
