//! Images that guests are made from.

use super::{
    Noun, Scope,
    names::entries,
    scope::{or, text},
};
use crate::inventory::{
    codes,
    document::{self, Clones, Document},
    image_lock::ImageLock,
    source::Span,
    written::At,
};
use crate::model::{
    device::KEEPER,
    ids::{ImageName, Vmid},
    image::{Checksum, Download, Image, ImageSource, Template},
};
use std::collections::BTreeMap;

/// The file types that Proxmox imports disks from (`content: import`, seen with PVE 9.2.11).
const DISK_FORMATS: [&str; 3] = ["qcow2", "raw", "vmdk"];

/// All images by name.
pub(super) fn images(
    document: &Document,
    lock: &ImageLock,
    scope: &mut Scope<'_>,
) -> BTreeMap<ImageName, Image> {
    let mut out = BTreeMap::new();
    for (key, image) in entries(&document.images) {
        let name = scope.own_name::<ImageName>(key);
        let Some(raw) = &image.value else { continue };
        let template = template(key, raw, scope);
        let source = source(key, raw, lock, scope);
        if let (Some(name), Some(source)) = (name, source) {
            out.insert(
                name.clone(),
                Image {
                    name,
                    source,
                    template,
                },
            );
        }
    }
    out
}

fn source(
    key: &At<String>,
    raw: &document::Image,
    lock: &ImageLock,
    scope: &mut Scope<'_>,
) -> Option<ImageSource> {
    match (&raw.url, &raw.file, &raw.volume) {
        (Some(url), None, None) => download(key, raw, url, lock, scope),
        (None, Some(file), None) => {
            let path = file.value.clone()?;
            let last = path.rsplit('/').next().unwrap_or_default().to_owned();
            let filename = filename(raw, last, file.span, scope);
            let checksum = checksum(raw, scope);
            Some(ImageSource::Upload {
                path,
                filename,
                checksum,
            })
        }
        (None, None, Some(volume)) => volume_id(volume, scope),
        (None, None, None) if raw.template.is_some() => Some(ImageSource::Template),
        _ => {
            scope
                .error(codes::ONE_OF, "an image comes from one place")
                .at(key.span, "one of `url`, `file`, `volume` and `template`")
                .help("`url` is downloaded by the node, `file` uploaded by infra, `volume` is there already");
            None
        }
    }
}

fn download(
    key: &At<String>,
    raw: &document::Image,
    at: &At<String>,
    lock: &ImageLock,
    scope: &mut Scope<'_>,
) -> Option<ImageSource> {
    let url = at.value.clone()?;
    if !is_https(&url) {
        scope
            .error(codes::INVALID_URL, format!("`{url}` is not an https URL"))
            .at(at.span, "not an https URL")
            .help("the node downloads the image by itself, from a server that it can check");
    }
    let last = url.rsplit('/').next().unwrap_or_default().to_owned();
    let mut filename = filename(raw, last, at.span, scope);
    let written = checksum(raw, scope);
    let is_placeholder = written
        .as_ref()
        .is_some_and(|sum| sum.hex.bytes().all(|b| b == b'0'));
    let pin = lock.pin(key.value.as_deref().unwrap_or_default(), &url);
    let checksum = match (written.filter(|_| !is_placeholder), pin) {
        (Some(written), _) => Some(written),
        (None, Some(pin)) => {
            // The content of the URL moves, the file on the node does not.
            filename = pinned_name(&filename, pin);
            Some(pin.clone())
        }
        (None, None) if is_placeholder => {
            let span = raw.checksum.as_ref().map_or(at.span, |at| at.span);
            scope
                .warning(codes::PLACEHOLDER, "the checksum of this image is a placeholder")
                .at(span, "all zeros match no download")
                .help("`infra images refresh` pins the one that stands beside the image; until then `infra up` refuses to begin");
            None
        }
        (None, None) if raw.checksum.is_none() => {
            scope
                .warning(codes::UNPINNED_IMAGE, "nobody knows yet what this image should be")
                .at(at.span, "no checksum, and none in `images.lock`")
                .help("`infra images refresh` pins the one that stands beside the image; until then `infra up` refuses to begin");
            None
        }
        (None, None) => None,
    };
    Some(ImageSource::Download(Download {
        url,
        filename,
        checksum,
    }))
}

