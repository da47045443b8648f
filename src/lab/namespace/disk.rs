//! The filesystem under the ZFS twin: btrfs on a sparse loop image in the lab's folder.

use super::{error::NamespaceError, exec, files};
use crate::lab::folder::LabFolder;
use std::fs;

/// Sparse: it takes what is written into it.
const SIZE: u64 = 8 << 30;

/// Creates the image where there is none, and mounts it.
///
/// # Errors
/// When the machine has no btrfs or no free loop device.
pub(super) fn mount(folder: &LabFolder) -> Result<(), NamespaceError> {
    let (image, point) = (folder.zfs_image(), folder.zfs());
    files::create(&point)?;
    if !image.exists() {
        let draft = image.with_added_extension("draft");
        let made = fs::File::create(&draft).and_then(|file| file.set_len(SIZE));
        made.map_err(files::failed("create", &draft))?;
        exec::run(&[
            "mkfs.btrfs",
            "--quiet",
            "--force",
            &draft.display().to_string(),
        ])?;
        files::rename(&draft, &image)?;
    }
    // Containers get copies of the machine's mounts, other labs' too. Only below a shared mount does an unmount reach
    // those copies, and a machine without systemd has none: the lab's folder becomes one.
    let root = folder.root().display().to_string();
    exec::run(&["mount", "--bind", "--make-private", &root, &root])?;
    exec::run(&["mount", "--make-shared", &root])?;
    // `loop` frees the device by itself when the last mount is gone.
    exec::run(&[
        "mount",
        "-t",
        "btrfs",
        "-o",
        "loop,noatime,user_subvol_rm_allowed",
        &image.display().to_string(),
        &point.display().to_string(),
    ])
    .map(drop)
}
