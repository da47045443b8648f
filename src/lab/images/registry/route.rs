//! The registry's answers, OCI distribution specification 1.1 (pull).

use crate::lab::images::{
    range::{Wanted, wanted},
    sites::Sites,
    store::{Builder, Digest, Reference, Store, is_registry, is_repository, is_tag, registry_of},
};
use axum::{
    Json, Router,
    body::Body,
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;
use std::{io::SeekFrom, net::SocketAddr, sync::Arc};
use tokio::{
    fs::File,
    io::{AsyncReadExt, AsyncSeekExt},
};
use tokio_util::io::ReaderStream;

/// A manifest is a few kilobytes; a blob beyond this is none.
const LARGEST_MANIFEST: u64 = 4 << 20;
/// What a site is asked with.
const LARGEST_QUESTION: usize = 64 << 10;
const API_VERSION: (&str, &str) = ("docker-distribution-api-version", "registry/2.0");
const CONTENT_DIGEST: &str = "docker-content-digest";

/// Every path of every registry; which one is meant is told by `Host`.
pub fn routes(images: Arc<Builder>, sites: Sites) -> Router {
    Router::new().fallback(answer).with_state((images, sites))
}

/// What a path asks for.
#[derive(Debug, PartialEq, Eq)]
enum Asked<'a> {
    Version,
    Manifest(&'a str, &'a str),
    Blob(&'a str, &'a str),
}

impl<'a> Asked<'a> {
    /// A repository's name may itself contain `/manifests/`, so the last one counts.
    fn parse(path: &'a str) -> Option<Self> {
        let rest = path.strip_prefix("/v2")?;
        if matches!(rest, "" | "/") {
            return Some(Self::Version);
        }
        let rest = rest.strip_prefix('/')?;
        let manifest = rest
            .rsplit_once("/manifests/")
            .filter(|(_, reference)| !reference.contains('/'));
        if let Some((name, reference)) = manifest {
            return Some(Self::Manifest(name, reference));
        }
        let (name, digest) = rest.rsplit_once("/blobs/")?;
        Some(Self::Blob(name, digest))
    }
}

async fn answer(
    State((images, sites)): State<(Arc<Builder>, Sites)>,
    request: Request,
) -> Response {
    let host = host(&request).unwrap_or_default();
    if let Some(folder) = sites.folder(&host) {
        return folder.answer(request).await;
    }
    let Some(asked) = Asked::parse(request.uri().path()) else {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let from = request
            .extensions()
            .get::<ConnectInfo<SocketAddr>>()
            .map(|ConnectInfo(from)| from.ip());
        let body = axum::body::to_bytes(request.into_body(), LARGEST_QUESTION)
            .await
            .unwrap_or_default();
        let body = String::from_utf8_lossy(&body).into_owned();
        let asked = (host.clone(), path.clone());
        // A site may run a program.
        let answer = tokio::task::spawn_blocking(move || {
            sites.answer(&asked.0, &method, &asked.1, &body, from)
        });
        if let Ok(Some(answer)) = answer.await {
            return answer.into_response();
        }
        let message =
            format!("the lab's Internet has no {host}{path}: on port 443 it has registries only\n");
        return (StatusCode::NOT_FOUND, message).into_response();
    };
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return refusal(
            StatusCode::METHOD_NOT_ALLOWED,
            "UNSUPPORTED",
            "this registry is read only",
        );
    }
    let registry = registry_of(&host);
    let head = request.method() == Method::HEAD;
    let mut response = match asked {
        Asked::Version => Json(json!({})).into_response(),
        Asked::Manifest(name, reference) => {
            manifest(&images, registry, name, reference, head).await
        }
        Asked::Blob(name, digest) => {
            blob(images.store(), name, digest, request.headers(), head).await
        }
    };
    let (name, value) = API_VERSION;
    response
        .headers_mut()
        .insert(name, header::HeaderValue::from_static(value));
    response
}

fn host(request: &Request) -> Option<String> {
    let value = request.headers().get(header::HOST)?.to_str().ok()?;
    value.split(':').next().map(str::to_ascii_lowercase)
}

