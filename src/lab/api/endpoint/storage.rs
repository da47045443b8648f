//! Storages, their files and disks.

use crate::lab::api::{
    call::{Answer, Call, Outcome, Refusal},
    job::{Job, Work},
    model::{
        cluster::Model,
        storage::{Storage, Volume},
    },
};
use serde_json::{Map, Value, json};

fn seen<'m>(model: &'m Model, call: &'m Call) -> impl Iterator<Item = (&'m String, &'m Storage)> {
    let privileges = &["Datastore.Audit", "Datastore.AllocateSpace"];
    let all = model.storages.all.iter();
    all.filter(move |(id, _)| call.may(model, &format!("/storage/{id}"), privileges))
}

pub(super) fn content_of(storage: &Storage) -> String {
    let kinds: Vec<&str> = storage.content.iter().map(String::as_str).collect();
    kinds.join(",")
}

#[expect(clippy::cast_precision_loss, reason = "a fraction for people")]
fn status_of(model: &Model, id: &str, storage: &Storage) -> Map<String, Value> {
    let used = model.storages.used(id, &model.shelf);
    let total = storage.capacity;
    let mut fields = Map::new();
    let mut put = |name: &str, value: Value| fields.insert(name.to_owned(), value);
    put("type", json!(storage.kind));
    put("content", json!(content_of(storage)));
    put("active", json!(1));
    put("enabled", json!(1));
    put("shared", json!(i32::from(storage.shared)));
    put("total", json!(total));
    put("used", json!(used));
    put("avail", json!(total.saturating_sub(used)));
    put("used_fraction", json!(used as f64 / total.max(1) as f64));
    fields
}

pub(crate) fn on_node(model: &Model, call: &Call) -> Answer {
    let wanted = call.split("content");
    let mut all = Vec::new();
    for (id, storage) in seen(model, call) {
        let fits = wanted.is_empty() || wanted.iter().any(|kind| storage.content.contains(kind));
        if !fits || call.get("storage").is_some_and(|only| only != id) {
            continue;
        }
        let mut fields = status_of(model, id, storage);
        fields.insert("storage".to_owned(), json!(id));
        all.push(Value::Object(fields));
    }
    Outcome::data(all)
}

pub(crate) fn status(model: &Model, call: &Call) -> Answer {
    let id = call.text("storage");
    let storage = model.storages.find(id)?;
    let mut fields = status_of(model, id, storage);
    fields.remove("used_fraction");
    Outcome::data(Value::Object(fields))
}

pub(crate) fn configured(model: &Model, call: &Call) -> Answer {
    let all: Vec<Value> = seen(model, call)
        .map(|(id, storage)| definition(model, id, storage))
        .collect();
    Outcome::data(all)
}

pub(crate) fn one(model: &Model, call: &Call) -> Answer {
    let id = call.text("storage");
    let storage = model.storages.find(id)?;
    Outcome::data(definition(model, id, storage))
}

fn definition(model: &Model, id: &str, storage: &Storage) -> Value {
    let mut fields = json!({
        "storage": id,
        "type": storage.kind,
        "content": content_of(storage),
        "digest": digest(model),
    });
    if let Some(path) = &storage.path {
        fields["path"] = json!(path);
    }
    if let Some(pool) = &storage.pool {
        fields["pool"] = json!(pool);
    }
    if id == "local" {
        fields["prune-backups"] = json!("keep-all=1");
    }
    fields
}

fn digest(model: &Model) -> String {
    let text = serde_json::to_string(&model.storages.all).unwrap_or_default();
    crate::lab::api::model::digest::digest(&text)
}

