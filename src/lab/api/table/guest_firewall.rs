//! The firewall of guests.

use super::{
    endpoint::{
        Act::{Read, Write},
        Check, Endpoint,
        Method::{Delete, Get, Post, Put},
        endpoint,
    },
    firewall::RULE,
    param::{BOOLEAN, INTEGER, TEXT, opt, req, word},
};
use crate::lab::api::endpoint::{firewall, ipset};

/// The endpoints.
pub(super) const GUEST_FIREWALL: &[Endpoint] = &[
    endpoint(
        Get,
        "/nodes/{node}/qemu/{vmid}/firewall/options",
        Check::Perm("/vms/{vmid}", &["VM.Audit"]),
        Read(firewall::options),
        &[],
    ),
    endpoint(
        Put,
        "/nodes/{node}/qemu/{vmid}/firewall/options",
        Check::Perm("/vms/{vmid}", &["VM.Config.Network"]),
        Write(firewall::put_options),
        &[&[
            opt("delete", TEXT.format("pve-configid-list")),
            opt("dhcp", BOOLEAN).or("0"),
            opt("digest", TEXT.max(64)),
            opt("enable", BOOLEAN).or("0"),
            opt("ipfilter", BOOLEAN),
            opt(
                "log_level_in",
                word(&[
                    "emerg", "alert", "crit", "err", "warning", "notice", "info", "debug", "nolog",
                ]),
            ),
            opt(
                "log_level_out",
                word(&[
                    "emerg", "alert", "crit", "err", "warning", "notice", "info", "debug", "nolog",
                ]),
            ),
            opt("macfilter", BOOLEAN).or("1"),
            opt("ndp", BOOLEAN).or("1"),
            opt("policy_in", word(&["ACCEPT", "REJECT", "DROP"])),
            opt("policy_out", word(&["ACCEPT", "REJECT", "DROP"])),
            opt("radv", BOOLEAN),
        ]],
    ),
    endpoint(
        Get,
        "/nodes/{node}/qemu/{vmid}/firewall/rules",
        Check::Perm("/vms/{vmid}", &["VM.Audit"]),
        Read(firewall::rules),
        &[],
    ),
    endpoint(
        Post,
        "/nodes/{node}/qemu/{vmid}/firewall/rules",
        Check::Perm("/vms/{vmid}", &["VM.Config.Network"]),
        Write(firewall::add_rule),
        &[
            RULE,
            &[
                req(
                    "action",
                    TEXT.pattern("[A-Za-z][A-Za-z0-9\\-\\_]+").max(20).min(2),
                ),
                opt("digest", TEXT.max(64)),
                opt("pos", INTEGER.min(0)),
                req("type", word(&["in", "out", "forward", "group"])),
            ],
        ],
    ),
    endpoint(
        Get,
        "/nodes/{node}/qemu/{vmid}/firewall/rules/{pos}",
        Check::Perm("/vms/{vmid}", &["VM.Audit"]),
        Read(firewall::rule),
        &[],
    ),
    endpoint(
        Put,
        "/nodes/{node}/qemu/{vmid}/firewall/rules/{pos}",
        Check::Perm("/vms/{vmid}", &["VM.Config.Network"]),
        Write(firewall::put_rule),
        &[
            RULE,
            &[
                opt(
                    "action",
                    TEXT.pattern("[A-Za-z][A-Za-z0-9\\-\\_]+").max(20).min(2),
                ),
                opt("delete", TEXT.format("pve-configid-list")),
                opt("digest", TEXT.max(64)),
                opt("moveto", INTEGER.min(0)),
                opt("type", word(&["in", "out", "forward", "group"])),
            ],
        ],
    ),
    endpoint(
        Delete,
        "/nodes/{node}/qemu/{vmid}/firewall/rules/{pos}",
        Check::Perm("/vms/{vmid}", &["VM.Config.Network"]),
        Write(firewall::delete_rule),
        &[&[opt("digest", TEXT.max(64))]],
    ),
    endpoint(
        Get,
        "/nodes/{node}/qemu/{vmid}/firewall/log",
        Check::Perm("/vms/{vmid}", &["VM.Console"]),
        Read(firewall::log),
        &[&[
            opt("limit", INTEGER.min(0)),
            opt("since", INTEGER.min(0)),
            opt("start", INTEGER.min(0)),
            opt("until", INTEGER.min(0)),
        ]],
    ),
    endpoint(
        Get,
        "/nodes/{node}/qemu/{vmid}/firewall/aliases",
        Check::Perm("/vms/{vmid}", &["VM.Audit"]),
        Read(firewall::aliases),
        &[],
    ),
    endpoint(
        Post,
        "/nodes/{node}/qemu/{vmid}/firewall/aliases",
        Check::Perm("/vms/{vmid}", &["VM.Config.Network"]),
        Write(firewall::add_alias),
        &[&[
            req("cidr", TEXT.format("IPorCIDR")),
            opt("comment", TEXT),
            req(
                "name",
                TEXT.pattern("[A-Za-z][A-Za-z0-9\\-\\_]+").max(64).min(2),
            ),
        ]],
    ),
    endpoint(
        Get,
        "/nodes/{node}/qemu/{vmid}/firewall/aliases/{name}",
        Check::Perm("/vms/{vmid}", &["VM.Audit"]),
        Read(firewall::alias),
        &[],
    ),
    endpoint(
        Put,
        "/nodes/{node}/qemu/{vmid}/firewall/aliases/{name}",
        Check::Perm("/vms/{vmid}", &["VM.Config.Network"]),
        Write(firewall::put_alias),
        &[&[
            req("cidr", TEXT.format("IPorCIDR")),
            opt("comment", TEXT),
            opt("digest", TEXT.max(64)),
            opt(
                "rename",
                TEXT.pattern("[A-Za-z][A-Za-z0-9\\-\\_]+").max(64).min(2),
            ),
        ]],
    ),
    endpoint(
        Delete,
        "/nodes/{node}/qemu/{vmid}/firewall/aliases/{name}",
        Check::Perm("/vms/{vmid}", &["VM.Config.Network"]),
        Write(firewall::delete_alias),
        &[&[opt("digest", TEXT.max(64))]],
    ),
    endpoint(
        Get,
        "/nodes/{node}/qemu/{vmid}/firewall/ipset",
        Check::Perm("/vms/{vmid}", &["VM.Audit"]),
        Read(ipset::list),
        &[],
    ),
    endpoint(
        Post,
        "/nodes/{node}/qemu/{vmid}/firewall/ipset",
        Check::Perm("/vms/{vmid}", &["VM.Config.Network"]),
        Write(ipset::create),
        &[&[
            opt("comment", TEXT),
            opt("digest", TEXT.max(64)),
            req(
                "name",
                TEXT.pattern("[A-Za-z][A-Za-z0-9\\-\\_]+").max(64).min(2),
            ),
            opt(
                "rename",
                TEXT.pattern("[A-Za-z][A-Za-z0-9\\-\\_]+").max(64).min(2),
            ),
        ]],
    ),
    endpoint(
        Get,
        "/nodes/{node}/qemu/{vmid}/firewall/ipset/{name}",
        Check::Perm("/vms/{vmid}", &["VM.Audit"]),
        Read(ipset::members),
        &[],
    ),
    endpoint(
        Post,
        "/nodes/{node}/qemu/{vmid}/firewall/ipset/{name}",
        Check::Perm("/vms/{vmid}", &["VM.Config.Network"]),
        Write(ipset::add_member),
        &[&[
            req("cidr", TEXT.format("IPorCIDRorAlias")),
            opt("comment", TEXT),
            opt("nomatch", BOOLEAN),
        ]],
    ),
    endpoint(
        Delete,
        "/nodes/{node}/qemu/{vmid}/firewall/ipset/{name}",
        Check::Perm("/vms/{vmid}", &["VM.Config.Network"]),
        Write(ipset::delete),
        &[&[opt("force", BOOLEAN)]],
    ),
    endpoint(
        Get,
        "/nodes/{node}/qemu/{vmid}/firewall/ipset/{name}/{cidr}",
        Check::Perm("/vms/{vmid}", &["VM.Audit"]),
        Read(ipset::member),
        &[],
    ),
    endpoint(
        Put,
        "/nodes/{node}/qemu/{vmid}/firewall/ipset/{name}/{cidr}",
        Check::Perm("/vms/{vmid}", &["VM.Config.Network"]),
        Write(ipset::put_member),
        &[&[
            opt("comment", TEXT),
            opt("digest", TEXT.max(64)),
            opt("nomatch", BOOLEAN),
        ]],
    ),
    endpoint(
        Delete,
        "/nodes/{node}/qemu/{vmid}/firewall/ipset/{name}/{cidr}",
        Check::Perm("/vms/{vmid}", &["VM.Config.Network"]),
        Write(ipset::delete_member),
        &[&[opt("digest", TEXT.max(64))]],
    ),
    endpoint(
        Get,
        "/nodes/{node}/qemu/{vmid}/firewall/refs",
        Check::Perm("/vms/{vmid}", &["VM.Audit"]),
        Read(firewall::references),
        &[&[opt("type", word(&["alias", "ipset"]))]],
    ),
];
