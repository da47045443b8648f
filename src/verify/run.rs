//! Asks every machine its questions at once, and again while patience lasts.

use super::{
    answer::{CheckResult, Verdict, judge, parse},
    question::{Asker, asker, line},
};
use crate::model::{check::Check, desired::Desired, ids::HostName};
use crate::providers::shell::{Command, Shell};
use futures_util::future::join_all;
use std::{collections::BTreeMap, fmt::Write as _, net::IpAddr, time::Duration};
use tokio::time::Instant;

/// See the script's head for its lines.
const SCRIPT: &str = include_str!("checks.sh");

/// Between two rounds of asking; services that have just started need a moment, and a round costs one exec a host.
const PAUSE: Duration = Duration::from_secs(1);

/// The machine that runs infra.
pub struct Local<'a, L: Shell> {
    /// Runs commands here.
    pub shell: &'a L,
    /// Our address towards the system; none when there is no route.
    pub address: Option<IpAddr>,
    /// Why nothing can be asked from here at all; none when it can.
    pub nobody: Option<String>,
}

/// Runs checks; those that fail are asked again until `patience` is over. Results keep the owner's order.
pub async fn run<S: Shell, L: Shell>(
    desired: &Desired,
    checks: &[Check],
    hosts: &BTreeMap<HostName, S>,
    local: &Local<'_, L>,
    patience: Duration,
) -> Vec<CheckResult> {
    let deadline = Instant::now() + patience;
    let askers: Vec<Asker> = checks
        .iter()
        .map(|check| asker(check, desired, local.address, local.nobody.as_deref()))
        .collect();
    let mut verdicts: BTreeMap<usize, Verdict> = BTreeMap::new();
    loop {
        let open: Vec<usize> = (0..checks.len())
            .filter(|at| verdicts.get(at) != Some(&Verdict::Passed))
            .collect();
        let mut groups: BTreeMap<&Asker, Vec<usize>> = BTreeMap::new();
        for at in open {
            groups.entry(&askers[at]).or_default().push(at);
        }
        let rounds = groups.into_iter().map(|(asker, members)| async move {
            match asker {
                Asker::Nobody(why) => members
                    .into_iter()
                    .map(|at| (at, Verdict::NotAsked { why: why.clone() }))
                    .collect(),
                Asker::Here => ask(local.shell, checks, members).await,
                Asker::Host(host) => match hosts.get(host) {
                    Some(shell) => ask(shell, checks, members).await,
                    None => members
                        .into_iter()
                        .map(|at| {
                            let why = format!("host {host} is not reachable from here");
                            (at, Verdict::Unanswered { why })
                        })
                        .collect(),
                },
            }
        });
        for round in join_all(rounds).await {
            verdicts.extend(round);
        }
        let failing = verdicts
            .values()
            .any(|verdict| matches!(verdict, Verdict::Failed { .. }));
        if !failing || Instant::now() + PAUSE > deadline {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    checks
        .iter()
        .zip(askers)
        .enumerate()
        .map(|(at, (check, asker))| CheckResult {
            name: check.name.clone(),
            asked_by: match asker {
                Asker::Host(host) => host.to_string(),
                Asker::Here => "here".to_owned(),
                Asker::Nobody(_) => "nobody".to_owned(),
            },
            verdict: verdicts.remove(&at).unwrap_or_else(|| Verdict::Unanswered {
                why: "it was not asked".to_owned(),
            }),
        })
        .collect()
}

async fn ask<S: Shell>(shell: &S, checks: &[Check], members: Vec<usize>) -> Vec<(usize, Verdict)> {
    let mut questions = String::new();
    for at in &members {
        // Writing into a String does not fail.
        let _ = writeln!(questions, "{at}\t{}", line(&checks[*at].probe));
    }
    let command = Command::script("infra-checks", SCRIPT).stdin(questions);
    match shell.demand(command).await {
        Ok(output) => {
            let answers = parse(&output.text());
            members
                .into_iter()
                .map(|at| (at, judge(&checks[at].probe, answers.get(&at))))
                .collect()
        }
        Err(error) => members
            .into_iter()
            .map(|at| {
                (
                    at,
                    Verdict::Unanswered {
                        why: format!("could not {error}"),
                    },
                )
            })
            .collect(),
    }
}
