//! The plan as a document: immutable, complete, versioned.

use super::{
    change::{Action, Change, Impact, Operation},
    draft::{Blocked, Draft, Obstacle},
    inputs::Inputs,
    order,
};
use crate::model::{
    ids::{HostName, SystemName},
    observed::Reading,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// Format of the document.
pub const VERSION: u32 = 1;

/// Everything that will be done, decided and in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// [`VERSION`].
    pub version: u32,
    /// Inventory it was made from.
    pub system: SystemName,
    /// Made against the lab; never applied to anything else.
    pub lab: bool,
    /// SHA-256 over the changes: a later plan with the same fingerprint would do exactly the same.
    pub fingerprint: String,
    /// What differs.
    pub changes: Vec<Change>,
    /// What is carried out together, in order.
    pub steps: Vec<order::Step>,
    /// What could not be compared.
    pub blocked: Vec<Blocked>,
    /// What is there, is not in the inventory, and is left alone.
    pub unmanaged: Vec<String>,
    /// Hosts whose inside nobody can see before this plan was carried out, and why: what is on them is compared then.
    #[serde(default)]
    pub later: BTreeMap<HostName, String>,
    /// What Proxmox itself finds wrong with what is configured, one sentence each.
    #[serde(default)]
    pub complaints: Vec<String>,
    /// How many things were compared.
    pub compared: usize,
    /// On how many hosts.
    pub hosts: usize,
}

impl Plan {
    /// A plan of these changes alone. What they wait for and is not among them is left out.
    ///
    /// # Errors
    /// [`order::Cycle`] when changes wait for each other.
    pub fn of(
        system: &SystemName,
        lab: bool,
        mut changes: Vec<Change>,
        blocked: Vec<Blocked>,
    ) -> Result<Self, order::Cycle> {
        order::drop_foreign_needs(&mut changes);
        let hosts: BTreeSet<&HostName> = changes.iter().map(|change| &change.host).collect();
        let hosts = hosts.len();
        Ok(Self {
            version: VERSION,
            system: system.clone(),
            lab,
            fingerprint: fingerprint(&serde_json::to_vec(&changes).unwrap_or_default()),
            steps: order::steps(&changes)?,
            compared: changes.len(),
            changes,
            blocked,
            unmanaged: Vec::new(),
            later: BTreeMap::new(),
            complaints: Vec::new(),
            hosts,
        })
    }

    /// Nothing to change, and everything was compared.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.blocked.is_empty()
    }

    /// Whether everything that could be compared matches; what was not answered may still differ.
    pub fn is_settled(&self) -> bool {
        self.changes.is_empty() && !self.has(Obstacle::Refused) && !self.has(Obstacle::Unreachable)
    }

    /// Whether all that this plan is about was out of sight of the one that was carried out before it.
    pub fn continues(&self, before: &Self) -> bool {
        !self.changes.is_empty()
            && !self.has(Obstacle::Refused)
            && !self.has(Obstacle::Unreachable)
            && self
                .changes
                .iter()
                .all(|change| before.later.contains_key(&change.host))
    }

    /// Whether anything is left out for this reason.
    pub fn has(&self, obstacle: Obstacle) -> bool {
        self.blocked
            .iter()
            .any(|blocked| blocked.obstacle == obstacle)
    }

    /// The worst impact.
    pub fn impact(&self) -> Option<Impact> {
        self.changes.iter().map(|change| change.impact).max()
    }

    /// The plan with only the chosen changes. What they wait for outside of the choice is not done, so a change that
    /// needs it fails by itself; the fingerprint is that of what is left.
    ///
    /// # Errors
    /// [`order::Cycle`], as for the whole.
    pub fn only(mut self, chosen: impl Fn(&Change) -> bool) -> Result<Self, order::Cycle> {
        self.changes.retain(chosen);
        let ids: BTreeSet<&str> = self
            .changes
            .iter()
            .map(|change| change.id.as_str())
            .collect();
        self.blocked.retain(|blocked| {
            blocked.forbids.is_empty() || blocked.forbids.iter().any(|id| ids.contains(id.as_str()))
        });
        order::drop_foreign_needs(&mut self.changes);
        self.steps = order::steps(&self.changes)?;
        self.fingerprint = fingerprint(&serde_json::to_vec(&self.changes).unwrap_or_default());
        Ok(self)
    }

    /// The changes without the digests of what was seen: equal for two looks between which nothing that matters changed.
    pub fn without_digests(&self) -> Vec<Change> {
        let mut changes = self.changes.clone();
        for change in &mut changes {
            if let Operation::ConfigureGuest { digest, .. } = &mut change.operation {
                *digest = None;
            }
        }
        changes
    }

    /// How many changes have this action.
    pub fn count(&self, action: Action) -> usize {
        self.changes
            .iter()
            .filter(|change| change.action == action)
            .count()
    }
}

/// SHA-256 in lower-case hex.
pub fn fingerprint(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .fold(String::with_capacity(64), |mut hex, byte| {
            use std::fmt::Write as _;
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}

/// Makes the plan.
///
/// # Errors
/// [`order::Cycle`] when changes wait for each other.
pub fn plan(inputs: &Inputs<'_>, lab: bool) -> Result<Plan, order::Cycle> {
    let mut draft = Draft::default();
    super::diff::all(&mut draft, inputs);
    let mut changes = draft.changes;
    order::complete_needs(&mut changes, inputs.desired);
    let steps = order::steps(&changes)?;
    let text = serde_json::to_vec(&changes).unwrap_or_default();
    let seen = inputs.observed.proxmox.as_ref().and_then(Reading::seen);
    Ok(Plan {
        version: VERSION,
        system: inputs.desired.system.clone(),
        lab,
        fingerprint: fingerprint(&text),
        changes,
        steps,
        blocked: draft.blocked.into_iter().collect(),
        unmanaged: draft.unmanaged.into_iter().collect(),
        later: draft.later,
        complaints: seen.map(|seen| seen.complaints.clone()).unwrap_or_default(),
        compared: draft.compared,
        hosts: draft.hosts.len(),
    })
}