pub(crate) fn add(model: &mut Model, call: &Call) -> Answer {
    let (id, kind) = (call.text("storage"), call.text("type"));
    if model.storages.all.contains_key(id) {
        return Err(Refusal::Failed(format!(
            "create storage failed: storage ID '{id}' already defined"
        )));
    }
    if kind != "dir" && kind != "zfspool" {
        return Err(Refusal::NotImplemented(format!(
            "storage type '{kind}' is not modelled by the lab"
        )));
    }
    let needed = if kind == "dir" { "path" } else { "pool" };
    if call.get(needed).is_none() {
        return Err(Refusal::parameter(
            needed,
            "property is missing and it is not optional",
        ));
    }
    let storage = Storage {
        kind: kind.to_owned(),
        content: call.split("content").into_iter().collect(),
        path: call.get("path").map(str::to_owned),
        pool: call.get("pool").map(str::to_owned),
        shared: call.is_on("shared"),
        capacity: 100 << 30,
        is_full: false,
    };
    model.storages.all.insert(id.to_owned(), storage);
    Outcome::data(json!({"storage": id, "type": kind}))
}

pub(crate) fn update(model: &mut Model, call: &Call) -> Answer {
    let id = call.text("storage");
    let content = call.split("content");
    let storage = model.storages.all.get_mut(id);
    let storage =
        storage.ok_or_else(|| format!("update storage failed: storage '{id}' does not exist"))?;
    if !content.is_empty() {
        storage.content = content.into_iter().collect();
    }
    Outcome::data(json!({"storage": id, "type": storage.kind}))
}

pub(crate) fn remove(model: &mut Model, call: &Call) -> Answer {
    let id = call.text("storage");
    let gone = model.storages.all.remove(id);
    gone.ok_or_else(|| format!("delete storage failed: storage '{id}' does not exist"))?;
    Outcome::nothing()
}

pub(crate) fn content(model: &Model, call: &Call) -> Answer {
    let id = call.text("storage");
    model.storages.find(id)?;
    let prefix = format!("{id}:");
    let wanted = call.get("content");
    let vmid: Option<u32> = call.number("vmid");
    let mut all = Vec::new();
    let shelf = model.key(call.node(), &prefix);
    for (volid, file) in model
        .shelf
        .iter()
        .filter(|(key, _)| key.starts_with(&shelf))
        .map(|(key, file)| (key.split_once('!').map_or(key.as_str(), |(_, id)| id), file))
    {
        if vmid.is_none() && wanted.is_none_or(|wanted| wanted == file.content) {
            all.push(json!({
                "volid": volid, "content": file.content, "format": file.format, "size": file.size, "ctime": file.ctime,
            }));
        }
    }
    for (volid, volume) in model
        .storages
        .volumes
        .iter()
        .filter(|(volid, _)| volid.starts_with(&prefix))
    {
        if wanted.is_none_or(|wanted| wanted == "images")
            && vmid.is_none_or(|vmid| vmid == volume.vmid)
        {
            all.push(disk(volid, volume));
        }
    }
    Outcome::data(all)
}

/// Makes a disk with a name of the caller's choice, which must carry its owner's id.
pub(crate) fn allocate(model: &mut Model, call: &Call) -> Answer {
    let (id, name) = (call.text("storage"), call.text("filename"));
    let vmid: u32 = call.number("vmid").unwrap_or(0);
    let storage = model.storages.find(id)?;
    let refused = |why: String| Err(Refusal::Failed(why));
    if !storage.content.contains("images") {
        return refused(format!(
            "storage '{id}' does not support content-type 'images'"
        ));
    }
    let is_file = storage.is_file_based();
    if !name.starts_with(&format!("vm-{vmid}-")) {
        return refused(format!("illegal name '{name}' - should be 'vm-{vmid}-*'"));
    }
    let size = call.text("size");
    let (digits, shift) = match size.strip_suffix(['M', 'G']) {
        Some(digits) if size.ends_with('M') => (digits, 20),
        Some(digits) => (digits, 30),
        None => (size, 10),
    };
    let size = digits.parse::<u64>().unwrap_or(0) << shift;
    let volid = if is_file {
        format!("{id}:{vmid}/{name}")
    } else {
        format!("{id}:{name}")
    };
    if model.storages.volumes.contains_key(&volid) {
        let path = model.storages.path_of(&volid);
        return refused(format!("disk image '{path}' already exists"));
    }
    if !is_file && size > model.storages.available(id, &model.shelf) {
        return refused(format!("zfs error: cannot create '{name}': out of space"));
    }
    let volume = Volume {
        vmid,
        format: call.get("format").unwrap_or("raw").to_owned(),
        size,
        used: if is_file { 256 * 1024 } else { size },
        ctime: call.now,
        parent: None,
        made_from: None,
    };
    model.storages.volumes.insert(volid.clone(), volume);
    Outcome::data(volid)
}

