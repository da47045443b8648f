//! Datasets mounted into a guest, as systemd mount units, so that everything that needs the data can say so.

use super::webdav;
use crate::model::{
    desired::Desired,
    device::FilesystemKind,
    guest::{Guest, GuestMount, MountVia},
    host::{ExternalHost, HostMount, HostMountSource},
    ids::HostName,
    resource::{FileResource, FilesystemResource, Reaction, Resource},
    secret::Content,
};
use std::{fmt::Write as _, net::IpAddr};

/// The mount units of a guest.
pub(super) fn resources(desired: &Desired, guest: &Guest) -> Vec<Resource> {
    let is_nfs = |mount: &GuestMount| mount.via == MountVia::Nfs;
    let client = guest.mounts.iter().any(is_nfs);
    let client = client.then(|| Resource::Package("nfs-common".to_owned()));
    let units = guest.mounts.iter().flat_map(|mount| {
        let unit = unit_name(&mount.at);
        let file = FileResource {
            path: format!("/etc/systemd/system/{unit}"),
            content: Content::text(unit_text(desired, mount)),
            owner: "root".to_owned(),
            group: "root".to_owned(),
            mode: 0o644,
            then: vec![Reaction::DaemonReload],
            purpose: format!("{} is mounted at {}", mount.dataset, mount.at),
        };
        [
            Resource::File(file),
            Resource::Unit {
                name: unit,
                enabled: true,
                active: true,
            },
        ]
    });
    client.into_iter().chain(units).collect()
}

/// The filesystems of a guest's own disks, and the units that mount them.
pub(super) fn disks(desired: &Desired, guest: &Guest) -> Vec<Resource> {
    let mounted = guest.disks.iter().flat_map(|disk| {
        let Some(mount) = &disk.mount else {
            return Vec::new();
        };
        let filesystem = FilesystemResource {
            disk: disk.name.clone(),
            kind: mount.filesystem,
            uuid: disk.filesystem_uuid(&desired.system, guest.vmid),
            at: mount.at.clone(),
        };
        let unit = unit_name(&mount.at);
        let file = FileResource {
            path: format!("/etc/systemd/system/{unit}"),
            content: Content::text(disk_unit_text(&filesystem)),
            owner: "root".to_owned(),
            group: "root".to_owned(),
            mode: 0o644,
            then: vec![Reaction::DaemonReload],
            purpose: format!("disk {} is mounted at {}", disk.name, mount.at),
        };
        let tools = match mount.filesystem {
            FilesystemKind::Ext4 => "e2fsprogs",
            FilesystemKind::Xfs => "xfsprogs",
        };
        vec![
            Resource::Package(tools.to_owned()),
            Resource::Filesystem(filesystem),
            Resource::File(file),
            Resource::Unit {
                name: unit,
                enabled: true,
                active: true,
            },
        ]
    });
    mounted.collect()
}

fn disk_unit_text(filesystem: &FilesystemResource) -> String {
    let FilesystemResource {
        disk,
        kind,
        uuid,
        at,
    } = filesystem;
    format!(
        "# Made by infra; edits are replaced.\n\
         [Unit]\n\
         Description=disk {disk} (infra)\n\
         \n\
         [Mount]\n\
         What=/dev/disk/by-uuid/{uuid}\n\
         Where={at}\n\
         Type={kind}\n\
         Options=nosuid,nodev\n\
         \n\
         [Install]\n\
         WantedBy=multi-user.target\n"
    )
}

/// What a host needs whose datasets guests mount over NFS. ZFS tells the server itself what it shares with whom.
pub(super) fn server(desired: &Desired, host: &HostName) -> Vec<Resource> {
    let mut mounts = desired.guests.values().flat_map(|guest| &guest.mounts);
    let is_shared = mounts.any(|mount| {
        let dataset = desired.datasets.get(&mount.dataset);
        mount.via == MountVia::Nfs && dataset.is_some_and(|dataset| &dataset.host == host)
    });
    if !is_shared {
        return Vec::new();
    }
    vec![
        Resource::Package("nfs-kernel-server".to_owned()),
        Resource::Unit {
            name: "nfs-server.service".to_owned(),
            enabled: true,
            active: true,
        },
        // Shares what ZFS shares when the host has booted.
        Resource::Unit {
            name: "zfs-share.service".to_owned(),
            enabled: true,
            active: true,
        },
    ]
}

