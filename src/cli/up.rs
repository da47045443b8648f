//! `infra up`: plan, ask, apply, look again, verify.

pub(super) use super::locks::Locks;
use super::{
    closed,
    context::Context,
    exit,
    failure::{Failure, failed},
    firewall::trackers,
    live,
    locks::now,
    plan::{MaxImpact, make},
    rounds,
    session::Session,
};
use crate::apply::{
    Interrupt, Receipt, Walk,
    guard::LEFT_BY_A_DEAD_RUN,
    journal::{self, Journal},
    receipt::ChangeReceipt,
};
use crate::plan::{Obstacle, Plan, change::Impact};
use crate::providers::proxmox::{ProxmoxRead as _, Upid};
use crate::view::{Terminal, palette, progress};
use clap::Args;
use std::{
    fmt::Write as _,
    path::PathBuf,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

/// Services that have just been started get this long before a failing check counts.
const PATIENCE: Duration = Duration::from_secs(30);
/// A task of an interrupted run is waited for this long before the new run looks at what there is.
const LEFTOVER_LIMIT: Duration = Duration::from_mins(10);

/// Plan, ask, apply, verify.
///
/// Asks before the first write unless --yes is given. Ctrl-C lets running steps end and begins no new ones. A run that was
/// killed is taken up by the next one.
#[derive(Debug, Clone, Args)]
pub(crate) struct UpArgs {
    /// A plan written by `infra plan --out`; refused when it is stale
    #[arg(value_name = "PLAN")]
    pub(crate) file: Option<PathBuf>,
    /// Do not ask
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// Refuse a plan with more impact than this
    #[arg(long, value_name = "IMPACT")]
    pub(crate) max_impact: Option<MaxImpact>,
    /// Snapshot the guests that the plan touches first
    #[arg(long)]
    pub(crate) snapshot: bool,
    /// Do not run the system's checks afterwards
    #[arg(long)]
    pub(crate) no_verify: bool,
    /// The words of the verb that runs it
    #[arg(skip)]
    pub(crate) called: Called,
}

/// How a run and its plan are typed: what is told to do next must be what was meant.
#[derive(Debug, Clone)]
pub(crate) struct Called {
    /// The verb that carries out.
    pub(crate) run: String,
    /// The verb that only looks.
    pub(crate) look: String,
}

impl Default for Called {
    fn default() -> Self {
        Self::new("up", "plan")
    }
}

impl Called {
    pub(crate) fn new(run: impl Into<String>, look: impl Into<String>) -> Self {
        let (run, look) = (run.into(), look.into());
        Self { run, look }
    }

    /// The command line that goes on.
    pub(super) fn run(&self, context: &Context) -> String {
        context.again_on(&self.run)
    }

    /// The command line that looks.
    pub(super) fn look(&self, context: &Context) -> String {
        context.again_on(&self.look)
    }
}

/// Runs the verb.
pub(crate) fn run(context: &Context, args: &UpArgs) -> Result<u8, Failure> {
    live::with(context, |session| Box::pin(up(context, args, session)))
}

async fn up(context: &Context, args: &UpArgs, session: Session) -> Result<u8, Failure> {
    ready(&session)?;
    let locks = Locks::of(context, &session, &format!("infra {}", args.called.run));
    let walking = AtomicBool::new(false);
    let work = locked_up(context, args, session, &walking);
    locks.hold(context, &walking, work).await
}

/// What the owner still has to fill in stops a real run before it asks anybody anything. The lab brings its own.
fn ready(session: &Session) -> Result<(), Failure> {
    if session.lab || session.unready.is_empty() {
        return Ok(());
    }
    let mut failure = Failure::new(
        exit::INVALID,
        "nothing was changed: the inventory still has to be filled in",
    );
    for what in &session.unready {
        failure = failure.hint(what.clone());
    }
    Err(failure)
}

async fn locked_up(
    context: &Context,
    args: &UpArgs,
    session: Session,
    walking: &AtomicBool,
) -> Result<u8, Failure> {
    wait_for_leftovers(context, &session).await?;
    let (mut plan, mut before) = make(context, &session).await?;
    let saved = args.file.as_ref().map(read_plan).transpose()?;
    if let Some(saved) = saved
        && saved.fingerprint != plan.fingerprint
    {
        return Err(Failure::new(
            exit::STALE,
            "the plan is stale: what would be done now differs from it",
        )
        .hint(format!("Look again: `{}`.", args.called.look(context))));
    }
    let mut told = Vec::new();
    let mut has_looked_anew = false;
    while let Some(done) = rounds::carry(context, args, &session, &plan, walking).await? {
        let trackers = trackers(&plan, &session.desired);
        let code = ended(&done);
        let is_complete = done.is_complete();
        let failed_for_a_dead_run = done.failed().next().is_some()
            && done.failed().all(|change| says(change, LEFT_BY_A_DEAD_RUN));
        told.push(serde_json::json!({ "plan": plan, "receipt": done }));
        if !is_complete {
            // What was closed on the way stays closed, for the connections of before too.
            if !trackers.is_empty() {
                let after = session.look().await;
                closed::end(context, &session, &trackers, (&before, &after)).await;
            }
            // A plan that was agreed to in a file is carried out as it stands there, or not at all.
            if failed_for_a_dead_run && !has_looked_anew && args.file.is_none() {
                has_looked_anew = true;
                context
                    .terminal
                    .tell("What the dead run had left is taken back: looking anew.");
                (plan, before) = make(context, &session).await?;
                continue;
            }
            rounds::tell(context, &plan, told);
            return Ok(code);
        }
        let (again, after) = make(context, &session).await?;
        closed::end(context, &session, &trackers, (&before, &after)).await;
        if !rounds::go_on(context, &plan, &again)? {
            break;
        }
        if args.file.is_some() {
            rounds::tell(context, &plan, told);
            let text = "the plan is carried out; what only came into sight with it is not in it";
            let failure = Failure::new(exit::PARTIAL, text);
            return Err(failure.hint(format!("See what: `{}`.", args.called.look(context))));
        }
        (plan, before) = (again, after);
    }
    rounds::tell(context, &plan, told);
    if plan.has(Obstacle::Unknown) {
        let text =
            "what is known was carried out; something could not be read and was left as it is";
        let failure = Failure::new(exit::PARTIAL, text);
        return Err(failure.hint(format!("See what: `{}`.", args.called.look(context))));
    }
    if args.no_verify || context.on().is_some() {
        return Ok(exit::DONE);
    }
    super::verify::show(context, &session, PATIENCE).await
}

/// Tasks that an interrupted run started go on without it; acting before they end would race with them.
async fn wait_for_leftovers(context: &Context, session: &Session) -> Result<(), Failure> {
    let open = journal::unfinished_tasks(&session.state).map_err(|error| failed(&error))?;
    let Some(api) = &session.world.proxmox else {
        return Ok(());
    };
    for text in open {
        let Ok(upid) = text.parse::<Upid>() else {
            continue;
        };
        context.terminal.tell(&format!(
            "The last run was interrupted; waiting for its task {upid}."
        ));
        // How it ended does not matter: what it left is looked at next.
        if let Err(error) = api.wait(&upid, LEFTOVER_LIMIT).await {
            context
                .terminal
                .tell(&format!("It ended without success: {error}."));
        }
    }
    Ok(())
}

fn read_plan(file: &PathBuf) -> Result<Plan, Failure> {
    let text = std::fs::read_to_string(file).map_err(|error| {
        Failure::of(exit::USAGE, &error).hint(format!("It is {}.", file.display()))
    })?;
    let plan: Plan = serde_json::from_str(&text).map_err(|error| {
        Failure::of(exit::USAGE, &error).hint("Write one with `infra plan --out FILE`.")
    })?;
    if plan.version == crate::plan::VERSION {
        Ok(plan)
    } else {
        let text = format!(
            "the plan has format {}, this infra reads {}",
            plan.version,
            crate::plan::VERSION
        );
        Err(Failure::new(exit::STALE, text).hint("Make it anew with `infra plan --out FILE`."))
    }
}

/// What stops everything. A question without an answer stops only what depends on it.
pub(super) fn blocked(plan: &Plan) -> Option<Failure> {
    let first = plan
        .blocked
        .iter()
        .find(|blocked| blocked.obstacle != Obstacle::Unknown)?;
    let code = if plan.has(Obstacle::Unreachable) {
        exit::UNREACHABLE
    } else {
        exit::FAILED
    };
    let text = format!("nothing was changed: {}: {}", first.what, first.why);
    Some(Failure::new(code, text).hint(first.help.clone()))
}

/// Asks the person.
pub(super) async fn agreed(
    context: &Context,
    plan: &Plan,
    called: &Called,
) -> Result<bool, Failure> {
    if !context.terminal.can_ask() {
        return Err(
            Failure::new(exit::USAGE, "there is nobody to ask").hint(format!(
                "Look at `{}`, then agree beforehand with `--yes`.",
                called.look(context)
            )),
        );
    }
    loop {
        let answer = ask(context.terminal).await;
        match answer.as_deref() {
            Some("yes" | "y") => return Ok(true),
            Some("explain" | "e") => context.terminal.tell(&explain(plan)),
            Some("no" | "n") | None => return Ok(false),
            Some(_) => {}
        }
    }
}

/// Asks on a thread of its own, so that Ctrl-C is heard meanwhile; the thread ends with the process.
async fn ask(terminal: Terminal) -> Option<String> {
    let (answer, answered) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        // Nobody listens any more when the run was interrupted.
        let _ = answer.send(terminal.ask("Carry this out? [yes / no / explain]"));
    });
    answered.await.ok().flatten()
}

