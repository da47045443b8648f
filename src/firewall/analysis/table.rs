//! The effective matrix: who really reaches what, all layers together.

use super::{
    agreement::{RowIndex, pairs},
    enforcement::Enforcement,
};
use crate::firewall::{matrix::Matrix, port_set::PortSet};
use crate::model::desired::Desired;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// What one name reaches of another.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Cell {
    /// Ports that are open from every address of one to every address of the other.
    pub open: PortSet,
    /// Ports that are open between some of them only.
    pub partly: PortSet,
    /// The flows that open them, by id.
    pub flows: Vec<String>,
    /// The open ports by the names that the inventory has for them.
    pub words: Vec<String>,
}

/// The matrix by labels of places.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Table {
    /// Who asks, in the order in which it is shown.
    pub from: Vec<String>,
    /// Who is asked.
    pub to: Vec<String>,
    /// What is open; a pair that is not listed is closed.
    #[serde(serialize_with = "as_list")]
    pub cells: BTreeMap<(String, String), Cell>,
}

fn as_list<S: serde::Serializer>(
    cells: &BTreeMap<(String, String), Cell>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Row<'a> {
        from: &'a str,
        to: &'a str,
        #[serde(flatten)]
        cell: &'a Cell,
    }
    serializer.collect_seq(
        cells
            .iter()
            .map(|((from, to), cell)| Row { from, to, cell }),
    )
}

/// Works out the effective matrix.
pub fn table(desired: &Desired, matrix: &Matrix, enforcement: &Enforcement) -> Table {
    let places = enforcement.places();
    let index = RowIndex::new(&matrix.rows, &enforcement.atlas);
    let mut found: BTreeMap<(&str, &str), (PortSet, PortSet, BTreeSet<usize>)> = BTreeMap::new();
    let is_node = |at: usize| {
        let host = places[at].machine.as_ref();
        host.is_some_and(|host| desired.nodes.contains_key(host))
    };
    // What a node sends is nobody's row: it is the trusted base, and may send everything.
    let asked = pairs(places).filter(|(from, to)| !is_node(*from) || places[*to].machine.is_some());
    for (from, to) in asked {
        let own = enforcement.opens(from, to);
        // Containers are some of those who ask under a machine's address.
        let theirs = enforcement.opens_to_containers(from, to);
        let theirs = theirs.unwrap_or_else(|| own.clone());
        let (open, some) = (own.intersection(&theirs), own.union(&theirs));
        let rows: BTreeSet<usize> = index.between(from, to).collect();
        let key = (places[from].label.as_str(), places[to].label.as_str());
        match found.get_mut(&key) {
            None => {
                found.insert(key, (open, some, rows));
            }
            Some((every, any, all_rows)) => {
                *every = every.intersection(&open);
                *any = any.union(&some);
                all_rows.extend(rows);
            }
        }
    }
    let mut labels: Vec<&str> = Vec::new();
    for place in places.iter().rev().filter(|p| p.machine.is_none()) {
        if !labels.contains(&place.label.as_str()) {
            labels.push(&place.label);
        }
    }
    for place in places.iter().filter(|p| p.machine.is_some()) {
        if !labels.contains(&place.label.as_str()) {
            labels.push(&place.label);
        }
    }
    let cells: BTreeMap<(String, String), Cell> = found
        .into_iter()
        .filter(|(_, (_, any, _))| !any.is_empty())
        .map(|((from, to), (every, any, rows))| {
            let mut flows: Vec<String> = Vec::new();
            for row in rows {
                let row = &matrix.rows[row];
                if !PortSet::of(&row.ports).intersection(&any).is_empty()
                    && !flows.contains(&row.id)
                {
                    flows.push(row.id.clone());
                }
            }
            let cell = Cell {
                words: named(desired, &any),
                partly: any.without(&every),
                open: every,
                flows,
            };
            ((from.to_owned(), to.to_owned()), cell)
        })
        .collect();
    let used = |pick: fn(&(String, String)) -> &String| -> Vec<String> {
        let is_used = |label: &&&str| cells.keys().any(|key| pick(key) == **label);
        labels
            .iter()
            .filter(is_used)
            .map(|l| (*l).to_owned())
            .collect()
    };
    Table {
        from: used(|key| &key.0),
        to: used(|key| &key.1),
        cells,
    }
}

/// Ports by the names of services that are wholly among them, then what is left.
fn named(desired: &Desired, ports: &PortSet) -> Vec<String> {
    if *ports == PortSet::all() {
        return vec!["everything".to_owned()];
    }
    let mut left = ports.clone();
    let mut out = Vec::new();
    for service in desired.services.values() {
        let own = PortSet::of(&service.ports);
        if ports.covers(&own) && left.covers(&own) && !own.is_empty() {
            out.push(service.name.to_string());
            left = left.without(&own);
        }
    }
    if !left.is_empty() {
        out.push(left.words());
    }
    out
}
