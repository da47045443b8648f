//! A plan while it is being made.

use super::change::{Action, Change, Field, Impact, Operation};
use crate::model::{ids::HostName, observed::Unanswered};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Why something is not part of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Obstacle {
    /// What was seen forbids going on: nothing is applied until the owner has decided.
    Refused,
    /// A machine or the API gave no answer at all: nothing is applied.
    Unreachable,
    /// One question was not answered. What depends on it is left as it is; the rest goes on.
    Unknown,
}

/// Something that the plan could not compare, and why.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Blocked {
    /// What could not be compared.
    pub what: String,
    /// Why.
    pub why: String,
    /// What the owner can do.
    pub help: String,
    /// What that means for the rest.
    pub obstacle: Obstacle,
    /// Ids of the changes that it forbids: without them it is no matter. None when it is about the whole plan.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forbids: Vec<String>,
}

/// Changes, obstacles and things left alone, in the order in which they were found.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) changes: Vec<Change>,
    pub(super) blocked: BTreeSet<Blocked>,
    pub(super) unmanaged: BTreeSet<String>,
    pub(super) later: BTreeMap<HostName, String>,
    pub(super) compared: usize,
    pub(super) hosts: BTreeSet<HostName>,
}

/// A change before it has an id.
pub(super) struct Proposal {
    pub(super) action: Action,
    pub(super) fields: Vec<Field>,
    pub(super) impact: Impact,
    pub(super) reason: String,
    pub(super) needs: Vec<String>,
}

impl Proposal {
    pub(super) fn create(reason: impl Into<String>) -> Self {
        Self {
            action: Action::Create,
            fields: Vec::new(),
            impact: Impact::Hot,
            reason: reason.into(),
            needs: Vec::new(),
        }
    }

    pub(super) fn update(reason: impl Into<String>) -> Self {
        Self {
            action: Action::Update,
            ..Self::create(reason)
        }
    }

    pub(super) fn delete(reason: impl Into<String>) -> Self {
        Self {
            action: Action::Delete,
            ..Self::create(reason)
        }
    }

    pub(super) fn impact(mut self, impact: Impact) -> Self {
        self.impact = impact;
        self
    }

    pub(super) fn field(mut self, name: &str, before: Option<&str>, after: Option<&str>) -> Self {
        self.fields.push(Field::new(name, before, after));
        self
    }

    pub(super) fn fields(mut self, fields: Vec<Field>) -> Self {
        self.fields.extend(fields);
        self
    }

    pub(super) fn after(mut self, ids: impl IntoIterator<Item = String>) -> Self {
        self.needs.extend(ids);
        self
    }
}

/// The id of a change.
pub(super) fn id(host: &HostName, subject: &str) -> String {
    format!("{host}: {subject}")
}

impl Draft {
    /// Notes that something was compared, whatever came of it.
    pub(super) fn saw(&mut self, host: &HostName) {
        self.compared += 1;
        self.hosts.insert(host.clone());
    }

    /// Adds a change and returns its id. A change that is already there (an image that two guests need) stays one.
    pub(super) fn propose(
        &mut self,
        host: &HostName,
        subject: &str,
        proposal: Proposal,
        operation: Operation,
    ) -> String {
        let id = id(host, subject);
        if !self.changes.iter().any(|change| change.id == id) {
            self.changes.push(Change {
                id: id.clone(),
                host: host.clone(),
                subject: subject.to_owned(),
                action: proposal.action,
                fields: proposal.fields,
                impact: proposal.impact,
                reason: proposal.reason,
                needs: proposal.needs,
                operation,
            });
        }
        id
    }

    pub(super) fn block(
        &mut self,
        what: impl Into<String>,
        why: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.forbid(Vec::new(), what, why, help);
    }

    /// The same for some changes alone: a plan without them goes on.
    pub(super) fn forbid(
        &mut self,
        changes: Vec<String>,
        what: impl Into<String>,
        why: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.blocked.insert(Blocked {
            what: what.into(),
            why: why.into(),
            help: help.into(),
            obstacle: Obstacle::Refused,
            forbids: changes,
        });
    }

    pub(super) fn unreachable(&mut self, what: impl Into<String>, why: &str, help: Option<&str>) {
        self.blocked.insert(Blocked {
            what: what.into(),
            why: why.to_owned(),
            help: help
                .unwrap_or("Make it reachable, then run the command again.")
                .to_owned(),
            obstacle: Obstacle::Unreachable,
            forbids: Vec::new(),
        });
    }

    /// Leaves something as it is because a question about it was not answered.
    pub(super) fn unknown(&mut self, what: impl Into<String>, unanswered: &Unanswered) {
        self.blocked.insert(Blocked {
            what: what.into(),
            why: format!(
                "{} could not be read: {}",
                unanswered.question, unanswered.why
            ),
            help: unanswered.hint.clone().unwrap_or_else(|| {
                "Run the command again; what is known goes on without it.".to_owned()
            }),
            obstacle: Obstacle::Unknown,
            forbids: Vec::new(),
        });
    }

    pub(super) fn leave_alone(&mut self, what: impl Into<String>) {
        self.unmanaged.insert(what.into());
    }
}
