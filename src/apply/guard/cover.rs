//! The switches of one change, on all machines that it concerns.

use super::ending::{Ending, TakenBack};
use crate::apply::{failure::plain, walk::StepFailure};
use crate::providers::{
    guard::{Armed, GuardError, GuardKind, Standing, Switch},
    shell::Shell,
    ssh::SshHost,
};
use futures_util::future::{join_all, pending};
use std::{
    future::Future,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

/// How long one question to a machine may take while its answer matters.
const A_QUESTION: Duration = Duration::from_secs(8);

/// Beyond the timer: restoring files and rules, and a daemon's cycle.
const RESTORING: Duration = Duration::from_secs(30);

/// Between two looks at a machine that has to come back.
const A_LOOK: Duration = Duration::from_millis(500);

/// Who guards the changes of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GuardPolicy {
    /// Each step that may cut access is guarded by itself.
    EachStep {
        /// Seconds without a sign of life after which a change is taken back.
        seconds: u32,
        /// Tells the switches of this run from others'.
        token: String,
    },
    /// The whole run stands under one cover already.
    Covered,
}

/// A way to a machine that can be gone again.
pub trait Way: Shell {
    /// The same way over a connection of its own.
    #[must_use]
    fn anew(&self) -> Self;

    /// Drops the connection that may have stayed open through a cut.
    fn hang_up(&self);
}

impl Way for SshHost {
    fn anew(&self) -> Self {
        Self::new(self.target().clone())
    }

    fn hang_up(&self) {
        self.disconnect();
    }
}

/// Armed switches.
#[derive(Debug)]
pub struct Cover<S = SshHost> {
    switches: Vec<Switch<S>>,
    seconds: u32,
    /// Beyond the timer: how long a machine may take to come back.
    restoring: Duration,
    /// Machines were told to stop counting: one that does not answer may have heard it.
    was_held: AtomicBool,
}

/// How the failure begins that is none of this run's: nothing of it was done, and what it planned on is no longer so.
pub const LEFT_BY_A_DEAD_RUN: &str = "a run that ended early had left an unconfirmed change on";

impl<S: Way> Cover<S> {
    /// Arms a switch on every machine, all or none.
    ///
    /// # Errors
    /// When one cannot be armed, or carried the unconfirmed change of a run that died: that one is taken back, and
    /// what this run has planned is stale.
    pub async fn arm(
        machines: Vec<(S, GuardKind)>,
        token: &str,
        seconds: u32,
    ) -> Result<Self, StepFailure> {
        let switches: Vec<Switch<S>> = machines
            .into_iter()
            .map(|(shell, kind)| Switch::new(shell, kind, token, seconds))
            .collect();
        let armed = join_all(switches.iter().map(Switch::arm)).await;
        let failed = armed.iter().any(|answer| !matches!(answer, Ok(Armed::Now)));
        if !failed {
            return Ok(Self {
                switches,
                seconds,
                restoring: RESTORING,
                was_held: AtomicBool::new(false),
            });
        }
        // Nothing was written yet: what is armed guards nothing.
        let idle = switches.iter().zip(&armed);
        let idle = idle.filter(|(_, answer)| matches!(answer, Ok(Armed::Now)));
        join_all(idle.map(|(switch, _)| switch.confirm())).await;
        let mut earlier = Vec::new();
        for (switch, answer) in switches.iter().zip(armed) {
            match answer {
                Ok(Armed::Now) => {}
                Ok(Armed::EarlierPutBack) => earlier.push(switch.shell().host().to_string()),
                Err(error) => {
                    return Err(StepFailure {
                        hint: Some(
                            "Nothing was changed: without its guard nothing may be.".to_owned(),
                        ),
                        ..plain(&error)
                    });
                }
            }
        }
        Err(StepFailure {
            why: format!(
                "{LEFT_BY_A_DEAD_RUN} {}; it was taken back",
                earlier.join(", ")
            ),
            hint: Some("Run the command again: it looks anew.".to_owned()),
            reverted: true,
        })
    }

