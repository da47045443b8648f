//! Pulls over real TLS, by public names.

use crate::support::{guest, mirrors, world};
use infra::lab::images::store::{Digest, Reference, Store};
use serde_json::{Value, json};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_is_pulled_by_its_public_name() {
    let cache = tempfile::tempdir().expect("folder");
    let store = Store::open(&cache.path().join("images")).expect("a store");
    let layer = store.put(b"0123456789").expect("kept");
    let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "layers": [{"digest": layer.to_string()}]});
    let manifest = store.put(manifest.to_string().as_bytes()).expect("kept");
    let reference = Reference::parse("tinyweb:1.0").expect("a reference");
    store.tag(&reference, &manifest).expect("tagged");

    let world = world(cache.path(), mirrors(&[]));
    let port = world.https().port();
    let hub = format!("https://registry-1.docker.io:{port}/v2");
    let client = guest(
        world.ca_pem(),
        world.https(),
        &["registry-1.docker.io", "ghcr.io"],
    );
    let get = async |url: String| client.get(url).send().await.expect("an answer");

    let version = get(format!("{hub}/")).await;
    assert_eq!(version.status(), 200);
    assert_eq!(
        version.headers()["docker-distribution-api-version"],
        "registry/2.0"
    );

    let head = client
        .head(format!("{hub}/library/tinyweb/manifests/1.0"))
        .send()
        .await
        .expect("an answer");
    assert_eq!(head.status(), 200);
    assert_eq!(head.headers()["content-type"], MANIFEST);
    assert_eq!(
        head.headers()["docker-content-digest"],
        manifest.to_string()
    );
    let length = head.headers()["content-length"].clone();

    for name in ["1.0", &manifest.to_string()] {
        let answer = get(format!("{hub}/library/tinyweb/manifests/{name}")).await;
        assert_eq!(answer.headers()["content-length"], length);
        let bytes = answer.bytes().await.expect("a body");
        assert_eq!(Digest::of(&bytes), manifest);
    }

    let blob = client
        .get(format!("{hub}/library/tinyweb/blobs/{layer}"))
        .header("range", "bytes=4-")
        .send()
        .await
        .expect("an answer");
    assert_eq!(
        (blob.status().as_u16(), &blob.headers()["content-range"]),
        (206, &"bytes 4-9/10".parse().expect("a value"))
    );
    assert_eq!(blob.text().await.expect("a body"), "456789");

    for (url, code) in [
        (
            format!("{hub}/library/tinyweb/manifests/0.0"),
            "MANIFEST_UNKNOWN",
        ),
        (
            format!("{hub}/library/tinyweb/manifests/{layer}"),
            "MANIFEST_UNKNOWN",
        ),
        (
            format!("https://ghcr.io:{port}/v2/library/tinyweb/manifests/1.0"),
            "MANIFEST_UNKNOWN",
        ),
        (
            format!("{hub}/library/tinyweb/blobs/{}", Digest::of(b"nothing")),
            "BLOB_UNKNOWN",
        ),
    ] {
        let answer = get(url.clone()).await;
        assert_eq!(answer.status(), 404, "{url}");
        let body: Value =
            serde_json::from_slice(&answer.bytes().await.expect("a body")).expect("JSON");
        assert_eq!(body["errors"][0]["code"], code, "{url}");
    }
    let push = client
        .post(format!("{hub}/library/tinyweb/blobs/uploads/"))
        .send()
        .await
        .expect("an answer");
    assert_eq!(push.status(), 405);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_that_does_not_trust_the_labs_authority_pulls_nothing() {
    let (here, there) = (
        tempfile::tempdir().expect("folder"),
        tempfile::tempdir().expect("folder"),
    );
    let (world, other) = (
        world(here.path(), mirrors(&[])),
        world(there.path(), mirrors(&[])),
    );
    let url = format!("https://ghcr.io:{}/v2/", world.https().port());
    let trusting = guest(world.ca_pem(), world.https(), &["ghcr.io"]);
    assert_eq!(
        trusting.get(&url).send().await.expect("trusted").status(),
        200
    );
    let stranger = guest(other.ca_pem(), world.https(), &["ghcr.io"]);
    stranger
        .get(&url)
        .send()
        .await
        .expect_err("another authority");
}
