//! Schedules, retention policies, hooks and waivers.

use super::{
    Noun, Scope,
    names::{entries, items},
    storage::STANDARD,
};
use crate::inventory::{
    codes,
    document::{self, Document, Hook},
    written::{At, May},
};
use crate::model::{
    dataset::{Protection, SnapshotHook},
    retention::{Retention, Schedule},
};
use std::collections::BTreeMap;

/// What a dataset passes on to those inside.
#[derive(Debug, Clone, Default)]
pub(super) struct Inherited {
    pub(super) schedule: Option<Schedule>,
    pub(super) retention: Retention,
    pub(super) waivers: BTreeMap<Protection, String>,
}

impl Inherited {
    /// The same with what a dataset says itself.
    pub(super) fn with(
        &self,
        raw: &document::Dataset,
        policies: &BTreeMap<String, Retention>,
        scope: &mut Scope<'_>,
    ) -> Self {
        let mut own = self.clone();
        if let Some(schedule) = raw.snapshots.as_ref().and_then(|at| at.value) {
            own.schedule = schedule.plain();
        }
        if let Some(at) = &raw.retention
            && let Some(name) = scope.refer::<String>(Noun::Retention, at)
        {
            own.retention = policies.get(&name).copied().unwrap_or_default();
        }
        if let Some(waivers) = raw.waivers.as_ref().and_then(|at| at.value.as_ref()) {
            let both = [
                (Protection::Snapshots, &waivers.snapshots),
                (Protection::Backup, &waivers.backup),
            ];
            for (protection, at) in both {
                if let Some(reason) = at.as_ref().and_then(|at| reason(at, scope)) {
                    own.waivers.insert(protection, reason);
                }
            }
        }
        own
    }
}

impl document::Schedule {
    fn plain(self) -> Option<Schedule> {
        match self {
            Self::Hourly => Some(Schedule::Hourly),
            Self::Daily => Some(Schedule::Daily),
            Self::Weekly => Some(Schedule::Weekly),
            Self::Monthly => Some(Schedule::Monthly),
            Self::None => None,
        }
    }
}

/// The built-in policy and the owner's.
pub(super) fn policies(document: &Document, scope: &mut Scope<'_>) -> BTreeMap<String, Retention> {
    let mut out = BTreeMap::from([(STANDARD.to_owned(), Retention::STANDARD)]);
    for (key, raw) in entries(&document.retention) {
        let (Some(name), Some(raw)) = (&key.value, &raw.value) else {
            continue;
        };
        if name == STANDARD {
            scope
                .error(
                    codes::NAME_TAKEN,
                    format!("the retention policy `{name}` is built in"),
                )
                .at(key.span, "choose another name");
            continue;
        }
        let count = |at: &May<u32>| at.as_ref().and_then(|at| at.value).unwrap_or(0);
        out.insert(
            name.clone(),
            Retention {
                last: count(&raw.last).max(1),
                hourly: count(&raw.hourly),
                daily: count(&raw.daily),
                weekly: count(&raw.weekly),
                monthly: count(&raw.monthly),
                yearly: count(&raw.yearly),
                guards: raw.guards.as_ref().and_then(|at| at.value),
            },
        );
    }
    out
}

/// What happens before a snapshot.
pub(super) fn hooks(raw: &May<Vec<At<Hook>>>, scope: &mut Scope<'_>) -> Vec<SnapshotHook> {
    let mut out = Vec::new();
    for at in items(raw) {
        let Some(hook) = &at.value else { continue };
        let stack = scope.refer(Noun::Stack, &hook.stack);
        let argv: Vec<String> = hook
            .argv
            .value
            .iter()
            .flatten()
            .filter_map(|word| word.value.clone())
            .collect();
        if argv.is_empty() && hook.argv.value.is_some() {
            scope
                .error(codes::EMPTY, "a hook runs nothing")
                .at(hook.argv.span, "what is run?");
            continue;
        }
        if let (Some(stack), Some(service)) = (stack, &hook.service.value) {
            out.push(SnapshotHook {
                stack,
                service: service.clone(),
                argv,
                required: hook
                    .required
                    .as_ref()
                    .and_then(|at| at.value)
                    .unwrap_or(false),
            });
        }
    }
    out
}

/// A reason that says something.
pub(super) fn reason(at: &At<String>, scope: &mut Scope<'_>) -> Option<String> {
    let text = at.value.as_ref()?;
    if text.trim().is_empty() {
        scope
            .error(codes::EMPTY, "a waiver without a reason")
            .at(at.span, "why not?");
        return None;
    }
    Some(text.trim().to_owned())
}