    /// Does the work while the switches count, and gives signs of life over new connections until it has ended.
    ///
    /// # Errors
    /// What the work failed with, or that a switch has fired meanwhile.
    pub async fn during<T>(
        &self,
        work: impl Future<Output = Result<T, StepFailure>>,
    ) -> Result<T, StepFailure> {
        tokio::select! {
            done = work => done,
            fired = self.live() => Err(fired),
        }
    }

    /// Renews the timers for ever; ends when one of them was quicker.
    async fn live(&self) -> StepFailure {
        let beat = Duration::from_secs(u64::from(self.seconds)) / 4;
        let beats = self.switches.iter().map(|switch| async move {
            loop {
                tokio::time::sleep(beat).await;
                match anew(switch).renew(beat.max(A_QUESTION)).await {
                    // Whoever was told to stop counting says the same: `keep` has its answer.
                    Err(GuardError::Fired { .. }) if self.was_held.load(Ordering::SeqCst) => {
                        return pending().await;
                    }
                    Err(error @ GuardError::Fired { .. }) => return plain(&error),
                    // Not reached: the timer goes on counting, which is what it is for.
                    Ok(()) | Err(GuardError::Shell { .. } | GuardError::Refused { .. }) => {}
                }
            }
        });
        let beats: Vec<_> = beats.map(Box::pin).collect();
        if beats.is_empty() {
            return pending().await;
        }
        futures_util::future::select_all(beats).await.0
    }

    /// Keeps what was done, on all machines or on none.
    ///
    /// Every machine first proves that a new connection comes in, then stops counting, and only when all have said so
    /// does the first forget what it saved: until then [`Cover::take_back`] reaches also those that stopped counting.
    ///
    /// # Errors
    /// When a switch was quicker, or a machine does not answer.
    pub async fn keep(&self) -> Result<(), StepFailure> {
        let alive = self.switches.iter();
        let alive = alive.map(|switch| async move { anew(switch).renew(A_QUESTION).await });
        all(join_all(alive).await)?;
        self.was_held.store(true, Ordering::SeqCst);
        all(join_all(self.switches.iter().map(Switch::hold)).await)?;
        // What a machine saved is in nobody's way when this does not reach it: the next switch there replaces it.
        join_all(self.switches.iter().map(Switch::confirm)).await;
        Ok(())
    }

    /// Has everything taken back and waits until it is; says what was seen, machine by machine.
    pub async fn take_back(&self, cause: StepFailure) -> TakenBack {
        let begun = Instant::now();
        let limit = Duration::from_secs(u64::from(self.seconds)) + self.restoring;
        let was_held = self.was_held.load(Ordering::SeqCst);
        let endings = join_all(
            self.switches
                .iter()
                .map(|switch| back(switch, limit, was_held)),
        )
        .await;
        let hosts = self.switches.iter().map(|switch| switch.shell().host());
        TakenBack {
            machines: hosts.cloned().zip(endings).collect(),
            seconds: begun.elapsed().as_secs_f64(),
            cause,
        }
    }
}

fn all(answers: Vec<Result<(), GuardError>>) -> Result<(), StepFailure> {
    let mut answers = answers.into_iter();
    answers.try_for_each(|answer| answer.map_err(|error| plain(&error)))
}

/// The same switch over a connection of its own.
fn anew<S: Way>(switch: &Switch<S>) -> Switch<S> {
    switch.over(switch.shell().anew())
}

