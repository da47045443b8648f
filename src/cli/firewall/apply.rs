//! `infra firewall apply`: the firewall's part of the plan, on all layers, under one guard.

use super::{part, probe};
use crate::apply::{
    Receipt, StepFailure,
    event::StepOutcome,
    guard::{Cover, Ending, GuardPolicy, TakenBack},
};
use crate::cli::{
    closed,
    context::Context,
    exit,
    failure::Failure,
    live,
    locks::Locks,
    plan::{MaxImpact, refuse},
    session::{GUARD_SECONDS, Lab, Session},
    up::{self, Called},
};
use crate::model::{ids::HostName, observed::Observed};
use crate::plan::{Plan, change::Change};
use crate::providers::guard::GuardKind;
use crate::view::human;
use clap::Args;
use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

/// Bring the firewall in line with the matrix, on Proxmox, in every guest, before every container.
///
/// Every machine concerned saves what it has and puts it back by itself unless this command confirms the change. It is
/// confirmed only after new connections to the API and to every machine's SSH came in and every cell of the matrix was
/// seen to be as written. Exit code 9 says that everything was taken back.
#[derive(Debug, Clone, Args)]
pub(crate) struct ApplyArgs {
    /// Do not ask
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// Refuse a plan with more impact than this
    #[arg(long, value_name = "IMPACT")]
    pub(crate) max_impact: Option<MaxImpact>,
    /// Seconds without a sign of life after which machines take the change back
    #[arg(long, value_name = "SECONDS", default_value_t = GUARD_SECONDS, value_parser = clap::value_parser!(u32).range(5..=600))]
    pub(crate) guard: u32,
    /// Confirm after new connections alone, without probing the cells
    #[arg(long)]
    pub(crate) no_probe: bool,
}

/// How often it is looked before a change is kept, and how long between two looks.
const LOOKS: usize = 4;
const BETWEEN_LOOKS: Duration = Duration::from_secs(2);

/// Runs the verb.
pub(crate) fn run(context: &Context, args: &ApplyArgs) -> Result<u8, Failure> {
    live::with(context, |session| {
        Box::pin(async move {
            let locks = Locks::of(context, &session, "infra firewall apply");
            let guarding = AtomicBool::new(false);
            let work = apply(context, args, session, &guarding);
            locks.hold(context, &guarding, work).await
        })
    })
}

/// Whether any layer differs from the matrix.
pub(crate) async fn is_pending(context: &Context, session: &Session) -> Result<bool, Failure> {
    let (plan, _) = part::plan(context, session).await?;
    Ok(!plan.changes.is_empty())
}

/// The same for somebody who has agreed and holds the run's lock.
pub(crate) async fn unattended(
    context: &Context,
    session: &Session,
    lab: Option<&Lab>,
) -> Result<u8, Failure> {
    let mut whole = context.in_folder(&session.world.folder);
    whole.global.on = None;
    let own = crate::cli::session::open(context, crate::cli::system::load(context)?, lab)?;
    let args = ApplyArgs {
        yes: true,
        max_impact: None,
        guard: GUARD_SECONDS,
        no_probe: own.lab && own.nobody_here.is_some(),
    };
    apply(&whole, &args, own, &AtomicBool::new(false)).await
}

