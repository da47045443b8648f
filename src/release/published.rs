//! What compose publishes, against what the manifest says.

use super::{
    code::{NOT_PUBLISHED, UNDECLARED},
    compose::{Compose, Entry},
    written::Written,
};
use crate::diagnostic::{Diagnostic, Place};
use crate::model::{
    address::{Port, PortRange, Proto},
    stack::{Publish, Stack},
};
use serde_json::Value;
use std::{net::IpAddr, ops::Range};

/// A published port of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Published {
    /// None when Docker would choose one.
    pub(super) port: Option<Port>,
    pub(super) address: Option<IpAddr>,
}

/// Compares both lists. A port on loopback need not be named; a service in the host's own
/// network publishes nothing that compose knows of, so with one of those a named port may be missing.
pub(super) fn check(stack: &Stack, written: &Written<'_>, compose: &Compose) -> Vec<Diagnostic> {
    let file = written.origin();
    let mut out = Vec::new();
    let mut seen = Vec::new();
    for entry in compose.services() {
        for (number, item) in entry.list("ports").iter().enumerate() {
            let range = entry.range(written, "ports", Some(number));
            let label = |problem: Diagnostic, text: &str| match &range {
                Some(range) => written.label(problem, range, text),
                None => problem,
            };
            let Some(published) = parse(item) else {
                let problem = Diagnostic::error(
                    UNDECLARED,
                    format!("`{file}`: {item} of service `{}` is not a port", entry.name),
                );
                out.push(label(problem, "not `[ADDRESS:]HOST:CONTAINER[/tcp|udp]`"));
                continue;
            };
            if let Some(problem) = undeclared(stack, file, entry, &published) {
                out.push(label(problem, "published here"));
            }
            seen.push(published);
        }
    }
    let host_network = compose.services().any(|entry| entry.uses_host_network());
    for publish in &stack.publish {
        let named = Published {
            port: Some(publish.port),
            address: publish.address,
        };
        if !seen.contains(&named) && !host_network {
            let problem = format!(
                "stack `{}` publishes {} as `{}`, and no service of `{file}` does",
                stack.name,
                shown(&named),
                publish.service
            );
            out.push(Diagnostic::error(NOT_PUBLISHED, problem).help(
                "write the host side of the port in the compose file as `{{ publish.NAME.bind }}`",
            ));
        }
    }
    out
}

/// Where compose publishes each named port; none for one of a service in the host's own network.
pub(super) fn places(
    stack: &Stack,
    written: &Written<'_>,
    compose: &Compose,
) -> Vec<Option<Place>> {
    let ports: Vec<(Published, Option<Range<usize>>)> = compose
        .services()
        .flat_map(|entry| {
            let items = entry.list("ports").iter().enumerate();
            items.filter_map(move |(number, item)| {
                Some((parse(item)?, entry.range(written, "ports", Some(number))))
            })
        })
        .collect();
    let place = |publish: &Publish| {
        let named = Published {
            port: Some(publish.port),
            address: publish.address,
        };
        let (_, range) = ports.iter().find(|(published, _)| *published == named)?;
        written.place(range.as_ref()?)
    };
    stack.publish.iter().map(place).collect()
}

fn undeclared(
    stack: &Stack,
    file: &str,
    entry: Entry<'_>,
    published: &Published,
) -> Option<Diagnostic> {
    let Some(port) = published.port else {
        let problem = format!(
            "`{file}`: service `{}` leaves the port on its host to Docker",
            entry.name
        );
        return Some(Diagnostic::warning(UNDECLARED, problem).help(
            "nothing opens a port that nobody can name: write the host side too, and name it under `publish` in stack.yaml",
        ));
    };
    let is_named = stack
        .publish
        .iter()
        .any(|publish| port == publish.port && published.address == publish.address);
    let is_local = published
        .address
        .is_some_and(|address| address.is_loopback());
    if is_named || is_local {
        return None;
    }
    let problem = format!(
        "`{file}`: service `{}` publishes {}, which the manifest does not name",
        entry.name,
        shown(published)
    );
    let help = "name it under `publish` in the template's stack.yaml: flows are written by that name, and nothing else opens it";
    Some(Diagnostic::error(UNDECLARED, problem).help(help))
}

