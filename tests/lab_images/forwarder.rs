//! The forwarder against a mirror on loopback that counts what it is asked.

use crate::support::{mirrors, world};
use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use infra::lab::images::World;
use sha2::{Digest, Sha256};
use std::{
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex},
};
use tokio::{net::TcpListener, sync::Semaphore, task::JoinHandle};

const HOST: &str = "mirror.example";
const HALF: usize = 40_000;

struct Mirror {
    asked: Mutex<Vec<String>>,
    second_half: Semaphore,
}

fn package() -> Vec<u8> {
    (0..2 * HALF)
        .map(|at| u8::try_from(at % 251).expect("small"))
        .collect()
}

/// Without keep-alive, so that aborting the server leaves nobody who answers.
async fn answer(mirror: State<Arc<Mirror>>, request: Request) -> Response {
    let mut response = answer_once(mirror, &request);
    let close = header::HeaderValue::from_static("close");
    response.headers_mut().insert(header::CONNECTION, close);
    response
}

fn answer_once(State(mirror): State<Arc<Mirror>>, request: &Request) -> Response {
    let path = request.uri().path().to_owned();
    let host = request.headers()[header::HOST]
        .to_str()
        .expect("text")
        .to_owned();
    mirror
        .asked
        .lock()
        .expect("lock")
        .push(format!("{host} {path}"));
    if path.ends_with("/InRelease") {
        if request.headers().contains_key(header::IF_MODIFIED_SINCE) {
            return StatusCode::NOT_MODIFIED.into_response();
        }
        let modified = [(header::LAST_MODIFIED, "Sat, 01 Nov 2025 00:00:00 GMT")];
        return (modified, "Suite: trixie\n").into_response();
    }
    if path.contains("/by-hash/") {
        return "an index".into_response();
    }
    if !path.contains("_amd64.") {
        return StatusCode::NOT_FOUND.into_response();
    }
    let halves = futures_util::stream::unfold((mirror, 0), |(mirror, half)| async move {
        if half == 1 {
            mirror.second_half.acquire().await.expect("open").forget();
        }
        let bytes = package()
            .get(half * HALF..(half + 1) * HALF)
            .map(Bytes::copy_from_slice)?;
        Some((std::io::Result::Ok(bytes), (mirror, half + 1)))
    });
    let length = [(header::CONTENT_LENGTH, 2 * HALF)];
    (length, Body::from_stream(halves)).into_response()
}

struct Scene {
    mirror: Arc<Mirror>,
    server: JoinHandle<()>,
    world: World,
    cache: tempfile::TempDir,
}

