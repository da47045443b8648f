//! One cluster over HTTPS: sends requests, repeats those that may be repeated, reads answers.

use super::{
    answer::{self, Answer},
    auth::Auth,
    endpoint::{Method, Repeat},
    error::{Delivery, ProxmoxError},
    request::Request,
    task::Pace,
    tls,
};
use crate::model::{desired::ProxmoxApi, secret::SecretValues};
use reqwest::{
    StatusCode,
    header::{CONTENT_TYPE, HeaderMap},
    multipart::{Form, Part},
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::{error::Error, path::PathBuf, time::Duration};
use tokio::sync::{Mutex, Semaphore};

/// What may be tuned; the defaults suit a real server.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClientOptions {
    /// Limit on connecting, TLS included.
    pub connect_timeout: Duration,
    /// Limit on each wait for bytes. Longer than the 30 s after which pveproxy itself gives up on another node.
    pub answer_timeout: Duration,
    /// Age at which a ticket is renewed. The server's limit is two hours.
    pub ticket_lifetime: Duration,
    /// How often tasks are looked at.
    pub task_pace: Pace,
    /// How long to wait before trying again.
    pub retry_pace: Pace,
    /// Tries of a request that may be repeated.
    pub tries: u32,
    /// Requests in flight. pveproxy has three workers.
    pub parallel: usize,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            answer_timeout: Duration::from_secs(40),
            ticket_lifetime: Duration::from_mins(90),
            task_pace: Pace::TASK,
            retry_pace: Pace::RETRY,
            tries: 4,
            parallel: 8,
        }
    }
}

impl ClientOptions {
    /// The same with every wait multiplied: the lab's clock factor.
    #[must_use]
    pub fn scaled(self, clock: f64) -> Self {
        Self {
            task_pace: self.task_pace.scaled(clock),
            retry_pace: self.retry_pace.scaled(clock),
            ..self
        }
    }
}

/// A file that goes with a request, and the name under which the server stores it.
#[derive(Debug, Clone)]
pub(super) struct Attachment {
    pub(super) filename: String,
    pub(super) payload: Payload,
}

/// What is in it.
#[derive(Debug, Clone)]
pub(super) enum Payload {
    /// These bytes.
    Bytes(Vec<u8>),
    /// A file of this machine, read while it is sent.
    File(PathBuf),
}

/// One cluster, through one of its nodes.
#[derive(Debug)]
pub struct Client {
    /// For questions: connections are kept for the next one.
    questions: reqwest::Client,
    /// For writes: each has a connection of its own. One that was kept could be closed by the server at the very
    /// moment when the write goes out, and nobody would know whether it arrived.
    writes: reqwest::Client,
    /// `host:port`, for messages.
    server: String,
    auth: Auth,
    permits: Semaphore,
    /// All writes of `cluster.fw` take one lock of the cluster, which times out after 10 s: they go one by one.
    cluster_firewall: Mutex<()>,
    options: ClientOptions,
}

impl Client {
    /// Prepares the client. Nothing is sent; a login by password happens with the first request.
    ///
    /// # Errors
    /// A secret without value, an unusable CA.
    pub fn connect(
        api: &ProxmoxApi,
        secrets: &SecretValues,
        options: ClientOptions,
    ) -> Result<Self, ProxmoxError> {
        let auth = Auth::new(&api.auth, secrets)?;
        let tls = tls::settings(&api.tls)?;
        let questions = http(tls.clone(), &options, options.parallel)?;
        let writes = http(tls, &options, 0)?;
        let server = if api.host.contains(':') && !api.host.starts_with('[') {
            format!("[{}]:{}", api.host, api.port)
        } else {
            format!("{}:{}", api.host, api.port)
        };
        Ok(Self {
            questions,
            writes,
            server,
            auth,
            permits: Semaphore::new(options.parallel.max(1)),
            cluster_firewall: Mutex::new(()),
            options,
        })
    }

    pub(super) fn options(&self) -> &ClientOptions {
        &self.options
    }

    /// Held while a write of `cluster.fw` is on its way.
    pub(super) fn cluster_firewall(&self) -> &Mutex<()> {
        &self.cluster_firewall
    }

