//! Which stack comes first.

use super::code::CYCLE;
use crate::diagnostic::Diagnostic;
use crate::model::{ids::StackName, stack::Stack};
use std::collections::BTreeMap;

/// The stacks so that each comes after all it needs, otherwise by name; and the cycles. Stacks of a cycle come last.
pub fn order(stacks: &BTreeMap<StackName, Stack>) -> (Vec<StackName>, Vec<Diagnostic>) {
    let mut ordered: Vec<StackName> = Vec::new();
    loop {
        let ready = stacks.values().find(|stack| {
            !ordered.contains(&stack.name)
                && stack
                    .needs
                    .iter()
                    .all(|need| ordered.contains(need) || !stacks.contains_key(need))
        });
        match ready {
            Some(stack) => ordered.push(stack.name.clone()),
            None => break,
        }
    }
    let mut rest: Vec<&StackName> = stacks
        .keys()
        .filter(|name| !ordered.contains(name))
        .collect();
    let mut found = Vec::new();
    let leftover: Vec<StackName> = rest.iter().map(|name| (*name).clone()).collect();
    while let Some(start) = rest.first().copied() {
        let cycle = walk(stacks, start, &leftover);
        let shown: Vec<String> = cycle.iter().map(|name| format!("`{name}`")).collect();
        found.push(
            Diagnostic::error(
                CYCLE,
                format!("stacks wait for each other: {}", shown.join(" -> ")),
            )
            .help("remove one of these from `needs`"),
        );
        // What leads into a cycle is no cycle of its own.
        rest.retain(|name| !reaches(stacks, name, &cycle));
    }
    ordered.extend(leftover);
    (ordered, found)
}

/// From a stack along its first unmet need until a name comes again.
fn walk<'s>(
    stacks: &'s BTreeMap<StackName, Stack>,
    start: &'s StackName,
    stuck: &[StackName],
) -> Vec<&'s StackName> {
    let mut path = vec![start];
    while let Some(next) = path.last().and_then(|name| {
        let needs = &stacks.get(*name)?.needs;
        needs.iter().find(|need| stuck.contains(need))
    }) {
        if let Some(at) = path.iter().position(|name| *name == next) {
            let mut cycle = path.split_off(at);
            cycle.push(next);
            return cycle;
        }
        path.push(next);
    }
    path
}

fn reaches(stacks: &BTreeMap<StackName, Stack>, from: &StackName, cycle: &[&StackName]) -> bool {
    let mut seen = vec![from];
    let mut at = 0;
    while let Some(name) = seen.get(at).copied() {
        if cycle.contains(&name) {
            return true;
        }
        for need in stacks.get(name).into_iter().flat_map(|stack| &stack.needs) {
            if !seen.contains(&need) {
                seen.push(need);
            }
        }
        at += 1;
    }
    false
}
