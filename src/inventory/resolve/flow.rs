//! The flow matrix.

use super::{
    Noun, Scope,
    names::{RESERVED, items},
    scope::{or, text},
};
use crate::inventory::{
    codes,
    document::{self, Document},
    nearest::{did_you_mean, listed},
    source::Span,
    written::{At, Many, May},
};
use crate::model::{
    address::{Port, Proto},
    desired::Desired,
    flow::{Endpoint, Flow, FlowPort, Never},
    ids::ServiceName,
};

/// A flow's id is the tag of every rule made from it; Proxmox comments and iptables comments have room for this much.
const ID_LENGTH: usize = 40;

/// All flows in the owner's order, without those that have expired.
pub(super) fn flows(document: &Document, desired: &Desired, scope: &mut Scope<'_>) -> Vec<Flow> {
    let mut out = Vec::new();
    for at in items(&document.flows) {
        let Some(raw) = &at.value else { continue };
        let from = endpoints(&raw.from, scope);
        let to = endpoints(&raw.to, scope);
        let allow = ports(&raw.allow, desired, scope);
        reason(&raw.reason, scope);
        if allow.is_empty()
            && raw
                .allow
                .value
                .as_ref()
                .is_some_and(|many| many.0.is_empty())
        {
            scope
                .error(codes::EMPTY, "a flow that allows nothing")
                .at(raw.allow.span, "empty")
                .help("what is not listed is closed anyway; remove the flow");
        }
        let id = id(raw, at.span, scope);
        let allow_ports: Vec<Port> = allow.iter().map(|flow| flow.port).collect();
        if has_expired(raw, scope) {
            continue;
        }
        out.push(Flow {
            id,
            from,
            to,
            allow,
            reason: words(raw),
            log: or(&raw.log, false),
            limit: or(&raw.limit, false) && may_limit(raw, desired, &allow_ports, scope),
            place: scope.place(at.span),
        });
    }
    out
}

/// UFW counts connections that it decides about itself; it never sees those to published ports, and behind a proxy or a
/// router everybody is one address.
fn may_limit(
    raw: &document::Flow,
    desired: &Desired,
    ports: &[Port],
    scope: &mut Scope<'_>,
) -> bool {
    let Some(at) = &raw.limit else { return false };
    let published = desired.stacks.values().flat_map(|stack| &stack.publish);
    let found = published.map(|publish| publish.port).find(|port| {
        ports
            .iter()
            .any(|own| own.proto == port.proto && own.range.overlaps(port.range))
    });
    let icmp = ports.iter().find(|port| port.proto == Proto::Icmp);
    let Some(port) = found.or(icmp.copied()) else {
        return true;
    };
    scope
        .error(codes::LIMIT_NOT_KEPT, format!("nothing can limit {port}"))
        .at(at.span, "limited here")
        .help("UFW counts connections to services of the host itself, such as SSH; limit a published port in the proxy or with CrowdSec or fail2ban");
    false
}

/// The reason, with who asked for it.
fn words(raw: &document::Flow) -> String {
    let reason = raw.reason.value.clone().unwrap_or_default();
    match text(&raw.owner) {
        Some(owner) => format!("{reason} ({owner})"),
        None => reason,
    }
}

/// All assertions in the owner's order.
pub(super) fn nevers(document: &Document, desired: &Desired, scope: &mut Scope<'_>) -> Vec<Never> {
    let mut out = Vec::new();
    for at in items(&document.never) {
        let Some(raw) = &at.value else { continue };
        reason(&raw.reason, scope);
        out.push(Never {
            from: endpoints(&raw.from, scope),
            except: raw
                .except
                .as_ref()
                .map(|at| endpoints(at, scope))
                .unwrap_or_default(),
            to: endpoints(&raw.to, scope),
            deny: may_ports(&raw.deny, desired, scope),
            reason: raw.reason.value.clone().unwrap_or_default(),
            place: scope.place(at.span),
        });
    }
    out
}

fn reason(at: &At<String>, scope: &mut Scope<'_>) {
    if at
        .value
        .as_ref()
        .is_some_and(|reason| reason.trim().is_empty())
    {
        scope
            .error(codes::EMPTY, "the reason is empty")
            .at(at.span, "why?")
            .help("in a year you will want to know; it is the comment of every rule");
    }
}

/// The ends of a flow, in the owner's order.
fn endpoints(at: &At<Many<String>>, scope: &mut Scope<'_>) -> Vec<Endpoint> {
    let many = at.value.iter().flat_map(|many| &many.0);
    let out: Vec<Endpoint> = many.filter_map(|one| endpoint(one, scope)).collect();
    if at.value.as_ref().is_some_and(|many| many.0.is_empty()) {
        scope
            .error(codes::EMPTY, "a flow needs both ends")
            .at(at.span, "empty");
    }
    out
}

