//! High availability.

use super::{
    endpoint::{
        Act::{Read, Write},
        Check, Endpoint,
        Method::{Delete, Get, Post, Put},
        endpoint,
    },
    param::{BOOLEAN, INTEGER, TEXT, opt, req, word},
};
use crate::lab::api::endpoint::ha;

const SEE: Check = Check::Perm("/", &["Sys.Audit"]);
const CHANGE: Check = Check::Perm("/", &["Sys.Console"]);

/// The endpoints. Rules come in two kinds, whose options the table does not keep apart.
pub(super) const HA: &[Endpoint] = &[
    endpoint(
        Get,
        "/cluster/ha/resources",
        SEE,
        Read(ha::resources),
        &[&[opt("type", word(&["ct", "vm"]))]],
    ),
    endpoint(
        Post,
        "/cluster/ha/resources",
        CHANGE,
        Write(ha::add_resource),
        &[&[
            opt("comment", TEXT.max(4096)),
            opt("failback", BOOLEAN).or("1"),
            opt("group", TEXT.format("pve-configid")),
            opt("max_relocate", INTEGER.min(0)).or("1"),
            opt("max_restart", INTEGER.min(0)).or("1"),
            req("sid", TEXT.format("pve-ha-resource-or-vm-id")),
            opt(
                "state",
                word(&["started", "stopped", "enabled", "disabled", "ignored"]),
            )
            .or("started"),
            opt("type", word(&["ct", "vm"])),
        ]],
    ),
    endpoint(
        Get,
        "/cluster/ha/resources/{sid}",
        SEE,
        Read(ha::one_resource),
        &[],
    ),
    endpoint(
        Put,
        "/cluster/ha/resources/{sid}",
        CHANGE,
        Write(ha::update_resource),
        &[&[
            opt("comment", TEXT.max(4096)),
            opt("delete", TEXT.format("pve-configid-list").max(4096)),
            opt("digest", TEXT.max(64)),
            opt("failback", BOOLEAN).or("1"),
            opt("group", TEXT.format("pve-configid")),
            opt("max_relocate", INTEGER.min(0)).or("1"),
            opt("max_restart", INTEGER.min(0)).or("1"),
            opt(
                "state",
                word(&["started", "stopped", "enabled", "disabled", "ignored"]),
            )
            .or("started"),
        ]],
    ),
    endpoint(
        Delete,
        "/cluster/ha/resources/{sid}",
        CHANGE,
        Write(ha::delete_resource),
        &[&[opt("purge", BOOLEAN).or("1")]],
    ),
    endpoint(
        Get,
        "/cluster/ha/rules",
        SEE,
        Read(ha::rules),
        &[&[
            opt("resource", TEXT),
            opt("type", word(&["node-affinity", "resource-affinity"])),
        ]],
    ),
    endpoint(
        Post,
        "/cluster/ha/rules",
        CHANGE,
        Write(ha::add_rule),
        &[&[
            opt("affinity", word(&["positive", "negative"])),
            opt("comment", TEXT.max(4096)),
            opt("disable", BOOLEAN),
            opt("nodes", TEXT.format("pve-ha-node-list")),
            req("resources", TEXT.format("pve-ha-resource-id-list")),
            req("rule", TEXT.format("pve-configid")),
            opt("strict", BOOLEAN).or("0"),
            req("type", word(&["node-affinity", "resource-affinity"])),
        ]],
    ),
    endpoint(
        Get,
        "/cluster/ha/rules/{rule}",
        SEE,
        Read(ha::one_rule),
        &[],
    ),
    endpoint(
        Put,
        "/cluster/ha/rules/{rule}",
        CHANGE,
        Write(ha::update_rule),
        &[&[
            opt("affinity", word(&["positive", "negative"])),
            opt("comment", TEXT.max(4096)),
            opt("delete", TEXT.format("pve-configid-list").max(4096)),
            opt("digest", TEXT.max(64)),
            opt("disable", BOOLEAN),
            opt("nodes", TEXT.format("pve-ha-node-list")),
            opt("resources", TEXT.format("pve-ha-resource-id-list")),
            opt("strict", BOOLEAN).or("0"),
            req("type", word(&["node-affinity", "resource-affinity"])),
        ]],
    ),
    endpoint(
        Delete,
        "/cluster/ha/rules/{rule}",
        CHANGE,
        Write(ha::delete_rule),
        &[],
    ),
    endpoint(
        Get,
        "/cluster/ha/status/current",
        SEE,
        Read(ha::status),
        &[],
    ),
    endpoint(Get, "/cluster/ha/groups", SEE, Read(ha::groups), &[]),
];
