//! ntfy, Gotify, webhooks and pings: one POST each.
//!
//! Sources: docs.ntfy.sh/publish (headers Title, Priority, Tags), gotify.net/api-docs (`/message`, `X-Gotify-Key`),
//! `healthchecks.io/docs/http_api` (`/start`, `/fail`).

use super::{
    Kind, Message, NotifyError,
    trust::{causes, settings},
};
use crate::model::{
    ids::SecretName,
    nights::{Channel, Text},
    secret::SecretValues,
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Client, RequestBuilder};

/// healthchecks keeps so much of a ping's body.
const PING_BODY: usize = 10_000;

#[expect(
    clippy::disallowed_methods,
    reason = "this is the place where trust is made explicit"
)]
fn client(ca: Option<&str>) -> Result<Client, NotifyError> {
    Client::builder()
        .tls_backend_preconfigured(settings(ca)?)
        .https_only(true)
        .redirect(reqwest::redirect::Policy::none())
        .timeout(super::LIMIT)
        .user_agent(concat!("infra/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| NotifyError::Ca {
            why: causes(&error),
        })
}

pub(super) async fn send(
    channel: &Channel,
    secrets: &SecretValues,
    ca: Option<&str>,
    message: &Message,
) -> Result<(), NotifyError> {
    let client = client(ca)?;
    let Some(request) = request(&client, channel, secrets, message)? else {
        return Ok(());
    };
    let server = server(channel, secrets)?;
    // The address may be a secret, so it is not part of what went wrong.
    let answer = request.send().await.map_err(|error| {
        let why = causes(&error.without_url());
        NotifyError::Unreachable {
            server: server.clone(),
            why,
        }
    })?;
    let status = answer.status();
    if status.is_success() {
        return Ok(());
    }
    Err(NotifyError::Refused {
        server,
        why: format!("status {status}"),
    })
}

fn request(
    client: &Client,
    channel: &Channel,
    secrets: &SecretValues,
    message: &Message,
) -> Result<Option<RequestBuilder>, NotifyError> {
    let value = |name: &SecretName| {
        secrets
            .expose(name)
            .ok_or_else(|| NotifyError::NoSecret { name: name.clone() })
    };
    Ok(Some(match channel {
        Channel::Email { .. } => return Ok(None),
        Channel::Ntfy { url, token } => {
            let (priority, tag) = if message.kind.is_urgent() {
                ("high", "rotating_light")
            } else {
                ("default", "white_check_mark")
            };
            // A title may hold letters that a header may not; ntfy takes it from the query as well.
            let title = utf8_percent_encode(&message.title, NON_ALPHANUMERIC);
            let address = address(url, secrets)?;
            let sign = if address.contains('?') { '&' } else { '?' };
            let request = client
                .post(format!("{address}{sign}title={title}"))
                .header("Priority", priority)
                .header("Tags", tag)
                .body(message.text.clone());
            match token {
                Some(name) => request.bearer_auth(value(name)?),
                None => request,
            }
        }
        Channel::Gotify { url, token } => {
            let address = address(url, secrets)?;
            client
                .post(format!("{}/message", address.trim_end_matches('/')))
                .header("X-Gotify-Key", value(token)?)
                .json(&serde_json::json!({
                    "title": message.title,
                    "message": message.text,
                    "priority": if message.kind.is_urgent() { 8 } else { 3 },
                }))
        }
        Channel::Webhook { url, token } => {
            let request = client.post(address(url, secrets)?).json(message);
            match token {
                Some(name) => request.bearer_auth(value(name)?),
                None => request,
            }
        }
        Channel::Healthchecks { url } => {
            let address = address(url, secrets)?;
            let end = match message.kind {
                Kind::Begin => "/start",
                // The check itself is judged by the night as a whole.
                Kind::Failure => "/log",
                Kind::Well => "",
                Kind::Bad => "/fail",
            };
            let text: String = message.text.chars().take(PING_BODY).collect();
            client
                .post(format!("{}{end}", address.trim_end_matches('/')))
                .body(text)
        }
    }))
}

fn address(url: &Text, secrets: &SecretValues) -> Result<String, NotifyError> {
    match url {
        Text::Plain(url) => Ok(url.clone()),
        Text::Secret(name) => secrets
            .expose(name)
            .map(str::to_owned)
            .ok_or_else(|| NotifyError::NoSecret { name: name.clone() }),
    }
}

/// The host of an address, which is no secret.
fn server(channel: &Channel, secrets: &SecretValues) -> Result<String, NotifyError> {
    let (Channel::Ntfy { url, .. }
    | Channel::Gotify { url, .. }
    | Channel::Webhook { url, .. }
    | Channel::Healthchecks { url }) = channel
    else {
        return Ok(String::new());
    };
    if let Text::Secret(name) = url {
        return Ok(format!("<secret:{name}>"));
    }
    let text = address(url, secrets)?;
    let rest = text
        .split_once("://")
        .map_or(text.as_str(), |(_, rest)| rest);
    Ok(rest.split('/').next().unwrap_or_default().to_owned())
}