async fn manifest(
    images: &Arc<Builder>,
    registry: &str,
    name: &str,
    reference: &str,
    head: bool,
) -> Response {
    let tag_or_digest = Digest::parse(reference);
    if !is_registry(registry)
        || !is_repository(name)
        || (tag_or_digest.is_none() && !is_tag(reference))
    {
        return refusal(
            StatusCode::BAD_REQUEST,
            "NAME_INVALID",
            "no name of an image",
        );
    }
    let reference = Reference {
        registry: registry.to_owned(),
        repository: name.to_owned(),
        tag: reference.to_owned(),
        digest: tag_or_digest,
    };
    let unknown = || {
        refusal(
            StatusCode::NOT_FOUND,
            "MANIFEST_UNKNOWN",
            &format!("the lab has no stand-in for {registry}/{name}, or not under this tag"),
        )
    };
    // A task of its own: a guest that hangs up does not undo a build that the next one asks for again.
    let builder = Arc::clone(images);
    let image = tokio::spawn(async move { builder.image(&reference).await });
    let digest = match image.await {
        Ok(Ok(Some(digest))) => digest,
        Ok(Ok(None)) => return unknown(),
        Ok(Err(error)) => {
            let message = format!("the lab failed to {error}");
            return refusal(StatusCode::INTERNAL_SERVER_ERROR, "UNKNOWN", &message);
        }
        Err(error) => {
            return refusal(
                StatusCode::INTERNAL_SERVER_ERROR,
                "UNKNOWN",
                &error.to_string(),
            );
        }
    };
    let Ok(file) = File::open(images.store().blob(&digest)).await else {
        return unknown();
    };
    let mut bytes = Vec::new();
    if let Err(error) = file.take(LARGEST_MANIFEST).read_to_end(&mut bytes).await {
        return refusal(
            StatusCode::INTERNAL_SERVER_ERROR,
            "UNKNOWN",
            &error.to_string(),
        );
    }
    let kind = serde_json::from_slice::<serde_json::Value>(&bytes)
        .ok()
        .and_then(|value| value.get("mediaType")?.as_str().map(str::to_owned));
    // Without its own type it is a layer or a configuration, asked for by the wrong path.
    let Some(kind) = kind else { return unknown() };
    let builder = Response::builder()
        .header(header::CONTENT_TYPE, kind)
        .header(header::CONTENT_LENGTH, bytes.len())
        .header(CONTENT_DIGEST, digest.to_string());
    let body = if head {
        Body::empty()
    } else {
        Body::from(bytes)
    };
    builder.body(body).unwrap_or_else(|_| unknown())
}

async fn blob(
    store: &Store,
    name: &str,
    digest: &str,
    headers: &HeaderMap,
    head: bool,
) -> Response {
    let Some(digest) = Digest::parse(digest).filter(|_| is_repository(name)) else {
        return refusal(StatusCode::BAD_REQUEST, "DIGEST_INVALID", "no digest");
    };
    let opened = async {
        let file = File::open(store.blob(&digest)).await?;
        let size = file.metadata().await?.len();
        std::io::Result::Ok((file, size))
    };
    let Ok((mut file, size)) = opened.await else {
        return refusal(
            StatusCode::NOT_FOUND,
            "BLOB_UNKNOWN",
            "the lab has no such blob",
        );
    };
    let builder = Response::builder()
        .header(header::CONTENT_TYPE, "application/octet-stream")
        .header(header::ACCEPT_RANGES, "bytes")
        .header(CONTENT_DIGEST, digest.to_string());
    let range = headers
        .get(header::RANGE)
        .and_then(|value| value.to_str().ok());
    let (builder, first, length) = match wanted(range.filter(|_| !head), size) {
        Wanted::Whole => (builder, 0, size),
        Wanted::Part { first, last } => {
            let span = format!("bytes {first}-{last}/{size}");
            let builder = builder.status(StatusCode::PARTIAL_CONTENT);
            (
                builder.header(header::CONTENT_RANGE, span),
                first,
                last + 1 - first,
            )
        }
        Wanted::Beyond => {
            let span = [(header::CONTENT_RANGE, format!("bytes */{size}"))];
            return (StatusCode::RANGE_NOT_SATISFIABLE, span).into_response();
        }
    };
    if let Err(error) = file.seek(SeekFrom::Start(first)).await {
        return refusal(
            StatusCode::INTERNAL_SERVER_ERROR,
            "UNKNOWN",
            &error.to_string(),
        );
    }
    let body = if head {
        Body::empty()
    } else {
        Body::from_stream(ReaderStream::with_capacity(file.take(length), 1 << 20))
    };
    builder
        .header(header::CONTENT_LENGTH, length)
        .body(body)
        .expect("these headers are valid")
}

/// A refusal in the registry's own form.
fn refusal(status: StatusCode, code: &str, message: &str) -> Response {
    (
        status,
        Json(json!({"errors": [{"code": code, "message": message, "detail": null}]})),
    )
        .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_from_their_end() {
        let parse = Asked::parse;
        assert_eq!(parse("/v2/"), Some(Asked::Version));
        assert_eq!(
            parse("/v2/a/b/manifests/1"),
            Some(Asked::Manifest("a/b", "1"))
        );
        let odd = "/v2/x/manifests/blobs/manifests/latest";
        assert_eq!(
            parse(odd),
            Some(Asked::Manifest("x/manifests/blobs", "latest"))
        );
        assert_eq!(
            parse("/v2/x/manifests/blobs/blobs/d"),
            Some(Asked::Blob("x/manifests/blobs", "d"))
        );
        assert_eq!(parse("/v2/a/tags/list"), None);
        assert_eq!(parse("/v3/"), None);
    }
}