async fn apply(
    context: &Context,
    args: &ApplyArgs,
    mut session: Session,
    guarding: &AtomicBool,
) -> Result<u8, Failure> {
    let (plan, before) = part::plan(context, &session).await?;
    if !context.global.json {
        let verbose = context.terminal.loudness().verbose;
        context.terminal.answer(&human::plan(&plan, verbose));
    }
    refuse(&plan, args.max_impact)?;
    if let Some(failure) = up::blocked(&plan) {
        return Err(failure);
    }
    if plan.changes.is_empty() {
        if context.global.json {
            context.terminal.json(&serde_json::json!({ "plan": plan }));
        }
        return Ok(exit::DONE);
    }
    let called = Called::new("firewall apply", "firewall plan");
    if !args.yes && !up::agreed(context, &plan, &called).await? {
        return Err(Failure::new(
            exit::FAILED,
            "nothing was changed: you did not agree",
        ));
    }
    let GuardPolicy::EachStep { token, .. } =
        std::mem::replace(&mut session.world.guard, GuardPolicy::Covered)
    else {
        return Err(Failure::new(exit::FAILED, "the run is guarded already"));
    };
    // From here on Ctrl-C ends nothing half way: what is armed is kept or taken back first.
    guarding.store(true, Ordering::SeqCst);
    let done = guarded(context, args, &session, &plan, &token).await;
    guarding.store(false, Ordering::SeqCst);
    let Guarded {
        receipt,
        after,
        taken,
    } = done?;
    let code = show(context, &session, &plan, &receipt)?;
    // Some machines keep the change, or may: that is no change that was reverted.
    if taken.is_some_and(|taken| !taken.is_whole()) {
        return Ok(exit::PARTIAL);
    }
    if let Some(after) = after.filter(|_| code == exit::DONE) {
        let trackers = part::trackers(&plan, &session.desired);
        closed::end(context, &session, &trackers, (&before, &after)).await;
    }
    Ok(code)
}

/// How a guarded run ended.
struct Guarded {
    receipt: Receipt,
    /// What the last look saw; only of a change that was kept.
    after: Option<Observed>,
    /// What became of a change that was not.
    taken: Option<TakenBack>,
}

/// Arms, writes, waits until it is in force, proves it from outside, and only then keeps it.
async fn guarded(
    context: &Context,
    args: &ApplyArgs,
    session: &Session,
    plan: &Plan,
    token: &str,
) -> Result<Guarded, Failure> {
    let concerned = part::machines(plan);
    let world = &session.world;
    let mut machines = Vec::new();
    let mut nodes = BTreeSet::new();
    for (host, kind) in &concerned {
        match (session.hosts.get(host), kind) {
            // The files are the cluster's, and every node enforces them: each can put them back.
            (_, GuardKind::Node) => nodes.extend(session.desired.nodes.keys().cloned()),
            (Some(shell), GuardKind::Host | GuardKind::Network) => {
                machines.push((shell.clone(), *kind));
            }
            (None, GuardKind::Host | GuardKind::Network) => return Err(unguarded(host)),
        }
    }
    for node in &nodes {
        let shell = session.hosts.get(node).ok_or_else(|| unguarded(node))?;
        machines.push((shell.clone(), GuardKind::Node));
    }
    let proved: BTreeSet<HostName> = concerned.keys().chain(&nodes).cloned().collect();
    let cover = Cover::arm(machines, token, args.guard)
        .await
        .map_err(|failure| told(&failure))?;
    context.terminal.tell(&format!(
        "Guarded: {} take the change back by themselves unless it is confirmed.",
        proved
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(", ")
    ));
    let (mut receipt, mut after) = (None, None);
    let work = async {
        let done = up::walk(context, session, plan)
            .await
            .map_err(|failure| StepFailure::because(failure.text()))?;
        let failed = done.failed().next().map(|change| match &change.outcome {
            StepOutcome::Failed { why, .. } => format!("{}: {why}", change.id),
            StepOutcome::Done | StepOutcome::Skipped { .. } => change.id.clone(),
        });
        let complete = done.is_complete();
        receipt = Some(done);
        if !complete {
            let why = failed.unwrap_or_else(|| "the run was interrupted".to_owned());
            return Err(StepFailure::because(why));
        }
        world.settle(&nodes).await?;
        world.prove_access(&proved).await?;
        if !args.no_probe {
            probe::hold(session).await?;
        }
        // The last look comes before the last word: what it finds can still be taken back.
        after = Some(last_look(context, session).await?);
        cover.keep().await
    };
    let outcome = cover.during(work).await;
    let taken = match outcome {
        Ok(()) => None,
        Err(cause) => Some(cover.take_back(cause).await),
    };
    let receipt = receipt.ok_or_else(|| {
        taken.as_ref().map_or_else(
            || Failure::new(exit::FAILED, "the run ended before its first step"),
            |taken| told(&taken.failure()),
        )
    })?;
    let Some(taken) = taken else {
        return Ok(Guarded {
            receipt,
            after,
            taken: None,
        });
    };
    let receipt = receipt.taken_back(&taken.failure(), |id| {
        let change = plan.changes.iter().find(|change| change.id == id);
        change.map_or(Ending::Unknown, |change| ending(&taken, &nodes, change))
    });
    Ok(Guarded {
        receipt,
        after: None,
        taken: Some(taken),
    })
}

