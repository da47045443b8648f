//! The jobs of a night: each is the function behind a verb, called in the night's own session.

use super::{
    certificates,
    outcome::{End, Gauge, Outcome},
};
use crate::cli::{
    backup, context::Context, exit, failure::Failure, plan, session::Session, stack, verify, zfs,
};
use crate::model::nights::Job;
use crate::plan::Obstacle;
use crate::verify::Verdict;
use crate::view::{Record, Terminal, words::count};
use std::time::{Duration, Instant};

/// Services get so long to answer before a check counts.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two tries while another run holds the lock.
const PAUSE: Duration = Duration::from_secs(2);
/// So many lines of what went well are worth a line in the summary.
const NEWS: usize = 6;

/// What a job came to, before it has a name and a duration.
#[derive(Default)]
pub(super) struct Came {
    pub(super) code: u8,
    pub(super) lines: Vec<String>,
    pub(super) gauges: Vec<Gauge>,
}

/// Runs one job to its end. While another run holds the lock, it is tried again until `patience` is over.
pub(super) async fn run(
    context: &Context,
    session: &Session,
    job: Job,
    patience: Duration,
) -> Outcome {
    let begun = Instant::now();
    let ended = |end, came: Came| Outcome {
        job,
        end,
        exit: came.code,
        lines: came.lines,
        milliseconds: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
        gauges: came.gauges,
    };
    if let Some(why) = idle(session, job) {
        let came = Came {
            lines: vec![why.to_owned()],
            ..Came::default()
        };
        return ended(End::Skipped, came);
    }
    let (terminal, record) = Terminal::recording();
    let mut inner = context.in_folder(&session.world.folder);
    inner.terminal = terminal;
    inner.global.json = false;
    inner.global.on = None;
    let came = loop {
        match one(&inner, record, session, job, begun + patience).await {
            Err(failure) if failure.code() == exit::LOCKED && begun.elapsed() < patience => {
                tokio::time::sleep(PAUSE).await;
            }
            Err(failure) => {
                let code = failure.tell(terminal);
                break said(record, code);
            }
            Ok(came) => break came,
        }
    };
    if came.code == exit::DONE {
        ended(End::Well, came)
    } else {
        ended(End::Failed, came)
    }
}

/// Why the inventory asks for nothing of the kind.
fn idle(session: &Session, job: Job) -> Option<&'static str> {
    let desired = &session.desired;
    let no_schedule = || desired.datasets.values().all(|d| d.snapshots.is_none());
    let (is_idle, why) = match job {
        Job::Snapshot | Job::Prune => (no_schedule(), "no dataset has a snapshot schedule"),
        Job::Replicate => (desired.replicas.is_empty(), "the inventory has no replicas"),
        Job::Backup => (desired.backups.is_empty(), "the inventory has no backups"),
        Job::Drill => (
            desired.backups.values().all(|job| job.drill.is_none()),
            "no backup says `drill:`",
        ),
        Job::Check => (desired.checks.is_empty(), "the inventory has no checks"),
        Job::Images => (desired.stacks.is_empty(), "the inventory has no stacks"),
        Job::Drift | Job::Certificates => (false, ""),
    };
    is_idle.then_some(why)
}

async fn one(
    context: &Context,
    record: &Record,
    session: &Session,
    job: Job,
    deadline: Instant,
) -> Result<Came, Failure> {
    let code = match job {
        Job::Snapshot => zfs::nightly::snapshot(context, session).await?,
        Job::Prune => zfs::nightly::prune(context, session).await?,
        Job::Replicate => zfs::nightly::replicate(context, session).await?,
        Job::Backup => {
            let code = backups(context, session, deadline).await?;
            let mut came = said(record, code);
            came.gauges = proofs(session, job).await;
            return Ok(came);
        }
        Job::Drill => {
            let code = drills(context, session, deadline).await?;
            let mut came = said(record, code);
            came.gauges = proofs(session, job).await;
            return Ok(came);
        }
        Job::Check => return check(session).await,
        Job::Drift => return drift(context, session).await,
        Job::Certificates => return certificates::look(session).await,
        Job::Images => return images(context, record, session).await,
    };
    Ok(said(record, code))
}

