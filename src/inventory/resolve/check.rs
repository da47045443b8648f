//! Checks: one probe each.

use super::{
    Noun, Scope, flow,
    names::items,
    scope::{or, text},
};
use crate::inventory::{
    codes,
    document::{self, Dns, Document, ExecCheck, ExitCheck, MountCheck},
    nearest::listed,
    source::Span,
    written::{At, May, Short},
};
use crate::model::{
    check::{Check, Probe},
    desired::Desired,
    flow::Endpoint,
    ids::{HostName, ServiceName, StackName},
};
use std::net::IpAddr;

const OK: u16 = 200;
/// A certificate that is renewed by itself has this many days left at least, unless something is wrong.
const DAYS: u32 = 14;
const ADDRESS_OF_WHO_ASKS: &str = "https://ipinfo.io/ip";

/// All checks in the owner's order.
pub(super) fn checks(document: &Document, desired: &Desired, scope: &mut Scope<'_>) -> Vec<Check> {
    items(&document.checks)
        .iter()
        .filter_map(|at| one(at, desired, scope))
        .collect()
}

/// One check.
pub(super) fn one(
    at: &At<document::Check>,
    desired: &Desired,
    scope: &mut Scope<'_>,
) -> Option<Check> {
    let raw = at.value.as_ref()?;
    let from = raw.from.as_ref().map(|at| flow::endpoint(at, scope));
    let (probe, own) = probe(raw, at.span, desired, scope)?;
    let from = match (from, own) {
        (Some(from), _) => from,
        (None, Some(host)) => Some(Endpoint::Host(host)),
        (None, None) => {
            scope
                .error(codes::MISSING_KEY, "`from` is missing")
                .at(at.span, "it belongs here")
                .help("say where it is asked from: a host, a zone, a set or `internet`");
            None
        }
    };
    Some(Check {
        name: raw.name.value.clone()?,
        from: from?,
        probe,
    })
}

/// The question, and the host that it is about when that is where it is asked.
fn probe(
    raw: &document::Check,
    span: Span,
    desired: &Desired,
    scope: &mut Scope<'_>,
) -> Option<(Probe, Option<HostName>)> {
    let kinds: [(&str, Option<Span>, &[&str]); 8] = [
        (
            "https",
            place(&raw.https),
            &[
                "connect",
                "expect",
                "location",
                "body",
                "header",
                "self_signed",
            ],
        ),
        (
            "http",
            place(&raw.http),
            &["connect", "expect", "location", "body", "header"],
        ),
        ("tcp", place(&raw.tcp), &["open"]),
        ("tls", place(&raw.tls), &["connect", "days", "only_tls13"]),
        ("dns", place(&raw.dns), &[]),
        ("exec", place(&raw.exec), &["output"]),
        ("exit", place(&raw.exit), &[]),
        ("mount", place(&raw.mount), &["present"]),
    ];
    let asked: Vec<_> = kinds.iter().filter(|(_, at, _)| at.is_some()).collect();
    let [(kind, _, extras)] = asked.as_slice() else {
        let names: Vec<&str> = kinds.iter().map(|(name, ..)| *name).collect();
        let mut problem = scope
            .error(
                codes::ONE_OF,
                format!("a check asks exactly one of {}", listed(&names)),
            )
            .at(
                span,
                if asked.is_empty() {
                    "asks nothing"
                } else {
                    "asks several things"
                },
            );
        for (name, at, _) in &asked {
            if let Some(at) = at {
                problem = problem.at(*at, format!("asks `{name}`"));
            }
        }
        problem.help("write one check for each question");
        return None;
    };
    let given = [
        ("connect", place(&raw.connect)),
        ("expect", place(&raw.expect)),
        ("location", place(&raw.location)),
        ("body", place(&raw.body)),
        ("header", place(&raw.header)),
        ("days", place(&raw.days)),
        ("only_tls13", place(&raw.only_tls13)),
        ("self_signed", place(&raw.self_signed)),
        ("open", place(&raw.open)),
        ("output", place(&raw.output)),
        ("present", place(&raw.present)),
    ];
    for (name, at) in given {
        if let Some(at) = at
            && !extras.contains(&name)
        {
            scope
                .error(
                    codes::UNKNOWN_KEY,
                    format!("`{name}` means nothing with `{kind}`"),
                )
                .at(at, "not possible here")
                .help(format!(
                    "with `{kind}` these are possible: {}",
                    listed(extras)
                ));
        }
    }
    match *kind {
        "https" => http(raw, "https", &raw.https, desired, scope).map(|probe| (probe, None)),
        "http" => http(raw, "http", &raw.http, desired, scope).map(|probe| (probe, None)),
        "tcp" => tcp(raw, desired, scope).map(|probe| (probe, None)),
        "dns" => dns(raw, desired, scope).map(|probe| (probe, None)),
        "tls" => tls(raw, desired, scope).map(|probe| (probe, None)),
        "exec" => exec(raw, desired, scope),
        "exit" => exit(raw, desired, scope),
        _ => mount(raw, scope),
    }
}

