//! Removes what a lab made on the machine, found by the lab's id and folder alone: it works without the process that
//! made it.

use super::{
    cgroup::Cgroup,
    error::NamespaceError,
    exec, files,
    names::{Names, netns_path},
    network, vpn,
};
use crate::lab::folder::LabFolder;
use std::path::{Path, PathBuf};

/// Where systemd-nspawn keeps a folder for each machine name, also after its end (seen with systemd 252).
const PROPAGATE: &str = "/run/systemd/nspawn/propagate";

/// Ends every process of the lab's containers and removes its cgroups, namespaces, mounts and loop devices. The disks
/// in its folder stay. Goes on after a failure and reports all of them.
///
/// # Errors
/// [`NamespaceError::Leftovers`].
pub fn sweep(folder: &LabFolder) -> Result<(), NamespaceError> {
    let names = Names::of(folder.root());
    let mut left = Vec::new();
    let mut attempt = |outcome: Result<(), NamespaceError>| {
        if let Err(error) = outcome {
            left.push(error.chain());
        }
    };
    attempt(vpn::sweep(&names));
    match Cgroup::of_lab(&names) {
        // Where containers cannot run, none is left.
        Err(NamespaceError::NoCgroup) => {}
        found => attempt(found.and_then(|cgroup| cgroup.clear())),
    }
    match files::names(Path::new("/run/netns")) {
        Ok(namespaces) => {
            // The wires between namespaces end with either side; deleting those of the node first keeps its names
            // free for a lab that starts at once.
            let ours = |name: &&String| name.starts_with(&names.prefix());
            attempt(network::delete_wires(&names));
            for name in namespaces.iter().filter(ours) {
                attempt(network::delete_namespace(name));
            }
        }
        Err(error) => attempt(Err(error)),
    }
    match mounts_below(folder.root()) {
        Ok(points) => {
            for point in points.iter().rev() {
                attempt(unmount(point));
            }
        }
        Err(error) => attempt(Err(error)),
    }
    attempt(detach(&folder.zfs_image()));
    match propagated() {
        Ok(machines) => {
            for name in machines.iter().filter(|n| n.starts_with(&names.prefix())) {
                attempt(files::remove_tree(&Path::new(PROPAGATE).join(name)));
            }
        }
        Err(error) => attempt(Err(error)),
    }
    if left.is_empty() {
        Ok(())
    } else {
        Err(NamespaceError::Leftovers { left })
    }
}

/// What of the lab is on the machine right now, one line each; empty when it is down and clean.
///
/// # Errors
/// When the machine cannot be asked.
pub fn remains(folder: &LabFolder) -> Result<Vec<String>, NamespaceError> {
    let names = Names::of(folder.root());
    let mut found = Vec::new();
    if let Ok(cgroup) = Cgroup::of_lab(&names) {
        let present = cgroup.folders().filter(|path| path.exists());
        found.extend(present.map(|path| format!("cgroup {}", path.display())));
    }
    for name in files::names(Path::new("/run/netns"))? {
        if name.starts_with(&names.prefix()) {
            found.push(format!("namespace {}", netns_path(&name).display()));
        }
    }
    for point in mounts_below(folder.root())? {
        found.push(format!("mount {}", point.display()));
    }
    Ok(found)
}

/// Only root can read them, and only root can have made machines.
fn propagated() -> Result<Vec<String>, NamespaceError> {
    if rustix::process::geteuid().is_root() {
        files::names(Path::new(PROPAGATE))
    } else {
        Ok(Vec::new())
    }
}

fn mounts_below(folder: &Path) -> Result<Vec<PathBuf>, NamespaceError> {
    let table = files::read(Path::new("/proc/self/mountinfo"))?.unwrap_or_default();
    // A folder that mounts can be made in has no character that the kernel would escape.
    let points = table.lines().filter_map(|line| line.split(' ').nth(4));
    Ok(points
        .map(PathBuf::from)
        .filter(|point| point.starts_with(folder))
        .collect())
}

/// Unmounts at once; where something still looks into it, it vanishes from the tree and ends with its last user.
fn unmount(point: &Path) -> Result<(), NamespaceError> {
    let point = point.display().to_string();
    exec::run(&["umount", &point]).or_else(|_| exec::run(&["umount", "--lazy", &point]))?;
    Ok(())
}

/// Detaches loop devices of the image, if an interrupted mount left one.
fn detach(image: &Path) -> Result<(), NamespaceError> {
    if !image.exists() {
        return Ok(());
    }
    let image = image.display().to_string();
    let listed = exec::run(&[
        "losetup",
        "--noheadings",
        "--output",
        "NAME",
        "--associated",
        &image,
    ])?;
    for device in listed.split_whitespace() {
        exec::run(&["losetup", "--detach", device])?;
    }
    Ok(())
}
