//! `infra vm`: day-to-day work with guests. The list and the shells are here.

use super::{context::Context, exit, failure::Failure, live, session::Session, up::Locks, vm_life};
use crate::model::{ids::HostName, observed::Reading};
use clap::Subcommand;
use std::sync::atomic::AtomicBool;

/// Work with guests.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum VmVerb {
    /// List the cluster's guests, ours and others'
    List,
    /// Open a shell on a host of the inventory, host key checked
    Ssh {
        /// Host name in the inventory
        host: String,
        /// Command to run instead of a shell
        #[arg(trailing_var_arg = true)]
        command: Vec<String>,
    },
    /// Power a guest on
    Start {
        /// Guest of the inventory
        guest: String,
    },
    /// Ask a guest to shut down
    Stop {
        /// Guest of the inventory
        guest: String,
        /// Cut its power instead
        #[arg(long)]
        force: bool,
    },
    /// Shut a guest down and start it again, which applies settings that wait for it
    Reboot {
        /// Guest of the inventory
        guest: String,
    },
    /// Open the serial console of a guest, through its node (Ctrl-O leaves it)
    Console {
        /// Guest of the inventory
        guest: String,
    },
    /// Save a guest's disks and configuration as they are now
    Snapshot {
        /// Guest of the inventory
        guest: String,
        /// Name of the snapshot; made from the time unless given
        name: Option<String>,
        /// List the snapshots instead
        #[arg(long, conflicts_with = "delete")]
        list: bool,
        /// Delete this snapshot instead
        #[arg(long)]
        delete: bool,
    },
    /// Put a guest back to a snapshot; what was written since is lost
    Rollback {
        /// Guest of the inventory
        guest: String,
        /// Name of the snapshot
        name: String,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
    /// Move a guest to another node; a running one keeps running
    Migrate {
        /// Guest of the inventory
        guest: String,
        /// Node of the inventory
        node: String,
    },
}

/// Runs the verb.
pub(crate) fn run(context: &Context, verb: &VmVerb) -> Result<u8, Failure> {
    match verb {
        VmVerb::List => live::with(context, |session| Box::pin(list(context, session))),
        VmVerb::Ssh { host, command } => {
            live::with(context, |session| Box::pin(shell(session, host, command)))
        }
        VmVerb::Start { guest } => live::with(context, |session| {
            Box::pin(async move {
                let work = vm_life::start(context, &session, guest);
                locked(context, &session, "infra vm start", work).await
            })
        }),
        VmVerb::Stop { guest, force } => live::with(context, |session| {
            Box::pin(async move {
                let work = vm_life::stop(context, &session, guest, *force);
                locked(context, &session, "infra vm stop", work).await
            })
        }),
        VmVerb::Reboot { guest } => live::with(context, |session| {
            Box::pin(async move {
                let work = vm_life::reboot(context, &session, guest);
                locked(context, &session, "infra vm reboot", work).await
            })
        }),
        VmVerb::Console { guest } => live::with(context, |session| {
            Box::pin(async move { vm_life::console(&session, guest).await })
        }),
        VmVerb::Snapshot {
            guest,
            name,
            list,
            delete,
        } => live::with(context, |session| {
            let deed = vm_life::SnapshotDeed {
                label: name.as_deref(),
                list: *list,
                delete: *delete,
            };
            Box::pin(async move {
                if deed.list {
                    return vm_life::snapshot(context, &session, guest, deed).await;
                }
                let work = vm_life::snapshot(context, &session, guest, deed);
                locked(context, &session, "infra vm snapshot", work).await
            })
        }),
        VmVerb::Rollback { guest, name, yes } => live::with(context, |session| {
            Box::pin(async move {
                let work = vm_life::rollback(context, &session, guest, name, *yes);
                locked(context, &session, "infra vm rollback", work).await
            })
        }),
        VmVerb::Migrate { guest, node } => live::with(context, |session| {
            Box::pin(async move {
                let work = vm_life::migrate(context, &session, guest, node);
                locked(context, &session, "infra vm migrate", work).await
            })
        }),
    }
}

