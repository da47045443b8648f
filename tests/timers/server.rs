//! Little servers that keep what they are told: HTTPS and SMTP with STARTTLS, with a CA of their own.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use std::sync::{Arc, Mutex};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    runtime::Runtime,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
    },
};

/// One request, or one mail: its first line (`POST /path`), and everything.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) line: String,
    pub(crate) text: String,
}

/// The servers of a test, on `localhost`.
pub(crate) struct Servers {
    runtime: Runtime,
    acceptor: TlsAcceptor,
    pub(crate) ca: String,
    told: Arc<Mutex<Vec<Told>>>,
}

impl Servers {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut own = CertificateParams::new(vec![]).expect("valid");
        own.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = own.self_signed(&key).expect("signed");
        let issuer = Issuer::from_params(&own, &key);
        let server = KeyPair::generate().expect("a key");
        let leaf = CertificateParams::new(vec!["localhost".to_owned()])
            .expect("valid")
            .signed_by(&server, &issuer)
            .expect("signed");
        let chain = vec![CertificateDer::from(leaf.der().to_vec())];
        let private = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(server.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(chain, private)
            .expect("a certificate");
        Self {
            runtime: Runtime::new().expect("a runtime"),
            acceptor: TlsAcceptor::from(Arc::new(config)),
            ca: ca.pem(),
            told: Arc::default(),
        }
    }

    /// What all of them were told so far, in order; forgotten afterwards.
    pub(crate) fn take(&self) -> Vec<Told> {
        std::mem::take(&mut *self.told.lock().expect("not poisoned"))
    }

    fn listener(&self) -> (TcpListener, u16) {
        let listener = self
            .runtime
            .block_on(TcpListener::bind("127.0.0.1:0"))
            .expect("a port");
        let port = listener.local_addr().expect("an address").port();
        (listener, port)
    }

    /// Takes every request.
    pub(crate) fn https(&self) -> u16 {
        let (listener, port) = self.listener();
        let (acceptor, told) = (self.acceptor.clone(), Arc::clone(&self.told));
        self.runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, told) = (acceptor.clone(), Arc::clone(&told));
                tokio::spawn(async move { request(acceptor, stream, told).await });
            }
        });
        port
    }

    /// Takes every mail of a login, over STARTTLS and not before.
    pub(crate) fn smtp(&self) -> u16 {
        let (listener, port) = self.listener();
        let (acceptor, told) = (self.acceptor.clone(), Arc::clone(&self.told));
        self.runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, told) = (acceptor.clone(), Arc::clone(&told));
                tokio::spawn(async move { mail(acceptor, stream, told).await });
            }
        });
        port
    }

    /// Takes connections and never says a word.
    pub(crate) fn silent(&self) -> u16 {
        let (listener, port) = self.listener();
        self.runtime.spawn(async move {
            let mut kept = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                kept.push(stream);
            }
        });
        port
    }
}

async fn request(
    acceptor: TlsAcceptor,
    stream: TcpStream,
    told: Arc<Mutex<Vec<Told>>>,
) -> Option<()> {
    let mut stream = BufReader::new(acceptor.accept(stream).await.ok()?);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).await.ok()? == 0 {
            return None;
        }
    }
    let length = head.lines().find_map(|line| {
        line.to_ascii_lowercase()
            .strip_prefix("content-length: ")
            .map(str::to_owned)
    });
    let mut body = vec![0; length.and_then(|text| text.parse().ok()).unwrap_or(0)];
    stream.read_exact(&mut body).await.ok()?;
    let line = head
        .lines()
        .next()?
        .trim_end_matches(" HTTP/1.1")
        .to_owned();
    let text = head + &String::from_utf8_lossy(&body);
    told.lock().expect("not poisoned").push(Told { line, text });
    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    stream.write_all(answer).await.ok()?;
    stream.shutdown().await.ok()
}

async fn mail(acceptor: TlsAcceptor, stream: TcpStream, told: Arc<Mutex<Vec<Told>>>) -> Option<()> {
    let mut plain = BufReader::new(stream);
    plain.write_all(b"220 localhost ESMTP\r\n").await.ok()?;
    loop {
        let mut line = String::new();
        if plain.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let answer: &[u8] = if line.starts_with("EHLO") {
            b"250-localhost\r\n250 STARTTLS\r\n"
        } else if line.starts_with("STARTTLS") {
            plain.write_all(b"220 go ahead\r\n").await.ok()?;
            break;
        } else {
            b"530 TLS first\r\n"
        };
        plain.write_all(answer).await.ok()?;
    }
    let mut stream = BufReader::new(acceptor.accept(plain.into_inner()).await.ok()?);
    let (mut talk, mut text) = (String::new(), String::new());
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            break;
        }
        talk.push_str(&line);
        let answer: &[u8] = if line.starts_with("EHLO") {
            b"250-localhost\r\n250 AUTH PLAIN LOGIN\r\n"
        } else if line.starts_with("AUTH") {
            b"235 welcome\r\n"
        } else if line.starts_with("DATA") {
            stream.write_all(b"354 go ahead\r\n").await.ok()?;
            loop {
                let mut line = String::new();
                if stream.read_line(&mut line).await.ok()? == 0 || line == ".\r\n" {
                    break;
                }
                text.push_str(&line);
            }
            told.lock().expect("not poisoned").push(Told {
                line: "MAIL".to_owned(),
                text: text.clone(),
            });
            b"250 taken\r\n"
        } else if line.starts_with("QUIT") {
            stream.write_all(b"221 bye\r\n").await.ok()?;
            break;
        } else {
            b"250 fine\r\n"
        };
        stream.write_all(answer).await.ok()?;
    }
    Some(())
}