fn shown(published: &Published) -> String {
    let port = published
        .port
        .map_or_else(|| "a port".to_owned(), |port| port.to_string());
    match published.address {
        Some(address) => format!("{port} on {address}"),
        None => port,
    }
}

/// Reads one entry of `ports`.
pub(super) fn parse(item: &Value) -> Option<Published> {
    match item {
        Value::String(text) => short(text),
        Value::Object(long) => {
            let text = |key: &str| match long.get(key) {
                Some(Value::String(text)) => Some(text.clone()),
                Some(Value::Number(number)) => Some(number.to_string()),
                Some(Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_)) | None => {
                    None
                }
            };
            let proto = proto(text("protocol").as_deref())?;
            let port = match text("published") {
                Some(published) => Some(Port {
                    proto,
                    range: range(&published)?,
                }),
                None => None,
            };
            let address = match text("host_ip") {
                Some(address) => Some(address.parse().ok()?),
                None => None,
            };
            Some(Published { port, address })
        }
        Value::Number(_) => Some(Published {
            port: None,
            address: None,
        }),
        Value::Null | Value::Bool(_) | Value::Array(_) => None,
    }
}

/// `[ADDRESS:][PUBLISHED:]TARGET[/PROTO]`.
fn short(text: &str) -> Option<Published> {
    let (ports, proto_text) = match text.split_once('/') {
        Some((ports, proto)) => (ports, Some(proto)),
        None => (text, None),
    };
    let proto = proto(proto_text)?;
    let Some((front, _target)) = ports.rsplit_once(':') else {
        return Some(Published {
            port: None,
            address: None,
        });
    };
    let (address, published) = match front.rsplit_once(':') {
        Some((address, published)) => (Some(address), published),
        None => (None, front),
    };
    let address = match address {
        Some(text) => Some(text.trim_matches(['[', ']']).parse().ok()?),
        None => None,
    };
    let port = if published.is_empty() {
        None
    } else {
        Some(Port {
            proto,
            range: range(published)?,
        })
    };
    Some(Published { port, address })
}

fn proto(text: Option<&str>) -> Option<Proto> {
    match text {
        None | Some("tcp") => Some(Proto::Tcp),
        Some("udp") => Some(Proto::Udp),
        Some(_) => None,
    }
}

fn range(text: &str) -> Option<PortRange> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    Some(PortRange {
        first: first.parse().ok()?,
        last: last.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_way_to_write_a_port_is_understood() {
        let shown = |item: Value| {
            parse(&item).map(|published| {
                (
                    published.port.map(|port| port.to_string()),
                    published.address.map(|address| address.to_string()),
                )
            })
        };
        let some = |port: &str, address: Option<&str>| {
            Some((Some(port.to_owned()), address.map(str::to_owned)))
        };
        assert_eq!(shown(json!("8080:80")), some("8080/tcp", None));
        assert_eq!(shown(json!("1194:1194/udp")), some("1194/udp", None));
        assert_eq!(
            shown(json!("127.0.0.1:5432:5432")),
            some("5432/tcp", Some("127.0.0.1"))
        );
        assert_eq!(shown(json!("[::1]:80:80")), some("80/tcp", Some("::1")));
        assert_eq!(
            shown(json!("6000-6010:6000-6010")),
            some("6000-6010/tcp", None)
        );
        assert_eq!(
            shown(
                json!({"target": 80, "published": "8080", "protocol": "udp", "host_ip": "10.0.0.1"})
            ),
            some("8080/udp", Some("10.0.0.1"))
        );
        assert_eq!(shown(json!(80)), Some((None, None)));
        assert_eq!(shown(json!("80")), Some((None, None)));
        assert_eq!(shown(json!("x:80")), None);
        assert_eq!(shown(json!("80:80/sctp")), None);
    }
}
