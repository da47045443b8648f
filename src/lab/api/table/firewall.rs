//! The firewall of the cluster.

use super::{
    endpoint::{
        Act::{Read, Write},
        Check, Endpoint,
        Method::{Delete, Get, Post, Put},
        endpoint,
    },
    param::{BOOLEAN, INTEGER, Param, Params, TEXT, opt, properties, req, word},
};
use crate::lab::api::endpoint::{firewall, ipset};

/// Fields of a rule that are never required.
pub(super) const RULE: &[Param] = &[
    opt("comment", TEXT),
    opt("dest", TEXT.format("pve-fw-addr-spec").max(512)),
    opt("dport", TEXT.format("pve-fw-dport-spec")),
    opt("enable", INTEGER.min(0)),
    opt("icmp-type", TEXT.format("pve-fw-icmp-type-spec")),
    opt("iface", TEXT.format("pve-iface").max(20).min(2)),
    opt(
        "log",
        word(&[
            "emerg", "alert", "crit", "err", "warning", "notice", "info", "debug", "nolog",
        ]),
    ),
    opt("macro", TEXT.max(128)),
    opt("proto", TEXT.format("pve-fw-protocol-spec")),
    opt("source", TEXT.format("pve-fw-addr-spec").max(512)),
    opt("sport", TEXT.format("pve-fw-sport-spec")),
];

const LOG_RATELIMIT: Params = &[&[
    opt("burst", INTEGER.min(0)).or("5"),
    req("enable", BOOLEAN).or("1").by_default(),
    opt(
        "rate",
        TEXT.pattern("[1-9][0-9]*\\/(second|minute|hour|day)"),
    )
    .or("1/second"),
]];

