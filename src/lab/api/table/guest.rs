//! Virtual machines: making, listing, configuring.

use super::{
    endpoint::{
        Act::{Guest, Read, Write},
        Check, Endpoint,
        Method::{Delete, Get, Post, Put},
        endpoint,
    },
    guest_config::CONFIG,
    param::{BOOLEAN, INTEGER, TEXT, opt, req},
};
use crate::lab::api::endpoint::guest;

/// The endpoints.
pub(super) const GUEST: &[Endpoint] = &[
    endpoint(
        Get,
        "/nodes/{node}/qemu",
        Check::Everyone,
        Read(guest::list),
        &[&[opt("full", BOOLEAN)]],
    ),
    endpoint(
        Post,
        "/nodes/{node}/qemu",
        Check::Everyone,
        Write(guest::create),
        &[
            CONFIG,
            &[
                opt("archive", TEXT.max(255)),
                opt("bwlimit", INTEGER.min(0))
                    .or("restore limit from datacenter or storage config"),
                opt("force", BOOLEAN).requires("archive"),
                opt("ha-managed", BOOLEAN).or("0"),
                opt("import-working-storage", TEXT.format("pve-storage-id")),
                opt("live-restore", BOOLEAN),
                opt("pool", TEXT.format("pve-poolid")),
                opt("start", BOOLEAN).or("0"),
                opt("storage", TEXT.format("pve-storage-id")),
                opt("unique", BOOLEAN).requires("archive"),
                req("vmid", INTEGER.min(100).max(999_999_999).format("pve-vmid")),
            ],
        ],
    ),
    endpoint(
        Delete,
        "/nodes/{node}/qemu/{vmid}",
        Check::Perm("/vms/{vmid}", &["VM.Allocate"]),
        Read(guest::delete),
        &[&[
            opt("destroy-unreferenced-disks", BOOLEAN).or("0"),
            opt("purge", BOOLEAN),
            opt("skiplock", BOOLEAN),
        ]],
    ),
    endpoint(
        Get,
        "/nodes/{node}/qemu/{vmid}/config",
        Check::Perm("/vms/{vmid}", &["VM.Audit"]),
        Read(guest::config),
        &[&[
            opt("current", BOOLEAN).or("0"),
            opt("snapshot", TEXT.format("pve-configid").max(40)),
        ]],
    ),
    endpoint(
        Put,
        "/nodes/{node}/qemu/{vmid}/config",
        Check::Any(
            "/vms/{vmid}",
            &[
                "VM.Config.Disk",
                "VM.Config.CDROM",
                "VM.Config.CPU",
                "VM.Config.Memory",
                "VM.Config.Network",
                "VM.Config.HWType",
                "VM.Config.Options",
                "VM.Config.Cloudinit",
            ],
        ),
        Guest(guest::put_config),
        &[
            CONFIG,
            &[
                opt("delete", TEXT.format("pve-configid-list")),
                opt("digest", TEXT.max(40)),
                opt("force", BOOLEAN).requires("delete"),
                opt("revert", TEXT.format("pve-configid-list")),
                opt("skiplock", BOOLEAN),
            ],
        ],
    ),
    endpoint(
        Post,
        "/nodes/{node}/qemu/{vmid}/config",
        Check::Any(
            "/vms/{vmid}",
            &[
                "VM.Config.Disk",
                "VM.Config.CDROM",
                "VM.Config.CPU",
                "VM.Config.Memory",
                "VM.Config.Network",
                "VM.Config.HWType",
                "VM.Config.Options",
                "VM.Config.Cloudinit",
            ],
        ),
        Read(guest::post_config),
        &[
            CONFIG,
            &[
                opt("background_delay", INTEGER.min(1).max(30)),
                opt("delete", TEXT.format("pve-configid-list")),
                opt("digest", TEXT.max(40)),
                opt("force", BOOLEAN).requires("delete"),
                opt("import-working-storage", TEXT.format("pve-storage-id")),
                opt("revert", TEXT.format("pve-configid-list")),
                opt("skiplock", BOOLEAN),
            ],
        ],
    ),
    endpoint(
        Get,
        "/nodes/{node}/qemu/{vmid}/pending",
        Check::Perm("/vms/{vmid}", &["VM.Audit"]),
        Read(guest::pending),
        &[],
    ),
    endpoint(
        Get,
        "/nodes/{node}/qemu/{vmid}/cloudinit",
        Check::Perm("/vms/{vmid}", &["VM.Audit"]),
        Read(guest::cloudinit),
        &[],
    ),
    endpoint(
        Put,
        "/nodes/{node}/qemu/{vmid}/cloudinit",
        Check::Perm("/vms/{vmid}", &["VM.Config.Cloudinit"]),
        Guest(guest::regenerate_cloudinit),
        &[],
    ),
];