/// Whether a machine says, over a new connection, that it has put back what it had.
async fn back<S: Way>(switch: &Switch<S>, limit: Duration, was_held: bool) -> Ending {
    let begun = Instant::now();
    // What is connected still may stay connected through a cut: the quickest way, and not the proof.
    let _ = tokio::time::timeout(A_QUESTION * 2, switch.revert(A_QUESTION * 2)).await;
    loop {
        let fresh = anew(switch);
        match tokio::time::timeout(A_QUESTION, fresh.look(A_QUESTION)).await {
            Ok(Ok(Standing::Reverted)) => {
                switch.shell().hang_up();
                return Ending::TakenBack;
            }
            Ok(Ok(Standing::Armed | Standing::Held)) => {
                let _ = fresh.revert(A_QUESTION * 2).await;
            }
            Ok(Ok(Standing::None)) => return Ending::Stands,
            Ok(Ok(Standing::Reverting) | Err(_)) | Err(_) => {}
        }
        if begun.elapsed() > limit {
            return if was_held {
                Ending::Unknown
            } else {
                Ending::Counting
            };
        }
        tokio::time::sleep(A_LOOK).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ids::HostName;
    use crate::providers::shell::{Command, Output, ShellError};
    use std::{
        collections::BTreeMap,
        sync::{Arc, Mutex},
    };

    /// What a test does to one machine when it hears a verb.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Trouble {
        /// The timer fires first.
        Fires,
        /// It is cut off for good before it hears it.
        Cut,
        /// It does what it was told, and is cut off for good before it can say so.
        CutAfter,
    }

    /// A machine with the states of `guard.sh`; `change` is what somebody wrote there.
    #[derive(Debug)]
    struct Machine {
        state: &'static str,
        change: bool,
        is_cut: bool,
        trouble: Option<(&'static str, Trouble)>,
    }

    #[derive(Debug, Clone)]
    struct Line {
        host: HostName,
        machine: Arc<Mutex<Machine>>,
    }

    impl Way for Line {
        fn anew(&self) -> Self {
            self.clone()
        }

        fn hang_up(&self) {}
    }

    impl Shell for Line {
        fn host(&self) -> &HostName {
            &self.host
        }

        async fn run(&self, command: Command) -> Result<Output, ShellError> {
            // `sh -c TEXT infra-guard VERB KIND TOKEN SECONDS`
            let verb = command.argv[4].as_str();
            let mut machine = self.machine.lock().expect("not poisoned");
            let unreachable = || ShellError::Unreachable {
                host: self.host.clone(),
                source: "cut off".into(),
            };
            let trouble = machine.trouble.filter(|(at, _)| *at == verb);
            match trouble.map(|(_, trouble)| trouble) {
                Some(Trouble::Fires) => machine.fire(),
                // Nobody tells it that the change is good: its timer fires as well.
                Some(Trouble::Cut) => {
                    machine.is_cut = true;
                    machine.fire();
                }
                Some(Trouble::CutAfter) | None => {}
            }
            if machine.is_cut {
                return Err(unreachable());
            }
            let (code, said) = machine.hear(verb);
            if trouble.is_some_and(|(_, trouble)| trouble == Trouble::CutAfter) {
                machine.is_cut = true;
                return Err(unreachable());
            }
            Ok(Output {
                code,
                stdout: said.as_bytes().to_vec(),
                ..Output::default()
            })
        }
    }

    impl Machine {
        fn fire(&mut self) {
            if self.state == "armed" {
                self.state = "reverted";
                self.change = false;
            }
        }

        fn hear(&mut self, verb: &str) -> (i32, &'static str) {
            match (verb, self.state) {
                ("arm", _) => self.state = "armed",
                ("look", state) => return (0, state),
                ("renew", "armed") | ("hold", "held") => {}
                ("hold", "armed") => self.state = "held",
                ("confirm", "armed" | "held") => self.state = "none",
                ("revert", "armed" | "held") => {
                    self.state = "reverted";
                    self.change = false;
                }
                _ => return (3, ""),
            }
            (0, "")
        }
    }

    fn machines(troubles: &[(&'static str, Option<(&'static str, Trouble)>)]) -> Vec<Line> {
        let line = |&(name, trouble): &(&str, Option<(&'static str, Trouble)>)| Line {
            host: HostName::new(name).expect("a name"),
            machine: Arc::new(Mutex::new(Machine {
                state: "none",
                change: true,
                is_cut: false,
                trouble,
            })),
        };
        troubles.iter().map(line).collect()
    }

    /// Switches of no time: a machine that is silent once is given up.
    async fn armed(lines: &[Line]) -> Cover<Line> {
        let covered = lines.iter().map(|line| (line.clone(), GuardKind::Host));
        let mut cover = Cover::arm(covered.collect(), "token", 0)
            .await
            .expect("armed");
        cover.restoring = Duration::ZERO;
        cover
    }

    /// Arms, keeps, and takes back what could not be kept; what is said, and who really keeps the change.
    async fn kept(lines: &[Line]) -> (Result<(), TakenBack>, BTreeMap<String, bool>) {
        let cover = armed(lines).await;
        let outcome = match cover.keep().await {
            Ok(()) => Ok(()),
            Err(cause) => Err(cover.take_back(cause).await),
        };
        let truth = lines.iter().map(|line| {
            let machine = line.machine.lock().expect("not poisoned");
            (line.host.to_string(), machine.change)
        });
        (outcome, truth.collect())
    }

    fn ending(taken: &TakenBack, name: &str) -> Ending {
        taken.machines[&HostName::new(name).expect("a name")]
    }

    #[tokio::test]
    async fn when_one_machine_cannot_keep_a_change_no_other_keeps_it() {
        let lines = machines(&[("intranet", None), ("pve", Some(("hold", Trouble::Fires)))]);
        let (outcome, keeps) = kept(&lines).await;
        let taken = outcome.expect_err("one was quicker");
        assert!(taken.is_whole() && taken.failure().reverted, "{taken:?}");
        assert!(keeps.values().all(|keeps| !keeps), "{keeps:?}");
        assert!(taken.failure().why.contains("everything was taken back"));
    }

    #[tokio::test]
    async fn a_machine_that_may_have_heard_the_last_word_is_not_said_to_be_back() {
        for (trouble, keeps_it) in [(Trouble::CutAfter, true), (Trouble::Cut, false)] {
            let lines = machines(&[("intranet", None), ("pve", Some(("hold", trouble)))]);
            let (outcome, keeps) = kept(&lines).await;
            let taken = outcome.expect_err("one is silent");
            assert_eq!(keeps["pve"], keeps_it);
            assert!(!keeps["intranet"], "the one that answers is taken back");
            assert_eq!(ending(&taken, "intranet"), Ending::TakenBack);
            assert_eq!(ending(&taken, "pve"), Ending::Unknown);
            let failure = taken.failure();
            assert!(
                !failure.reverted && !failure.why.contains("everything"),
                "{failure:?}"
            );
            assert!(
                failure.why.contains("not known whether it keeps"),
                "{failure:?}"
            );
        }
    }

    #[tokio::test]
    async fn a_machine_that_was_cut_before_the_last_word_counts_on() {
        let lines = machines(&[("intranet", None), ("pve", Some(("renew", Trouble::Cut)))]);
        let (outcome, keeps) = kept(&lines).await;
        let taken = outcome.expect_err("one is silent");
        assert_eq!(ending(&taken, "pve"), Ending::Counting);
        assert!(!keeps["intranet"] && taken.failure().reverted);
        assert!(taken.failure().why.contains("puts back by itself"));
    }

    #[tokio::test]
    async fn a_guard_that_somebody_removed_takes_nothing_back() {
        let lines = machines(&[("intranet", None), ("pve", None)]);
        let cover = armed(&lines).await;
        lines[0].machine.lock().expect("not poisoned").state = "none";
        let cause = cover.keep().await.expect_err("it does not count");
        let taken = cover.take_back(cause).await;
        assert_eq!(ending(&taken, "intranet"), Ending::Stands);
        assert_eq!(ending(&taken, "pve"), Ending::TakenBack);
        assert!(!taken.is_whole() && !taken.failure().reverted);
    }

    #[tokio::test]
    async fn what_is_kept_is_kept_everywhere_although_the_last_thanks_are_lost() {
        let lines = machines(&[("intranet", None), ("pve", Some(("confirm", Trouble::Cut)))]);
        let (outcome, keeps) = kept(&lines).await;
        outcome.expect("all had stopped counting");
        assert!(keeps.values().all(|keeps| *keeps), "{keeps:?}");
    }
}