/// A machine on which nothing would undo a lock-out.
fn unguarded(host: &HostName) -> Failure {
    Failure::new(
        exit::UNREACHABLE,
        format!("nothing was changed: {host} has no shell, so nothing would undo a lock-out there"),
    )
    .hint("Give it `ssh:` in the inventory, or see why it does not answer.")
}

/// Looks at everything again, a few times: somebody who reloads UFW at that moment has it half loaded for a while.
///
/// # Errors
/// When what was written is not what is there.
async fn last_look(context: &Context, session: &Session) -> Result<Observed, StepFailure> {
    let mut looks = 0;
    loop {
        let (again, seen) = part::plan(context, session)
            .await
            .map_err(|failure| StepFailure::because(failure.text()))?;
        looks += 1;
        if again.is_empty() {
            return Ok(seen);
        }
        if looks == LOOKS {
            return Err(still_differs(&again));
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
}

fn still_differs(again: &Plan) -> StepFailure {
    let changes = again.changes.iter().map(|change| {
        let reason = &change.reason;
        format!("{}: {} ({reason})", change.host, change.subject)
    });
    let blocked = again
        .blocked
        .iter()
        .map(|blocked| format!("{}: {}", blocked.what, blocked.why));
    let all: Vec<String> = changes.chain(blocked).collect();
    StepFailure {
        hint: Some(
            "Somebody or something else writes there: find out who, and run the command again."
                .to_owned(),
        ),
        ..StepFailure::because(format!(
            "the last look before the change is kept finds other rules than were written:\n    {}",
            all[..all.len().min(10)].join("\n    ")
        ))
    }
}

/// What became of one change: the files of the cluster are as bad off as on the worst of its nodes.
fn ending(taken: &TakenBack, nodes: &BTreeSet<HostName>, change: &Change) -> Ending {
    let of = |host: &HostName| taken.machines.get(host).copied();
    let ending = if nodes.contains(&change.host) {
        nodes.iter().filter_map(of).max()
    } else {
        of(&change.host)
    };
    ending.unwrap_or(Ending::Unknown)
}

/// A failure of the guard, as a command ends with it.
fn told(failure: &StepFailure) -> Failure {
    let code = if failure.reverted {
        exit::REVERTED
    } else {
        exit::FAILED
    };
    let out = Failure::new(code, failure.why.clone());
    match failure.hint.as_deref().filter(|hint| !hint.is_empty()) {
        Some(hint) => out.hint(hint),
        None => out,
    }
}

fn show(context: &Context, session: &Session, plan: &Plan, done: &Receipt) -> Result<u8, Failure> {
    let file = up::write_receipt(session, done)?;
    if context.global.json {
        let both = serde_json::json!({ "plan": plan, "receipt": done });
        context.terminal.json(&both);
    } else {
        let again = format!("`{}`", context.again("firewall apply"));
        let text = human::receipt(done, Some(&file), &again);
        context.terminal.tell(text.trim_end());
    }
    Ok(if done.is_complete() {
        exit::DONE
    } else {
        up::ended(done)
    })
}