/// Does a deed while no other run changes anything. Ctrl-C ends the waiting; what the node has begun goes on.
async fn locked(
    context: &Context,
    session: &Session,
    why: &str,
    deed: impl Future<Output = Result<u8, Failure>>,
) -> Result<u8, Failure> {
    let acting = AtomicBool::new(true);
    let work = async {
        tokio::select! {
            done = deed => done,
            Ok(()) = tokio::signal::ctrl_c() => Err(Failure::new(
                exit::INTERRUPTED,
                "interrupted: what the node has begun goes on by itself",
            )
            .hint(format!("See how it stands: `{}`.", context.again("vm list")))),
        }
    };
    Locks::of(context, session, why)
        .hold(context, &acting, work)
        .await
}

async fn list(context: &Context, session: Session) -> Result<u8, Failure> {
    let observed = session.look().await;
    let seen = match &observed.proxmox {
        Some(Reading::Seen(seen)) => seen,
        Some(Reading::Failed { why, hint }) => {
            let failure = Failure::new(exit::UNREACHABLE, why.clone());
            return Err(match hint {
                Some(hint) => failure.hint(hint.clone()),
                None => failure,
            });
        }
        Some(Reading::Absent) | None => {
            return Err(Failure::new(exit::USAGE, "the inventory has no Proxmox"));
        }
    };
    let rows: Vec<_> = seen
        .guests
        .iter()
        .map(|(vmid, guest)| {
            let ours = session
                .desired
                .guests
                .values()
                .find(|wanted| wanted.vmid == *vmid);
            serde_json::json!({
                "vmid": vmid,
                "name": guest.name,
                "node": guest.node,
                "status": guest.status,
                "address": ours.and_then(crate::model::guest::Guest::address),
                "managed": ours.is_some(),
            })
        })
        .collect();
    if context.global.json {
        context
            .terminal
            .json(&serde_json::json!({ "guests": rows }));
        return Ok(exit::DONE);
    }
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::UTF8_FULL_CONDENSED);
    table.set_header(["VMID", "name", "node", "status", "address", "infra"]);
    for (vmid, guest) in &seen.guests {
        let ours = session
            .desired
            .guests
            .values()
            .find(|wanted| wanted.vmid == *vmid);
        let address = ours.and_then(crate::model::guest::Guest::address);
        table.add_row([
            vmid.to_string(),
            guest.name.clone(),
            guest.node.clone(),
            guest.status.clone(),
            address
                .map(|address| address.to_string())
                .unwrap_or_default(),
            if ours.is_some() {
                "managed".to_owned()
            } else {
                String::new()
            },
        ]);
    }
    context.terminal.answer(&format!("{table}\n"));
    Ok(exit::DONE)
}

/// Hands over to the system's own ssh, with infra's pins and nothing less strict.
async fn shell(session: Session, host: &str, command: &[String]) -> Result<u8, Failure> {
    let name = HostName::new(host).map_err(|error| Failure::of(exit::USAGE, &error))?;
    let words: Vec<&str> = command.iter().map(String::as_str).collect();
    terminal(&session, &name, false, &words).await
}

/// Runs the system's own ssh to a host, on this terminal.
pub(super) async fn terminal(
    session: &Session,
    name: &HostName,
    tty: bool,
    command: &[&str],
) -> Result<u8, Failure> {
    let status = ssh(session, name, tty)?.args(command).status().await;
    let status = status.map_err(|error| {
        Failure::of(exit::FAILED, &error)
            .hint("Install OpenSSH's client: `apt install openssh-client`.")
    })?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.unwrap_or(exit::FAILED))
}

/// The system's own ssh to a host, with infra's pins; what it shall run is still to be added.
pub(super) fn ssh(
    session: &Session,
    name: &HostName,
    tty: bool,
) -> Result<tokio::process::Command, Failure> {
    let Some(shell) = session.hosts.get(name) else {
        let names: Vec<&str> = session.hosts.keys().map(HostName::as_str).collect();
        return Err(
            Failure::new(exit::USAGE, format!("there is no host `{name}`"))
                .hint(format!("The inventory has {}.", names.join(", "))),
        );
    };
    let target = shell.target();
    let mut ssh = tokio::process::Command::new("ssh");
    if tty {
        ssh.arg("-t");
    }
    ssh.args(target.openssh_options())
        .arg("-p")
        .arg(target.port.to_string());
    ssh.arg(format!("{}@{}", target.user, target.address));
    Ok(ssh)
}