/// The endpoints.
pub(super) const FIREWALL: &[Endpoint] = &[
    endpoint(
        Get,
        "/cluster/firewall/options",
        Check::Perm("/", &["Sys.Audit"]),
        Read(firewall::options),
        &[],
    ),
    endpoint(
        Put,
        "/cluster/firewall/options",
        Check::Perm("/", &["Sys.Modify"]),
        Write(firewall::put_options),
        &[&[
            opt("delete", TEXT.format("pve-configid-list")),
            opt("digest", TEXT.max(64)),
            opt("ebtables", BOOLEAN).or("1"),
            opt("enable", INTEGER.min(0)).or("0"),
            opt("log_ratelimit", properties(LOG_RATELIMIT)),
            opt("policy_forward", word(&["ACCEPT", "DROP"])),
            opt("policy_in", word(&["ACCEPT", "REJECT", "DROP"])),
            opt("policy_out", word(&["ACCEPT", "REJECT", "DROP"])),
        ]],
    ),
    endpoint(
        Get,
        "/cluster/firewall/rules",
        Check::Perm("/", &["Sys.Audit"]),
        Read(firewall::rules),
        &[],
    ),
    endpoint(
        Post,
        "/cluster/firewall/rules",
        Check::Perm("/", &["Sys.Modify"]),
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
        "/cluster/firewall/rules/{pos}",
        Check::Perm("/", &["Sys.Audit"]),
        Read(firewall::rule),
        &[],
    ),
    endpoint(
        Put,
        "/cluster/firewall/rules/{pos}",
        Check::Perm("/", &["Sys.Modify"]),
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
        "/cluster/firewall/rules/{pos}",
        Check::Perm("/", &["Sys.Modify"]),
        Write(firewall::delete_rule),
        &[&[opt("digest", TEXT.max(64))]],
    ),
    endpoint(
        Get,
        "/cluster/firewall/aliases",
        Check::Perm("/", &["Sys.Audit"]),
        Read(firewall::aliases),
        &[],
    ),
    endpoint(
        Post,
        "/cluster/firewall/aliases",
        Check::Perm("/", &["Sys.Modify"]),
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
        "/cluster/firewall/aliases/{name}",
        Check::Perm("/", &["Sys.Audit"]),
        Read(firewall::alias),
        &[],
    ),
    endpoint(
        Put,
        "/cluster/firewall/aliases/{name}",
        Check::Perm("/", &["Sys.Modify"]),
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
        "/cluster/firewall/aliases/{name}",
        Check::Perm("/", &["Sys.Modify"]),
        Write(firewall::delete_alias),
        &[&[opt("digest", TEXT.max(64))]],
    ),
    endpoint(
        Get,
        "/cluster/firewall/ipset",
        Check::Perm("/", &["Sys.Audit"]),
        Read(ipset::list),
        &[],
    ),
    endpoint(
        Post,
        "/cluster/firewall/ipset",
        Check::Perm("/", &["Sys.Modify"]),
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
        "/cluster/firewall/ipset/{name}",
        Check::Perm("/", &["Sys.Audit"]),
        Read(ipset::members),
        &[],
    ),
    endpoint(
        Post,
        "/cluster/firewall/ipset/{name}",
        Check::Perm("/", &["Sys.Modify"]),
        Write(ipset::add_member),
        &[&[
            req("cidr", TEXT.format("IPorCIDRorAlias")),
            opt("comment", TEXT),
            opt("nomatch", BOOLEAN),
        ]],
    ),
    endpoint(
        Delete,
        "/cluster/firewall/ipset/{name}",
        Check::Perm("/", &["Sys.Modify"]),
        Write(ipset::delete),
        &[&[opt("force", BOOLEAN)]],
    ),
    endpoint(
        Get,
        "/cluster/firewall/ipset/{name}/{cidr}",
        Check::Perm("/", &["Sys.Audit"]),
        Read(ipset::member),
        &[],
    ),
    endpoint(
        Put,
        "/cluster/firewall/ipset/{name}/{cidr}",
        Check::Perm("/", &["Sys.Modify"]),
        Write(ipset::put_member),
        &[&[
            opt("comment", TEXT),
            opt("digest", TEXT.max(64)),
            opt("nomatch", BOOLEAN),
        ]],
    ),
    endpoint(
        Delete,
        "/cluster/firewall/ipset/{name}/{cidr}",
        Check::Perm("/", &["Sys.Modify"]),
        Write(ipset::delete_member),
        &[&[opt("digest", TEXT.max(64))]],
    ),
    endpoint(
        Get,
        "/cluster/firewall/refs",
        Check::Perm("/", &["Sys.Audit"]),
        Read(firewall::references),
        &[&[opt("type", word(&["alias", "ipset"]))]],
    ),
    endpoint(
        Get,
        "/cluster/firewall/macros",
        Check::Everyone,
        Read(firewall::macros),
        &[],
    ),
    endpoint(
        Get,
        "/cluster/firewall/groups",
        Check::Everyone,
        Read(firewall::groups),
        &[],
    ),
    endpoint(
        Post,
        "/cluster/firewall/groups",
        Check::Perm("/", &["Sys.Modify"]),
        Write(firewall::add_group),
        &[&[
            opt("comment", TEXT),
            opt("digest", TEXT.max(64)),
            req(
                "group",
                TEXT.pattern("[A-Za-z][A-Za-z0-9\\-\\_]+").max(18).min(2),
            ),
            opt(
                "rename",
                TEXT.pattern("[A-Za-z][A-Za-z0-9\\-\\_]+").max(18).min(2),
            ),
        ]],
    ),
    endpoint(
        Get,
        "/cluster/firewall/groups/{group}",
        Check::Perm("/", &["Sys.Audit"]),
        Read(firewall::rules),
        &[],
    ),
    endpoint(
        Post,
        "/cluster/firewall/groups/{group}",
        Check::Perm("/", &["Sys.Modify"]),
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
        Delete,
        "/cluster/firewall/groups/{group}",
        Check::Perm("/", &["Sys.Modify"]),
        Write(firewall::delete_group),
        &[],
    ),
    endpoint(
        Get,
        "/cluster/firewall/groups/{group}/{pos}",
        Check::Perm("/", &["Sys.Audit"]),
        Read(firewall::rule),
        &[],
    ),
    endpoint(
        Put,
        "/cluster/firewall/groups/{group}/{pos}",
        Check::Perm("/", &["Sys.Modify"]),
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
        "/cluster/firewall/groups/{group}/{pos}",
        Check::Perm("/", &["Sys.Modify"]),
        Write(firewall::delete_rule),
        &[&[opt("digest", TEXT.max(64))]],
    ),
];