    /// Sends a request and reads its data as a type.
    pub(super) async fn fetch<T: DeserializeOwned>(
        &self,
        request: &Request,
    ) -> Result<T, ProxmoxError> {
        answer::typed(&request.to_string(), self.send(request).await?)
    }

    /// As [`Client::fetch`]; none when the thing does not exist.
    pub(super) async fn find<T: DeserializeOwned>(
        &self,
        request: &Request,
    ) -> Result<Option<T>, ProxmoxError> {
        match self.fetch(request).await {
            Err(error) if error.is_not_found() => Ok(None),
            answer => answer.map(Some),
        }
    }

    /// Sends a request, again where that is safe, and returns its data.
    pub(super) async fn send(&self, request: &Request) -> Result<Value, ProxmoxError> {
        self.send_with(request, None).await
    }

    /// As [`Client::send`], with a file.
    pub(super) async fn send_with(
        &self,
        request: &Request,
        attachment: Option<&Attachment>,
    ) -> Result<Value, ProxmoxError> {
        request.checked()?;
        let mut logged_in_again = false;
        let mut round = 0;
        loop {
            // Boxed, since observations hold dozens of these at once.
            let error = match Box::pin(self.signed(request, attachment)).await {
                Ok(data) => return Ok(data),
                Err(error) => error,
            };
            // A refused ticket means that nothing was done: log in once more, whatever the request.
            let is_refused = matches!(error, ProxmoxError::Unauthorized { .. });
            if is_refused && !logged_in_again && self.auth.forget().await {
                logged_in_again = true;
                continue;
            }
            round += 1;
            if round >= self.options.tries.max(1) || !may_repeat(request.endpoint.repeat, &error) {
                return Err(error);
            }
            tokio::time::sleep(self.options.retry_pace.wait(round)).await;
        }
    }

    async fn signed(
        &self,
        request: &Request,
        attachment: Option<&Attachment>,
    ) -> Result<Value, ProxmoxError> {
        let headers = self.auth.headers(self).await?;
        self.exchange(request, headers, attachment).await
    }

    /// One request, one answer.
    pub(super) async fn exchange(
        &self,
        request: &Request,
        headers: HeaderMap,
        attachment: Option<&Attachment>,
    ) -> Result<Value, ProxmoxError> {
        let permit = self.permits.acquire().await;
        let url = format!("https://{}/api2/json{}", self.server, request.target());
        let method = match request.endpoint.method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
            Method::Put => reqwest::Method::PUT,
            Method::Delete => reqwest::Method::DELETE,
        };
        let http = match request.endpoint.repeat {
            Repeat::Always => &self.questions,
            Repeat::AfterLock | Repeat::Never => &self.writes,
        };
        let mut call = http.request(method, url).headers(headers);
        if let Some(attachment) = attachment {
            call = call.multipart(form(request, attachment).await?);
        } else if let Some(body) = request.form() {
            call = call
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(body);
        }
        let mut response = call
            .send()
            .await
            .map_err(|error| self.transport(request, &error))?;
        let status = response.status();
        let reason = reason(&response, status);
        let mut body = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(bytes)) => body.extend(bytes),
                Ok(None) => break,
                // An error without a body has no length either, and pveproxy closes such a connection without TLS's
                // own goodbye (pve-http-server, `client_do_disconnect`): the reason phrase has been read by then.
                Err(_) if !status.is_success() => break,
                Err(error) => return Err(self.transport(request, &error)),
            }
        }
        drop(permit);
        let name = request.to_string();
        let data = answer::data(
            &name,
            &Answer {
                status: status.as_u16(),
                reason: &reason,
                body: &body,
            },
        )?;
        if request.whole {
            return answer::whole(&name, &body);
        }
        Ok(data)
    }

    /// What a failure of the transport means for the request.
    fn transport(&self, request: &Request, error: &reqwest::Error) -> ProxmoxError {
        let server = self.server.clone();
        let tls = tls::tls_error(error);
        if let Some(other) = tls.and_then(tls::other_certificate) {
            return ProxmoxError::PinMismatch {
                server,
                want: other.want,
                got: other.got,
            };
        }
        if let Some(rustls::Error::InvalidCertificate(why)) = tls {
            return ProxmoxError::Untrusted {
                server,
                why: why.to_string(),
            };
        }
        let (request, why) = (request.to_string(), innermost(error));
        // A request that reqwest could not even build was not sent either.
        if error.is_connect() || error.is_builder() || is_unsent(error) {
            ProxmoxError::Unreachable {
                server,
                request,
                why,
            }
        } else {
            ProxmoxError::Interrupted {
                server,
                request,
                why,
            }
        }
    }
}

