//! The stacks that use a dataset: which they are, and making them stand still for a while.

use super::look::told;
use crate::cli::{context::Context, exit, failure::Failure, session::Session};
use crate::model::{
    desired::Desired,
    ids::{DatasetName, HostName, StackName},
};
use crate::providers::{
    shell::{Command, Shell as _, ShellError},
    ssh::SshHost,
    zfs::ZfsError,
};
use crate::view::words::count;
use std::time::Duration;

/// A stack with a big database takes its time.
const PATIENCE: Duration = Duration::from_mins(10);

/// A stack that uses the dataset, and the unit that starts it.
pub(crate) struct User<'s> {
    pub(crate) stack: &'s StackName,
    host: &'s HostName,
    unit: &'s str,
    shell: &'s SshHost,
}

/// The stacks whose files lie on a dataset, in it or around it. One that cannot be reached is an error: nobody could
/// stop it.
pub(crate) fn users<'s>(
    session: &'s Session,
    dataset: &DatasetName,
) -> Result<Vec<User<'s>>, Failure> {
    let stacks = stacks_on(&session.desired, dataset);
    at_work(session, stacks, &format!("uses {dataset}"))
}

/// These stacks, as far as they have a release; in their order.
pub(crate) fn named<'s>(
    session: &'s Session,
    stacks: &[StackName],
) -> Result<Vec<User<'s>>, Failure> {
    at_work(session, stacks, "would have to stand still")
}

fn at_work<'s, 'n>(
    session: &'s Session,
    stacks: impl IntoIterator<Item = &'n StackName>,
    why: &str,
) -> Result<Vec<User<'s>>, Failure> {
    let mut out = Vec::new();
    for name in stacks {
        let Some((stack, release)) = session.compiled.releases.get_key_value(name) else {
            continue;
        };
        let shell = session.hosts.get(&release.host).ok_or_else(|| {
            Failure::new(
                exit::UNREACHABLE,
                format!(
                    "stack {stack} {why}, and the inventory gives no shell access to {}",
                    release.host
                ),
            )
        })?;
        out.push(User {
            stack,
            host: &release.host,
            unit: &release.unit.name,
            shell,
        });
    }
    Ok(out)
}

fn stacks_on<'d>(desired: &'d Desired, dataset: &DatasetName) -> Vec<&'d StackName> {
    let mut places: Vec<(&HostName, &str)> = Vec::new();
    if let Some(entry) = desired.datasets.get(dataset)
        && let Some(at) = entry.properties.get("mountpoint")
    {
        places.push((&entry.host, at));
    }
    for guest in desired.guests.values() {
        for mount in guest.mounts.iter().filter(|one| &one.dataset == dataset) {
            places.push((&guest.name, &mount.at));
        }
    }
    let touches = |host: &HostName, path: &str| {
        places
            .iter()
            .any(|(on, at)| *on == host && (is_below(path, at) || is_below(at, path)))
    };
    desired
        .stacks
        .values()
        .filter(|stack| stack.mounts.values().any(|path| touches(&stack.on, path)))
        .map(|stack| &stack.name)
        .collect()
}

fn is_below(path: &str, top: &str) -> bool {
    path.strip_prefix(top)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The users with these names.
pub(crate) fn of<'s, 'u>(users: &'u [User<'s>], stacks: &[String]) -> Vec<&'u User<'s>> {
    let is_named = |user: &&User<'_>| stacks.iter().any(|name| name == user.stack.as_str());
    users.iter().filter(is_named).collect()
}

/// Those of the users that run now, and those that an earlier rollback left standing still. What somebody else has stopped
/// is not started afterwards.
pub(crate) async fn running<'s, 'u>(
    users: &'u [User<'s>],
    left: &[String],
) -> Result<Vec<&'u User<'s>>, Failure> {
    let mut out = Vec::new();
    for user in users {
        let is_left = left.iter().any(|name| name == user.stack.as_str());
        if is_left || state(user).await? != "inactive" {
            out.push(user);
        }
    }
    Ok(out)
}

/// Stops them; where one does not stop, all are started again and nothing else has happened.
pub(crate) async fn stop(context: &Context, users: &[&User<'_>]) -> Result<(), Failure> {
    for (at, user) in users.iter().enumerate() {
        let User { stack, host, .. } = user;
        context
            .terminal
            .tell(&format!("Stopping {stack} on {host}."));
        let mut stopped = turn("stop", user).await;
        if stopped.is_ok() {
            stopped = still(user).await;
        }
        if let Err(failure) = stopped {
            let again = if start(context, &users[..=at]).await {
                "Nothing was changed; the stacks that were stopped run again."
            } else {
                "Nothing was changed; not every stack that was stopped runs again."
            };
            return Err(failure.hint(again));
        }
    }
    Ok(())
}

/// `systemctl stop` ends well even where the unit's own command failed: no container may be left. Where there is no
/// Docker to ask, the unit's word counts.
async fn still(user: &User<'_>) -> Result<(), Failure> {
    let filter = format!("label=com.docker.compose.project={}", user.stack);
    let asked = Command::new(["docker", "ps", "--quiet", "--filter", &filter]);
    let containers = user.shell.run(asked).await.map_err(shell_told)?;
    let left = containers.text();
    let is_still = match containers.code {
        0 => left.trim().is_empty(),
        _ => state(user).await? == "inactive",
    };
    if is_still {
        return Ok(());
    }
    let mut failure = Failure::new(
        exit::FAILED,
        format!("stack {} on {} did not stop", user.stack, user.host),
    );
    if containers.code == 0 {
        failure = failure.because(format!(
            "{} still running",
            count(left.lines().count(), "container is", "containers are")
        ));
    }
    Err(failure.hint(format!(
        "See why on {}: `systemctl status {}`.",
        user.host, user.unit
    )))
}

async fn state(user: &User<'_>) -> Result<String, Failure> {
    let asked = Command::new(["systemctl", "is-active", user.unit]);
    let output = user.shell.run(asked).await.map_err(shell_told)?;
    Ok(output.text().trim().to_owned())
}

/// Starts what was stopped, whatever happened in between; says which one does not start. True when all run.
pub(crate) async fn start(context: &Context, users: &[&User<'_>]) -> bool {
    let mut all = true;
    for user in users.iter().rev() {
        if let Err(failure) = turn("start", user).await {
            let User { host, unit, .. } = user;
            failure
                .hint(format!(
                    "Start it yourself on {host}: `systemctl start {unit}`."
                ))
                .tell(context.terminal);
            all = false;
        }
    }
    all
}

async fn turn(verb: &str, user: &User<'_>) -> Result<(), Failure> {
    let command = Command::new(["systemctl", verb, user.unit]).timeout(PATIENCE);
    let done = user.shell.demand(command).await;
    done.map(drop).map_err(shell_told)
}

pub(crate) fn shell_told(error: ShellError) -> Failure {
    told(&ZfsError::Shell(error))
}
