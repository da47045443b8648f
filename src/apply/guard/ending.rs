//! What became of a change that was not to be kept, machine by machine.

use crate::apply::walk::StepFailure;
use crate::model::ids::HostName;
use std::collections::BTreeMap;

/// What became of the change on one machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ending {
    /// The machine said, over a new connection, that it has put back what it had.
    TakenBack,
    /// It does not answer, and its timer runs: it puts back by itself what it had.
    Counting,
    /// It does not answer, and may have heard that the change is good: it keeps it, or its timer has taken it back.
    Unknown,
    /// It answers, and nothing of its switch is left: what was written there stays.
    Stands,
}

/// How the taking back of a whole change ended.
#[derive(Debug, Clone, PartialEq)]
pub struct TakenBack {
    /// Every machine that had a switch.
    pub machines: BTreeMap<HostName, Ending>,
    /// How long it took.
    pub seconds: f64,
    /// Why it was taken back.
    pub cause: StepFailure,
}

impl TakenBack {
    /// Whether no machine keeps the change: each has taken it back, or does so by itself.
    pub fn is_whole(&self) -> bool {
        self.machines
            .values()
            .all(|ending| matches!(ending, Ending::TakenBack | Ending::Counting))
    }

    /// The failure as it is told.
    pub fn failure(&self) -> StepFailure {
        let hint = if self.is_whole() {
            self.cause.hint.clone()
        } else {
            Some("The machines differ now. `infra firewall plan` says in what; `infra firewall apply` brings them in line.".to_owned())
        };
        StepFailure {
            why: format!("{}\n  because: {}", self.story(), self.cause.why),
            hint,
            reverted: self.is_whole(),
        }
    }

    fn story(&self) -> String {
        let seconds = self.seconds;
        if self.machines.values().all(|e| *e == Ending::TakenBack) {
            return format!(
                "everything was taken back after {seconds:.0} s, and a new connection proves it"
            );
        }
        let of = |wanted: Ending| {
            let names = self.machines.iter().filter(|(_, e)| **e == wanted);
            let names: Vec<&str> = names.map(|(host, _)| host.as_str()).collect();
            (!names.is_empty()).then(|| names.join(", "))
        };
        let parts = [
            of(Ending::Stands).map(|names| {
                format!("{names} keeps the change: its guard is gone, and nothing there would put back what was there")
            }),
            of(Ending::Unknown).map(|names| {
                format!(
                    "{names} did not answer a new connection for {seconds:.0} s, and it is not known whether it keeps the change: its guard takes it back unless it heard that the change is good"
                )
            }),
            of(Ending::Counting).map(|names| {
                format!(
                    "{names} did not answer a new connection for {seconds:.0} s; its guard puts back by itself what was there"
                )
            }),
            of(Ending::TakenBack).map(|names| {
                format!("taken back on {names}, and a new connection proves it")
            }),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        parts.join("\n  ")
    }
}
