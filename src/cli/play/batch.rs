//! Some hosts of a playbook at once: one look, one plan.

use super::owed::Owed;
use crate::cli::{
    exit,
    failure::{Failure, failed},
    session::Session,
};
use crate::model::{ids::HostName, observed::Observed, playbook::Act};
use crate::plan::{Blocked, Inputs, Plan, change::Change};
use crate::playbook::{Compared, Host, Task, compare, request};
use crate::providers::{host::HostRead as _, shell::hint};
use futures_util::future::join_all;
use std::collections::BTreeMap;

/// A host with what it has to do.
pub(super) struct Work {
    pub(super) host: Host,
    pub(super) tasks: Vec<Task>,
    pub(super) handlers: Vec<(String, Task)>,
}

/// What a look at a batch gave.
pub(super) struct Seen {
    pub(super) compared: BTreeMap<HostName, Compared>,
}

/// Part of a batch: changes, then perhaps an act.
pub(super) struct Part {
    pub(super) changes: Vec<Change>,
    pub(super) act: Option<Act>,
    /// The hosts for which the act is.
    pub(super) hosts: Vec<HostName>,
}

/// Looks at all hosts at once, in one exec each.
pub(super) async fn look(session: &Session, works: &[Work], owed: &Owed) -> Result<Seen, Failure> {
    let looks = works.iter().map(|work| async move {
        let name = &work.host.name;
        let Some(shell) = session.hosts.get(name) else {
            return Err(Failure::new(
                exit::UNREACHABLE,
                format!("the inventory gives no shell access to {name}"),
            ));
        };
        let facts = shell.facts(&request(&work.tasks)).await.map_err(|error| {
            let failure = Failure::of(exit::UNREACHABLE, &error);
            let shell = std::error::Error::source(&error)
                .and_then(|cause| cause.downcast_ref::<crate::providers::shell::ShellError>());
            match shell.and_then(hint) {
                Some(hint) => failure.hint(hint),
                None => failure,
            }
        })?;
        Ok((work, facts))
    });
    let nothing = Observed::default();
    let inputs = Inputs {
        desired: &session.desired,
        firewall: &session.compiled.firewall,
        resources: &session.compiled.resources,
        releases: &session.compiled.releases,
        secrets: &session.world.secrets,
        observed: &nothing,
    };
    let mut compared = BTreeMap::new();
    for answer in join_all(looks).await {
        let (work, facts) = answer?;
        let name = work.host.name.clone();
        let owed = owed.of(&name);
        let found = compare(&inputs, &name, &work.tasks, &work.handlers, &owed, &facts);
        compared.insert(name, found);
    }
    Ok(Seen { compared })
}

impl Seen {
    /// All changes of the batch, in the order in which they are carried out.
    pub(super) fn changes(&self, works: &[Work]) -> Vec<Change> {
        self.parts(works)
            .into_iter()
            .flat_map(|part| part.changes)
            .collect()
    }

    /// What could not be compared.
    pub(super) fn blocked(&self) -> Vec<Blocked> {
        self.compared
            .values()
            .flat_map(|compared| compared.blocked.clone())
            .collect()
    }

    /// As a plan.
    pub(super) fn plan(&self, session: &Session, works: &[Work]) -> Result<Plan, Failure> {
        plan(session, self.changes(works), self.blocked())
    }

    /// Handlers that are called though the batch has ended before its last part: those that an earlier run owes, and those
    /// whose callers are `done`. None that was `tried`.
    pub(super) fn called(&self, owed: &Owed, done: &[String], tried: &[String]) -> Vec<Change> {
        let mut out: Vec<Change> = Vec::new();
        for (host, found) in &self.compared {
            let before = owed.of(host);
            let is_called = |name: &String| {
                let mut calls = found.calls.iter();
                before.contains(name)
                    || calls.any(|(id, names)| done.contains(id) && names.contains(name))
            };
            let mut last: Option<String> = None;
            for (name, change) in &found.handlers {
                if is_called(name) && !tried.contains(&change.id) {
                    let mut change = change.clone();
                    change.needs = last.iter().cloned().collect();
                    last = Some(change.id.clone());
                    out.push(change);
                }
            }
        }
        out
    }

    /// Whether a handler has been called, by an earlier run or by what is `done`, and is not done itself.
    pub(super) fn is_owed(
        &self,
        before: &Owed,
        done: &[String],
        host: &HostName,
        name: &str,
    ) -> bool {
        self.compared.get(host).is_some_and(|found| {
            let mut calls = found.calls.iter();
            let is_called = before.of(host).contains(name)
                || calls
                    .any(|(id, names)| done.contains(id) && names.iter().any(|one| one == name));
            let mut own = found.handlers.iter().filter(|(one, _)| one == name);
            is_called && own.any(|(_, change)| !done.contains(&change.id))
        })
    }

    /// The batch in parts: all hosts go up to an act, then it is done for those that have it.
    pub(super) fn parts(&self, works: &[Work]) -> Vec<Part> {
        let last = works.iter().flat_map(|w| &w.tasks).map(|t| t.step).max();
        let mut parts = Vec::new();
        let mut changes: Vec<Change> = Vec::new();
        for step in 0..=last.unwrap_or(0) {
            let mut acts: Vec<(&Act, HostName)> = Vec::new();
            for work in works {
                let found = self.compared.get(&work.host.name);
                for (at, task) in work.tasks.iter().enumerate() {
                    if task.step != step {
                        continue;
                    }
                    if let Some(act) = task.act() {
                        acts.push((act, work.host.name.clone()));
                    }
                    let own = found.iter().flat_map(|found| &found.changes);
                    let mine = own.filter(|(index, _)| *index == at);
                    changes.extend(mine.flat_map(|(_, changes)| changes.clone()));
                }
            }
            // The same act of several hosts is done once; a text may differ from host to host.
            let mut done: Vec<&Act> = Vec::new();
            for (act, _) in &acts {
                if done.contains(act) {
                    continue;
                }
                done.push(act);
                let hosts = acts.iter().filter(|(other, _)| other == act);
                parts.push(Part {
                    changes: std::mem::take(&mut changes),
                    act: Some((*act).clone()),
                    hosts: hosts.map(|(_, host)| host.clone()).collect(),
                });
            }
        }
        let handlers = self.compared.values().flat_map(|found| &found.handlers);
        changes.extend(handlers.map(|(_, change)| change.clone()));
        parts.push(Part {
            changes,
            act: None,
            hosts: Vec::new(),
        });
        parts
    }
}

/// Changes as a plan of their own.
pub(super) fn plan(
    session: &Session,
    changes: Vec<Change>,
    blocked: Vec<Blocked>,
) -> Result<Plan, Failure> {
    Plan::of(&session.desired.system, session.lab, changes, blocked).map_err(|e| failed(&e))
}