/// A name that follows from the content: `debian-13.qcow2` -> `debian-13-0a1b2c3d4e5f.qcow2`.
fn pinned_name(filename: &str, checksum: &Checksum) -> String {
    let short: String = checksum.hex.chars().take(12).collect();
    match filename.rsplit_once('.') {
        Some((stem, ending)) => format!("{stem}-{short}.{ending}"),
        None => format!("{filename}-{short}"),
    }
}

fn checksum(raw: &document::Image, scope: &mut Scope<'_>) -> Option<Checksum> {
    scope.parse_may(&raw.checksum).map(|sum| sum.0)
}

fn filename(raw: &document::Image, last: String, source: Span, scope: &mut Scope<'_>) -> String {
    let filename = text(&raw.filename).unwrap_or(last);
    let span = raw.filename.as_ref().map_or(source, |at| at.span);
    if !is_disk_file(&filename) {
        scope
            .error(
                codes::INVALID_PATH,
                format!("`{filename}` is not the file name of a disk image"),
            )
            .at(span, "must end in .qcow2, .raw or .vmdk")
            .help("give `filename:` a name of letters, digits, `-`, `_` and `.` with one of these endings");
    }
    filename
}

/// Proxmox imports from volumes of the types `import` and `images`; a path is root's alone.
fn volume_id(at: &At<String>, scope: &mut Scope<'_>) -> Option<ImageSource> {
    let volume = at.value.clone()?;
    let is_volume = volume.split_once(':').is_some_and(|(storage, name)| {
        !storage.is_empty()
            && !storage.contains('/')
            && match name.strip_prefix("import/") {
                Some(file) => is_disk_file(file),
                None => is_disk(name),
            }
    });
    if !is_volume {
        let problem = scope
            .error(
                codes::INVALID_PATH,
                format!("`{volume}` is not a volume that Proxmox imports from"),
            )
            .at(at.span, "not a disk image on a storage");
        problem.help(if volume.starts_with('/') {
            "only root may import from a path: upload the file, or put it into a storage with content type `import`"
        } else {
            "write `STORAGE:import/NAME.qcow2` (or .raw, .vmdk), or the volume of a disk"
        });
    }
    Some(ImageSource::Volume(volume))
}

/// The volume of a guest's disk: `vm-110-disk-0`, `110/vm-110-disk-0.qcow2`, `base-9000-disk-0`.
fn is_disk(name: &str) -> bool {
    let last = name.rsplit('/').next().unwrap_or(name);
    ["vm-", "base-"]
        .iter()
        .filter_map(|stem| last.strip_prefix(stem))
        .any(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

fn template(key: &At<String>, raw: &document::Image, scope: &mut Scope<'_>) -> Option<Template> {
    let template = raw.template.as_ref()?.value.as_ref()?;
    let vmid = match Vmid::new(template.vmid.value?) {
        Ok(vmid) if vmid.number() == KEEPER => {
            scope
                .error(
                    codes::INVALID_VMID,
                    format!("{vmid} is the id under which infra keeps disks that outlive guests"),
                )
                .at(template.vmid.span, "taken");
            return None;
        }
        Ok(vmid) => vmid,
        Err(error) => {
            scope
                .error(codes::INVALID_VMID, error.to_string())
                .at(template.vmid.span, "out of range");
            return None;
        }
    };
    scope.unique(
        codes::DUPLICATE_VMID,
        &format!("VMID {vmid}"),
        key.value.as_deref().unwrap_or_default(),
        template.vmid.span,
        "a VMID is unique in a cluster",
    );
    let makes = raw.url.is_some() || raw.file.is_some() || raw.volume.is_some();
    if makes && template.storage.is_none() {
        scope
            .error(codes::MISSING_KEY, "`storage` is missing")
            .at(template.vmid.span, "infra makes this template")
            .help("name the storage that its disk goes to");
    }
    Some(Template {
        vmid,
        node: template
            .node
            .as_ref()
            .and_then(|at| scope.refer(Noun::Node, at)),
        storage: scope.parse_may(&template.storage),
        full: matches!(or(&template.clone, Clones::Linked), Clones::Full),
    })
}

fn is_https(url: &str) -> bool {
    url.strip_prefix("https://").is_some_and(|rest| {
        rest.split_once('/')
            .is_some_and(|(host, path)| !host.is_empty() && !path.is_empty())
            && !url.contains([' ', '"', '\'', '@', '#'])
    })
}

fn is_disk_file(name: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(stem, ending)| {
        !stem.is_empty()
            && !stem.starts_with('.')
            && DISK_FORMATS.contains(&ending)
            && stem
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
    })
}
