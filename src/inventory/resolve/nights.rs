//! The nights: where, when, and who is told.

use super::{Noun, Scope, names::entries, scope::text};
use crate::inventory::{
    codes,
    document::{self, About, Document, Email, Web},
    nearest::{did_you_mean, listed},
    source::Span,
    word::{AbsolutePath, Seconds},
    written::{At, Many, Short},
};
use crate::model::{
    calendar::Calendar,
    ids::{SecretName, SystemName},
    nights::{Begins, Channel, Nights, Target, Text},
};
use std::collections::BTreeMap;

const PROGRAM: &str = "/usr/local/bin/infra";
const SPREAD: Seconds = Seconds(600);
const SUBMISSION: u16 = 587;

/// The nights of a system, when it has any.
pub(super) fn nights(
    document: &Document,
    system: &SystemName,
    scope: &mut Scope<'_>,
) -> Option<Nights> {
    let at = document.nights.as_ref()?;
    let raw = at.value.as_ref()?;
    let host = raw
        .host
        .as_ref()
        .and_then(|host| scope.refer(Noun::Host, host));
    let timers = timers(raw, scope);
    if raw.host.is_none() && !timers.is_empty() {
        scope
            .error(codes::MISSING_KEY, "`host` is missing")
            .at(at.span, "it belongs here")
            .help("say which host runs the timers: one that is always on and reaches all others");
    }
    let path = |scope: &mut Scope<'_>, at, default: String| -> String {
        scope
            .parse_may::<AbsolutePath>(at)
            .map_or(default, |path| path.0)
    };
    let program = path(scope, &raw.program, PROGRAM.to_owned());
    let folder = format!("/etc/infra/inventory/{system}");
    Some(Nights {
        host,
        program,
        inventory: path(scope, &raw.inventory, folder),
        user: user(raw, scope),
        spread: scope.parse_may(&raw.spread).unwrap_or(SPREAD).0,
        timers,
        metrics: raw
            .metrics
            .as_ref()
            .and_then(|host| scope.refer(Noun::Host, host)),
        notify: targets(raw, scope),
    })
}

/// It stands in a unit as it is.
fn user(raw: &document::Nights, scope: &mut Scope<'_>) -> String {
    let Some(at) = &raw.user else {
        return "root".to_owned();
    };
    let name = at.value.clone().unwrap_or_default();
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
    if name.is_empty() || !name.chars().all(fits) {
        scope
            .error(codes::INVALID_NAME, format!("`{name}` is not a login name"))
            .at(at.span, "lower-case letters, digits, `-` and `_`");
    }
    name
}

fn timers(raw: &document::Nights, scope: &mut Scope<'_>) -> BTreeMap<Begins, Calendar> {
    let mut out = BTreeMap::new();
    for (key, at) in entries(&raw.timers) {
        let Some(word) = key.value.clone() else {
            continue;
        };
        let begins = Begins::try_from(word.clone()).ok();
        if begins.is_none() {
            let known: Vec<&str> = Begins::all().map(Begins::word).collect();
            let help = did_you_mean(&word, known.iter().copied())
                .unwrap_or_else(|| format!("there is {}", listed(&known)));
            scope
                .error(codes::UNKNOWN_JOB, format!("there is no job `{word}`"))
                .at(key.span, "unknown job")
                .help(help);
        }
        let calendar = scope.parse::<Calendar>(at);
        out.extend(begins.zip(calendar));
    }
    out
}

fn targets(raw: &document::Nights, scope: &mut Scope<'_>) -> BTreeMap<String, Target> {
    let mut out = BTreeMap::new();
    for (key, at) in entries(&raw.notify) {
        let (Some(name), Some(target)) = (key.value.clone(), at.value.as_ref()) else {
            continue;
        };
        let web = [
            ("ntfy", &target.ntfy),
            ("gotify", &target.gotify),
            ("webhook", &target.webhook),
            ("healthchecks", &target.healthchecks),
        ];
        let mut channels: Vec<Option<Channel>> = Vec::new();
        if let Some(email) = &target.email {
            let email = email.value.as_ref();
            channels.push(email.and_then(|raw| mail(raw, scope)));
        }
        for (word, at) in web {
            if let Some(at) = at {
                let raw = at.value.as_ref();
                channels.push(raw.and_then(|raw| channel(word, at.span, raw, scope)));
            }
        }
        if channels.len() != 1 {
            scope
                .error(
                    codes::ONE_OF,
                    format!("`{name}` is told in {} ways", channels.len()),
                )
                .at(key.span, "exactly one of them")
                .help("write one of `email`, `ntfy`, `gotify`, `webhook` and `healthchecks`; somebody else is another entry");
            continue;
        }
        if let Some(channel) = channels.into_iter().flatten().next() {
            let about = target.about.as_ref().and_then(|at| at.value);
            out.insert(
                name,
                Target {
                    failures_only: about == Some(About::Failures),
                    ca: text(&target.ca),
                    channel,
                },
            );
        }
    }
    out
}

