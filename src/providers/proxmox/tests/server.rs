//! An HTTPS server of one thread a connection, which answers what a test tells it and remembers what it was asked.

use crate::model::{
    desired::{ApiAuth, ProxmoxApi, TlsTrust},
    secret::SecretValues,
};
use crate::providers::proxmox::{Client, ClientOptions, Fingerprint, Pace};
use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer},
};
use secrecy::SecretString;
use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

/// A request as it came over the wire.
#[derive(Debug, Clone, Default)]
pub(super) struct Asked {
    pub(super) method: String,
    /// Path below `/api2/json`, with its query.
    pub(super) target: String,
    /// Names in lower case.
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: Vec<u8>,
    /// Which of the server's connections it came over.
    pub(super) connection: usize,
}

impl Asked {
    pub(super) fn line(&self) -> String {
        format!("{} {}", self.method, self.target)
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// What to do with a request.
#[derive(Debug, Clone)]
pub(super) enum Reply {
    /// Status, reason phrase, body.
    Answer(u16, &'static str, String),
    /// Status and reason phrase alone, then the end of the connection without TLS's goodbye: pveproxy's 401 and 595.
    Bare(u16, &'static str),
    /// Answer 200 and close the connection without having announced it.
    AnswerAndHangUp(String),
    /// Close the connection without a word.
    HangUp,
}

impl Reply {
    pub(super) fn data(json: &str) -> Self {
        Self::Answer(200, "OK", format!("{{\"data\":{json}}}"))
    }

    pub(super) fn message(status: u16, message: &str) -> Self {
        Self::Answer(
            status,
            "Refused",
            serde_json::json!({"data": null, "message": message}).to_string(),
        )
    }
}

type Handler = dyn Fn(&Asked, usize) -> Reply + Send + Sync;

pub(super) struct Server {
    address: SocketAddr,
    pub(super) fingerprint: Fingerprint,
    pub(super) ca_pem: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    /// Starts a server. The handler is told how many requests came before.
    #[expect(
        clippy::disallowed_methods,
        reason = "a server on the loopback of the test"
    )]
    pub(super) fn start(handler: impl Fn(&Asked, usize) -> Reply + Send + Sync + 'static) -> Self {
        let authority = rcgen::KeyPair::generate().expect("a key");
        let mut params = rcgen::CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let ca = params.self_signed(&authority).expect("a certificate");
        let key = rcgen::KeyPair::generate().expect("a key");
        let issuer = rcgen::Issuer::new(params, authority);
        let leaf = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()])
            .and_then(|params| params.signed_by(&key, &issuer))
            .expect("a certificate");
        let chain = vec![CertificateDer::from(leaf.der().to_vec())];
        let private = PrivateKeyDer::try_from(key.serialize_der()).expect("PKCS #8");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("TLS 1.2 and 1.3")
            .with_no_client_auth()
            .with_single_cert(chain, private)
            .expect("they belong together");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let server = Self {
            address: listener.local_addr().expect("bound"),
            fingerprint: Fingerprint::of(leaf.der()),
            ca_pem: ca.pem(),
            asked: Arc::default(),
        };
        let (asked, handler, config) = (
            Arc::clone(&server.asked),
            Arc::new(handler),
            Arc::new(config),
        );
        thread::spawn(move || {
            for (number, stream) in listener.incoming().flatten().enumerate() {
                let (asked, handler, config) = (
                    Arc::clone(&asked),
                    Arc::clone(&handler),
                    Arc::clone(&config),
                );
                thread::spawn(move || converse(stream, number, config, &asked, handler.as_ref()));
            }
        });
        server
    }