/// Runs the backup jobs that are due. One that another run has is tried again until the deadline; the others do not wait.
async fn backups(context: &Context, session: &Session, deadline: Instant) -> Result<u8, Failure> {
    let mut due = backup::due(&session.desired, &session.hosts).await;
    if due.is_empty() {
        context.terminal.answer("No backup job is due.\n");
        return Ok(exit::DONE);
    }
    let mut all = Vec::new();
    loop {
        let came = backup::jobs::run_jobs(context, session, &due, false).await?;
        let (busy, done): (Vec<_>, Vec<_>) = came
            .into_iter()
            .partition(|came| came.code == exit::LOCKED && came.finished.is_none());
        all.extend(done);
        if busy.is_empty() || Instant::now() >= deadline {
            all.extend(busy);
            return Ok(backup::jobs::show(context, &all));
        }
        due = busy.into_iter().map(|came| came.job).collect();
        tokio::time::sleep(PAUSE).await;
    }
}

/// Holds the drills that are due, each as soon as nobody else has the job.
async fn drills(context: &Context, session: &Session, deadline: Instant) -> Result<u8, Failure> {
    let due = backup::due_drills(&session.desired, &session.hosts).await;
    if due.is_empty() {
        context.terminal.answer("No drill is due.\n");
    }
    let mut code = exit::DONE;
    for name in due {
        let ended = loop {
            match backup::drill::of_night(context, session, &name).await {
                Err(failure) if failure.code() == exit::LOCKED && Instant::now() < deadline => {
                    tokio::time::sleep(PAUSE).await;
                }
                Err(failure) if failure.code() == exit::INTERRUPTED => return Err(failure),
                Err(failure) => break failure.tell(context.terminal),
                Ok(ended) => break ended,
            }
        };
        if code == exit::DONE {
            code = ended;
        }
    }
    Ok(code)
}

/// When each backup last succeeded, and when a restore of it was last proven; 0 for never. Each is told by the job that
/// changes it: drills by hand are seen by the job `backup`, where no night holds any.
async fn proofs(session: &Session, job: Job) -> Vec<Gauge> {
    let (of_copies, of_proofs) = match idle(session, Job::Drill) {
        Some(_) => (true, true),
        None => (job == Job::Backup, job == Job::Drill),
    };
    let stands = backup::stands(&session.desired, &session.hosts).await;
    let mut out = Vec::new();
    for (name, stand) in stands {
        let mut put = |gauge: &str, help: &str, value: i64| {
            out.push(Gauge {
                name: format!("backup_{gauge}"),
                help: help.to_owned(),
                labels: vec![("backup".to_owned(), name.to_string())],
                value,
            });
        };
        if of_copies {
            put(
                "late",
                "Whether a backup has not succeeded within its schedule.",
                i64::from(stand.is_late),
            );
            put(
                "last_success_timestamp_seconds",
                "When the last proven backup began; 0 for never.",
                stand.succeeded,
            );
        }
        if of_proofs {
            put(
                "last_proven_restore_timestamp_seconds",
                "When a restore was last proven by a drill; 0 for never.",
                stand.proven,
            );
        }
    }
    out
}

/// What a verb said: all of its complaints when it failed, its answer in short when it did not.
fn said(record: &Record, code: u8) -> Came {
    let is_table = |line: &str| line.starts_with(['┌', '│', '╞', '├', '└']);
    let lines = |text: String| -> Vec<String> {
        text.lines()
            .filter(|line| !line.trim().is_empty() && !is_table(line))
            .map(str::to_owned)
            .collect()
    };
    let talk = lines(record.take_talk());
    let mut answer = lines(record.take_answers());
    if code == exit::DONE {
        answer.truncate(NEWS);
        Came {
            code,
            lines: answer,
            ..Came::default()
        }
    } else {
        answer.extend(talk);
        Came {
            code,
            lines: answer,
            ..Came::default()
        }
    }
}

