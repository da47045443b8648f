//! A lab on loopback and a client that knows nothing of `providers`.

use infra::lab::{
    api::{
        BridgeConfig, CatalogueImage, Certificate, Clock, Handle, NodeConfig, StorageConfig,
        TokenConfig, World, WorldConfig, serve,
    },
    backend::Powerless,
};
use serde_json::Value;
use std::{collections::BTreeMap, net::TcpListener, sync::Arc};

/// A running lab.
pub(crate) struct Bench {
    pub(crate) world: World,
    pub(crate) backend: Arc<Powerless>,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) base: String,
    client: reqwest::Client,
    _handle: Handle,
}

/// An answer with everything that a client may look at.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) reason: String,
    pub(crate) body: Value,
    pub(crate) text: String,
}

/// What to send.
pub(crate) enum Sent<'a> {
    Nothing,
    Form(&'a [(&'a str, &'a str)]),
    Query(&'a [(&'a str, &'a str)]),
    Raw(&'a str, &'a str),
}

/// Credentials.
#[derive(Debug, Clone)]
pub(crate) enum As {
    Nobody,
    Token(String),
    Ticket {
        ticket: String,
        csrf: Option<String>,
    },
}

pub(crate) const SECRET: &str = "11111111-2222-4333-8444-555555555555";

/// A full-rights token of root and infra's own.
pub(crate) fn root() -> As {
    As::Token(format!("root@pam!test={SECRET}"))
}

pub(crate) fn infra() -> As {
    As::Token(format!("infra@pve!lab={SECRET}"))
}

/// The smallest qcow2 that says how large its disk is.
pub(crate) fn qcow2(bytes: u64) -> Vec<u8> {
    let mut image = vec![0; 4096];
    image[..8].copy_from_slice(b"QFI\xfb\0\0\0\x03");
    image[24..32].copy_from_slice(&bytes.to_be_bytes());
    image
}

pub(crate) fn config(
    folder: &std::path::Path,
    backend: Arc<Powerless>,
    clock: Clock,
) -> WorldConfig {
    let catalogue_file = folder.join("debian.qcow2");
    std::fs::write(&catalogue_file, qcow2(2 << 30)).expect("written");
    let storage =
        |kind: &str, path: Option<&str>, pool: Option<&str>, content: &[&str]| StorageConfig {
            kind: kind.to_owned(),
            content: content.iter().map(|kind| (*kind).to_owned()).collect(),
            path: path.map(str::to_owned),
            pool: pool.map(str::to_owned),
            folder: folder.join(path.unwrap_or("zfs").trim_start_matches('/')),
            capacity: 64 << 30,
        };
    let all = [
        "snippets", "backup", "images", "rootdir", "iso", "vztmpl", "import",
    ];
    let bridge = |cidr: Option<&str>, ports: &[&str]| BridgeConfig {
        cidr: cidr.map(str::to_owned),
        gateway: cidr.map(|_| "10.77.0.1".to_owned()),
        ports: ports.iter().map(|port| (*port).to_owned()).collect(),
        vlan_aware: false,
    };
    let mut config = WorldConfig::single("pve", "10.77.0.2".parse().expect("address"), backend);
    config.nodes.insert(
        "pve".to_owned(),
        NodeConfig {
            address: "10.77.0.2".parse().expect("address"),
            bridges: BTreeMap::from([
                ("vmbr0".to_owned(), bridge(Some("10.77.0.2/24"), &["eth0"])),
                ("vmbr1".to_owned(), bridge(None, &[])),
            ]),
        },
    );
    config.storages = BTreeMap::from([
        (
            "local".to_owned(),
            storage("dir", Some("/var/lib/vz"), None, &all),
        ),
        (
            "tank".to_owned(),
            storage("dir", Some("/srv/tank"), None, &all[2..]),
        ),
        (
            "local-zfs".to_owned(),
            storage("zfspool", None, Some("rpool/data"), &["images", "rootdir"]),
        ),
    ]);
    let full = TokenConfig {
        secret: SECRET.to_owned(),
        privsep: false,
        grants: BTreeMap::new(),
    };
    config.tokens = BTreeMap::from([
        ("root@pam!test".to_owned(), full),
        ("infra@pve!lab".to_owned(), TokenConfig::least(SECRET)),
    ]);
    config.root_password = Some("<password>".to_owned());
    let image = CatalogueImage {
        file: catalogue_file,
        sha256: None,
    };
    config
        .catalogue
        .insert("http://images.test/debian.qcow2".to_owned(), image);
    config.clock = clock;
    config
}

impl Bench {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let backend = Arc::new(Powerless::default());
        let config = config(folder.path(), Arc::clone(&backend), Clock::scaled(0.01));
        Self::start(folder, backend, config)
    }

    pub(crate) fn start(
        folder: tempfile::TempDir,
        backend: Arc<Powerless>,
        config: WorldConfig,
    ) -> Self {
        let world = World::new(config).expect("a world");
        let certificate = Certificate::generate(&["127.0.0.1".to_owned()]).expect("certificate");
        let listener = TcpListener::bind("127.0.0.1:0").expect("socket");
        let handle = serve(listener, world.clone(), &certificate).expect("serving");
        let base = format!("https://{}/api2/json", handle.address());
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .tls_danger_accept_invalid_certs(true)
            .no_proxy()
            .build()
            .expect("client");
        Self {
            world,
            backend,
            folder,
            base,
            client,
            _handle: handle,
        }
    }

    pub(crate) async fn send(&self, who: &As, method: &str, path: &str, sent: Sent<'_>) -> Reply {
        self.try_send(who, method, path, sent)
            .await
            .expect("an answer")
    }

    pub(crate) async fn try_send(
        &self,
        who: &As,
        method: &str,
        path: &str,
        sent: Sent<'_>,
    ) -> Result<Reply, reqwest::Error> {
        let method = reqwest::Method::from_bytes(method.as_bytes()).expect("method");
        let mut request = self
            .client
            .request(method.clone(), format!("{}{path}", self.base));
        request = authorised(request, who, &method);
        request = match sent {
            Sent::Nothing => request,
            Sent::Form(pairs) => request.form(pairs),
            Sent::Query(pairs) => request.query(pairs),
            Sent::Raw(kind, text) => request.header("content-type", kind).body(text.to_owned()),
        };
        reply(request.send().await?).await
    }

    pub(crate) async fn upload(
        &self,
        who: &As,
        storage: &str,
        content: &str,
        name: &str,
        bytes: &[u8],
    ) -> Reply {
        let part = reqwest::multipart::Part::bytes(bytes.to_vec()).file_name(name.to_owned());
        let form = reqwest::multipart::Form::new()
            .text("content", content.to_owned())
            .part("filename", part);
        let url = format!("{}/nodes/pve/storage/{storage}/upload", self.base);
        let request =
            authorised(self.client.post(url), who, &reqwest::Method::POST).multipart(form);
        reply(request.send().await.expect("an answer"))
            .await
            .expect("a body")
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let reply = self.send(&root(), "GET", path, Sent::Nothing).await;
        assert_eq!(reply.status, 200, "{path}: {reply:?}");
        reply.body["data"].clone()
    }

    pub(crate) async fn form(&self, method: &str, path: &str, form: &[(&str, &str)]) -> Reply {
        self.send(&root(), method, path, Sent::Form(form)).await
    }

    /// Sends, expects a job and gives how it ended.
    pub(crate) async fn job(&self, method: &str, path: &str, form: &[(&str, &str)]) -> String {
        let sent = if method == "DELETE" {
            Sent::Query(form)
        } else {
            Sent::Form(form)
        };
        let reply = self.send(&root(), method, path, sent).await;
        assert_eq!(reply.status, 200, "{path}: {reply:?}");
        self.end_of(reply.body["data"].as_str().expect("a UPID"))
            .await
    }

    pub(crate) async fn end_of(&self, upid: &str) -> String {
        for _ in 0..2_000 {
            let status = self.get(&format!("/nodes/pve/tasks/{upid}/status")).await;
            if status["status"] == "stopped" {
                return status["exitstatus"].as_str().expect("a text").to_owned();
            }
            tokio::task::yield_now().await;
        }
        panic!("{upid} does not end");
    }

    pub(crate) async fn log_of(&self, upid: &str) -> Vec<String> {
        let log = self
            .get(&format!("/nodes/pve/tasks/{upid}/log?limit=0"))
            .await;
        log.as_array()
            .expect("lines")
            .iter()
            .map(|line| line["t"].as_str().expect("text").to_owned())
            .collect()
    }
}

fn authorised(
    request: reqwest::RequestBuilder,
    who: &As,
    method: &reqwest::Method,
) -> reqwest::RequestBuilder {
    match who {
        As::Nobody => request,
        As::Token(token) => request.header("authorization", format!("PVEAPIToken={token}")),
        As::Ticket { ticket, csrf } => {
            let request = request.header("cookie", format!("PVEAuthCookie={ticket}"));
            match csrf {
                Some(csrf) if *method != reqwest::Method::GET => {
                    request.header("CSRFPreventionToken", csrf)
                }
                _ => request,
            }
        }
    }
}

async fn reply(response: reqwest::Response) -> Result<Reply, reqwest::Error> {
    let status = response.status();
    let reason = response.extensions().get::<hyper::ext::ReasonPhrase>();
    let reason = reason.map_or_else(
        || status.canonical_reason().unwrap_or_default().to_owned(),
        |reason| String::from_utf8_lossy(reason.as_bytes()).into_owned(),
    );
    let text = response.text().await?;
    let body = serde_json::from_str(&text).unwrap_or(Value::Null);
    Ok(Reply {
        status: status.as_u16(),
        reason,
        body,
        text,
    })
}
