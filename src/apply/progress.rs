//! How far a walk is: which steps have ended and how, and which changes of a step were left out of it.
//!
//! One guard and one proof cover the firewall's changes, so they are one step. A clone that failed takes its own change
//! out of that step and nothing else: its neighbours start behind the rest.

use super::{
    event::StepOutcome,
    receipt::{self, ChangeReceipt, Receipt},
};
use crate::plan::{
    Plan,
    change::{Change, Operation},
};
use std::collections::BTreeMap;

#[derive(Clone, PartialEq, Eq)]
pub(super) enum State {
    Waiting,
    Running,
    Ended(StepOutcome),
}

/// A change that is not carried out although its step may be.
#[derive(Clone)]
struct LeftOut {
    because: String,
    /// It is about a guest that is not there: what comes after it in the firewall misses nothing.
    alone: bool,
}

pub(super) struct Progress<'p> {
    plan: &'p Plan,
    pub(super) states: Vec<State>,
    /// Id of a change -> its index and its step.
    places: BTreeMap<&'p str, (usize, usize)>,
    left_out: BTreeMap<usize, LeftOut>,
}

impl<'p> Progress<'p> {
    pub(super) fn new(plan: &'p Plan) -> Self {
        let steps = plan.steps.iter().enumerate();
        let places = steps.flat_map(|(number, step)| {
            let changes = step.changes.iter();
            changes.map(move |at| (plan.changes[*at].id.as_str(), (*at, number)))
        });
        Self {
            plan,
            states: vec![State::Waiting; plan.steps.len()],
            places: places.collect(),
            left_out: BTreeMap::new(),
        }
    }

    /// Why a step can never begin any more.
    pub(super) fn lost(&self, step: usize) -> Option<String> {
        if self.is_of_firewall(step) {
            return None;
        }
        let needs = &self.plan.steps[step].needs;
        let lost = needs.iter().find(|need| self.is_lost(**need))?;
        let first = self.plan.steps[*lost].changes[0];
        Some(not_carried_out(&self.plan.changes[first].id))
    }

    /// Whether everything that a step waits for has ended, and there is room for it.
    pub(super) fn may_begin(&self, step: usize) -> bool {
        let has_ended = |other: usize| matches!(self.states[other], State::Ended(_));
        let of = &self.plan.steps[step];
        of.needs.iter().all(|need| has_ended(*need))
            && of.after.is_none_or(has_ended)
            && self.has_room(step)
    }

    /// What is carried out of a step that may begin; the reason why there is nothing.
    pub(super) fn begin(&mut self, step: usize) -> Result<Vec<Change>, String> {
        let all = &self.plan.steps[step].changes;
        if self.is_of_firewall(step) {
            for at in all {
                let needs = &self.plan.changes[*at].needs;
                if let Some(left) = needs.iter().find_map(|need| self.missing(need, step)) {
                    self.left_out.insert(*at, left);
                }
            }
        }
        let rest: Vec<Change> = all
            .iter()
            .filter(|at| !self.left_out.contains_key(at))
            .map(|at| self.plan.changes[*at].clone())
            .collect();
        match all.first().and_then(|at| self.left_out.get(at)) {
            Some(left) if rest.is_empty() => Err(left.because.clone()),
            Some(_) | None => Ok(rest),
        }
    }

    /// What a change of the firewall needs and will not get.
    fn missing(&self, need: &str, step: usize) -> Option<LeftOut> {
        let (at, of) = *self.places.get(need)?;
        let alone = match self.left_out.get(&at) {
            Some(left) if left.alone => return None,
            Some(_) => false,
            None if of == step || !self.is_lost(of) => return None,
            None => matches!(
                self.plan.changes[at].operation,
                Operation::CloneGuest { .. }
            ),
        };
        let because = not_carried_out(need);
        Some(LeftOut { because, alone })
    }

    fn is_of_firewall(&self, step: usize) -> bool {
        let first = self.plan.steps[step].changes.first();
        first.is_some_and(|at| {
            matches!(
                self.plan.changes[*at].operation,
                Operation::Firewall { .. } | Operation::EnableFirewall { .. }
            )
        })
    }

    /// Whether a step has ended without what others need of it.
    fn is_lost(&self, step: usize) -> bool {
        let changes = &self.plan.steps[step].changes;
        let is_alone = |at: &usize| self.left_out.get(at).is_some_and(|left| left.alone);
        matches!(&self.states[step], State::Ended(outcome) if *outcome != StepOutcome::Done)
            && !changes.iter().all(is_alone)
    }

    /// Whether fewer steps than Proxmox can serve in time are at its locks.
    fn has_room(&self, step: usize) -> bool {
        self.plan.steps[step].locks.iter().all(|lock| {
            let all = self.plan.steps.iter().zip(&self.states);
            let holders = all.filter(|(other, state)| {
                **state == State::Running && other.locks.iter().any(|held| held.name == lock.name)
            });
            holders.count() < lock.at_once.max(1)
        })
    }

    /// Every change and how it ended.
    pub(super) fn receipt(&self, started: String, finished: String) -> Receipt {
        let plan = self.plan;
        let ended = |state: &State, at: usize| match (self.left_out.get(&at), state) {
            (Some(left), _) => StepOutcome::Skipped {
                because: left.because.clone(),
            },
            (None, State::Ended(outcome)) => outcome.clone(),
            (None, State::Waiting | State::Running) => StepOutcome::Skipped {
                because: "the run ended before it".to_owned(),
            },
        };
        let steps = plan.steps.iter().zip(&self.states);
        let changes = steps.flat_map(|(step, state)| {
            step.changes.iter().map(move |at| ChangeReceipt {
                id: plan.changes[*at].id.clone(),
                outcome: ended(state, *at),
            })
        });
        Receipt {
            version: receipt::VERSION,
            system: plan.system.to_string(),
            lab: plan.lab,
            started,
            finished,
            plan: plan.fingerprint.clone(),
            changes: changes.collect(),
        }
    }
}

fn not_carried_out(id: &str) -> String {
    format!("`{id}` was not carried out")
}
