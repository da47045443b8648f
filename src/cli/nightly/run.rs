//! A whole night, or some of its jobs.

use super::{
    args::NightlyArgs,
    jobs, memory,
    memory::Memory,
    outcome::{Outcome, summary, title},
    voice::Voice,
};
use crate::cli::{
    context::Context,
    exit,
    failure::{Failure, failed},
    live,
    locks::Locks,
    session::{self, Session},
    system, zfs,
};
use crate::model::nights::{Job, METRICS_FILE, METRICS_FOLDER};
use crate::providers::{
    host::{FileWrite, HostWrite as _},
    notify::Kind,
};
use crate::view::words;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use std::{
    sync::atomic::AtomicBool,
    time::{Duration, Instant},
};

/// Between two looks at a lock that somebody holds.
const PAUSE: Duration = Duration::from_secs(2);

/// Runs it.
pub(super) fn run(context: &Context, args: &NightlyArgs) -> Result<u8, Failure> {
    let system = system::load(context)?;
    let mut voice = Voice::of(context, args, &system);
    let lab = live::lab_of(context)?;
    live::block_on(async {
        let opened = session::open(context, system, lab.as_ref());
        let result = match opened {
            Ok(session) => {
                voice.hide(&session.world.secrets);
                let result = locked(context, args, &session, &voice).await;
                if let (true, Some(run)) = (
                    voice.has_told.get(),
                    context.env.variables.get("INVOCATION_ID"),
                ) {
                    // Told twice is better than not at all.
                    let _ = memory::tell(&session.state, run);
                }
                result
            }
            Err(failure) => Err(failure),
        };
        if let Err(failure) = &result
            && failure.code() != exit::INTERRUPTED
        {
            let title = format!("{}: the night did not begin", voice.system);
            voice
                .say(context, Kind::Failure, &title, &failure.text())
                .await;
        }
        result
    })
}

/// One night at a time. A run that is going on is waited for.
async fn locked(
    context: &Context,
    args: &NightlyArgs,
    session: &Session,
    voice: &Voice,
) -> Result<u8, Failure> {
    let deadline = Instant::now() + Duration::from_secs(args.wait * 60);
    loop {
        let walking = AtomicBool::new(false);
        let locks = Locks::of_night(context, session);
        let mut begun = false;
        let work = async {
            begun = true;
            night(context, args, session, voice).await
        };
        let result = locks.hold(context, &walking, work).await;
        match result {
            Err(failure)
                if failure.code() == exit::LOCKED && !begun && Instant::now() < deadline =>
            {
                tokio::time::sleep(PAUSE).await;
            }
            result => return result,
        }
    }
}

async fn night(
    context: &Context,
    args: &NightlyArgs,
    session: &Session,
    voice: &Voice,
) -> Result<u8, Failure> {
    let begun = Instant::now();
    let since = jiff::Timestamp::now();
    let is_whole = args.job.is_empty();
    let wanted: Vec<Job> = Job::ALL
        .into_iter()
        .filter(|job| is_whole || args.job.contains(job))
        .collect();
    let system = &voice.system;
    if is_whole {
        let title = format!("{system}: the night begins");
        voice.say(context, Kind::Begin, &title, "").await;
    }
    let mut memory = Memory::read(&session.state);
    let mut outcomes: Vec<Outcome> = Vec::new();
    let patience = Duration::from_secs(args.wait * 60);
    // What only looks waits most of its time: all of it is asked for side by side.
    let (looks, acts): (Vec<Job>, Vec<Job>) = wanted.into_iter().partition(|job| job.only_looks());
    let steps = acts.chunks(1).chain(Some(looks.as_slice()));
    for jobs in steps {
        for job in jobs {
            context.terminal.tell(&format!("{job} ..."));
        }
        let mut running: FuturesUnordered<_> = jobs
            .iter()
            .map(|job| jobs::run(context, session, *job, patience))
            .collect();
        while let Some(outcome) = running.next().await {
            outcomes.push(told(context, voice, &mut memory, outcome).await);
        }
    }
    outcomes.sort_by_key(|outcome| outcome.job);
    let took = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    let is_well = !outcomes.iter().any(Outcome::failed);
    if is_whole {
        memory.night(is_well, took, jiff::Timestamp::now().as_second());
        let place = format!(
            "Begun at {} by {}, {}.",
            since.strftime("%Y-%m-%d %H:%M UTC"),
            context.env.who,
            words::duration(took)
        );
        let kind = if is_well { Kind::Well } else { Kind::Bad };
        let text = summary(&outcomes, &place);
        voice
            .say(context, kind, &title(system, &outcomes), &text)
            .await;
        if !context.global.json {
            context.terminal.tell(&place);
        }
    }
    memory.unheard = voice.unheard.get();
    let kept = keep(context, session, voice, &memory).await;
    if context.global.json {
        context.terminal.json(&serde_json::json!({
            "jobs": outcomes, "milliseconds": took, "unheard": memory.unheard,
        }));
    }
    Ok(code(&outcomes, kept && memory.unheard == 0))
}

