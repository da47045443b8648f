//! From one list of rules to another, in the writes that Proxmox has.

use super::Strangers;
use crate::model::{
    firewall::{PveRule, PveRuleKind, PveRules},
    firewall_step::{PveLevel, PveStep},
};
use std::collections::BTreeMap;

/// The writes for one list, and the rules in it that infra did not make with the positions at which they stand.
///
/// New rules are added before old ones go, so that nothing that stays allowed is ever closed; the API puts every new
/// rule at position 0, hence the reverse order. Foreign rules that are kept end up behind ours, in their own order.
/// `sets` has the members of the datacenter's sets, as a rule would list them.
pub(crate) fn diff_rules(
    level: &PveLevel,
    observed: &PveRules,
    desired: &PveRules,
    strangers: Strangers,
    sets: &BTreeMap<String, String>,
) -> (Vec<PveStep>, Vec<(usize, PveRule)>) {
    let mut list: Vec<PveRule> = observed.rules.iter().map(PveRule::canonical).collect();
    let wanted: Vec<PveRule> = desired.rules.iter().map(PveRule::canonical).collect();
    let foreign: Vec<(usize, PveRule)> = list
        .iter()
        .enumerate()
        .filter(|(_, rule)| !rule.is_ours())
        .map(|(position, rule)| (position, rule.clone()))
        .collect();
    let mut steps = Vec::new();
    if let Some((position, rule)) = flip(&list, &wanted) {
        let was = std::mem::replace(&mut list[position], rule.clone());
        steps.push(PveStep::RuleReplace {
            level: level.clone(),
            position,
            was: Box::new(was),
            rule: Box::new(rule),
        });
    }

    let mut present = list.clone();
    let mut missing = Vec::new();
    for rule in &wanted {
        match present.iter().position(|other| other == rule) {
            Some(at) => {
                present.remove(at);
            }
            None => missing.push(rule.clone()),
        }
    }
    for rule in missing.into_iter().rev() {
        list.insert(0, rule.clone());
        steps.push(PveStep::RuleAdd {
            level: level.clone(),
            rule,
        });
    }

    let mut target = wanted.clone();
    if strangers == Strangers::Keep {
        // A rule that says what one of ours says has been adopted: the one with the reason stays.
        let says = |rule: &PveRule| bare(rule, sets);
        let adopted = |rule: &PveRule| wanted.iter().any(|own| says(own) == says(rule));
        let kept = foreign.iter().filter(|(_, rule)| !adopted(rule));
        target.extend(kept.map(|(_, rule)| rule.clone()));
    }
    let mut spare = target.clone();
    let keep: Vec<bool> = list
        .iter()
        .map(|rule| match spare.iter().position(|other| other == rule) {
            Some(at) => {
                spare.remove(at);
                true
            }
            None => false,
        })
        .collect();
    for position in (0..list.len()).rev().filter(|position| !keep[*position]) {
        steps.push(PveStep::RuleDelete {
            level: level.clone(),
            position,
            rule: list.remove(position),
        });
    }

    for (to, rule) in target.iter().enumerate() {
        let Some(from) = (to..list.len()).find(|from| list[*from] == *rule) else {
            continue;
        };
        if from != to {
            let moved = list.remove(from);
            list.insert(to, moved);
            steps.push(PveStep::RuleMove {
                level: level.clone(),
                from,
                to,
                rule: rule.clone(),
            });
        }
    }
    (steps, foreign)
}

/// The one reference to a group of ours that becomes another, and where it stands.
fn flip(list: &[PveRule], wanted: &[PveRule]) -> Option<(usize, PveRule)> {
    let is_reference =
        |rule: &PveRule| rule.kind == PveRuleKind::Group && rule.enable && rule.is_ours();
    let mut gone =
        (0..list.len()).filter(|at| is_reference(&list[*at]) && !wanted.contains(&list[*at]));
    let mut new = wanted
        .iter()
        .filter(|rule| is_reference(rule) && !list.contains(rule));
    match (gone.next(), gone.next(), new.next(), new.next()) {
        (Some(position), None, Some(rule), None) => Some((position, rule.clone())),
        _ => None,
    }
}

/// A rule without what only people read, and with addresses for the names of sets.
fn bare(rule: &PveRule, sets: &BTreeMap<String, String>) -> PveRule {
    let listed = |side: &Option<String>| {
        side.as_ref().map(|text| {
            let name = text
                .strip_prefix('+')
                .map(|name| name.trim_start_matches("dc/"));
            name.and_then(|name| sets.get(name)).unwrap_or(text).clone()
        })
    };
    PveRule {
        comment: None,
        source: listed(&rule.source),
        dest: listed(&rule.dest),
        ..rule.clone()
    }
    .canonical()
}
