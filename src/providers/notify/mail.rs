//! A mail, by SMTP.

use super::{Message, NotifyError, trust::causes};
use crate::model::{nights::Channel, secret::SecretValues};
use lettre::{
    AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor,
    message::{Mailbox, header::ContentType},
    transport::smtp::{
        authentication::Credentials,
        client::{Certificate, CertificateStore, Tls, TlsParameters},
    },
};

/// On this port TLS begins with the first byte (RFC 8314); on any other with STARTTLS, or nothing is sent.
const IMPLICIT_TLS: u16 = 465;

pub(super) async fn send(
    channel: &Channel,
    secrets: &SecretValues,
    ca: Option<&str>,
    message: &Message,
) -> Result<(), NotifyError> {
    let Channel::Email {
        server,
        port,
        from,
        to,
        login,
    } = channel
    else {
        return Ok(());
    };
    let unreachable = |error: &lettre::transport::smtp::Error| NotifyError::Unreachable {
        server: server.clone(),
        why: causes(error),
    };
    let mut trust = TlsParameters::builder(server.clone());
    if let Some(pem) = ca {
        let own = Certificate::from_pem(pem.as_bytes()).map_err(|error| NotifyError::Ca {
            why: causes(&error),
        })?;
        trust = trust
            .certificate_store(CertificateStore::None)
            .add_root_certificate(own);
    }
    let trust = trust.build_rustls().map_err(|error| NotifyError::Ca {
        why: causes(&error),
    })?;
    // The builder's name warns of a default without TLS; TLS is set on the next line.
    let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(server)
        .tls(if *port == IMPLICIT_TLS {
            Tls::Wrapper(trust)
        } else {
            Tls::Required(trust)
        })
        .port(*port)
        .timeout(Some(super::LIMIT));
    if let Some((user, name)) = login {
        let password = secrets
            .expose(name)
            .ok_or_else(|| NotifyError::NoSecret { name: name.clone() })?;
        transport = transport.credentials(Credentials::new(user.clone(), password.to_owned()));
    }
    let written = written(from, to, message).map_err(|why| NotifyError::Message { why })?;
    match transport.build().send(written).await {
        Ok(_) => Ok(()),
        Err(error) if error.status().is_some() => Err(NotifyError::Refused {
            server: server.clone(),
            why: causes(&error),
        }),
        Err(error) => Err(unreachable(&error)),
    }
}

fn written(from: &str, to: &[String], message: &Message) -> Result<lettre::Message, String> {
    let mailbox = |text: &str| -> Result<Mailbox, String> {
        text.parse::<Mailbox>()
            .map_err(|error| format!("{text}: {error}"))
    };
    let mut builder = lettre::Message::builder()
        .from(mailbox(from)?)
        .subject(message.title.as_str());
    for recipient in to {
        builder = builder.to(mailbox(recipient)?);
    }
    builder
        .header(ContentType::TEXT_PLAIN)
        .body(message.text.clone())
        .map_err(|error| causes(&error))
}