fn disk(volid: &str, volume: &Volume) -> Value {
    json!({
        "volid": volid, "content": "images", "format": volume.format, "size": volume.size, "used": volume.used,
        "ctime": volume.ctime, "vmid": volume.vmid, "parent": volume.parent,
    })
}

/// A volume's full id; the path may leave the storage out.
fn volid(call: &Call) -> String {
    let (storage, volume) = (call.text("storage"), call.text("volume"));
    if volume.contains(':') {
        volume.to_owned()
    } else {
        format!("{storage}:{volume}")
    }
}

pub(crate) fn attributes(model: &Model, call: &Call) -> Answer {
    let volid = volid(call);
    if let Some(file) = model.shelved(call.node(), &volid) {
        let path = model.storages.path_of(&volid);
        return Outcome::data(
            json!({"format": file.format, "path": path, "size": file.virtual_size, "used": file.size}),
        );
    }
    let volume = model.storages.volumes.get(&volid);
    let volume = volume.ok_or_else(|| format!("volume_size_info on '{volid}' failed"))?;
    let path = model.storages.path_of(&volid);
    Outcome::data(
        json!({"format": volume.format, "path": path, "size": volume.size, "used": volume.used}),
    )
}

pub(crate) fn delete(model: &Model, call: &Call) -> Answer {
    let (storage, volid) = (call.text("storage"), volid(call));
    model.storages.find(storage)?;
    let owner = model.storages.volumes.get(&volid).map(|volume| volume.vmid);
    if let Some(vmid) = owner {
        call.needs(model, &format!("/vms/{vmid}"), &["VM.Config.Disk"])?;
    }
    // Who may store files may not delete them.
    call.needs(
        model,
        &format!("/storage/{storage}"),
        &["Datastore.Allocate"],
    )?;
    let job = Job {
        kind: "imgdel",
        id: format!(
            "{}@{storage}",
            owner.map_or_else(String::new, |vmid| vmid.to_string())
        ),
        node: call.node().to_owned(),
        work: Work::DeleteVolume { volid },
    };
    Outcome::job(job)
}

pub(crate) fn download(model: &Model, call: &Call) -> Answer {
    let (storage, content) = (call.text("storage"), call.text("content"));
    let known = model.storages.find(storage)?;
    if !known.content.contains(content) {
        return Err(Refusal::Failed(format!(
            "storage '{storage}' is not configured for content-type '{content}'"
        )));
    }
    let filename = file_name(content, call.text("filename"))?;
    let checksum = call.get("checksum").zip(call.get("checksum-algorithm"));
    let job = Job {
        kind: "download",
        id: filename.clone(),
        node: call.node().to_owned(),
        work: Work::Download {
            storage: storage.to_owned(),
            volid: format!("{storage}:{content}/{filename}"),
            url: call.text("url").to_owned(),
            checksum: checksum.map(|(sum, algorithm)| (algorithm.to_owned(), sum.to_owned())),
        },
    };
    Outcome::job(job)
}

/// The name under which a file is kept.
///
/// # Errors
/// The extension does not fit the content.
pub(crate) fn file_name(content: &str, name: &str) -> Result<String, Refusal> {
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let fits = |extensions: &[&str]| {
        name.rsplit_once('.')
            .is_some_and(|(stem, end)| !stem.is_empty() && extensions.contains(&end))
    };
    let valid = match content {
        "iso" => fits(&["iso", "img"]),
        "vztmpl" => name.contains(".tar."),
        "import" => fits(&["qcow2", "raw", "vmdk", "ova", "ovf"]),
        _ => false,
    };
    let clean: String = name
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || "-_.+".contains(c) {
                c
            } else {
                '_'
            }
        })
        .collect();
    if valid {
        Ok(clean)
    } else {
        Err(Refusal::parameter(
            "filename",
            "invalid filename or wrong extension",
        ))
    }
}