fn mail(raw: &Email, scope: &mut Scope<'_>) -> Option<Channel> {
    let secret: Option<SecretName> = raw
        .password
        .as_ref()
        .and_then(|at| scope.refer(Noun::Secret, at));
    match (&raw.user, &raw.password) {
        (Some(at), None) | (None, Some(at)) => scope
            .error(codes::MISSING_KEY, "a login is a `user` and a `password`")
            .at(at.span, "one of the two")
            .help("write both, or none for a server that asks for none"),
        (Some(_), Some(_)) | (None, None) => {}
    }
    let written = raw.server.value.as_deref()?;
    let (server, port) = match written.split_once(':') {
        None => (written, Some(SUBMISSION)),
        Some((server, port)) => (server, port.parse().ok().filter(|port| *port > 0)),
    };
    let is_name = !server.is_empty()
        && server
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.'));
    let (Some(port), true) = (port, is_name) else {
        scope
            .error(
                codes::INVALID_URL,
                format!("`{written}` is not a mail server"),
            )
            .at(raw.server.span, "its name, and a port when it is not 587")
            .help("for example `smtp.example.org:587`");
        return None;
    };
    let from = raw.from.value.clone()?;
    let to: Vec<String> = recipients(&raw.to)
        .filter_map(|at| at.value.clone())
        .collect();
    let all = recipients(&raw.to).chain([&raw.from]);
    for at in all {
        let Some(address) = &at.value else { continue };
        let valid = address.split_once('@').is_some_and(|(user, host)| {
            let fits = |text: &str| {
                !text.is_empty()
                    && !text.contains(|c: char| c.is_whitespace() || "<>,;\"@".contains(c))
            };
            fits(user) && fits(host)
        });
        if !valid {
            scope
                .error(
                    codes::INVALID_ADDRESS,
                    format!("`{address}` is not a mail address"),
                )
                .at(at.span, "a mailbox at a host")
                .help("for example `admin@example.org`");
        }
    }
    if to.is_empty() {
        scope
            .error(codes::EMPTY, "a mail to nobody")
            .at(raw.to.span, "to whom?")
            .help("name a recipient");
    }
    Some(Channel::Email {
        server: server.to_owned(),
        port,
        from,
        to,
        login: text(&raw.user).zip(secret),
    })
}

fn recipients(to: &At<Many<String>>) -> impl Iterator<Item = &At<String>> {
    to.value.iter().flat_map(|many| &many.0)
}

fn channel(word: &str, span: Span, raw: &Web, scope: &mut Scope<'_>) -> Option<Channel> {
    let token: Option<SecretName> = raw
        .token
        .as_ref()
        .and_then(|at| scope.refer(Noun::Secret, at));
    let url = url(&raw.url, scope)?;
    if let ("healthchecks", Some(at)) = (word, &raw.token) {
        scope
            .error(codes::UNKNOWN_KEY, "a ping needs no `token`")
            .at(at.span, "its address says it all")
            .help("leave it out");
    }
    Some(match word {
        "ntfy" => Channel::Ntfy { url, token },
        "webhook" => Channel::Webhook { url, token },
        "healthchecks" => Channel::Healthchecks { url },
        _ => {
            if raw.token.is_none() {
                scope
                    .error(codes::MISSING_KEY, "`token` is missing")
                    .at(span, "it belongs here")
                    .help("make an application in Gotify and write the name of the secret with its token");
            }
            Channel::Gotify { url, token: token? }
        }
    })
}

/// Only `https://`: what is told passes other people's networks, and a token goes with it.
fn url(at: &At<Short<document::Hidden>>, scope: &mut Scope<'_>) -> Option<Text> {
    match at.value.as_ref()? {
        Short::Full(hidden) => scope.refer(Noun::Secret, &hidden.secret).map(Text::Secret),
        Short::Word(url) => {
            let rest = url.strip_prefix("https://").unwrap_or_default();
            let host = rest.split('/').next().unwrap_or_default();
            if host.is_empty() || url.contains(char::is_whitespace) || host.contains('@') {
                scope
                    .error(
                        codes::INVALID_URL,
                        format!("`{url}` cannot be told anything"),
                    )
                    .at(at.span, "an address that begins with `https://`")
                    .help("put a server of your own behind your proxy, and name its CA with `ca`");
                return None;
            }
            Some(Text::Plain(url.clone()))
        }
    }
}
