//! A rented folder behind `WebDAV` (RFC 4918, class 1): what davfs2 needs to mount it, on a folder of the lab.

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderMap, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures_util::StreamExt;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use std::{
    fmt::Write as _,
    fs::Metadata,
    io,
    path::{Component, Path, PathBuf},
    time::UNIX_EPOCH,
};
use tokio::{fs, io::AsyncWriteExt};
use tokio_util::io::ReaderStream;

const METHODS: &str = "OPTIONS, GET, HEAD, PUT, DELETE, MKCOL, MOVE, PROPFIND";
const IN_A_PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');
/// Beside the folder that visitors see, so that half a file is never listed.
const UNFINISHED: &str = "unfinished";

/// A folder that somebody rents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RentedFolder {
    /// Who may log in. The lab knows no password of the owner's: any will do, none will not.
    pub user: String,
    /// Where it really is.
    pub root: PathBuf,
}

impl RentedFolder {
    fn files(&self) -> PathBuf {
        self.root.join("files")
    }

    /// The file that a path means; none when it climbs out.
    fn place(&self, path: &str) -> Option<PathBuf> {
        let path = percent_decode_str(path).decode_utf8().ok()?.into_owned();
        let inside = Path::new(path.trim_matches('/'));
        let is_inside = inside
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        is_inside.then(|| self.files().join(inside))
    }

    fn lets_in(&self, headers: &HeaderMap) -> bool {
        let login = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Basic "))
            .and_then(|value| STANDARD.decode(value).ok())
            .and_then(|bytes| String::from_utf8(bytes).ok());
        login
            .as_deref()
            .and_then(|login| login.split_once(':'))
            .is_some_and(|(user, password)| user == self.user && !password.is_empty())
    }

    /// What it says to a request.
    pub(in crate::lab::images) async fn answer(&self, request: Request) -> Response {
        if !self.lets_in(request.headers()) {
            let ask = [(header::WWW_AUTHENTICATE, "Basic realm=\"lab\"")];
            return (StatusCode::UNAUTHORIZED, ask).into_response();
        }
        let Some(place) = self.place(request.uri().path()) else {
            return StatusCode::FORBIDDEN.into_response();
        };
        let made = fs::create_dir_all(self.files()).await;
        let answered = match made {
            Err(error) => Err(error),
            Ok(()) => self.carry_out(place, request).await,
        };
        answered.unwrap_or_else(|error| status_of(&error).into_response())
    }

