//! Switching virtual machines on and off.

use super::{
    endpoint::{
        Act::Read,
        Check, Endpoint,
        Method::{Get, Post},
        endpoint,
    },
    guest_formats::MACHINE,
    param::{BOOLEAN, INTEGER, TEXT, opt, properties, req, word},
};
use crate::lab::api::endpoint::power;

/// The endpoints.
pub(super) const POWER: &[Endpoint] = &[
    endpoint(
        Get,
        "/nodes/{node}/qemu/{vmid}/status/current",
        Check::Perm("/vms/{vmid}", &["VM.Audit"]),
        Read(power::current),
        &[],
    ),
    endpoint(
        Post,
        "/nodes/{node}/qemu/{vmid}/status/start",
        Check::Perm("/vms/{vmid}", &["VM.PowerMgmt"]),
        Read(power::start),
        &[&[
            opt("force-cpu", TEXT),
            opt("machine", properties(MACHINE)),
            opt("migratedfrom", TEXT.format("pve-node")),
            opt("migration_network", TEXT.format("CIDR")),
            opt("migration_type", word(&["secure", "insecure"])),
            opt(
                "nets-host-mtu",
                TEXT.pattern("net\\d+=\\d+(,net\\d+=\\d+)*"),
            ),
            opt("skiplock", BOOLEAN),
            opt("stateuri", TEXT.max(128)),
            opt("targetstorage", TEXT.format("storage-pair-list")),
            opt("timeout", INTEGER.min(0)).or("max(30, vm memory in GiB)"),
            opt("with-conntrack-state", BOOLEAN).or("0"),
        ]],
    ),
    endpoint(
        Post,
        "/nodes/{node}/qemu/{vmid}/status/stop",
        Check::Perm("/vms/{vmid}", &["VM.PowerMgmt"]),
        Read(power::stop),
        &[&[
            opt("keepActive", BOOLEAN).or("0"),
            opt("migratedfrom", TEXT.format("pve-node")),
            opt("overrule-shutdown", BOOLEAN).or("0"),
            opt("skiplock", BOOLEAN),
            opt("timeout", INTEGER.min(0)),
        ]],
    ),
    endpoint(
        Post,
        "/nodes/{node}/qemu/{vmid}/status/shutdown",
        Check::Perm("/vms/{vmid}", &["VM.PowerMgmt"]),
        Read(power::shutdown),
        &[&[
            opt("forceStop", BOOLEAN).or("0"),
            opt("keepActive", BOOLEAN).or("0"),
            opt("skiplock", BOOLEAN),
            opt("timeout", INTEGER.min(0)),
        ]],
    ),
    endpoint(
        Post,
        "/nodes/{node}/qemu/{vmid}/status/reboot",
        Check::Perm("/vms/{vmid}", &["VM.PowerMgmt"]),
        Read(power::reboot),
        &[&[opt("timeout", INTEGER.min(0))]],
    ),
    endpoint(
        Post,
        "/nodes/{node}/qemu/{vmid}/migrate",
        Check::Perm("/vms/{vmid}", &["VM.Migrate"]),
        Read(power::migrate),
        &[&[
            opt("bwlimit", INTEGER.min(0)).or("migrate limit from datacenter or storage config"),
            opt("force", BOOLEAN),
            opt("migration_network", TEXT.format("CIDR")),
            opt("migration_type", word(&["secure", "insecure"])),
            opt("online", BOOLEAN),
            req("target", TEXT.format("pve-node")),
            opt("targetstorage", TEXT.format("storage-pair-list")),
            opt("with-conntrack-state", BOOLEAN).or("0"),
            opt("with-local-disks", BOOLEAN),
        ]],
    ),
    endpoint(
        Post,
        "/nodes/{node}/qemu/{vmid}/status/suspend",
        Check::Perm("/vms/{vmid}", &["VM.PowerMgmt"]),
        Read(power::suspend),
        &[&[
            opt("skiplock", BOOLEAN),
            opt("statestorage", TEXT.format("pve-storage-id")).requires("todisk"),
            opt("todisk", BOOLEAN).or("0"),
        ]],
    ),
];
