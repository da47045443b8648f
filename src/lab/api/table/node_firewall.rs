//! The firewall of nodes.

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
use crate::lab::api::endpoint::firewall;

/// The endpoints.
pub(super) const NODE_FIREWALL: &[Endpoint] = &[
    endpoint(
        Get,
        "/nodes/{node}/firewall/options",
        Check::Perm("/nodes/{node}", &["Sys.Audit"]),
        Read(firewall::options),
        &[],
    ),
    endpoint(
        Put,
        "/nodes/{node}/firewall/options",
        Check::Perm("/nodes/{node}", &["Sys.Modify"]),
        Write(firewall::put_options),
        &[&[
            opt("delete", TEXT.format("pve-configid-list")),
            opt("digest", TEXT.max(64)),
            opt("enable", BOOLEAN).or("1"),
            opt(
                "log_level_forward",
                word(&[
                    "emerg", "alert", "crit", "err", "warning", "notice", "info", "debug", "nolog",
                ]),
            ),
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
            opt("log_nf_conntrack", BOOLEAN).or("0"),
            opt("ndp", BOOLEAN).or("1"),
            opt("nf_conntrack_allow_invalid", BOOLEAN).or("0"),
            opt(
                "nf_conntrack_helpers",
                TEXT.format("pve-fw-conntrack-helper"),
            )
            .or(""),
            opt("nf_conntrack_max", INTEGER.min(32768)).or("262144"),
            opt("nf_conntrack_tcp_timeout_established", INTEGER.min(7875)).or("432000"),
            opt("nf_conntrack_tcp_timeout_syn_recv", INTEGER.min(30).max(60)).or("60"),
            opt("nftables", BOOLEAN).or("0"),
            opt("nosmurfs", BOOLEAN),
            opt("protection_synflood", BOOLEAN).or("0"),
            opt("protection_synflood_burst", INTEGER).or("1000"),
            opt("protection_synflood_rate", INTEGER).or("200"),
            opt(
                "smurf_log_level",
                word(&[
                    "emerg", "alert", "crit", "err", "warning", "notice", "info", "debug", "nolog",
                ]),
            ),
            opt(
                "tcp_flags_log_level",
                word(&[
                    "emerg", "alert", "crit", "err", "warning", "notice", "info", "debug", "nolog",
                ]),
            ),
            opt("tcpflags", BOOLEAN).or("0"),
        ]],
    ),
    endpoint(
        Get,
        "/nodes/{node}/firewall/rules",
        Check::Perm("/nodes/{node}", &["Sys.Audit"]),
        Read(firewall::rules),
        &[],
    ),
    endpoint(
        Post,
        "/nodes/{node}/firewall/rules",
        Check::Perm("/nodes/{node}", &["Sys.Modify"]),
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
        "/nodes/{node}/firewall/rules/{pos}",
        Check::Perm("/nodes/{node}", &["Sys.Audit"]),
        Read(firewall::rule),
        &[],
    ),
    endpoint(
        Put,
        "/nodes/{node}/firewall/rules/{pos}",
        Check::Perm("/nodes/{node}", &["Sys.Modify"]),
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
        "/nodes/{node}/firewall/rules/{pos}",
        Check::Perm("/nodes/{node}", &["Sys.Modify"]),
        Write(firewall::delete_rule),
        &[&[opt("digest", TEXT.max(64))]],
    ),
    endpoint(
        Get,
        "/nodes/{node}/firewall/log",
        Check::Perm("/nodes/{node}", &["Sys.Syslog"]),
        Read(firewall::log),
        &[&[
            opt("limit", INTEGER.min(0)),
            opt("since", INTEGER.min(0)),
            opt("start", INTEGER.min(0)),
            opt("until", INTEGER.min(0)),
        ]],
    ),
];