fn place<T>(at: &May<T>) -> Option<Span> {
    at.as_ref().map(|at| at.span)
}

fn http(
    raw: &document::Check,
    scheme: &str,
    at: &May<String>,
    desired: &Desired,
    scope: &mut Scope<'_>,
) -> Option<Probe> {
    let at = at.as_ref()?;
    let written = at.value.as_deref()?;
    let rest = match written.split_once("://") {
        Some((own, rest)) if own == scheme => rest,
        Some(_) => "",
        None => written,
    };
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host_ok = !host.is_empty()
        && host
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']'));
    if !host_ok || path.contains(char::is_whitespace) {
        scope
            .error(
                codes::INVALID_URL,
                format!("`{written}` cannot be asked over {scheme}"),
            )
            .at(at.span, "not a host name or URL")
            .help(format!(
                "write for example `jellyfin.home.arpa` or `{scheme}://jellyfin.home.arpa/health`"
            ));
        return None;
    }
    let status = or(&raw.expect, OK);
    if !(100..600).contains(&status)
        && let Some(at) = &raw.expect
    {
        scope
            .error(
                codes::OUT_OF_RANGE,
                format!("{status} is not an HTTP status"),
            )
            .at(at.span, "from 100 to 599");
    }
    Some(Probe::Http {
        url: format!("{scheme}://{host}/{path}"),
        connect: raw
            .connect
            .as_ref()
            .and_then(|at| address(at, desired, scope)),
        status,
        location: text(&raw.location),
        body: text(&raw.body),
        header: raw.header.as_ref().and_then(|at| header(at, scope)),
        self_signed: or(&raw.self_signed, false),
    })
}

/// `Name: text`.
fn header(at: &At<String>, scope: &mut Scope<'_>) -> Option<(String, String)> {
    let written = at.value.as_deref()?;
    let name = |c: char| c.is_ascii_alphanumeric() || c == '-';
    match written.split_once(':') {
        Some((own, value)) if !own.is_empty() && own.chars().all(name) => {
            Some((own.to_owned(), value.trim().to_owned()))
        }
        Some(_) | None => {
            scope
                .error(
                    codes::INVALID_CHOICE,
                    format!("`{written}` is not a header"),
                )
                .at(at.span, "not `Name: text`")
                .help("write for example `\"Strict-Transport-Security: max-age=\"`");
            None
        }
    }
}

fn tls(raw: &document::Check, desired: &Desired, scope: &mut Scope<'_>) -> Option<Probe> {
    let at = raw.tls.as_ref()?;
    let written = at.value.as_deref()?;
    let (name, port) = written.split_once(':').unwrap_or((written, "443"));
    let name_ok = !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-'));
    let port = port.parse().ok().filter(|port| *port != 0);
    let (true, Some(port)) = (name_ok, port) else {
        scope
            .error(
                codes::INVALID_URL,
                format!("`{written}` has no certificate"),
            )
            .at(at.span, "not `NAME` or `NAME:PORT`")
            .help("write for example `jellyfin.home.arpa` or `mail.home.arpa:465`");
        return None;
    };
    Some(Probe::Tls {
        name: name.to_owned(),
        connect: raw
            .connect
            .as_ref()
            .and_then(|at| address(at, desired, scope)),
        port,
        days: or(&raw.days, DAYS),
        only_tls13: or(&raw.only_tls13, false),
    })
}

/// The address of a host by name, or an address as written.
fn address(at: &At<String>, desired: &Desired, scope: &mut Scope<'_>) -> Option<IpAddr> {
    let written = at.value.as_deref()?;
    if let Ok(address) = written.parse() {
        return Some(address);
    }
    let host: HostName = scope.refer(Noun::Host, at)?;
    desired.addresses(&host).first().copied()
}

