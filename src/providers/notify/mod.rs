//! Telling somebody: a mail, ntfy, Gotify, a webhook, a ping of healthchecks.
//!
//! [`tell`] sends one [`Message`] to one target, within [`LIMIT`].
//!
//! Invariant: TLS is always there and always checked, against the machine's CAs or the one that the inventory names.
//! Invariant: secrets travel in headers and logins, never in a message, a path that is printed, or an error.

mod error;
mod mail;
mod message;
mod trust;
mod web;

pub use error::NotifyError;
pub use message::{Kind, Message};

use crate::model::{nights::Channel, secret::SecretValues};
use std::time::Duration;

/// A server that has not taken a message by then is given up.
pub const LIMIT: Duration = Duration::from_secs(10);

/// Sends a message. `ca` is the text of the CA to believe instead of those of the machine.
///
/// # Errors
/// [`NotifyError`]; nothing in it is secret.
pub async fn tell(
    channel: &Channel,
    secrets: &SecretValues,
    ca: Option<&str>,
    message: &Message,
) -> Result<(), NotifyError> {
    // That a night begins is of interest to whoever waits for its end, and to nobody else.
    if message.kind == Kind::Begin && !matches!(channel, Channel::Healthchecks { .. }) {
        return Ok(());
    }
    let sent = async {
        if let Channel::Email { .. } = channel {
            mail::send(channel, secrets, ca, message).await
        } else {
            web::send(channel, secrets, ca, message).await
        }
    };
    tokio::time::timeout(LIMIT, sent)
        .await
        .unwrap_or(Err(NotifyError::TooLate {
            seconds: LIMIT.as_secs(),
        }))
}