async fn scene() -> Scene {
    let mirror = Arc::new(Mirror {
        asked: Mutex::default(),
        second_half: Semaphore::new(0),
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let addr = listener.local_addr().expect("address");
    let router = Router::new()
        .fallback(answer)
        .with_state(Arc::clone(&mirror));
    let server = tokio::spawn(async move { axum::serve(listener, router).await.expect("served") });
    let cache = tempfile::tempdir().expect("folder");
    let world = world(cache.path(), mirrors(&[(HOST, addr)]));
    Scene {
        mirror,
        server,
        world,
        cache,
    }
}

/// A guest whose resolver leads every name to the forwarder.
fn apt(forwarder: SocketAddr, path: &str) -> reqwest::RequestBuilder {
    asking(HOST, forwarder, path)
}

fn asking(host: &str, forwarder: SocketAddr, path: &str) -> reqwest::RequestBuilder {
    // No TLS is spoken: the scheme is http, but the client insists on having a provider.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let client = reqwest::Client::builder()
        .no_proxy()
        .tls_backend_preconfigured(tls);
    let client = client.build().expect("a client");
    client
        .get(format!("http://{forwarder}{path}"))
        .header("host", host)
}

async fn text(request: reqwest::RequestBuilder) -> (u16, String, String) {
    let response = request.send().await.expect("an answer");
    let source = response
        .headers()
        .get("x-infra-lab")
        .map_or("", |v| v.to_str().expect("text"))
        .to_owned();
    (
        response.status().as_u16(),
        source,
        response.text().await.expect("a body"),
    )
}

const DEB: &str = "/debian/pool/main/h/hello/hello_2.10-5_amd64.deb";

fn cached(cache: &Path, path: &str) -> bool {
    cache.join("mirrors").join(HOST).join(&path[1..]).exists()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guests_that_want_the_same_package_share_one_download_while_it_runs() {
    let scene = scene().await;
    let http = scene.world.http();
    let mut first = apt(http, DEB).send().await.expect("an answer");
    let mut second = apt(http, DEB).send().await.expect("an answer");
    let mut part = apt(http, DEB)
        .header("range", "bytes=10-19")
        .send()
        .await
        .expect("an answer");
    let mut begun = (
        first.chunk().await.expect("begun").expect("bytes"),
        second.chunk().await.expect("begun").expect("bytes"),
    );
    assert_eq!(part.status(), 206);
    assert_eq!(
        part.headers()["content-range"],
        format!("bytes 10-19/{}", 2 * HALF)
    );
    assert_eq!(
        part.chunk().await.expect("begun").expect("bytes"),
        package()[10..20]
    );
    assert!(
        !cached(scene.cache.path(), DEB),
        "half a package is not in the cache"
    );
    scene.mirror.second_half.add_permits(1);
    for (response, begun) in [(&mut first, &mut begun.0), (&mut second, &mut begun.1)] {
        let mut whole = begun.to_vec();
        while let Some(chunk) = response.chunk().await.expect("goes on") {
            whole.extend_from_slice(&chunk);
        }
        assert_eq!(whole, package());
    }
    assert_eq!(
        *scene.mirror.asked.lock().expect("lock"),
        [format!("{HOST} {DEB}")]
    );
    let later = apt(http, DEB)
        .header("range", "bytes=-5")
        .send()
        .await
        .expect("an answer");
    assert_eq!(later.headers()["x-infra-lab"], "cache");
    assert_eq!(
        later.bytes().await.expect("a body"),
        package()[2 * HALF - 5..]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_mirror_the_cache_goes_on_and_says_so() {
    let scene = scene().await;
    let http = scene.world.http();
    scene.mirror.second_half.add_permits(1);
    let index = "/debian/dists/trixie/InRelease";
    assert_eq!(
        text(apt(http, index)).await,
        (200, "mirror".into(), "Suite: trixie\n".into())
    );
    let asked = apt(http, index).header("if-modified-since", "Sat, 01 Nov 2025 00:00:00 GMT");
    assert_eq!(text(asked).await, (304, "mirror".into(), String::new()));
    assert_eq!(text(apt(http, DEB)).await.0, 200);
    scene.server.abort();
    assert!(scene.server.await.expect_err("aborted").is_cancelled());

    assert_eq!(
        text(apt(http, index)).await,
        (200, "stale".into(), "Suite: trixie\n".into())
    );
    assert_eq!(text(apt(http, DEB)).await.1, "cache");
    let other = "/debian/pool/main/o/other_1_amd64.deb";
    let (status, _, message) = text(apt(http, other)).await;
    assert_eq!(status, 502);
    assert!(
        message.starts_with(&format!(
            "the lab cannot bring http://{HOST}{other}: it is not in the cache"
        )),
        "{message}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_under_a_hash_that_it_does_not_have_is_not_kept() {
    let scene = scene().await;
    let http = scene.world.http();
    let right = format!(
        "/debian/dists/t/by-hash/SHA256/{:x}",
        Sha256::digest("an index")
    );
    let wrong = format!(
        "/debian/dists/t/by-hash/SHA256/{:x}",
        Sha256::digest("another")
    );
    assert_eq!(text(apt(http, &right)).await.2, "an index");
    let taken = async {
        let answer = apt(http, &wrong).send().await?.error_for_status()?;
        answer.bytes().await
    };
    taken
        .await
        .expect_err("refused, or broken off before its end");
    assert!(cached(scene.cache.path(), &right));
    assert!(!cached(scene.cache.path(), &wrong));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_machines_own_mirrors_are_forwarded_to() {
    let scene = scene().await;
    let http = scene.world.http();
    let (status, _, message) = text(asking("elsewhere.example", http, "/x")).await;
    assert_eq!(status, 404);
    assert!(
        message.contains("no elsewhere.example on port 80; it forwards to: mirror.example"),
        "{message}"
    );
    assert_eq!(
        text(apt(http, "/debian/pool/../../etc/passwd.deb")).await.0,
        404
    );
    assert_eq!(text(apt(http, "/debian/pool/absent")).await.0, 404);
    assert!(!cached(scene.cache.path(), "/debian/pool/absent"));
}
