//! Answers as the real server writes them.

use super::call::{Outcome, Refusal};
use axum::body::Body;
use hyper::{
    Response, StatusCode,
    ext::ReasonPhrase,
    header::{CONNECTION, CONTENT_TYPE, HeaderValue},
};
use serde_json::{Map, Value, json};

/// An answer with data, or the UPID of a job.
pub(crate) fn succeeded(outcome: Outcome, upid: Option<String>) -> Response<Body> {
    let mut fields: Map<String, Value> = outcome.beside;
    fields.insert("data".to_owned(), upid.map_or(outcome.data, Value::String));
    respond(
        StatusCode::OK,
        None,
        Value::Object(fields).to_string(),
        JSON,
    )
}

/// A refusal with its message in the body and in the reason phrase.
pub(crate) fn refused(refusal: &Refusal) -> Response<Body> {
    let (code, message) = match refusal {
        Refusal::Parameters(_) => (400, "Parameter verification failed.".to_owned()),
        Refusal::Unauthorized(text) => (401, text.clone()),
        Refusal::Denied(text) => (403, text.clone()),
        Refusal::Failed(text) => (500, text.clone()),
        Refusal::NotImplemented(text) => (501, text.clone()),
    };
    let end = if code == 501 { "" } else { "\n" };
    let mut body = json!({"data": null, "message": format!("{message}{end}")});
    if let Refusal::Parameters(errors) = refusal {
        body["errors"] = json!(errors);
    }
    respond(status(code), Some(&message), body.to_string(), JSON)
}

/// A fault's status: answers of the proxy itself (59x) have no body.
pub(crate) fn faulty(code: u16, text: &str) -> Response<Body> {
    if code >= 590 {
        return bare(code, text, String::new());
    }
    let body = json!({"data": null, "message": format!("{text}\n")});
    respond(status(code), Some(text), body.to_string(), JSON)
}

const JSON: Option<&str> = Some("application/json;charset=UTF-8");

/// An answer of the HTTP layer itself: plain, without a type.
pub(crate) fn bare(code: u16, reason: &str, body: String) -> Response<Body> {
    respond(status(code), Some(reason), body, None)
}

fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// Builds the response; the message travels in the reason phrase, and anything from 400 on closes the connection.
fn respond(
    status: StatusCode,
    reason: Option<&str>,
    body: String,
    kind: Option<&str>,
) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    if let Some(kind) = kind.and_then(|kind| HeaderValue::from_str(kind).ok()) {
        response.headers_mut().insert(CONTENT_TYPE, kind);
    }
    if status.as_u16() >= 400 {
        response
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("close"));
    }
    let line = reason.map(|text| text.trim().replace(['\n', '\r'], " "));
    if let Some(reason) = line.and_then(|line| ReasonPhrase::try_from(line.into_bytes()).ok()) {
        response.extensions_mut().insert(reason);
    }
    response
}
