//! From a stand-in to the documents of an OCI image.

use super::{
    reference::{Digest, Reference},
    tar::{Entry, Kind, archive},
};
use crate::lab::images::stand_ins::StandIn;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Media type of a manifest.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// Not compressed: the cable to a guest is memory, and unpacking is what takes time there.
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// A layer as manifests name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LayerBlob {
    /// Digest of the tar, compressed or not being the same.
    pub(super) digest: Digest,
    /// Its size.
    pub(super) size: u64,
}

/// The architecture of this machine, as Debian and OCI call it.
pub fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// The layer with a stand-in's own files; `None` when a path is too long for a tar.
///
/// With the lab's authority in it: the lab's Internet is the only one that it will ever see.
pub(super) fn own_layer(stand_in: &StandIn, ca: Option<&str>) -> Option<Vec<u8>> {
    let mut entries = BTreeMap::new();
    let mut add = |path: &str, kind, mode, uid, gid| {
        let path = path.to_owned();
        entries.insert(
            path.clone(),
            Entry {
                path,
                kind,
                mode,
                uid,
                gid,
            },
        );
    };
    for (path, directory) in &stand_in.directories {
        let mode = u32::from_str_radix(&directory.mode, 8).ok()?;
        add(path, Kind::Directory, mode, directory.uid, directory.gid);
    }
    for (path, target) in &stand_in.links {
        add(path, Kind::Link(target.clone()), 0o777, 0, 0);
    }
    for (path, bytes) in &stand_in.files {
        let mode = if bytes.starts_with(b"#!") {
            0o755
        } else {
            0o644
        };
        add(path, Kind::File(bytes.clone()), mode, 0, 0);
    }
    if let Some(ca) = ca {
        let file = Kind::File(ca.as_bytes().to_vec());
        add("etc/ssl/certs/ca-certificates.crt", file, 0o644, 0, 0);
    }
    archive(&entries.into_values().collect::<Vec<_>>())
}

/// The configuration of an image.
pub(super) fn config(stand_in: &StandIn, reference: &Reference, layers: &[LayerBlob]) -> Vec<u8> {
    let mut config = stand_in.config.clone();
    let mut env = match config.remove("Env") {
        Some(Value::Array(env)) => env,
        Some(_) | None => Vec::new(),
    };
    let has_path = env
        .iter()
        .any(|e| e.as_str().is_some_and(|e| e.starts_with("PATH=")));
    if !has_path {
        env.insert(
            0,
            json!("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
        );
    }
    env.push(json!(format!("LAB_IMAGE={}", reference.name())));
    env.push(json!(format!("LAB_TAG={}", reference.tag)));
    config.insert("Env".to_owned(), Value::Array(env));
    config.insert(
        "Labels".to_owned(),
        json!({
            "infra.lab.stand-in": stand_in.runs,
            "org.opencontainers.image.version": reference.tag,
        }),
    );
    let document = json!({
        "architecture": architecture(),
        "os": "linux",
        "config": config,
        "rootfs": {
            "type": "layers",
            "diff_ids": layers.iter().map(|layer| layer.digest.to_string()).collect::<Vec<_>>(),
        },
    });
    document.to_string().into_bytes()
}

/// The manifest of an image.
pub(super) fn manifest(config: &[u8], layers: &[LayerBlob]) -> Vec<u8> {
    let layers: Vec<Value> = layers
        .iter()
        .map(|layer| json!({"mediaType": LAYER, "digest": layer.digest.to_string(), "size": layer.size}))
        .collect();
    let document = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": CONFIG, "digest": Digest::of(config).to_string(), "size": config.len()},
        "layers": layers,
    });
    document.to_string().into_bytes()
}
