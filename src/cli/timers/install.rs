//! `infra timers install`: the timers' part of the plan.

use crate::cli::{
    context::Context,
    exit,
    failure::Failure,
    live,
    locks::Locks,
    plan::make,
    rounds,
    session::Session,
    up::{Called, UpArgs},
};
use crate::model::{
    facts::FactsRequest,
    ids::HostName,
    nights::{METRICS_FOLDER, Nights},
    secret::SecretSource,
};
use crate::plan::{
    Plan,
    change::{Change, Operation},
};
use crate::providers::host::HostRead as _;
use crate::timers;
use clap::Args;
use std::sync::atomic::AtomicBool;

/// Write the systemd timers of `nights:` on its host, and take away those that are not wanted any more
///
/// `infra up` does the same with everything else. Refuses when the program, the inventory or the age key is not there: a
/// timer that cannot run would fail every night.
#[derive(Debug, Clone, Args)]
pub(crate) struct InstallArgs {
    /// Do not ask
    #[arg(short, long)]
    pub(crate) yes: bool,
}

/// Runs the verb.
pub(crate) fn run(context: &Context, args: &InstallArgs) -> Result<u8, Failure> {
    live::with(context, |session| {
        Box::pin(async move {
            let locks = Locks::of(context, &session, "infra timers install");
            let walking = AtomicBool::new(false);
            let work = install(context, args, session, &walking);
            locks.hold(context, &walking, work).await
        })
    })
}

async fn install(
    context: &Context,
    args: &InstallArgs,
    session: Session,
    walking: &AtomicBool,
) -> Result<u8, Failure> {
    if let Some(nights) = &session.desired.nights {
        can_run(context, &session, nights).await?;
    }
    let plan = part(context, &session).await?;
    let how = UpArgs {
        file: None,
        yes: args.yes,
        max_impact: None,
        snapshot: false,
        no_verify: true,
        called: Called::new("timers install", "timers list"),
    };
    let Some(done) = rounds::carry(context, &how, &session, &plan, walking).await? else {
        if context.global.json {
            context.terminal.json(&serde_json::json!({ "plan": plan }));
        }
        return Ok(exit::DONE);
    };
    if context.global.json {
        let both = serde_json::json!({ "plan": plan, "receipt": done });
        context.terminal.json(&both);
    }
    if !done.is_complete() {
        return Ok(crate::cli::up::ended(&done));
    }
    let left = part(context, &session).await?;
    if left.changes.is_empty() {
        return Ok(exit::DONE);
    }
    let first = &left.changes[0].id;
    Err(Failure::new(
        exit::PARTIAL,
        format!("everything was carried out, and `{first}` still differs"),
    )
    .hint(format!("Look: `{}`.", context.again("timers list"))))
}

/// The timers' part of what differs.
async fn part(context: &Context, session: &Session) -> Result<Plan, Failure> {
    let (whole, _) = make(context, session).await?;
    let mut plan = whole
        .only(|change| is_ours(session, change))
        .map_err(|error| crate::cli::failure::failed(&error))?;
    plan.unmanaged.clear();
    Ok(plan)
}

fn is_ours(session: &Session, change: &Change) -> bool {
    let desired = &session.desired;
    if let Operation::WriteFile(file) = &change.operation {
        timers::is_ours(desired, &file.path)
    } else if let Operation::RemoveFile { path, .. } = &change.operation {
        timers::is_ours(desired, path)
    } else if let Operation::SetUnit { unit, .. } = &change.operation {
        timers::is_ours(desired, unit)
    } else if let Operation::MakeDirectory { path, .. } = &change.operation {
        path == METRICS_FOLDER
    } else {
        false
    }
}

/// Whether everything that a timer starts is on its host.
async fn can_run(context: &Context, session: &Session, nights: &Nights) -> Result<(), Failure> {
    let Some(host) = nights.host.as_ref().filter(|_| !nights.timers.is_empty()) else {
        return Ok(());
    };
    let missing = missing(session, nights, host).await?;
    if missing.is_empty() {
        return Ok(());
    }
    if session.lab {
        context.terminal.tell(&format!(
            "In the lab {host} has no {}; the timers are written all the same.",
            missing.join(", no ")
        ));
        return Ok(());
    }
    Err(Failure::new(
        exit::FAILED,
        format!("nothing was changed: {host} has no {}", missing.join(", no ")),
    )
    .hint("Put them there as docs/nights.md says: `scp` the program, copy or clone the inventory, copy the age key with mode 0600.")
    .hint(format!("Then try it there by hand: `{} -i {} nightly`.", nights.program, nights.inventory)))
}

/// What a timer would miss on its host.
pub(super) async fn missing(
    session: &Session,
    nights: &Nights,
    host: &HostName,
) -> Result<Vec<String>, Failure> {
    let shell = session.hosts.get(host).ok_or_else(|| {
        Failure::new(
            exit::UNREACHABLE,
            format!("the inventory gives no shell access to {host}"),
        )
    })?;
    let mut paths = vec![nights.program.clone(), nights.inventory.clone()];
    let is_encrypted = |source: &SecretSource| {
        matches!(source, SecretSource::Age { .. } | SecretSource::Sops { .. })
    };
    if session.desired.secrets.values().any(is_encrypted) {
        paths.push(timers::KEY.to_owned());
    }
    let request = FactsRequest {
        paths: paths.clone(),
        ..FactsRequest::default()
    };
    let facts = shell
        .facts(&request)
        .await
        .map_err(|error| Failure::of(exit::UNREACHABLE, &error))?;
    paths.retain(|path| facts.paths.get(path).is_none_or(Option::is_none));
    Ok(paths)
}
