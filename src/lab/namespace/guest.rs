//! One guest: its disks, its seed, its shares, and its container.

use super::{
    cgroup::Cgroup,
    container::{Bind, Container},
    error::NamespaceError,
    files,
    image::Image,
    names::{Names, netns_path},
    network,
    power::Cycle,
    trust,
};
use crate::lab::{
    backend::{VmNic, VmSpec},
    folder::LabFolder,
    iso,
};
use crate::model::ids::Vmid;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Where cloud-init looks for a seed.
const SEED: &str = "/var/lib/cloud/seed/nocloud";

/// Where the guest agent's socket stands, inside.
const SOCKETS: &str = "/var/lib/labsock";

/// Makes the render node of a graphics card when the guest boots, inside.
const GRAPHICS: &str = "etc/tmpfiles.d/infra-lab-graphics.conf";

/// The folder in a guest's folder that is [`SOCKETS`] inside.
pub(super) const SOCKET_FOLDER: &str = "socket";

/// Prepares a guest's disks, seed and shares for power-on, and says how it is booted. Disks that are there stay.
/// `shares` are the machine's folders in the order of the specification.
///
/// # Errors
/// When the seed is not one or the disk refuses.
pub(super) fn prepare(
    names: &Names,
    folder: &LabFolder,
    image: &Image,
    ca: Option<&str>,
    spec: &VmSpec,
    shares: &[PathBuf],
) -> Result<Container, NamespaceError> {
    let own = folder.guest(spec.vmid);
    let machine = names.guest(spec.vmid);
    let mut container = Container {
        netns: netns_path(&machine),
        cgroup: Cgroup::of_lab(names)?.child(&spec.vmid.to_string()),
        machine,
        layers: image.guest_layers(),
        folder: own.clone(),
        binds: Vec::new(),
    };
    let fresh = !container.upper().exists();
    container.create_disk()?;
    hand_graphics(&container.upper(), spec.graphics)?;
    if fresh && let Some(ca) = ca {
        trust::install(&image.root(), &container.upper(), ca)?;
    }
    for (name, mode, target) in [
        // A folder on a real disk: on an overlay Docker would fall back to copying whole layers.
        ("docker", 0o710, "/var/lib/docker"),
        (SOCKET_FOLDER, 0o755, SOCKETS),
    ] {
        files::create_with_mode(&own.join(name), mode)?;
        container.binds.push(Bind::writable(own.join(name), target));
    }
    // A socket of the last power cycle would look like an agent that does not answer.
    files::remove(&own.join(SOCKET_FOLDER).join("qga.sock"))?;
    let seed = own.join("seed");
    files::remove_tree(&seed)?;
    if let Some(iso) = &spec.seed {
        extract(iso, &seed)?;
        container.binds.push(Bind::read_only(seed, SEED));
    }
    for (share, source) in spec.shares.iter().zip(shares) {
        let target = Path::new("/run/lab/virtiofs").join(&share.tag);
        container.binds.push(Bind::writable(source, target));
    }
    Ok(container)
}

/// What a driver would make of a graphics card: a node that stands for it, and that nothing answers.
fn hand_graphics(root: &Path, is_there: bool) -> Result<(), NamespaceError> {
    let path = root.join(GRAPHICS);
    if is_there {
        let line = "c! /dev/dri/renderD128 0660 root render - 226:128\n";
        files::write(&path, line.as_bytes(), 0o644)
    } else {
        files::remove(&path)
    }
}

/// Writes the files of a seed image into a folder.
fn extract(image: &Path, folder: &Path) -> Result<(), NamespaceError> {
    let bytes = fs::read(image).map_err(files::failed("read", image))?;
    let wrong = |why: String| NamespaceError::Seed {
        path: image.to_owned(),
        why,
    };
    files::create_with_mode(folder, 0o700)?;
    for (name, bytes) in iso::read(&bytes).map_err(wrong)? {
        if name.is_empty() || name.contains('/') || name.starts_with('.') {
            return Err(wrong(format!("it has a file named `{name}`")));
        }
        files::write(&folder.join(name), &bytes, 0o600)?;
    }
    Ok(())
}

/// What a guest's power cycle does to the network.
pub(super) struct GuestCycle {
    /// Names.
    pub(super) names: Names,
    /// Guest.
    pub(super) vmid: Vmid,
    /// Its cards.
    pub(super) nics: Vec<VmNic>,
}

impl Cycle for GuestCycle {
    fn renew(&self) -> Result<(), NamespaceError> {
        network::connect_guest(&self.names, self.vmid, &self.nics)
    }

    fn ended(&self) {
        // What remains is found by the lab's teardown, and by the next start of this guest.
        let _ = network::disconnect_guest(&self.names, self.vmid);
    }
}
