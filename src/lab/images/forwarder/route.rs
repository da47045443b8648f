//! The forwarder's answers.

use super::{
    Mirrors,
    download::{Progress, follow},
    slot::{Lifetime, Slot},
};
use crate::lab::images::range::{Wanted, wanted};
use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use std::{io::SeekFrom, sync::Arc};
use tokio::{fs::File, io::AsyncReadExt, io::AsyncSeekExt};
use tokio_util::io::ReaderStream;

/// Where an answer came from: `cache`, `mirror`, or `stale` (the last copy of an index, the mirror being unreachable).
const SOURCE: HeaderName = HeaderName::from_static("x-infra-lab");
/// What a mirror needs to know of a request for an index.
const ASKED: [HeaderName; 5] = [
    header::IF_MODIFIED_SINCE,
    header::IF_NONE_MATCH,
    header::RANGE,
    header::IF_RANGE,
    header::CACHE_CONTROL,
];
/// What a guest needs to know of a mirror's answer.
const ANSWERED: [HeaderName; 7] = [
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::CONTENT_RANGE,
    header::ACCEPT_RANGES,
    header::LAST_MODIFIED,
    header::ETAG,
    header::CACHE_CONTROL,
];

/// Every path of every mirror.
pub fn routes(mirrors: Arc<Mirrors>) -> Router {
    Router::new().fallback(forward).with_state(mirrors)
}

async fn forward(State(mirrors): State<Arc<Mirrors>>, request: Request) -> Response {
    let Some(host) = host(&request) else {
        return text(StatusCode::BAD_REQUEST, "a request needs a Host header");
    };
    if !mirrors.known().contains(&host) {
        let known = mirrors.known().join(", ");
        return text(
            StatusCode::NOT_FOUND,
            &format!("the lab's Internet has no {host} on port 80; it forwards to: {known}"),
        );
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return text(StatusCode::METHOD_NOT_ALLOWED, "a mirror is read only");
    }
    let path = match request.uri().query() {
        None => request.uri().path(),
        Some(_) => return text(StatusCode::NOT_FOUND, "a mirror takes no query"),
    };
    let Some(slot) = mirrors.slot(&host, path) else {
        return text(StatusCode::NOT_FOUND, "no file of a mirror");
    };
    let range = request
        .headers()
        .get(header::RANGE)
        .and_then(|value| value.to_str().ok());
    match (slot.lifetime, request.method()) {
        (Lifetime::Immutable, &Method::GET) => immutable(&mirrors, &slot, range).await,
        (Lifetime::Immutable | Lifetime::Index, _) => {
            index(&mirrors, &slot, request.method(), request.headers()).await
        }
    }
}

fn host(request: &Request) -> Option<String> {
    let named = request.uri().host().or_else(|| {
        let value = request.headers().get(header::HOST)?.to_str().ok()?;
        value.split(':').next()
    })?;
    Some(named.to_ascii_lowercase())
}

