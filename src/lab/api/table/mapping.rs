//! Resource mappings and pools.

use super::{
    endpoint::{
        Act::{Read, Write},
        Check, Endpoint,
        Method::{Delete, Get, Post, Put},
        endpoint,
    },
    param::{BOOLEAN, INTEGER, Params, TEXT, list, opt, req, word},
};
use crate::lab::api::endpoint::{mapping, pool};

const MAP: Params = &[&[
    req("node", TEXT.format("pve-node")),
    req("path", TEXT.format("pve-storage-path-in-property-string")),
]];

const MAP_2: Params = &[&[
    opt("description", TEXT.max(4096)),
    req("id", TEXT.pattern("(?^:^[0-9A-Fa-f]{4}:[0-9A-Fa-f]{4}$)")),
    opt("iommugroup", INTEGER),
    req("node", TEXT.format("pve-node")),
    req("path", TEXT.pattern("(?:[a-f0-9]{4,}:[a-f0-9]{2}:[a-f0-9]{2}(?:.[a-f0-9])?;)*[a-f0-9]{4,}:[a-f0-9]{2}:[a-f0-9]{2}(?:.[a-f0-9])?")),
    opt("subsystem-id", TEXT.pattern("(?^:^[0-9A-Fa-f]{4}:[0-9A-Fa-f]{4}$)")),
]];

const MAP_3: Params = &[&[
    opt("description", TEXT.max(4096)),
    req("id", TEXT.pattern("(?^:^[0-9A-Fa-f]{4}:[0-9A-Fa-f]{4}$)")),
    req("node", TEXT.format("pve-node")),
    opt("path", TEXT.pattern("(?^:^(\\d+)\\-(\\d+(\\.\\d+)*)$)")),
]];

/// The endpoints.
pub(super) const MAPPING: &[Endpoint] = &[
    endpoint(
        Get,
        "/cluster/mapping/dir",
        Check::Everyone,
        Read(mapping::directories),
        &[&[opt("check-node", TEXT.format("pve-node"))]],
    ),
    endpoint(
        Post,
        "/cluster/mapping/dir",
        Check::Perm("/mapping/dir", &["Mapping.Modify"]),
        Write(mapping::add_directory),
        &[&[
            opt("description", TEXT.max(4096)),
            req("id", TEXT.format("pve-configid")),
            req("map", list(MAP)),
        ]],
    ),
    endpoint(
        Get,
        "/cluster/mapping/dir/{id}",
        Check::Or(&[
            Check::Perm("/mapping/dir/{id}", &["Mapping.Use"]),
            Check::Perm("/mapping/dir/{id}", &["Mapping.Modify"]),
            Check::Perm("/mapping/dir/{id}", &["Mapping.Audit"]),
        ]),
        Read(mapping::directory),
        &[],
    ),
    endpoint(
        Put,
        "/cluster/mapping/dir/{id}",
        Check::Perm("/mapping/dir/{id}", &["Mapping.Modify"]),
        Write(mapping::put_directory),
        &[&[
            opt("delete", TEXT.format("pve-configid-list").max(4096)),
            opt("description", TEXT.max(4096)),
            opt("digest", TEXT.max(64)),
            opt("map", list(MAP)),
        ]],
    ),
    endpoint(
        Delete,
        "/cluster/mapping/dir/{id}",
        Check::Perm("/mapping/dir", &["Mapping.Modify"]),
        Write(mapping::delete_directory),
        &[],
    ),
    endpoint(
        Get,
        "/cluster/mapping/pci",
        Check::Everyone,
        Read(mapping::devices),
        &[&[opt("check-node", TEXT.format("pve-node"))]],
    ),
    endpoint(
        Post,
        "/cluster/mapping/pci",
        Check::Perm("/mapping/pci", &["Mapping.Modify"]),
        Write(mapping::add_device),
        &[&[
            opt("description", TEXT.max(4096)),
            req("id", TEXT.format("pve-configid")),
            opt("live-migration-capable", BOOLEAN).or("0"),
            req("map", list(MAP_2)),
            opt("mdev", BOOLEAN).or("0"),
        ]],
    ),
    endpoint(
        Delete,
        "/cluster/mapping/pci/{id}",
        Check::Perm("/mapping/pci", &["Mapping.Modify"]),
        Write(mapping::delete_device),
        &[],
    ),
    endpoint(
        Get,
        "/cluster/mapping/usb",
        Check::Everyone,
        Read(mapping::usb_devices),
        &[&[opt("check-node", TEXT.format("pve-node"))]],
    ),
    endpoint(
        Post,
        "/cluster/mapping/usb",
        Check::Perm("/mapping/usb", &["Mapping.Modify"]),
        Write(mapping::add_usb_device),
        &[&[
            opt("description", TEXT.max(4096)),
            req("id", TEXT.format("pve-configid")),
            req("map", list(MAP_3)),
        ]],
    ),
    endpoint(
        Delete,
        "/cluster/mapping/usb/{id}",
        Check::Perm("/mapping/usb", &["Mapping.Modify"]),
        Write(mapping::delete_usb_device),
        &[],
    ),
    endpoint(
        Get,
        "/pools",
        Check::Everyone,
        Read(pool::list),
        &[&[
            opt("poolid", TEXT.format("pve-poolid")),
            opt("type", word(&["qemu", "lxc", "storage"])).requires("poolid"),
        ]],
    ),
    endpoint(
        Post,
        "/pools",
        Check::Perm("/pool/{poolid}", &["Pool.Allocate"]),
        Write(pool::create),
        &[&[
            opt("comment", TEXT),
            req("poolid", TEXT.format("pve-poolid")),
        ]],
    ),
    endpoint(
        Put,
        "/pools",
        Check::Perm("/pool/{poolid}", &["Pool.Allocate"]),
        Write(pool::update),
        &[&[
            opt("allow-move", BOOLEAN).or("0"),
            opt("comment", TEXT),
            opt("delete", BOOLEAN).or("0"),
            req("poolid", TEXT.format("pve-poolid")),
            opt("storage", TEXT.format("pve-storage-id-list")),
            opt("vms", TEXT.format("pve-vmid-list")),
        ]],
    ),
    endpoint(
        Delete,
        "/pools",
        Check::Perm("/pool/{poolid}", &["Pool.Allocate"]),
        Write(pool::delete),
        &[&[req("poolid", TEXT.format("pve-poolid"))]],
    ),
];
