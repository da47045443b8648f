//! From one list of rules to another, in the writes that Proxmox has.

use super::Strangers;
use crate::model::{
    firewall::{PveRule, PveRules},
    firewall_step::{PveLevel, PveStep},
};

/// The writes for one list, and the rules in it that infra did not make with the positions at which they stand.
///
/// New rules are added before old ones go, so that nothing that stays allowed is ever closed; the API puts every new
/// rule at position 0, hence the reverse order. Foreign rules that are kept end up behind ours, in their own order.
pub(crate) fn diff_rules(
    level: &PveLevel,
    observed: &PveRules,
    desired: &PveRules,
    strangers: Strangers,
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

    let mut target = wanted;
    if strangers == Strangers::Keep {
        target.extend(foreign.iter().map(|(_, rule)| rule.clone()));
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