/// One end of a flow.
pub(super) fn endpoint(at: &At<String>, scope: &mut Scope<'_>) -> Option<Endpoint> {
    let name = at.value.as_deref()?;
    if name == "any" {
        return Some(Endpoint::Any);
    }
    if name == "internet" {
        return Some(Endpoint::Internet);
    }
    if scope.knows(Noun::Zone, name) {
        return name.parse().ok().map(Endpoint::Zone);
    }
    if scope.knows(Noun::Host, name) {
        return name.parse().ok().map(Endpoint::Host);
    }
    if scope.knows(Noun::Set, name) {
        return name.parse().ok().map(Endpoint::Set);
    }
    let known: Vec<String> = [Noun::Zone, Noun::Host, Noun::Set]
        .into_iter()
        .flat_map(|noun| scope.known(noun))
        .chain(RESERVED)
        .map(str::to_owned)
        .collect();
    let help = did_you_mean(name, known.iter().map(String::as_str)).unwrap_or_else(|| {
        if name.contains(['.', ':']) {
            "addresses have names here: put it in a set or a zone and write that name".to_owned()
        } else {
            format!("there is {}", listed(&known))
        }
    });
    scope
        .error(
            codes::UNKNOWN_ENDPOINT,
            format!("`{name}` is no zone, no host and no set"),
        )
        .at(at.span, "unknown")
        .help(help);
    None
}

fn may_ports(at: &May<Many<String>>, desired: &Desired, scope: &mut Scope<'_>) -> Vec<FlowPort> {
    at.as_ref()
        .map(|at| ports(at, desired, scope))
        .unwrap_or_default()
}

/// Services by name, or ports.
fn ports(at: &At<Many<String>>, desired: &Desired, scope: &mut Scope<'_>) -> Vec<FlowPort> {
    let mut out = Vec::new();
    for one in at.value.iter().flat_map(|many| &many.0) {
        let Some(text) = &one.value else { continue };
        if text.contains('/') || text == "icmp" || text.parse::<u16>().is_ok() {
            match text.parse::<Port>() {
                Ok(port) => out.push(FlowPort {
                    service: None,
                    port,
                }),
                Err(_) if text.ends_with("/icmp") || text.starts_with("icmp/") => {
                    scope
                        .error(codes::INVALID_PORT, format!("`{text}`: ICMP has no ports"))
                        .at(one.span, "not a valid port")
                        .help("write `icmp`: it means echo requests, in both families");
                }
                Err(error) => {
                    scope
                        .error(codes::INVALID_PORT, error.to_string())
                        .at(one.span, "not a valid port");
                }
            }
        } else if let Some(name) = scope.refer::<ServiceName>(Noun::Service, one)
            && let Some(service) = desired.services.get(&name)
        {
            out.extend(service.ports.iter().map(|port| FlowPort {
                service: Some(name.clone()),
                port: *port,
            }));
        }
    }
    out
}

fn id(raw: &document::Flow, span: Span, scope: &mut Scope<'_>) -> String {
    let (id, span) = match &raw.id {
        Some(at) => {
            let id = at.value.clone().unwrap_or_default();
            let valid = !id.is_empty()
                && id.len() <= ID_LENGTH
                && id
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
            if !valid && at.value.is_some() {
                scope
                    .error(
                        codes::INVALID_NAME,
                        format!("`{id}` is not the id of a flow"),
                    )
                    .at(
                        at.span,
                        format!("at most {ID_LENGTH} lower-case letters, digits and dashes"),
                    );
            }
            (id, at.span)
        }
        None => (derived_id(raw), span),
    };
    scope.unique(
        codes::DUPLICATE_FLOW,
        &format!("the flow id `{id}`"),
        "this flow",
        span,
        "put both in one flow, or give one of them an `id` of its own",
    );
    id
}

fn derived_id(raw: &document::Flow) -> String {
    let first = |at: &At<Many<String>>| {
        let many = at.value.as_ref()?;
        many.0.first()?.value.clone()
    };
    let words = [first(&raw.from), first(&raw.to), first(&raw.allow)];
    let joined = words.into_iter().flatten().collect::<Vec<_>>().join("-");
    let mut id = String::new();
    for c in joined.chars() {
        let c = c.to_ascii_lowercase();
        if c.is_ascii_lowercase() || c.is_ascii_digit() {
            id.push(c);
        } else if !id.ends_with('-') {
            id.push('-');
        }
    }
    id.truncate(ID_LENGTH);
    id.trim_matches('-').to_owned()
}

/// A flow that has expired is closed: that is what its date says.
fn has_expired(raw: &document::Flow, scope: &mut Scope<'_>) -> bool {
    let Some(day) = scope.parse_may(&raw.expires) else {
        return false;
    };
    let Some(at) = &raw.expires else { return false };
    if day.0 >= scope.today {
        return false;
    }
    let reason = raw.reason.value.clone().unwrap_or_default();
    scope
        .warning(
            codes::EXPIRED_FLOW,
            format!("this flow expired on {} and is closed", day.0),
        )
        .at(at.span, format!("\"{reason}\""))
        .help("remove the flow, or give it a later day");
    true
}
