//! `infra lab fault`: breaks something in a lab that is up, to see what infra makes of it.

use super::{context::Context, exit, failure::Failure};
use crate::lab::{
    api::{Effect, Fault, StorageState},
    folder::LabFolder,
    run::{Order, Report, order},
    scripted::HostTrouble,
};
use crate::model::ids::{HostName, StorageId};
use clap::{Args, Subcommand, ValueEnum};
use std::fmt::Write as _;

/// Break something in the lab, to see what infra makes of it
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum FaultVerb {
    /// Something goes wrong with the next requests to the API
    Api(ApiArgs),
    /// A storage fills up or disappears
    Storage {
        /// Storage
        storage: StorageId,
        /// How it is from now on
        #[arg(value_enum)]
        state: Storage,
    },
    /// Something goes wrong on a host of a scripted lab
    Host(HostArgs),
    /// Make everything well again; tasks that are stuck go on
    Clear,
    /// Show what is wrong, and what the lab was asked so far
    List,
}

/// A fault of the API.
#[derive(Debug, Clone, Args)]
pub(crate) struct ApiArgs {
    /// What happens
    #[arg(value_enum)]
    effect: ApiEffect,
    /// Requests to this path below `/api2/json`; `*` stands for anything
    #[arg(long, default_value = "*")]
    path: String,
    /// Requests with this method only
    #[arg(long, value_name = "METHOD")]
    method: Option<String>,
    /// How many requests it meets
    #[arg(long, value_name = "COUNT", default_value_t = 1)]
    times: u32,
    /// For delay and hold-lock, in the node's seconds
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// For status and status-after
    #[arg(long, default_value_t = 500)]
    code: u16,
    /// For status, status-after and fail-task: what the node says
    #[arg(long, default_value = "a fault of the lab")]
    text: String,
}

/// What goes wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ApiEffect {
    /// The answer comes later
    Delay,
    /// The connection closes before the request is looked at
    DropBefore,
    /// The request is carried out and the connection closes without an answer
    DropAfter,
    /// The request is carried out and the connection closes in the middle of the answer
    CutAnswer,
    /// This status, and nothing is carried out
    Status,
    /// The request is carried out, and this status comes in place of its answer
    StatusAfter,
    /// 401, as for a ticket that is too old
    ExpiredTicket,
    /// The digest that was sent is taken for a stale one
    StaleDigest,
    /// The task that the request starts fails
    FailTask,
    /// The task that the request starts does nothing until `infra lab fault clear`
    StuckTask,
    /// The guest's lock is held after the request
    HoldLock,
}

/// States of a storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Storage {
    /// As its owner made it
    Well,
    /// Nothing more fits
    Full,
    /// It is not in the node's configuration
    Missing,
}

/// A fault of a host.
#[derive(Debug, Clone, Args)]
pub(crate) struct HostArgs {
    /// Host
    host: HostName,
    /// What happens
    #[arg(value_enum)]
    trouble: Trouble,
    /// For unhealthy: the compose service; with `@TEXT` only while it runs an image that has TEXT in its name
    #[arg(long, required_if_eq("trouble", "unhealthy"))]
    service: Option<String>,
    /// For slow: how much longer every command takes
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
}

/// What goes wrong on a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Trouble {
    /// Connections are cut and refused
    Unreachable,
    /// It shows another host key
    NewHostKey,
    /// sudo asks for a password
    SudoRefused,
    /// Nothing can be written
    DiskFull,
    /// The image registries cannot be reached
    PullFails,
    /// The healthcheck of a service fails
    Unhealthy,
    /// Every command takes longer
    Slow,
}

/// Runs the verb.
pub(super) fn run(context: &Context, folder: &LabFolder, verb: &FaultVerb) -> Result<u8, Failure> {
    let wanted = match verb {
        FaultVerb::Api(args) => Order::Api { fault: fault(args) },
        FaultVerb::Storage { storage, state } => Order::Storage {
            storage: storage.clone(),
            state: match state {
                Storage::Well => StorageState::Well,
                Storage::Full => StorageState::Full,
                Storage::Missing => StorageState::Missing,
            },
        },
        FaultVerb::Host(args) => Order::Host {
            host: args.host.clone(),
            trouble: trouble(args),
        },
        FaultVerb::Clear => Order::Clear,
        FaultVerb::List => Order::Look,
    };
    super::lab::require_up(context, folder)?;
    let report = order(folder, &wanted).map_err(super::lab::told)?;
    if context.global.json {
        context.terminal.json(&report);
    } else {
        context.terminal.answer(&shown(&report));
    }
    Ok(exit::DONE)
}

fn fault(args: &ApiArgs) -> Fault {
    let text = args.text.clone();
    let seconds = args.seconds;
    Fault {
        method: args.method.as_ref().map(|method| method.to_uppercase()),
        path: args.path.clone(),
        count: args.times,
        effect: match args.effect {
            ApiEffect::Delay => Effect::Delay { seconds },
            ApiEffect::DropBefore => Effect::DropBefore,
            ApiEffect::DropAfter => Effect::DropAfter,
            ApiEffect::CutAnswer => Effect::CutAnswer,
            ApiEffect::Status => Effect::Status {
                code: args.code,
                text,
            },
            ApiEffect::StatusAfter => Effect::StatusAfter {
                code: args.code,
                text,
            },
            ApiEffect::ExpiredTicket => Effect::ExpiredTicket,
            ApiEffect::StaleDigest => Effect::StaleDigest,
            ApiEffect::FailTask => Effect::FailTask { text },
            ApiEffect::StuckTask => Effect::StuckTask,
            ApiEffect::HoldLock => Effect::HoldLock { seconds },
        },
    }
}

fn trouble(args: &HostArgs) -> HostTrouble {
    match args.trouble {
        Trouble::Unreachable => HostTrouble::Unreachable,
        Trouble::NewHostKey => HostTrouble::NewHostKey,
        Trouble::SudoRefused => HostTrouble::SudoRefused,
        Trouble::DiskFull => HostTrouble::DiskFull,
        Trouble::PullFails => HostTrouble::PullFails,
        Trouble::Unhealthy => HostTrouble::Unhealthy {
            service: args.service.clone().unwrap_or_default(),
        },
        Trouble::Slow => HostTrouble::Slow {
            seconds: args.seconds,
        },
    }
}

/// Each fault in the words in which it was ordered.
fn shown(report: &Report) -> String {
    let mut out = String::new();
    let word = |value: serde_json::Value, key: &str| {
        let word = if key.is_empty() { &value } else { &value[key] };
        word.as_str().unwrap_or_default().to_owned()
    };
    for fault in &report.api {
        let method = fault.method.as_deref().unwrap_or("any method");
        let effect = word(serde_json::json!(fault.effect), "do");
        let _ = writeln!(
            out,
            "  API: {effect} for {method} {}, {} times more",
            fault.path, fault.count
        );
    }
    for (storage, state) in &report.storages {
        let state = word(serde_json::json!(state), "");
        let _ = writeln!(out, "  storage {storage}: {state}");
    }
    for (host, trouble) in &report.hosts {
        let trouble = word(serde_json::json!(trouble), "trouble");
        let _ = writeln!(out, "  host {host}: {trouble}");
    }
    if out.is_empty() {
        out.push_str("  Nothing is wrong in the lab.\n");
    }
    let _ = writeln!(out, "  Requests to the API so far: {}.", report.requests);
    for (host, visits) in &report.visits {
        let _ = writeln!(
            out,
            "  SSH to {host} so far: {} connections, {} commands.",
            visits.connections, visits.execs
        );
    }
    out
}
