//! From a host's UFW as it is to the one that is wanted.

use super::Strangers;
use crate::model::ufw::{Ufw, UfwAction, UfwDirection, UfwRule, UfwStep, UfwSteps};
use ipnet::IpNet;
use std::collections::BTreeSet;

/// What separates two UFWs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UfwDiff {
    /// Steps in a safe order; none when the two mean the same.
    pub steps: UfwSteps,
    /// Rules that infra did not make, kept or removed as told.
    pub foreign: Vec<UfwRule>,
}

/// Compares two UFWs by meaning; `observed` is none when UFW was never there (its package is installed by then).
///
/// Rules are added before others are deleted, and the switch comes last. The order of our rules matters in one place
/// only: a rule that allows everybody stands behind those that deny somebody, so it is the one that is appended;
/// everything else goes to the top. A rule that differs in its comment or action alone is replaced in place by UFW.
pub fn diff_ufw(observed: Option<&Ufw>, desired: &Ufw, strangers: Strangers) -> UfwDiff {
    let seen: Vec<UfwRule> = observed.map(|u| normal(&u.rules)).unwrap_or_default();
    let wanted = normal(&desired.rules);
    let foreign: Vec<UfwRule> = seen.iter().filter(|r| !r.is_ours()).cloned().collect();
    let mut steps = Vec::new();
    if observed.is_none_or(|u| u.ipv6 != desired.ipv6) {
        steps.push(UfwStep::Ipv6(desired.ipv6));
    }

    // A host has hundreds of rules: each is looked up, none is searched for.
    let (has, wants) = (set(&seen), set(&wanted));
    let missing = wanted.iter().filter(|rule| !has.contains(rule));
    if seen.is_empty() {
        steps.extend(missing.cloned().map(UfwStep::Append));
    } else {
        let (last, first): (Vec<_>, Vec<_>) = missing.partition(|rule| is_last(rule, &wanted));
        steps.extend(first.into_iter().rev().cloned().map(UfwStep::Prepend));
        steps.extend(last.into_iter().cloned().map(UfwStep::Append));
    }

    let matches: BTreeSet<UfwRule> = wanted.iter().map(bare).collect();
    for rule in &seen {
        let kept = wants.contains(rule) || (strangers == Strangers::Keep && !rule.is_ours());
        if !kept && !matches.contains(&bare(rule)) {
            steps.push(UfwStep::Delete(rule.clone()));
        }
    }
    for (at, rule) in seen.iter().enumerate() {
        let hides = |behind: &UfwRule| is_hidden(behind, rule) && wants.contains(behind);
        if wants.contains(rule) && seen.iter().skip(at + 1).any(hides) {
            steps.push(UfwStep::Delete(rule.clone()));
            steps.push(UfwStep::Append(rule.clone()));
        }
    }

    let defaults = [
        (
            UfwDirection::In,
            observed.map(|u| u.incoming),
            desired.incoming,
        ),
        (
            UfwDirection::Out,
            observed.map(|u| u.outgoing),
            desired.outgoing,
        ),
        (
            UfwDirection::Route,
            observed.map(|u| u.routed),
            desired.routed,
        ),
    ];
    for (direction, was, action) in defaults {
        if was != Some(action) {
            steps.push(UfwStep::Default(direction, action));
        }
    }
    let enabled = observed.is_some_and(|u| u.enabled);
    let restarts = steps.iter().any(|step| matches!(step, UfwStep::Ipv6(_)));
    if desired.enabled && (!enabled || restarts) {
        steps.push(UfwStep::Enable);
    }
    UfwDiff {
        steps: UfwSteps(steps),
        foreign,
    }
}

/// Whether the rule allows everybody what another denies somebody.
fn is_last(rule: &UfwRule, wanted: &[UfwRule]) -> bool {
    wanted.iter().any(|other| is_hidden(other, rule))
}

/// Whether `behind`, which denies somebody, means nothing when it stands behind `rule`, which allows everybody.
fn is_hidden(behind: &UfwRule, rule: &UfwRule) -> bool {
    let ends = |rule: &UfwRule| match rule.direction {
        UfwDirection::Out => (rule.to, rule.from),
        UfwDirection::In | UfwDirection::Route => (rule.from, rule.to),
    };
    if rule.action != UfwAction::Allow || behind.action == UfwAction::Allow {
        return false;
    }
    let ((peer, own), (_, own_behind)) = (ends(rule), ends(behind));
    let share_port = rule.ports.is_empty()
        || behind.ports.is_empty()
        || rule
            .ports
            .iter()
            .any(|a| behind.ports.iter().any(|b| a.overlaps(*b)));
    peer.is_none()
        && own == own_behind
        && rule.direction == behind.direction
        && rule.proto == behind.proto
        && share_port
}

/// What UFW knows a rule by, equal for those that it takes for one: no comment and no action, and no network where it
/// is the half that is left of a rule for both families.
fn bare(rule: &UfwRule) -> UfwRule {
    let whole = |network: Option<IpNet>| network.filter(|net| net.prefix_len() > 0);
    UfwRule {
        action: UfwAction::Allow,
        comment: None,
        from: whole(rule.from),
        to: whole(rule.to),
        ..rule.clone()
    }
}

fn set(rules: &[UfwRule]) -> BTreeSet<&UfwRule> {
    rules.iter().collect()
}

fn normal(rules: &[UfwRule]) -> Vec<UfwRule> {
    rules
        .iter()
        .map(|rule| {
            let mut ports = rule.ports.clone();
            ports.sort_unstable();
            UfwRule {
                from: rule.from.map(|net| net.trunc()),
                to: rule.to.map(|net| net.trunc()),
                ports,
                comment: rule.comment.as_deref().map(|c| c.trim().to_owned()),
                ..rule.clone()
            }
        })
        .collect()
}
