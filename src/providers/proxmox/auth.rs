//! Who we are: an API token, or a ticket that is renewed while it lasts.

use super::{
    client::Client, endpoint, error::ProxmoxError, request::Request, wire::access::Ticket,
};
use crate::model::{desired::ApiAuth, ids::SecretName, secret::SecretValues};
use reqwest::header::{AUTHORIZATION, COOKIE, HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// How requests are signed.
#[derive(Debug)]
pub(super) enum Auth {
    /// `PVEAPIToken=user@realm!id=secret`; needs neither cookie nor CSRF token.
    Token(SecretString),
    /// Tickets by password.
    Password {
        user: String,
        password: SecretString,
        ticket: Mutex<Option<Held>>,
    },
}

/// A ticket in use.
#[derive(Debug)]
pub(super) struct Held {
    ticket: SecretString,
    csrf: SecretString,
    since: Instant,
}

impl Auth {
    pub(super) fn new(auth: &ApiAuth, secrets: &SecretValues) -> Result<Self, ProxmoxError> {
        // The secret leaves its box here, to be sent in a header or a form body and nowhere else.
        let value = |name: &SecretName| match secrets.expose(name) {
            Some(value) => Ok(value.trim().to_owned()),
            None => Err(ProxmoxError::MissingSecret { name: name.clone() }),
        };
        match auth {
            ApiAuth::Token { id, secret } => Ok(Self::Token(SecretString::from(format!(
                "PVEAPIToken={id}={}",
                value(secret)?
            )))),
            ApiAuth::Password { user, password } => Ok(Self::Password {
                user: user.clone(),
                password: SecretString::from(value(password)?),
                ticket: Mutex::new(None),
            }),
        }
    }

    /// The headers that sign a request, after a login where one is due.
    pub(super) async fn headers(&self, client: &Client) -> Result<HeaderMap, ProxmoxError> {
        let mut headers = HeaderMap::new();
        match self {
            Self::Token(token) => {
                headers.insert(AUTHORIZATION, header(token.expose_secret())?);
            }
            Self::Password {
                user,
                password,
                ticket,
            } => {
                let mut held = ticket.lock().await;
                let held = renewed(client, user, password, &mut held).await?;
                let cookie = super::encode::value(held.ticket.expose_secret());
                headers.insert(COOKIE, header(&format!("PVEAuthCookie={cookie}"))?);
                let csrf = HeaderName::from_static("csrfpreventiontoken");
                headers.insert(csrf, header(held.csrf.expose_secret())?);
            }
        }
        Ok(headers)
    }

    /// Forgets the ticket, so that the next request logs in by password. False when there is none to forget: a
    /// refused token stays refused.
    pub(super) async fn forget(&self) -> bool {
        match self {
            Self::Token(_) => false,
            Self::Password { ticket, .. } => ticket.lock().await.take().is_some(),
        }
    }
}

/// The ticket to use now. Holding the lock while logging in makes parallel requests share one login.
async fn renewed<'a>(
    client: &Client,
    user: &str,
    password: &SecretString,
    held: &'a mut Option<Held>,
) -> Result<&'a Held, ProxmoxError> {
    let lifetime: Duration = client.options().ticket_lifetime;
    let fresh = match held.take() {
        Some(ticket) if ticket.since.elapsed() < lifetime => ticket,
        // A ticket is renewed by sending it as the password. One that expired while the laptop slept is refused.
        Some(ticket) => match login(client, user, &ticket.ticket).await {
            Err(ProxmoxError::Unauthorized { .. }) => login(client, user, password).await?,
            answer => answer?,
        },
        None => login(client, user, password).await?,
    };
    Ok(held.insert(fresh))
}

async fn login(client: &Client, user: &str, password: &SecretString) -> Result<Held, ProxmoxError> {
    let since = Instant::now();
    let request = Request::new(&endpoint::TICKET, &[])
        .with("username", user)
        .with("password", password.expose_secret());
    let data = client.exchange(&request, HeaderMap::new(), None).await?;
    let ticket: Ticket = super::answer::typed(&request.to_string(), data)?;
    Ok(Held {
        ticket: SecretString::from(ticket.ticket),
        csrf: SecretString::from(ticket.csrf),
        since,
    })
}

fn header(text: &str) -> Result<HeaderValue, ProxmoxError> {
    let mut value = HeaderValue::from_str(text).map_err(|source| ProxmoxError::Setup {
        source: Box::new(source),
    })?;
    value.set_sensitive(true);
    Ok(value)
}