    async fn carry_out(&self, place: PathBuf, request: Request) -> io::Result<Response> {
        match request.method().as_str() {
            "OPTIONS" => Ok([("dav", "1"), ("allow", METHODS)].into_response()),
            "GET" | "HEAD" => get(&place, request.method()).await,
            "PROPFIND" => {
                let deep = request.headers().get("depth").is_none_or(|d| d != "0");
                list(&place, request.uri().path(), deep).await
            }
            "PUT" => self.put(&place, request.into_body()).await,
            "MKCOL" => {
                fs::create_dir(&place).await?;
                Ok(StatusCode::CREATED.into_response())
            }
            "DELETE" => {
                if fs::metadata(&place).await?.is_dir() {
                    fs::remove_dir_all(&place).await?;
                } else {
                    fs::remove_file(&place).await?;
                }
                Ok(StatusCode::NO_CONTENT.into_response())
            }
            "MOVE" => self.rename(&place, request.headers()).await,
            _ => Ok((StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, METHODS)]).into_response()),
        }
    }

    async fn put(&self, place: &Path, body: Body) -> io::Result<Response> {
        let folder = self.root.join(UNFINISHED);
        fs::create_dir_all(&folder).await?;
        let (file, unfinished) = tempfile::NamedTempFile::new_in(&folder)?.into_parts();
        let mut file = fs::File::from_std(file);
        let mut chunks = body.into_data_stream();
        while let Some(chunk) = chunks.next().await {
            file.write_all(&chunk.map_err(io::Error::other)?).await?;
        }
        file.flush().await?;
        let is_new = fs::metadata(place).await.is_err();
        unfinished.persist(place).map_err(|error| error.error)?;
        let tag = [(header::ETAG, tag(&fs::metadata(place).await?))];
        let status = if is_new {
            StatusCode::CREATED
        } else {
            StatusCode::NO_CONTENT
        };
        Ok((status, tag).into_response())
    }

    async fn rename(&self, from: &Path, headers: &HeaderMap) -> io::Result<Response> {
        let target = headers
            .get("destination")
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.parse::<axum::http::Uri>().ok())
            .and_then(|uri| self.place(uri.path()));
        let Some(target) = target else {
            return Ok(StatusCode::BAD_REQUEST.into_response());
        };
        let is_new = fs::metadata(&target).await.is_err();
        let may_replace = headers.get("overwrite").is_none_or(|value| value != "F");
        if !is_new && !may_replace {
            return Ok(StatusCode::PRECONDITION_FAILED.into_response());
        }
        fs::rename(from, &target).await?;
        Ok(if is_new {
            StatusCode::CREATED
        } else {
            StatusCode::NO_CONTENT
        }
        .into_response())
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the list of an operating system's errors is open"
)]
fn status_of(error: &io::Error) -> StatusCode {
    match error.kind() {
        io::ErrorKind::NotFound => StatusCode::NOT_FOUND,
        io::ErrorKind::AlreadyExists => StatusCode::METHOD_NOT_ALLOWED,
        io::ErrorKind::NotADirectory | io::ErrorKind::DirectoryNotEmpty => StatusCode::CONFLICT,
        io::ErrorKind::StorageFull => StatusCode::INSUFFICIENT_STORAGE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

async fn get(place: &Path, method: &Method) -> io::Result<Response> {
    let facts = fs::metadata(place).await?;
    if facts.is_dir() {
        return Ok(StatusCode::OK.into_response());
    }
    let headers = [
        (header::CONTENT_LENGTH, facts.len().to_string()),
        (header::ETAG, tag(&facts)),
        (header::LAST_MODIFIED, date(&facts)),
    ];
    let body = if *method == Method::HEAD {
        Body::empty()
    } else {
        Body::from_stream(ReaderStream::new(fs::File::open(place).await?))
    };
    Ok((headers, body).into_response())
}

async fn list(place: &Path, path: &str, deep: bool) -> io::Result<Response> {
    let facts = fs::metadata(place).await?;
    let own = percent_decode_str(path.trim_end_matches('/')).decode_utf8_lossy();
    let mut text =
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<D:multistatus xmlns:D=\"DAV:\">\n".to_owned();
    describe(&mut text, &own, &facts);
    if deep && facts.is_dir() {
        let mut entries = fs::read_dir(place).await?;
        while let Some(entry) = entries.next_entry().await? {
            let name = entry.file_name();
            let inner = format!("{own}/{}", name.to_string_lossy());
            describe(&mut text, &inner, &entry.metadata().await?);
        }
    }
    text.push_str("</D:multistatus>\n");
    let kind = [(header::CONTENT_TYPE, "application/xml; charset=utf-8")];
    Ok((StatusCode::MULTI_STATUS, kind, text).into_response())
}

/// One entry of a list. A folder's address ends with a slash.
fn describe(out: &mut String, path: &str, facts: &Metadata) {
    let (end, kind) = if facts.is_dir() {
        ("/", "<D:collection/>")
    } else {
        ("", "")
    };
    let href = utf8_percent_encode(path, IN_A_PATH);
    let size = if facts.is_dir() {
        String::new()
    } else {
        format!("<D:getcontentlength>{}</D:getcontentlength>", facts.len())
    };
    // Writing into a String does not fail.
    let _ = writeln!(
        out,
        "<D:response><D:href>{href}{end}</D:href><D:propstat><D:prop><D:resourcetype>{kind}</D:resourcetype>{size}\
         <D:getetag>{}</D:getetag><D:getlastmodified>{}</D:getlastmodified></D:prop>\
         <D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>",
        tag(facts).replace('"', "&quot;"),
        date(facts)
    );
}

fn since_epoch(facts: &Metadata) -> std::time::Duration {
    facts
        .modified()
        .ok()
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
        .unwrap_or_default()
}

fn tag(facts: &Metadata) -> String {
    format!("\"{:x}-{:x}\"", since_epoch(facts).as_nanos(), facts.len())
}

/// RFC 9110, section 5.6.7.
fn date(facts: &Metadata) -> String {
    let seconds = i64::try_from(since_epoch(facts).as_secs()).unwrap_or_default();
    jiff::Timestamp::from_second(seconds)
        .unwrap_or_default()
        .strftime("%a, %d %b %Y %H:%M:%S GMT")
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn asked(
        folder: &RentedFolder,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &'static str,
    ) -> (StatusCode, String) {
        let mut request = Request::builder().method(method).uri(path).header(
            "authorization",
            format!("Basic {}", STANDARD.encode("me:x")),
        );
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body)).expect("a request");
        let answer = folder.answer(request).await;
        let status = answer.status();
        let bytes = axum::body::to_bytes(answer.into_body(), 1 << 20)
            .await
            .expect("a body");
        (status, String::from_utf8_lossy(&bytes).into_owned())
    }

    #[tokio::test]
    async fn a_folder_keeps_what_is_put_there_and_lists_it() {
        let root = tempfile::tempdir().expect("a folder");
        let folder = RentedFolder {
            user: "me".to_owned(),
            root: root.path().to_owned(),
        };
        let status = |answer: (StatusCode, String)| answer.0.as_u16();
        assert_eq!(
            status(asked(&folder, "MKCOL", "/films/", &[], "").await),
            201
        );
        assert_eq!(
            status(asked(&folder, "MKCOL", "/films/", &[], "").await),
            405
        );
        let put = asked(&folder, "PUT", "/films/one%20%26.mkv", &[], "film").await;
        assert_eq!(status(put), 201);
        let (code, text) = asked(&folder, "PROPFIND", "/films/", &[("depth", "1")], "").await;
        assert_eq!(code, StatusCode::MULTI_STATUS);
        assert!(text.contains("<D:href>/films/</D:href>"), "{text}");
        assert!(
            text.contains("<D:href>/films/one%20%26.mkv</D:href>"),
            "{text}"
        );
        assert!(text.contains("<D:getcontentlength>4<"), "{text}");
        let to = [("destination", "https://box.example.org/two.mkv")];
        assert_eq!(
            status(asked(&folder, "MOVE", "/films/one%20%26.mkv", &to, "").await),
            201
        );
        assert_eq!(asked(&folder, "GET", "/two.mkv", &[], "").await.1, "film");
        assert_eq!(
            status(asked(&folder, "DELETE", "/films/", &[], "").await),
            204
        );
        assert_eq!(status(asked(&folder, "GET", "/films/", &[], "").await), 404);
        assert_eq!(
            status(asked(&folder, "GET", "/%2e%2e/x", &[], "").await),
            403
        );
    }

    #[tokio::test]
    async fn nobody_gets_in_without_a_login() {
        let root = tempfile::tempdir().expect("a folder");
        let folder = RentedFolder {
            user: "somebody".to_owned(),
            root: root.path().to_owned(),
        };
        let (code, _) = asked(&folder, "PROPFIND", "/", &[], "").await;
        assert_eq!(code, StatusCode::UNAUTHORIZED);
    }
}
