//! A file sent as a multipart form: the parameters first, then the file.

use super::{
    call::{Call, Refusal},
    endpoint::storage::file_name,
    job::{Job, Work},
    table::{check, endpoint::Method, find},
    uuid::uuid,
    world::World,
};
use axum::{
    body::Body,
    extract::{DefaultBodyLimit, FromRequest as _, Multipart, multipart::Field},
};
use hyper::Request;
use serde_json::json;
use std::{collections::BTreeMap, path::PathBuf};
use tokio::io::AsyncWriteExt as _;

/// Takes a file in and decides where it goes.
///
/// # Errors
/// A complaint about a parameter, or the storage does not take such files.
pub(crate) async fn receive(
    world: &World,
    call: &Call,
    mut request: Request<Body>,
) -> Result<Job, Refusal> {
    DefaultBodyLimit::disable().apply(&mut request);
    let path = request
        .uri()
        .path()
        .trim_start_matches("/api2/json")
        .to_owned();
    let mut form = Multipart::from_request(request, &())
        .await
        .map_err(|why| Refusal::Failed(why.body_text()))?;
    let mut sent = BTreeMap::new();
    let mut taken: Option<(String, PathBuf)> = None;
    while let Some(field) = form
        .next_field()
        .await
        .map_err(|why| Refusal::Failed(why.body_text()))?
    {
        let name = field.name().unwrap_or_default().to_owned();
        if name == "filename" {
            let given = field.file_name().unwrap_or_default().to_owned();
            sent.insert("filename".to_owned(), json!(given));
            taken = Some((given, keep(world, call, field).await?));
            // Whatever follows the file is not looked at.
            break;
        }
        let value = field
            .text()
            .await
            .map_err(|why| Refusal::Failed(why.body_text()))?;
        sent.insert(name, json!(value));
    }
    let (given, upload) = taken.ok_or_else(|| {
        Refusal::parameter("filename", "property is missing and it is not optional")
    })?;
    match target(world, call, &path, &sent, &given, upload.clone()) {
        Ok(job) => Ok(job),
        Err(refusal) => {
            let _ = std::fs::remove_file(upload);
            Err(refusal)
        }
    }
}

fn target(
    world: &World,
    call: &Call,
    path: &str,
    sent: &BTreeMap<String, serde_json::Value>,
    given: &str,
    upload: PathBuf,
) -> Result<Job, Refusal> {
    let (endpoint, _) =
        find(Method::Post, path).ok_or_else(|| Refusal::NotImplemented(path.to_owned()))?;
    let sent = check::check(endpoint.params, sent).map_err(Refusal::Parameters)?;
    let text = |name: &str| sent.get(name).and_then(|values| values.first()).cloned();
    let storage = call.text("storage");
    let content = text("content").unwrap_or_default();
    let fits = world.look(|model| {
        model
            .storages
            .find(storage)
            .map(|storage| storage.content.contains(&content))
    })?;
    if !fits {
        return Err(Refusal::Failed(format!(
            "storage '{storage}' is not configured for content-type '{content}'"
        )));
    }
    let name = file_name(&content, given)?;
    let work = Work::Import {
        volid: format!("{storage}:{content}/{name}"),
        upload,
        checksum: text("checksum-algorithm").zip(text("checksum")),
    };
    Ok(Job {
        kind: "imgcopy",
        id: String::new(),
        node: call.node().to_owned(),
        work,
    })
}

async fn keep(world: &World, call: &Call, mut field: Field<'_>) -> Result<PathBuf, Refusal> {
    let storage = call.text("storage");
    let folder = match world.folder(call.node(), storage) {
        Some(folder) => folder.join("upload"),
        None => {
            return Err(Refusal::Failed(format!(
                "storage '{storage}' does not exist"
            )));
        }
    };
    let failed = |why: std::io::Error| Refusal::Failed(format!("unable to write upload: {why}"));
    std::fs::create_dir_all(&folder).map_err(failed)?;
    let path = folder.join(format!("pveupload-{}", uuid().replace('-', "")));
    let mut file = tokio::fs::File::create(&path).await.map_err(failed)?;
    while let Some(chunk) = field
        .chunk()
        .await
        .map_err(|why| Refusal::Failed(why.body_text()))?
    {
        file.write_all(&chunk).await.map_err(failed)?;
    }
    file.flush().await.map_err(failed)?;
    Ok(path)
}