/// Remembers what became of a job, and says so; a failure at once.
async fn told(
    context: &Context,
    voice: &Voice,
    memory: &mut Memory,
    mut outcome: Outcome,
) -> Outcome {
    for line in &mut outcome.lines {
        *line = voice.clean(line);
    }
    memory.job(&outcome, jiff::Timestamp::now().as_second());
    if !context.global.json {
        context.terminal.answer(&outcome.text());
    }
    if outcome.failed() {
        let title = format!("{}: {} failed", voice.system, outcome.job);
        voice
            .say(context, Kind::Failure, &title, &outcome.text())
            .await;
    }
    outcome
}

/// A single job's own code; for several, whether anything failed.
fn code(outcomes: &[Outcome], told_and_kept: bool) -> u8 {
    let own = match outcomes {
        [one] => one.exit,
        many if many.iter().any(Outcome::failed) => exit::FAILED,
        _ => exit::DONE,
    };
    if own == exit::DONE && !told_and_kept {
        exit::FAILED
    } else {
        own
    }
}

/// Remembers, and shows Prometheus. What cannot be kept is complained about and told: silence would look like health.
async fn keep(context: &Context, session: &Session, voice: &Voice, memory: &Memory) -> bool {
    let result = kept(context, session, voice, memory).await;
    if let Err(failure) = &result {
        failure.tell(context.terminal);
        let title = format!("{}: the metrics could not be written", voice.system);
        voice
            .say(context, Kind::Failure, &title, &failure.text())
            .await;
    }
    result.is_ok()
}

async fn kept(
    context: &Context,
    session: &Session,
    voice: &Voice,
    memory: &Memory,
) -> Result<(), Failure> {
    memory.write(&session.state).map_err(|e| failed(&e))?;
    let mut text = memory.metrics(&voice.system);
    if !session.desired.zpools.is_empty() {
        let mut inner = context.in_folder(&session.world.folder);
        inner.global.on = None;
        text.push_str(&zfs::nightly::metrics(&inner, session).await?);
    }
    memory::replace(&session.state.join(METRICS_FILE), &text).map_err(|e| failed(&e))?;
    let nights = session.desired.nights.as_ref();
    let Some(host) = nights.and_then(|nights| nights.metrics.as_ref()) else {
        return Ok(());
    };
    let shell = session.hosts.get(host).ok_or_else(|| {
        Failure::new(
            exit::UNREACHABLE,
            format!("the inventory gives no shell access to {host}"),
        )
    })?;
    let file = FileWrite {
        path: format!("{METRICS_FOLDER}/{METRICS_FILE}"),
        owner: "root".to_owned(),
        group: "root".to_owned(),
        mode: 0o644,
        bytes: text.into_bytes(),
    };
    shell.write_files(&[file]).await.map_err(|e| failed(&e))
}