async fn check(session: &Session) -> Result<Came, Failure> {
    let results = verify::asked(session, &session.desired.checks, PATIENCE).await?;
    let (mut lines, mut failed, mut unasked) = (Vec::new(), 0, 0);
    for result in &results {
        match &result.verdict {
            Verdict::Passed => {}
            Verdict::Failed { seen } => {
                failed += 1;
                lines.push(format!(
                    "{}: {seen} (asked by {})",
                    result.name, result.asked_by
                ));
            }
            Verdict::NotAsked { .. } => unasked += 1,
            // What could not be asked is not known to hold: no better than a failure to who sleeps.
            Verdict::Unanswered { why } => {
                failed += 1;
                lines.push(format!("{}: not answered: {why}", result.name));
            }
        }
    }
    let hold = results.len() - failed - unasked;
    lines.insert(
        0,
        format!("{hold} of {} hold", count(results.len(), "check", "checks")),
    );
    if unasked > 0 {
        lines.push(format!(
            "{} asked from here",
            count(unasked, "is not", "are not")
        ));
    }
    Ok(Came {
        code: if failed > 0 {
            exit::CHECK_FAILED
        } else {
            exit::DONE
        },
        lines,
        gauges: vec![
            gauge("checks", "The system's own checks.", results.len()),
            gauge("checks_failed", "Checks that do not hold.", failed),
        ],
    })
}

pub(super) fn gauge(name: &str, help: &str, value: usize) -> Gauge {
    Gauge {
        name: name.to_owned(),
        help: help.to_owned(),
        labels: Vec::new(),
        value: i64::try_from(value).unwrap_or(i64::MAX),
    }
}

async fn drift(context: &Context, session: &Session) -> Result<Came, Failure> {
    let (plan, _) = plan::make(context, session).await?;
    let mut lines: Vec<String> = plan
        .blocked
        .iter()
        .map(|blocked| format!("{}: {}", blocked.what, blocked.why))
        .collect();
    let changes = plan.changes.iter();
    lines.extend(changes.map(|change| format!("{} ({})", change.id, change.reason)));
    let code = if plan.has(Obstacle::Unreachable) || plan.has(Obstacle::Unknown) {
        exit::UNREACHABLE
    } else if plan.has(Obstacle::Refused) {
        exit::FAILED
    } else if plan.changes.is_empty() {
        exit::DONE
    } else {
        exit::PENDING
    };
    if code == exit::DONE {
        lines.push(format!(
            "{} match the inventory",
            count(plan.compared, "resource", "resources")
        ));
    }
    Ok(Came {
        code,
        lines,
        gauges: vec![gauge(
            "drift_changes",
            "What differs from the inventory.",
            plan.changes.len(),
        )],
    })
}

/// An image that has moved is news, not a failure: `infra stack update` takes it when the owner wants it.
async fn images(context: &Context, record: &Record, session: &Session) -> Result<Came, Failure> {
    let mut asking = context.in_folder(&session.world.folder);
    asking.global.json = true;
    let code = stack::newer(&asking, session).await?;
    let text = record.take_answers();
    let answer: serde_json::Value =
        serde_json::from_str(&text).map_err(|error| crate::cli::failure::failed(&error))?;
    let rows = answer["images"].as_array().cloned().unwrap_or_default();
    let word = |row: &serde_json::Value, key: &str| row[key].as_str().unwrap_or("").to_owned();
    let mut lines = Vec::new();
    let mut moved = 0;
    for row in &rows {
        let image = word(row, "image");
        match row["result"].as_str() {
            Some("moved") => {
                moved += 1;
                lines.push(format!("there is a newer {image}"));
            }
            Some("locked" | "unchanged") | None => {}
            Some(other) => lines.push(format!("{image}: {other}: {}", word(row, "why"))),
        }
    }
    if lines.is_empty() {
        lines.push(format!(
            "{} looked up",
            count(rows.len(), "image", "images")
        ));
    }
    Ok(Came {
        code,
        lines,
        gauges: vec![gauge(
            "images_newer",
            "Container images that have moved since they were locked.",
            moved,
        )],
    })
}