    /// What it was asked so far.
    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("no test panicked with it").clone()
    }

    pub(super) fn lines(&self) -> Vec<String> {
        self.asked().iter().map(Asked::line).collect()
    }

    pub(super) fn api(&self) -> ProxmoxApi {
        ProxmoxApi {
            host: self.address.ip().to_string(),
            port: self.address.port(),
            auth: ApiAuth::Token {
                id: "root@pam!infra".to_owned(),
                secret: "token".parse().expect("valid"),
            },
            tls: TlsTrust::Fingerprint(self.fingerprint.0),
        }
    }

    /// A client that trusts the server by its pin and signs with a token.
    pub(super) fn client(&self) -> Client {
        client(&self.api(), hasty())
    }
}

/// Options that wait for next to nothing.
pub(super) fn hasty() -> ClientOptions {
    let pace = Pace {
        first: Duration::from_millis(1),
        cap: Duration::from_millis(2),
        scale: 1.0,
    };
    ClientOptions {
        task_pace: pace,
        retry_pace: pace,
        ..ClientOptions::default()
    }
}

pub(super) fn client(api: &ProxmoxApi, options: ClientOptions) -> Client {
    let mut secrets = SecretValues::default();
    secrets.insert(
        "token".parse().expect("valid"),
        SecretString::from("s3cr3t-value"),
    );
    secrets.insert(
        "password".parse().expect("valid"),
        SecretString::from("pa55;w+rd=%"),
    );
    Client::connect(api, &secrets, options).expect("nothing is sent yet")
}

fn converse(
    stream: TcpStream,
    number: usize,
    config: Arc<ServerConfig>,
    asked: &Mutex<Vec<Asked>>,
    handler: &Handler,
) {
    let connection = ServerConnection::new(config).expect("a valid configuration");
    let mut stream = BufReader::new(StreamOwned::new(connection, stream));
    while let Some(request) = read(&mut stream) {
        let request = Asked {
            connection: number,
            ..request
        };
        let before = {
            let mut asked = asked.lock().expect("no test panicked with it");
            asked.push(request.clone());
            asked.len() - 1
        };
        let (status, reason, body, goes_on) = match handler(&request, before) {
            // pveproxy closes the connection after every error.
            Reply::Answer(status, reason, body) => (status, reason, body, status < 400),
            Reply::AnswerAndHangUp(body) => (200, "OK", body, false),
            Reply::HangUp => return,
            Reply::Bare(status, reason) => {
                let head = format!("HTTP/1.1 {status} {reason}\r\nConnection: close\r\n\r\n");
                stream.get_mut().write_all(head.as_bytes()).ok();
                return;
            }
        };
        let connection = if status < 400 { "Keep-Alive" } else { "close" };
        let head = format!(
            "HTTP/1.1 {status} {reason}\r\nContent-Type: application/json;charset=UTF-8\r\nConnection: {connection}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let sent = stream
            .get_mut()
            .write_all(head.as_bytes())
            .and_then(|()| stream.get_mut().flush());
        if sent.is_err() || !goes_on {
            stream.get_mut().conn.send_close_notify();
            stream.get_mut().flush().ok();
            return;
        }
    }
}

/// One request; none at the end of the connection, or when its TLS never came about.
fn read(stream: &mut impl BufRead) -> Option<Asked> {
    let mut line = String::new();
    let mut next = |stream: &mut dyn BufRead| {
        line.clear();
        let length = stream.read_line(&mut line).ok()?;
        (length > 0).then(|| line.trim_end().to_owned())
    };
    let first = next(stream)?;
    let mut parts = first.split(' ');
    let method = parts.next()?.to_owned();
    let target = parts.next()?.strip_prefix("/api2/json")?.to_owned();
    let mut headers = BTreeMap::new();
    loop {
        let line = next(stream)?;
        let Some((name, value)) = line.split_once(": ") else {
            break;
        };
        headers.insert(name.to_lowercase(), value.to_owned());
    }
    let length = headers
        .get("content-length")
        .map_or(0, |length| length.parse().expect("a number"));
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some(Asked {
        method,
        target,
        headers,
        body,
        connection: 0,
    })
}
