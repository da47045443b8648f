//! Rules over the resolved whole, one function each. What can be said about a single value is said while resolving.

use super::{
    codes,
    resolve::{Noun, Scope},
};
use crate::diagnostic::Code;
use crate::model::{
    desired::Desired,
    ids::{HostName, StackName},
};
use std::collections::{BTreeMap, BTreeSet};

/// A rule: what it can report, and how it looks.
struct Rule {
    code: Code,
    look: fn(&Desired, &mut Scope<'_>),
}

/// All rules, in the order in which they are looked at.
const RULES: &[Rule] = &[
    Rule {
        code: codes::NEEDS_LOOP,
        look: stacks_that_wait_for_each_other,
    },
    Rule {
        code: codes::JUMP_LOOP,
        look: jumps_that_lead_back,
    },
    Rule {
        code: codes::UNUSED,
        look: things_that_nothing_uses,
    },
];

/// Looks at the whole with every rule.
pub(crate) fn check(desired: &Desired, scope: &mut Scope<'_>) {
    for rule in RULES {
        let before = scope.out.len();
        (rule.look)(desired, scope);
        debug_assert!(
            scope.out[before..].iter().all(|d| d.code == rule.code),
            "a rule reports its own code only"
        );
    }
}

fn stacks_that_wait_for_each_other(desired: &Desired, scope: &mut Scope<'_>) {
    let edges: BTreeMap<&StackName, Vec<&StackName>> = desired
        .stacks
        .iter()
        .map(|(name, stack)| (name, stack.needs.iter().collect()))
        .collect();
    for cycle in cycles(&edges) {
        let words: Vec<String> = cycle
            .iter()
            .chain(cycle.first())
            .map(|name| format!("`{name}`"))
            .collect();
        scope
            .error(codes::NEEDS_LOOP, "stacks wait for each other")
            .at_name(Noun::Stack, cycle[0].as_str(), "begins here")
            .help(format!(
                "{}: remove one of the `needs`",
                words.join(" needs ")
            ));
    }
}

fn jumps_that_lead_back(desired: &Desired, scope: &mut Scope<'_>) {
    let edges: BTreeMap<&HostName, Vec<&HostName>> = desired
        .all_hosts()
        .filter_map(|host| {
            let (_, ssh) = desired.access(host)?;
            Some((host, ssh.jump.iter().collect()))
        })
        .collect();
    for cycle in cycles(&edges) {
        let words: Vec<String> = cycle
            .iter()
            .chain(cycle.first())
            .map(|name| format!("`{name}`"))
            .collect();
        scope
            .error(codes::JUMP_LOOP, "the way to a host leads back to itself")
            .at_name(Noun::Host, cycle[0].as_str(), "begins here")
            .help(format!(
                "{}: remove one of the `jump`s",
                words.join(" through ")
            ));
    }
}

/// Every cycle once, beginning with its smallest name.
fn cycles<'a, N: Ord>(edges: &BTreeMap<&'a N, Vec<&'a N>>) -> Vec<Vec<&'a N>> {
    let mut found: Vec<Vec<&N>> = Vec::new();
    let mut done: BTreeSet<&N> = BTreeSet::new();
    for start in edges.keys().copied() {
        let mut path = vec![start];
        walk(edges, &mut path, &mut done, &mut found);
        done.insert(start);
    }
    found
}

fn walk<'a, N: Ord>(
    edges: &BTreeMap<&'a N, Vec<&'a N>>,
    path: &mut Vec<&'a N>,
    done: &mut BTreeSet<&'a N>,
    found: &mut Vec<Vec<&'a N>>,
) {
    let Some(here) = path.last().copied() else {
        return;
    };
    for next in edges.get(here).into_iter().flatten().copied() {
        if let Some(at) = path.iter().position(|node| *node == next) {
            let mut cycle = path[at..].to_vec();
            let smallest = (0..cycle.len())
                .min_by_key(|index| cycle[*index])
                .unwrap_or(0);
            cycle.rotate_left(smallest);
            if !found.contains(&cycle) {
                found.push(cycle);
            }
        } else if !done.contains(next) {
            path.push(next);
            walk(edges, path, done, found);
            path.pop();
        }
    }
    done.insert(here);
}

fn things_that_nothing_uses(desired: &Desired, scope: &mut Scope<'_>) {
    let images: BTreeSet<&str> = desired
        .guests
        .values()
        .map(|guest| guest.image.as_str())
        .collect();
    let mut ends: BTreeSet<String> = BTreeSet::new();
    for flow in &desired.flows {
        ends.extend(flow.from.iter().chain(&flow.to).map(ToString::to_string));
    }
    for never in &desired.nevers {
        let all = never.from.iter().chain(&never.except).chain(&never.to);
        ends.extend(all.map(ToString::to_string));
    }
    ends.extend(desired.operators.iter().map(ToString::to_string));
    ends.extend(desired.checks.iter().map(|check| check.from.to_string()));
    let mut unused = Vec::new();
    unused.extend(
        desired
            .images
            .keys()
            .filter(|name| !images.contains(name.as_str()))
            .map(|name| (Noun::Image, name.to_string())),
    );
    unused.extend(
        desired
            .sets
            .keys()
            .filter(|name| !ends.contains(name.as_str()))
            .map(|name| (Noun::Set, name.to_string())),
    );
    for (noun, name) in unused {
        scope
            .warning(
                codes::UNUSED,
                format!("nothing uses the {} `{name}`", noun.word()),
            )
            .at_name(noun, &name, "declared here")
            .help("remove it, or refer to it");
    }
}