async fn immutable(mirrors: &Arc<Mirrors>, slot: &Slot, range: Option<&str>) -> Response {
    if let Ok(file) = File::open(&slot.file).await {
        return match cached(file, range).await {
            Ok(response) => response,
            Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        };
    }
    let mut download = match mirrors.download(slot) {
        Ok(download) => download,
        Err(error) => {
            return text(
                StatusCode::INTERNAL_SERVER_ERROR,
                &format!("the cache does not take it: {error}"),
            );
        }
    };
    let progress = download
        .progress
        .wait_for(|progress| *progress != Progress::Asking)
        .await
        .map(|progress| progress.clone());
    let size = match progress {
        Ok(Progress::Growing { total, .. }) => total,
        Ok(Progress::Whole { size }) => Some(size),
        Ok(Progress::Refused(status)) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
            return text(status, &format!("{} answered {status}", slot.host));
        }
        Ok(Progress::Failed(why)) => return unreachable(slot, &why),
        Ok(Progress::Asking) | Err(_) => return unreachable(slot, "it was given up"),
    };
    let asked = size.map_or(Wanted::Whole, |size| wanted(range, size));
    let (first, last) = match asked {
        Wanted::Whole => (0, None),
        Wanted::Part { first, last } => (first, Some(last)),
        Wanted::Beyond => return beyond(size.unwrap_or(0)),
    };
    match follow(download, slot, first, last).await {
        Ok(stream) => sized(asked, size, "mirror", Body::from_stream(stream)),
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

async fn cached(mut file: File, range: Option<&str>) -> std::io::Result<Response> {
    let size = file.metadata().await?.len();
    let asked = wanted(range, size);
    let (first, length) = match asked {
        Wanted::Whole => (0, size),
        Wanted::Part { first, last } => (first, last + 1 - first),
        Wanted::Beyond => return Ok(beyond(size)),
    };
    file.seek(SeekFrom::Start(first)).await?;
    let body = Body::from_stream(ReaderStream::with_capacity(file.take(length), 256 * 1024));
    Ok(sized(asked, Some(size), "cache", body))
}

fn sized(asked: Wanted, size: Option<u64>, source: &'static str, body: Body) -> Response {
    let mut builder = Response::builder()
        .header(SOURCE, source)
        .header(header::ACCEPT_RANGES, "bytes");
    match (asked, size) {
        (Wanted::Part { first, last }, Some(size)) => {
            builder = builder
                .status(StatusCode::PARTIAL_CONTENT)
                .header(header::CONTENT_LENGTH, last + 1 - first)
                .header(
                    header::CONTENT_RANGE,
                    format!("bytes {first}-{last}/{size}"),
                );
        }
        (Wanted::Whole, Some(size)) => builder = builder.header(header::CONTENT_LENGTH, size),
        (Wanted::Whole | Wanted::Part { .. } | Wanted::Beyond, _) => {}
    }
    builder.body(body).expect("these headers are valid")
}

/// Asks the mirror anew, and falls back on the last copy.
async fn index(mirrors: &Mirrors, slot: &Slot, method: &Method, headers: &HeaderMap) -> Response {
    let mut along = HeaderMap::new();
    for name in ASKED {
        if let Some(value) = headers.get(&name) {
            along.insert(name, value.clone());
        }
    }
    let answer = match mirrors.ask(method.clone(), slot, &along).await {
        Ok(answer) => answer,
        Err(why) => return last_copy(slot, &why).await,
    };
    let mut builder = Response::builder()
        .status(answer.status().as_u16())
        .header(SOURCE, "mirror");
    for name in ANSWERED {
        if let Some(value) = answer.headers().get(&name) {
            builder = builder.header(name, value);
        }
    }
    let keeps = *method == Method::GET && answer.status().as_u16() == 200;
    let body = if keeps {
        let bytes = match answer.bytes().await {
            Ok(bytes) => bytes,
            Err(error) => return last_copy(slot, &super::download::told(&error)).await,
        };
        if slot.lifetime == Lifetime::Index
            && let Err(error) = mirrors.keep(slot, &bytes).await
        {
            return text(
                StatusCode::INTERNAL_SERVER_ERROR,
                &format!("the cache does not take it: {error}"),
            );
        }
        Body::from(bytes)
    } else {
        Body::from_stream(answer.bytes_stream())
    };
    builder.body(body).expect("these headers are valid")
}

async fn last_copy(slot: &Slot, why: &str) -> Response {
    let Ok(file) = File::open(&slot.file).await else {
        return unreachable(slot, why);
    };
    match cached(file, None).await {
        Ok(mut response) => {
            let stale = header::HeaderValue::from_static("stale");
            response.headers_mut().insert(SOURCE, stale);
            response
        }
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

fn beyond(size: u64) -> Response {
    (
        StatusCode::RANGE_NOT_SATISFIABLE,
        [(header::CONTENT_RANGE, format!("bytes */{size}"))],
    )
        .into_response()
}

fn unreachable(slot: &Slot, why: &str) -> Response {
    text(
        StatusCode::BAD_GATEWAY,
        &format!(
            "the lab cannot bring http://{}{}: it is not in the cache, and its mirror does not give it to this machine ({why})",
            slot.host, slot.path
        ),
    )
}

fn text(status: StatusCode, message: &str) -> Response {
    (status, format!("{message}\n")).into_response()
}
