//! A list of rules in one form, whoever wrote it.

use super::place::Atlas;
use crate::firewall::{addresses::Addresses, port_set::PortSet};
use crate::model::address::Port;
use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

/// Address sets that rules refer to, each kept once.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    sets: Vec<Addresses>,
    known: BTreeMap<Addresses, usize>,
}

impl Pool {
    /// The number of a set.
    pub(crate) fn of(&mut self, set: &Addresses) -> usize {
        if let Some(at) = self.known.get(set) {
            return *at;
        }
        self.sets.push(set.clone());
        self.known.insert(set.clone(), self.sets.len() - 1);
        self.sets.len() - 1
    }

    pub(crate) fn sets(&self) -> &[Addresses] {
        &self.sets
    }
}

/// A rule: packets from one set to another, on these ports, pass or do not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Clause {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) ports: PortSet,
    pub(crate) passes: bool,
    /// The rule as its layer writes it.
    pub(crate) words: String,
}

/// A rule as it was read, with its sets of its own.
#[derive(Debug, Clone)]
pub(crate) struct Reading {
    pub(crate) from: Arc<Addresses>,
    pub(crate) to: Arc<Addresses>,
    pub(crate) ports: PortSet,
    pub(crate) passes: bool,
    pub(crate) words: String,
}

/// Neighbouring rules with one verdict may stand in any order, so those that differ in one end only are one rule.
/// Emitters without sets write a rule for each network; this puts the sets together again.
pub(crate) fn merged(readings: Vec<Reading>) -> Vec<Reading> {
    /// A rule with the other sources of its kind.
    struct Kind {
        first: Reading,
        more: Vec<Arc<Addresses>>,
    }
    let mut out: Vec<Kind> = Vec::with_capacity(readings.len());
    let mut start = 0;
    for reading in readings {
        let other_verdict = |last: &Kind| last.first.passes != reading.passes;
        if out.last().is_some_and(other_verdict) {
            start = out.len();
        }
        let same = out[start..]
            .iter_mut()
            .find(|old| old.first.to == reading.to && old.first.ports == reading.ports);
        match same {
            Some(old) => old.more.push(reading.from),
            None => out.push(Kind {
                first: reading,
                more: vec![],
            }),
        }
    }
    let whole = |Kind { first, more }: Kind| {
        if more.is_empty() {
            return first;
        }
        let all = more.iter().chain([&first.from]).map(AsRef::as_ref);
        Reading {
            from: Arc::new(Addresses::of_all(all)),
            // Whose turn it is nobody knows any more, so its words are not passed off as those of one rule.
            words: format!("{} (one of {} alike)", first.words, more.len() + 1),
            ..first
        }
    };
    out.into_iter().map(whole).collect()
}

/// The same for rules that differ in their targets only.
pub(crate) fn merged_by_target(readings: Vec<Reading>) -> Vec<Reading> {
    let turned = |reading: Reading| Reading {
        from: reading.to,
        to: reading.from,
        ..reading
    };
    let all = merged(readings.into_iter().map(turned).collect());
    all.into_iter().map(turned).collect()
}

/// Rules in their order, and what happens to packets that none of them takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chain {
    pub(crate) clauses: Vec<Clause>,
    pub(crate) otherwise: bool,
    /// Why: the policy, or that the layer is off.
    pub(crate) otherwise_words: String,
    /// Rules that could not be read, and so were left out.
    pub(crate) unread: Vec<String>,
}

impl Chain {
    /// A chain of what was read.
    pub(crate) fn new(
        readings: Vec<Reading>,
        otherwise: bool,
        otherwise_words: impl Into<String>,
        pool: &mut Pool,
    ) -> Self {
        let clauses = readings
            .into_iter()
            .map(|reading| Clause {
                from: pool.of(&reading.from),
                to: pool.of(&reading.to),
                ports: reading.ports,
                passes: reading.passes,
                words: reading.words,
            })
            .collect();
        Self {
            clauses,
            otherwise,
            otherwise_words: otherwise_words.into(),
            unread: vec![],
        }
    }

    /// A layer that lets everything pass.
    pub(crate) fn open(why: impl Into<String>) -> Self {
        Self {
            clauses: vec![],
            otherwise: true,
            otherwise_words: why.into(),
            unread: vec![],
        }
    }

    /// What passes from one place to another.
    pub(crate) fn opens(&self, members: &[Vec<bool>], from: usize, to: usize) -> PortSet {
        let (mut undecided, mut open) = (PortSet::all(), PortSet::default());
        for clause in &self.clauses {
            if !(members[clause.from][from] && members[clause.to][to]) {
                continue;
            }
            if clause.passes {
                open = open.union(&undecided.intersection(&clause.ports));
            }
            undecided = undecided.without(&clause.ports);
            if undecided.is_empty() {
                return open;
            }
        }
        if self.otherwise {
            open.union(&undecided)
        } else {
            open
        }
    }

    /// What happens to one packet, and by which rule.
    pub(crate) fn decide(&self, pool: &Pool, from: IpAddr, to: IpAddr, port: Port) -> (bool, &str) {
        match self.hit(pool, from, to, port) {
            Some(clause) => (clause.passes, &clause.words),
            None => (self.otherwise, &self.otherwise_words),
        }
    }

    /// What a rule says about one packet; none when only the policy speaks of it.
    pub(crate) fn rule(&self, pool: &Pool, from: IpAddr, to: IpAddr, port: Port) -> Option<bool> {
        let hit = self.hit(pool, from, to, port);
        hit.map(|clause| clause.passes)
    }

    fn hit(&self, pool: &Pool, from: IpAddr, to: IpAddr, port: Port) -> Option<&Clause> {
        self.clauses.iter().find(|clause| {
            clause.ports.contains(port)
                && pool.sets()[clause.from].contains(from)
                && pool.sets()[clause.to].contains(to)
        })
    }
}

/// For every set of the pool, which places it consists of.
pub(crate) fn membership(pool: &Pool, atlas: &Atlas) -> Vec<Vec<bool>> {
    pool.sets()
        .iter()
        .map(|set| {
            atlas
                .members(set)
                .expect("the atlas was cut by every set of the pool")
        })
        .collect()
}
