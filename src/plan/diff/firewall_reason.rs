//! Why the firewall differs, in the owner's words: the matrix changed, or somebody did something by hand.

use crate::model::{
    firewall::{PveRule, PveScope},
    firewall_step::{PveLevel, PveStep},
    observed::ObservedProxmox,
    ufw::{Ufw, UfwRule, UfwStep},
};

/// When nothing says that a person did it.
const MATRIX: &str = "the flow matrix";

/// Why a level of the Proxmox firewall differs.
pub(super) fn of_pve(level: &PveLevel, steps: &[PveStep], seen: &ObservedProxmox) -> String {
    let empty = PveScope::default();
    let scope = match level {
        PveLevel::Cluster => &seen.firewall.cluster,
        PveLevel::Node(node) => seen.firewall.nodes.get(node).unwrap_or(&empty),
        PveLevel::Guest(vmid) => seen.firewall.guests.get(vmid).unwrap_or(&empty),
        PveLevel::Group(_) => &empty,
    };
    // Without a trace of infra it was never done: that is no drift.
    let known = match level {
        PveLevel::Cluster => scope.ipsets.keys().any(|name| name.starts_with("infra-")),
        PveLevel::Node(_) | PveLevel::Guest(_) => scope.rules.rules.iter().any(PveRule::is_ours),
        PveLevel::Group(_) => false,
    };
    let existed = match level {
        PveLevel::Guest(vmid) => seen
            .guests
            .get(vmid)
            .is_some_and(|guest| guest.status == "running"),
        PveLevel::Cluster | PveLevel::Node(_) | PveLevel::Group(_) => false,
    };
    if !known {
        let bare = *scope == empty && existed;
        return if bare {
            "its firewall file is gone, as after a restore from a backup without it".to_owned()
        } else {
            MATRIX.to_owned()
        };
    }
    let switched_on = steps.iter().any(|step| {
        matches!(step, PveStep::Options { set, .. } if set.get("enable").is_some_and(|value| value == "1"))
    });
    let by_hand = steps
        .iter()
        .any(|step| matches!(step, PveStep::RuleDelete { rule, .. } if !rule.is_ours()));
    let replaced = steps
        .iter()
        .any(|step| matches!(step, PveStep::RuleReplace { .. }));
    let older = replaced
        || steps
            .iter()
            .any(|step| matches!(step, PveStep::RuleDelete { rule, .. } if rule.is_ours()));
    let missing = replaced
        || steps
            .iter()
            .any(|step| matches!(step, PveStep::RuleAdd { .. }));
    let loosened = steps
        .iter()
        .any(|step| matches!(step, PveStep::Options { .. }));
    join(&[
        (switched_on, "its firewall was switched off"),
        (loosened && !switched_on, "its options were changed"),
        (
            by_hand,
            "it has a rule that the matrix does not: somebody made it by hand",
        ),
        (
            older && missing,
            "it has older rows: the matrix changed, or a restored guest brought its old firewall file",
        ),
        (
            older && !missing,
            "it has rows that the matrix no longer has",
        ),
        (missing && !older, "rows of the matrix are missing"),
    ])
}

/// Why a host's UFW differs.
pub(super) fn of_ufw(steps: &[UfwStep], seen: Option<&Ufw>) -> String {
    let Some(seen) = seen.filter(|ufw| ufw.rules.iter().any(UfwRule::is_ours)) else {
        return MATRIX.to_owned();
    };
    let deletes = |ours: bool| {
        steps
            .iter()
            .any(|step| matches!(step, UfwStep::Delete(rule) if rule.is_ours() == ours))
    };
    let adds = steps
        .iter()
        .any(|step| matches!(step, UfwStep::Append(_) | UfwStep::Prepend(_)));
    let defaults = steps
        .iter()
        .any(|step| matches!(step, UfwStep::Default(..)));
    join(&[
        (
            !seen.enabled,
            "UFW was switched off, or does not load what it has",
        ),
        (
            deletes(false),
            "it has a rule that the matrix does not: somebody made it by hand",
        ),
        (deletes(true), "it has rows that the matrix no longer has"),
        (adds, "rows of the matrix are missing"),
        (defaults, "its defaults were changed"),
    ])
}

fn join(reasons: &[(bool, &str)]) -> String {
    let said: Vec<&str> = reasons
        .iter()
        .filter(|(so, _)| *so)
        .map(|(_, text)| *text)
        .collect();
    if said.is_empty() {
        MATRIX.to_owned()
    } else {
        said.join("; ")
    }
}