/// Why each change is made and what it does to what runs.
fn explain(plan: &Plan) -> String {
    let mut out = String::new();
    for change in &plan.changes {
        let _ = writeln!(
            out,
            "  {}: {} ({}); waits for {}",
            palette::name(&change.id),
            change.reason,
            change.impact,
            if change.needs.is_empty() {
                "nothing".to_owned()
            } else {
                change.needs.join(", ")
            }
        );
    }
    if plan.impact() >= Some(Impact::MayCutAccess) {
        out.push_str("  What may cut access is proved by new connections before it is kept.\n");
    }
    out
}

pub(super) async fn carry_out(
    context: &Context,
    session: &Session,
    plan: &Plan,
) -> Result<(Receipt, PathBuf), Failure> {
    let receipt = walk(context, session, plan).await?;
    let file = write_receipt(session, &receipt)?;
    Ok((receipt, file))
}

/// Walks a plan, drawn and interruptible.
pub(super) async fn walk(
    context: &Context,
    session: &Session,
    plan: &Plan,
) -> Result<Receipt, Failure> {
    let loudness = context.terminal.loudness();
    let interrupt = Interrupt::default();
    let journal = Journal::begin(&session.state).map_err(|error| failed(&error))?;
    let walk = Walk {
        sink: progress::sink(context.terminal.draws(), loudness.quiet, loudness.verbose),
        journal: Arc::new(journal),
        interrupt: interrupt.clone(),
        now,
    };
    let watcher = tokio::spawn(async move {
        while tokio::signal::ctrl_c().await.is_ok() {
            interrupt.raise();
        }
    });
    let receipt = walk
        .run(plan, &session.world)
        .await
        .map_err(|error| failed(&error));
    watcher.abort();
    receipt
}

/// Keeps the receipt, and says where.
pub(super) fn write_receipt(session: &Session, receipt: &Receipt) -> Result<PathBuf, Failure> {
    receipt.write(&session.state).map_err(|error| {
        Failure::of(exit::FAILED, &error)
            .hint(format!("The receipt goes to {}.", session.state.display()))
    })
}

/// The exit code of a run.
pub(super) fn ended(receipt: &Receipt) -> u8 {
    let interrupted = receipt.failed().next().is_none();
    let rolled_back = receipt.failed().any(is_rolled_back);
    if receipt.is_reverted() {
        exit::REVERTED
    } else if interrupted {
        exit::INTERRUPTED
    } else if rolled_back {
        exit::ROLLED_BACK
    } else if receipt.done() > 0 {
        exit::PARTIAL
    } else {
        exit::FAILED
    }
}

/// Whether a stack did not get well and runs its release of before.
pub(super) fn is_rolled_back(change: &ChangeReceipt) -> bool {
    says(change, "rolled back")
}

fn says(change: &ChangeReceipt, words: &str) -> bool {
    matches!(&change.outcome, crate::apply::event::StepOutcome::Failed { why, .. } if why.contains(words))
}
