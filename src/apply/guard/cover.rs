//! The switches of one change, on all machines that it concerns.

use crate::apply::{failure::plain, walk::StepFailure};
use crate::model::ids::HostName;
use crate::providers::{
    guard::{Armed, GuardError, GuardKind, Standing, Switch},
    shell::Shell as _,
    ssh::SshHost,
};
use futures_util::future::{join_all, pending};
use std::{
    future::Future,
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

/// A machine with what is guarded on it.
pub type Covered = (SshHost, GuardKind);

/// Armed switches.
#[derive(Debug)]
pub struct Cover {
    switches: Vec<Switch<SshHost>>,
    seconds: u32,
}

impl Cover {
    /// Arms a switch on every machine, all or none.
    ///
    /// # Errors
    /// When one cannot be armed, or carried the unconfirmed change of a run that died: that one is taken back, and
    /// what this run has planned is stale.
    pub async fn arm(
        machines: Vec<Covered>,
        token: &str,
        seconds: u32,
    ) -> Result<Self, StepFailure> {
        let switches: Vec<Switch<SshHost>> = machines
            .into_iter()
            .map(|(shell, kind)| Switch::new(shell, kind, token, seconds))
            .collect();
        let armed = join_all(switches.iter().map(Switch::arm)).await;
        let failed = armed.iter().any(|answer| !matches!(answer, Ok(Armed::Now)));
        if !failed {
            return Ok(Self { switches, seconds });
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
                "a run that ended early had left an unconfirmed change on {}; it was taken back",
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

    /// Keeps what was done, on all machines.
    ///
    /// # Errors
    /// When a switch was quicker, or a machine does not answer a new connection: then its switch fires.
    pub async fn keep(&self) -> Result<(), StepFailure> {
        // All must be alive before the first is let go.
        for answer in join_all(
            self.switches
                .iter()
                .map(|switch| async move { anew(switch).renew(A_QUESTION).await }),
        )
        .await
        {
            answer.map_err(|error| plain(&error))?;
        }
        for answer in join_all(self.switches.iter().map(Switch::confirm)).await {
            answer.map_err(|error| plain(&error))?;
        }
        Ok(())
    }

    /// Has everything taken back and waits until it is; says what was seen.
    pub async fn take_back(&self, cause: StepFailure) -> StepFailure {
        let begun = Instant::now();
        let limit = Duration::from_secs(u64::from(self.seconds)) + RESTORING;
        let answers = join_all(self.switches.iter().map(|switch| back(switch, limit))).await;
        let stuck: Vec<&HostName> = self
            .switches
            .iter()
            .zip(&answers)
            .filter(|(_, is_back)| !**is_back)
            .map(|(switch, _)| switch.shell().host())
            .collect();
        let seconds = begun.elapsed().as_secs_f64();
        let end = if stuck.is_empty() {
            format!(
                "everything was taken back after {seconds:.0} s, and a new connection proves it"
            )
        } else {
            let stuck: Vec<String> = stuck.iter().map(ToString::to_string).collect();
            format!(
                "{} did not answer a new connection for {seconds:.0} s; its guard puts back by itself what was there",
                stuck.join(", ")
            )
        };
        StepFailure {
            why: format!("{end}\n  because: {}", cause.why),
            hint: cause.hint,
            reverted: true,
        }
    }
}

/// The same switch over a connection of its own.
fn anew(switch: &Switch<SshHost>) -> Switch<SshHost> {
    switch.over(SshHost::new(switch.shell().target().clone()))
}

/// Whether a machine says, over a new connection, that it has put back what it had.
async fn back(switch: &Switch<SshHost>, limit: Duration) -> bool {
    let begun = Instant::now();
    // What is connected still may stay connected through a cut: the quickest way, and not the proof.
    let _ = tokio::time::timeout(A_QUESTION * 2, switch.revert(A_QUESTION * 2)).await;
    loop {
        let fresh = anew(switch);
        match tokio::time::timeout(A_QUESTION, fresh.look(A_QUESTION)).await {
            Ok(Ok(Standing::Reverted)) => {
                switch.shell().disconnect();
                return true;
            }
            Ok(Ok(Standing::Armed)) => {
                let _ = fresh.revert(A_QUESTION * 2).await;
            }
            Ok(Ok(Standing::None)) => return false,
            Ok(Ok(Standing::Reverting) | Err(_)) | Err(_) => {}
        }
        if begun.elapsed() > limit {
            return false;
        }
        tokio::time::sleep(A_LOOK).await;
    }
}