/// An HTTP/1.1 client that keeps at most `idle` connections.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the place where trust is made explicit"
)]
fn http(
    tls: rustls::ClientConfig,
    options: &ClientOptions,
    idle: usize,
) -> Result<reqwest::Client, ProxmoxError> {
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .https_only(true)
        .http1_only()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(options.connect_timeout)
        .read_timeout(options.answer_timeout)
        // pveproxy closes an idle connection after 5 s; a question sent at that moment would have to be repeated.
        .pool_idle_timeout(Duration::from_secs(3))
        .pool_max_idle_per_host(idle)
        .user_agent(concat!("infra/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|source| ProxmoxError::Setup {
            source: Box::new(source),
        })
}

/// Whether the same request may go out again after this error.
fn may_repeat(repeat: Repeat, error: &ProxmoxError) -> bool {
    // Waiting out a timeout four times helps nobody.
    let passing = match error.broken() {
        Some(why) => why != TIMED_OUT,
        None => error.is_lock_timeout(),
    };
    passing
        && match repeat {
            Repeat::Always => true,
            Repeat::AfterLock => error.is_lock_timeout() || error.delivery() == Delivery::NeverSent,
            Repeat::Never => error.delivery() == Delivery::NeverSent,
        }
}

/// Parameters before the file: Proxmox reads the parts in order and starts the copy when it meets the file.
async fn form(request: &Request, attachment: &Attachment) -> Result<Form, ProxmoxError> {
    let fields = request
        .parameters()
        .iter()
        .fold(Form::new(), |form, (name, value)| {
            form.text(name.clone(), value.clone())
        });
    // The length is known, so the body is not chunked; pveproxy answers 501 to chunks.
    let file = match &attachment.payload {
        Payload::Bytes(bytes) => Part::bytes(bytes.clone()),
        Payload::File(path) => {
            let failed = |source| ProxmoxError::File {
                path: path.clone(),
                source,
            };
            let file = tokio::fs::File::open(path).await.map_err(failed)?;
            let length = file.metadata().await.map_err(failed)?.len();
            let stream = tokio_util::io::ReaderStream::new(file);
            Part::stream_with_length(reqwest::Body::wrap_stream(stream), length)
        }
    };
    Ok(fields.part("filename", file.file_name(attachment.filename.clone())))
}

/// The reason phrase. hyper keeps it as an extension when it differs from the usual one for the status.
fn reason(response: &reqwest::Response, status: StatusCode) -> String {
    match response.extensions().get::<hyper::ext::ReasonPhrase>() {
        Some(phrase) => String::from_utf8_lossy(phrase.as_bytes()).into_owned(),
        None => status.canonical_reason().unwrap_or_default().to_owned(),
    }
}

/// Whether hyper gave the request back before writing a byte of it: its pooled connection had been closed.
fn is_unsent(error: &reqwest::Error) -> bool {
    let mut cause: Option<&(dyn Error + 'static)> = error.source();
    while let Some(error) = cause {
        if error
            .downcast_ref::<hyper::Error>()
            .is_some_and(hyper::Error::is_canceled)
        {
            return true;
        }
        cause = error.source();
    }
    false
}

const TIMED_OUT: &str = "timed out";

/// The innermost cause, which names the reason; the outer ones only repeat the URL.
fn innermost(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return TIMED_OUT.to_owned();
    }
    let mut last: &dyn Error = error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    last.to_string()
}
