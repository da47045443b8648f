//! Builds that cannot succeed: what is left behind, and what a guest is told. Needs root, as building does.

use crate::support::{guest, mirrors, spec};
use infra::lab::images::{World, store::Reference};
use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

/// Nobody listens there.
const NOWHERE: &str = "deb [trusted=yes] http://127.0.0.1:1/ trixie main";

fn can_build() -> bool {
    let version = Command::new("mmdebstrap")
        .arg("--version")
        .stdout(Stdio::null())
        .status();
    let can = version.is_ok_and(|status| status.success()) && rustix::process::geteuid().is_root();
    if !can {
        println!("skipped: needs root and mmdebstrap");
    }
    can
}

fn entries(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    let mut names: Vec<_> = entries
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .filter(|name| {
            Path::new(name)
                .extension()
                .is_none_or(|kind| kind != "lock")
        })
        .collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_build_without_a_mirror_fails_with_its_last_words_and_leaves_nothing() {
    if !can_build() {
        return;
    }
    let cache = tempfile::tempdir().expect("folder");
    let mut spec = spec(cache.path(), mirrors(&[]));
    spec.packages = Some(NOWHERE.to_owned());
    let world = World::start(spec).expect("a world");
    let reference = Reference::parse("valkey/valkey:8").expect("a reference");

    let mut told = Vec::new();
    let failed = world
        .images()
        .prepare([reference.clone()], |r, _| told.push(r.clone()))
        .await;
    let message = failed.expect_err("no mirror").to_string();
    assert!(
        message.starts_with("build the root of all images: "),
        "{message}"
    );
    assert!(message.contains("127.0.0.1:1"), "{message}");
    assert_eq!(told, []);

    let client = guest(world.ca_pem(), world.https(), &["registry-1.docker.io"]);
    let port = world.https().port();
    let url = format!("https://registry-1.docker.io:{port}/v2/valkey/valkey/manifests/8");
    let answer = client.get(url).send().await.expect("an answer");
    assert_eq!(answer.status(), 500);
    let body = answer.text().await.expect("a body");
    assert!(
        body.contains("the lab failed to build the root of all images"),
        "{body}"
    );

    let images = cache.path().join("images");
    for folder in ["blobs", "layers", "roots", "tags", "work"] {
        assert_eq!(entries(&images.join(folder)), [""; 0], "{folder}");
    }
    assert_eq!(world.images().store().manifest(&reference), None);
}