/// The mount units of an external host, with what they need.
pub(super) fn of_host(host: &ExternalHost) -> Vec<Resource> {
    let mut out = webdav::needs(&host.mounts);
    for mount in &host.mounts {
        let unit = unit_name(&mount.at);
        let text = host_unit_text(mount);
        out.push(Resource::File(FileResource {
            path: format!("/etc/systemd/system/{unit}"),
            content: Content::text(text),
            owner: "root".to_owned(),
            group: "root".to_owned(),
            mode: 0o644,
            then: vec![Reaction::DaemonReload],
            purpose: format!("{} is mounted", mount.at),
        }));
        out.push(Resource::Unit {
            name: unit,
            enabled: true,
            active: true,
        });
    }
    out
}

fn host_unit_text(mount: &HostMount) -> String {
    let access = if mount.read_only { "ro," } else { "" };
    let (what, kind, options, after) = match &mount.source {
        HostMountSource::Device { path, fstype } => (path, fstype.as_str(), String::new(), ""),
        HostMountSource::WebDav { url, owner, .. } => (
            url,
            "davfs",
            format!(",{}", webdav::options(*owner)),
            "Wants=network-online.target\nAfter=network-online.target\n",
        ),
    };
    format!(
        "# Made by infra; edits are replaced.\n\
         [Unit]\n\
         Description={at} (infra)\n\
         {after}\
         \n\
         [Mount]\n\
         What={what}\n\
         Where={at}\n\
         Type={kind}\n\
         Options={access}nosuid,nodev{options}\n\
         \n\
         [Install]\n\
         WantedBy=multi-user.target\n",
        at = mount.at,
    )
}

fn unit_text(desired: &Desired, mount: &GuestMount) -> String {
    let options = if mount.read_only {
        "ro,nosuid,nodev"
    } else {
        "nosuid,nodev"
    };
    let (what, kind) = match mount.via {
        MountVia::Virtiofs => (mount.tag(), "virtiofs"),
        MountVia::Nfs => {
            let server = desired
                .datasets
                .get(&mount.dataset)
                .and_then(|dataset| desired.access(&dataset.host))
                .map(|(address, _)| match address {
                    IpAddr::V4(address) => address.to_string(),
                    IpAddr::V6(address) => format!("[{address}]"),
                })
                .unwrap_or_default();
            let path = desired
                .datasets
                .get(&mount.dataset)
                .and_then(|dataset| dataset.properties.get("mountpoint"))
                .cloned()
                .unwrap_or_else(|| format!("/{}", mount.dataset));
            (format!("{server}:{path}"), "nfs4")
        }
    };
    let network = if mount.via == MountVia::Nfs {
        "Wants=network-online.target\nAfter=network-online.target\n"
    } else {
        ""
    };
    format!(
        "# Made by infra; edits are replaced.\n\
         [Unit]\n\
         Description={} (infra)\n\
         {network}\
         \n\
         [Mount]\n\
         What={what}\n\
         Where={}\n\
         Type={kind}\n\
         Options={options}\n\
         \n\
         [Install]\n\
         WantedBy=multi-user.target\n",
        mount.dataset, mount.at,
    )
}

/// The systemd unit that mounts a path, escaped as `systemd-escape --path --suffix=mount` does.
pub fn unit_name(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    if parts.is_empty() {
        return "-.mount".to_owned();
    }
    let mut out = String::new();
    for (index, byte) in parts.join("/").bytes().enumerate() {
        match byte {
            b'/' => out.push('-'),
            b'.' if index > 0 => out.push('.'),
            b':' | b'_' => out.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => out.push(char::from(byte)),
            _ => {
                let _ = write!(out, "\\x{byte:02x}");
            }
        }
    }
    out + ".mount"
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected values printed by `systemd-escape --path --suffix=mount` of systemd 252.
    #[test]
    fn unit_names_are_escaped_as_systemd_does() {
        assert_eq!(unit_name("/mnt/tank/media"), "mnt-tank-media.mount");
        assert_eq!(unit_name("/mnt/my-data"), r"mnt-my\x2ddata.mount");
        assert_eq!(unit_name("/mnt/a b"), r"mnt-a\x20b.mount");
        assert_eq!(unit_name("/"), "-.mount");
        assert_eq!(unit_name("/srv/.hidden/x_y"), "srv-.hidden-x_y.mount");
    }
}
