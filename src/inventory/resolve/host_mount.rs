//! What external hosts mount: disks of their own, and `WebDAV` folders.

use super::{
    Noun, Scope,
    names::items,
    scope::{or, text},
};
use crate::inventory::{
    codes,
    document::{Host, HostMount as Written},
    written::At,
};
use crate::model::host::{HostMount, HostMountSource};

/// The filesystem of nearly every disk that a Debian installer formats.
const FSTYPE: &str = "ext4";

/// The mounts of one host, in the owner's order.
pub(super) fn mounts(host: &Host, scope: &mut Scope<'_>) -> Vec<HostMount> {
    let mut out: Vec<HostMount> = Vec::new();
    for at in items(&host.mounts) {
        let Some(raw) = &at.value else { continue };
        let Some(place) = scope.parse(&raw.at) else {
            continue;
        };
        if out.iter().any(|other| other.at == place.0) {
            scope
                .error(
                    codes::DUPLICATE_MOUNT,
                    format!("two mounts want `{}`", place.0),
                )
                .at(raw.at.span, "the second one");
        }
        if let Some(source) = source(at, raw, scope) {
            out.push(HostMount {
                at: place.0,
                source,
                read_only: or(&raw.read_only, false),
            });
        }
    }
    out
}

fn source(at: &At<Written>, raw: &Written, scope: &mut Scope<'_>) -> Option<HostMountSource> {
    let keys = [
        ("fstype", raw.fstype.as_ref().map(|at| at.span), "device"),
        ("user", raw.user.as_ref().map(|at| at.span), "webdav"),
        (
            "password",
            raw.password.as_ref().map(|at| at.span),
            "webdav",
        ),
        ("owner", raw.owner.as_ref().map(|at| at.span), "webdav"),
    ];
    let kind = match (&raw.device, &raw.webdav) {
        (Some(_), None) => "device",
        (None, Some(_)) => "webdav",
        (Some(_), Some(_)) | (None, None) => {
            scope
                .error(
                    codes::ONE_OF,
                    "a mount is exactly one of `device` and `webdav`",
                )
                .at(at.span, "this mount")
                .help("write `device: LABEL=NAME` for a disk, or `webdav: https://...` with `user` and `password`");
            return None;
        }
    };
    for (name, span, of) in keys {
        if let Some(span) = span
            && of != kind
        {
            scope
                .error(
                    codes::UNKNOWN_KEY,
                    format!("`{name}` means nothing with `{kind}`"),
                )
                .at(span, "not possible here");
        }
    }
    if kind == "device" {
        return device(raw, scope);
    }
    let url = raw.webdav.as_ref()?;
    let written = url.value.clone()?;
    if !written.starts_with("https://") || !is_one_word(&written) {
        scope
            .error(
                codes::INVALID_URL,
                format!("`{written}` is not the address of a WebDAV folder"),
            )
            .at(url.span, "not `https://HOST/...`");
        return None;
    }
    let (Some(user), Some(password)) = (&raw.user, &raw.password) else {
        scope
            .error(
                codes::MISSING_KEY,
                "a WebDAV folder needs `user` and `password`",
            )
            .at(at.span, "they belong here")
            .help("`password` is the name of a secret");
        return None;
    };
    if !user.value.as_deref().is_none_or(is_one_word) {
        scope
            .error(codes::INVALID_NAME, "a login is one word without quotes")
            .at(user.span, "not a login");
    }
    let password = scope.refer(Noun::Secret, password)?;
    let owner = scope
        .parse_may(&raw.owner)
        .map_or((0, 0), |owner| (owner.0, owner.1));
    Some(HostMountSource::WebDav {
        url: written,
        user: user.value.clone()?,
        password,
        owner,
    })
}

fn device(raw: &Written, scope: &mut Scope<'_>) -> Option<HostMountSource> {
    let at = raw.device.as_ref()?;
    let written = at.value.clone()?;
    let path = match written.split_once('=') {
        Some(("LABEL", label)) => format!("/dev/disk/by-label/{label}"),
        Some(("UUID", uuid)) => format!("/dev/disk/by-uuid/{uuid}"),
        Some(_) | None => written.clone(),
    };
    let is_device = path.starts_with("/dev/")
        && is_one_word(&path)
        && path[1..]
            .split('/')
            .all(|part| !matches!(part, "" | "." | ".."));
    if !is_device {
        scope
            .error(codes::INVALID_PATH, format!("`{written}` is not a disk"))
            .at(at.span, "not a disk")
            .help("write `LABEL=NAME`, `UUID=...` or a path below `/dev`");
        return None;
    }
    let fstype = text(&raw.fstype).unwrap_or_else(|| FSTYPE.to_owned());
    if let Some(at) = &raw.fstype
        && !fstype
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
    {
        scope
            .error(
                codes::INVALID_NAME,
                format!("`{fstype}` is not a filesystem"),
            )
            .at(at.span, "for example `ext4` or `btrfs`");
    }
    Some(HostMountSource::Device { path, fstype })
}

/// Units and davfs2's secrets split at spaces and know quotes.
fn is_one_word(text: &str) -> bool {
    !text.is_empty()
        && !text.contains(|c: char| c.is_whitespace() || c.is_control() || "\"'\\".contains(c))
}
