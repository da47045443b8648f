//! The guest agent.

use super::{
    endpoint::{
        Act::Agent,
        Check, Endpoint,
        Method::{Get, Post},
        endpoint,
    },
    param::{BOOLEAN, INTEGER, LIST, TEXT, opt, req},
};
use crate::lab::api::agent::Verb;

/// The endpoints.
pub(super) const AGENT: &[Endpoint] = &[
    endpoint(
        Post,
        "/nodes/{node}/qemu/{vmid}/agent/ping",
        Check::Any(
            "/vms/{vmid}",
            &["VM.GuestAgent.Audit", "VM.GuestAgent.Unrestricted"],
        ),
        Agent(Verb::Plain("guest-ping")),
        &[],
    ),
    endpoint(
        Get,
        "/nodes/{node}/qemu/{vmid}/agent/network-get-interfaces",
        Check::Any(
            "/vms/{vmid}",
            &["VM.GuestAgent.Audit", "VM.GuestAgent.Unrestricted"],
        ),
        Agent(Verb::Plain("guest-network-get-interfaces")),
        &[],
    ),
    endpoint(
        Get,
        "/nodes/{node}/qemu/{vmid}/agent/get-osinfo",
        Check::Any(
            "/vms/{vmid}",
            &["VM.GuestAgent.Audit", "VM.GuestAgent.Unrestricted"],
        ),
        Agent(Verb::Plain("guest-get-osinfo")),
        &[],
    ),
    endpoint(
        Get,
        "/nodes/{node}/qemu/{vmid}/agent/get-host-name",
        Check::Any(
            "/vms/{vmid}",
            &["VM.GuestAgent.Audit", "VM.GuestAgent.Unrestricted"],
        ),
        Agent(Verb::Plain("guest-get-host-name")),
        &[],
    ),
    endpoint(
        Get,
        "/nodes/{node}/qemu/{vmid}/agent/info",
        Check::Any(
            "/vms/{vmid}",
            &["VM.GuestAgent.Audit", "VM.GuestAgent.Unrestricted"],
        ),
        Agent(Verb::Plain("guest-info")),
        &[],
    ),
    endpoint(
        Get,
        "/nodes/{node}/qemu/{vmid}/agent/get-fsinfo",
        Check::Any(
            "/vms/{vmid}",
            &["VM.GuestAgent.Audit", "VM.GuestAgent.Unrestricted"],
        ),
        Agent(Verb::Plain("guest-get-fsinfo")),
        &[],
    ),
    endpoint(
        Post,
        "/nodes/{node}/qemu/{vmid}/agent/exec",
        Check::Perm("/vms/{vmid}", &["VM.GuestAgent.Unrestricted"]),
        Agent(Verb::Exec),
        &[&[req("command", LIST), opt("input-data", TEXT.max(65536))]],
    ),
    endpoint(
        Get,
        "/nodes/{node}/qemu/{vmid}/agent/exec-status",
        Check::Perm("/vms/{vmid}", &["VM.GuestAgent.Unrestricted"]),
        Agent(Verb::ExecStatus),
        &[&[req("pid", INTEGER)]],
    ),
    endpoint(
        Get,
        "/nodes/{node}/qemu/{vmid}/agent/file-read",
        Check::Any(
            "/vms/{vmid}",
            &["VM.GuestAgent.FileRead", "VM.GuestAgent.Unrestricted"],
        ),
        Agent(Verb::FileRead),
        &[&[
            opt("count", INTEGER.min(1).max(16_777_216)).or("16777216"),
            opt("decode", BOOLEAN).or("1"),
            req("file", TEXT),
            opt("offset", INTEGER.min(0)).or("0"),
        ]],
    ),
    endpoint(
        Post,
        "/nodes/{node}/qemu/{vmid}/agent/file-write",
        Check::Any(
            "/vms/{vmid}",
            &["VM.GuestAgent.FileWrite", "VM.GuestAgent.Unrestricted"],
        ),
        Agent(Verb::FileWrite),
        &[&[
            req("content", TEXT.max(61440)),
            opt("encode", BOOLEAN).or("1"),
            req("file", TEXT),
        ]],
    ),
];
