//! Builds the image, once for all labs of a user.

use super::recipe;
use crate::lab::namespace::{error::NamespaceError, exec, files};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// A complete image in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    folder: PathBuf,
}

impl Image {
    /// The root that guests start from.
    pub fn root(&self) -> PathBuf {
        self.folder.join("root")
    }

    /// The layer over it for nodes and external hosts.
    pub fn node(&self) -> PathBuf {
        self.folder.join("node")
    }

    /// The `lowerdir` of a guest.
    pub fn guest_layers(&self) -> String {
        self.root().display().to_string()
    }

    /// The `lowerdir` of a node or external host.
    pub fn host_layers(&self) -> String {
        format!("{}:{}", self.node().display(), self.root().display())
    }
}

const DRAFT: &str = "base.draft-";

/// The image from the cache, built first where it is not there. `say` hears about what takes long.
///
/// # Errors
/// When a program or the disk fails; an unfinished image never stays under its final name.
pub fn build(cache: &Path, say: &dyn Fn(&str)) -> Result<Image, NamespaceError> {
    files::create(cache)?;
    let image = Image {
        folder: cache.join(format!("base-{}", recipe::hash())),
    };
    if image.folder.is_dir() {
        return Ok(image);
    }
    let _lock = files::lock(&cache.join("base.lock"))?;
    // Another lab may have built it while this one waited.
    if image.folder.is_dir() {
        return Ok(image);
    }
    say("building the Debian 13 image (about a minute, once)");
    // A build that was killed may have left a program that still writes into its draft: every build has its own.
    for stale in files::names(cache)?
        .iter()
        .filter(|name| name.starts_with(DRAFT))
    {
        let _ = files::remove_tree(&cache.join(stale));
    }
    let draft = cache.join(format!("{DRAFT}{}", std::process::id()));
    let built = build_draft(&draft).and_then(|()| files::rename(&draft, &image.folder));
    if built.is_err() {
        files::remove_tree(&draft)?;
    }
    built.map(|()| image)
}

fn build_draft(draft: &Path) -> Result<(), NamespaceError> {
    let (root, node, work, merged) = (
        draft.join("root"),
        draft.join("node"),
        draft.join("work"),
        draft.join("merged"),
    );
    for folder in [draft, &node, &work, &merged] {
        files::create(folder)?;
    }
    debootstrap(&root)?;
    let packages = draft.join("packages");
    files::rename(&root.join("infra-node"), &packages)?;
    exec::run(&[
        "unshare",
        "--mount",
        "--propagation",
        "private",
        "sh",
        "-c",
        recipe::INSTALL_NODE_PACKAGES,
        "infra-node-layer",
        &root.display().to_string(),
        &node.display().to_string(),
        &work.display().to_string(),
        &merged.display().to_string(),
        &packages.display().to_string(),
    ])?;
    finish(&root, recipe::FILES, recipe::LINKS, recipe::REMOVED)?;
    finish(&node, recipe::NODE_FILES, recipe::NODE_LINKS, &[])?;
    for folder in [packages, work, merged] {
        files::remove_tree(&folder)?;
    }
    Ok(())
}

/// Without a mirror argument mmdebstrap takes Debian's default, and writes it with the security archive into the new
/// root's sources.
fn debootstrap(root: &Path) -> Result<(), NamespaceError> {
    let include = format!("--include={}", recipe::PACKAGES.join(","));
    let fetch = format!(
        "--customize-hook={} {}",
        recipe::FETCH_NODE_PACKAGES,
        recipe::NODE_PACKAGES.join(" ")
    );
    let enable = format!("--customize-hook={}", recipe::ENABLE_NETWORKD);
    exec::run(&[
        "mmdebstrap",
        "--mode=root",
        "--variant=apt",
        "--components=main",
        "--aptopt=APT::Install-Recommends \"false\"",
        "--dpkgopt=path-exclude=/usr/share/doc/*",
        "--dpkgopt=path-exclude=/usr/share/man/*",
        "--dpkgopt=path-exclude=/usr/share/locale/*",
        &include,
        &fetch,
        &enable,
        recipe::SUITE,
        &root.display().to_string(),
    ])
    .map(drop)
}

fn finish(
    root: &Path,
    texts: &[recipe::File],
    links: &[(&str, &str)],
    removed: &[&str],
) -> Result<(), NamespaceError> {
    for path in removed {
        files::remove(&root.join(path))?;
    }
    for (path, mode, text) in texts {
        files::write(&root.join(path), text.as_bytes(), *mode)?;
    }
    for (path, target) in links {
        files::link(target, &root.join(path))?;
    }
    // The overlay's top layer gives its mode to `/`.
    fs::set_permissions(root, fs::Permissions::from_mode(0o755))
        .map_err(files::failed("write", root))
}