fn tcp(raw: &document::Check, desired: &Desired, scope: &mut Scope<'_>) -> Option<Probe> {
    let at = raw.tcp.as_ref()?;
    let written = at.value.as_deref()?;
    let Some((host, port)) = written.rsplit_once(':') else {
        scope
            .error(
                codes::INVALID_ADDRESS,
                format!("`{written}` is not a host and a port"),
            )
            .at(at.span, "not `HOST:PORT`")
            .help("write for example `extranet:443` or `intranet:jellyfin`");
        return None;
    };
    let half = |text: &str| At {
        span: at.span,
        value: Some(text.trim_matches(['[', ']']).to_owned()),
    };
    let address = address(&half(host), desired, scope);
    let port = match port.parse() {
        Ok(0) => {
            scope
                .error(codes::INVALID_PORT, "port 0 cannot be asked")
                .at(at.span, "from 1 to 65535");
            None
        }
        Ok(port) => Some(port),
        Err(_) => scope
            .refer::<ServiceName>(Noun::Service, &half(port))
            .and_then(|name| desired.services.get(&name))
            .and_then(|service| service.ports.first())
            .map(|port| port.range.first),
    };
    Some(Probe::Tcp {
        address: address?,
        port: port?,
        open: or(&raw.open, true),
    })
}

fn dns(raw: &document::Check, desired: &Desired, scope: &mut Scope<'_>) -> Option<Probe> {
    match raw.dns.as_ref()?.value.as_ref()? {
        Short::Word(name) => Some(Probe::Dns {
            name: name.clone(),
            server: None,
            address: None,
        }),
        Short::Full(Dns {
            name,
            server,
            address: expected,
        }) => Some(Probe::Dns {
            name: name.value.clone()?,
            server: server.as_ref().and_then(|at| address(at, desired, scope)),
            address: expected.as_ref().and_then(|at| address(at, desired, scope)),
        }),
    }
}

fn exec(
    raw: &document::Check,
    desired: &Desired,
    scope: &mut Scope<'_>,
) -> Option<(Probe, Option<HostName>)> {
    let ExecCheck {
        stack,
        service,
        argv,
    } = raw.exec.as_ref()?.value.as_ref()?;
    let stack: Option<StackName> = scope.refer(Noun::Stack, stack);
    let words: Vec<String> = argv
        .value
        .iter()
        .flatten()
        .filter_map(|at| at.value.clone())
        .collect();
    if words.is_empty() {
        scope
            .error(codes::EMPTY, "the command of a check is empty")
            .at(argv.span, "a program and its arguments");
    }
    let stack = stack?;
    let on = desired.stacks.get(&stack)?.on.clone();
    Some((
        Probe::Exec {
            stack,
            service: service.value.clone()?,
            argv: words,
            output: text(&raw.output),
        },
        Some(on),
    ))
}

fn exit(
    raw: &document::Check,
    desired: &Desired,
    scope: &mut Scope<'_>,
) -> Option<(Probe, Option<HostName>)> {
    let ExitCheck {
        stack,
        service,
        url,
    } = raw.exit.as_ref()?.value.as_ref()?;
    let stack: StackName = scope.refer(Noun::Stack, stack)?;
    let written = text(url).unwrap_or_else(|| ADDRESS_OF_WHO_ASKS.to_owned());
    let is_url = written.starts_with("https://") || written.starts_with("http://");
    if let Some(at) = url
        && (!is_url || written.contains(char::is_whitespace))
    {
        scope
            .error(codes::INVALID_URL, format!("`{written}` is not a URL"))
            .at(at.span, "not a URL")
            .help("it must answer with nothing but the address of whoever asks");
        return None;
    }
    let on = desired.stacks.get(&stack)?.on.clone();
    Some((
        Probe::Exit {
            stack,
            service: service.value.clone()?,
            url: written,
        },
        Some(on),
    ))
}

fn mount(raw: &document::Check, scope: &mut Scope<'_>) -> Option<(Probe, Option<HostName>)> {
    let MountCheck { host, at, fstypes } = raw.mount.as_ref()?.value.as_ref()?;
    let host: Option<HostName> = scope.refer(Noun::Host, host);
    let at = scope.parse_may(at).map(|path| path.0);
    let fstypes: Vec<String> = fstypes
        .as_ref()
        .and_then(|at| at.value.as_ref())
        .into_iter()
        .flat_map(|many| &many.0)
        .filter_map(|at| at.value.clone())
        .collect();
    let host = host?;
    Some((
        Probe::Mount {
            host: host.clone(),
            at,
            fstypes,
            present: or(&raw.present, true),
        },
        Some(host),
    ))
}
